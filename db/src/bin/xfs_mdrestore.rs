//! xfs_mdrestore: see `db::mdrestore`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    db::mdrestore::main()
}
