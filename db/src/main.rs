//! xfs_db: see the library `db`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    db::program::main()
}
