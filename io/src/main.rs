//! xfs_io: see the library `io`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    io::program::main()
}
