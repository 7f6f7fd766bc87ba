//! mkfs.xfs: see the library `mkfs`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    mkfs::program::main()
}
