//! xfs_metadump: see `db::metadump`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    db::metadump::main()
}
