//! xfs_repair: see the library `repair`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    repair::program::main()
}
