//! Work on a mounted filesystem, for scripts that either Linux runs:
//!
//! * `workload NAME ROOT SEED drop|flush` runs a workload and cuts its power, with the peers
//!   directory in `$XFS_PEERS_DIR`.
//! * `workload fragment FILE EXTENTS BYTE` writes a file of many extents.
#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::{Result, bail};
use tests::crash::Cut;
use tests::peers::Peers;
use tests::workload::{Workload, write_fragmented};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, path, number, last] = &args[..] else {
        bail!("usage: workload NAME ROOT SEED drop|flush, workload fragment FILE EXTENTS BYTE");
    };
    let path = Path::new(path);
    if name == "fragment" {
        return write_fragmented(path, number.parse()?, last.parse()?);
    }
    let cut = last.parse::<Cut>()?;
    name.parse::<Workload>()?.run(&Peers::find()?, path, number.parse()?, cut)
}
