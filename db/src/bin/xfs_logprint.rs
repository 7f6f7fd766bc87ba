//! xfs_logprint: see `db::logprint`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    db::logprint::main()
}
