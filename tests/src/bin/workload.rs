//! Runs a workload on a mounted filesystem and cuts its power:
//! `workload NAME ROOT SEED drop|flush`, with the peers directory in `$XFS_PEERS_DIR`.
#![forbid(unsafe_code)]

use std::path::Path;

use anyhow::{Result, bail};
use tests::crash::Cut;
use tests::peers::Peers;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, root, seed, cut] = &args[..] else {
        bail!("usage: workload NAME ROOT SEED drop|flush");
    };
    let cut = cut.parse::<Cut>()?;
    name.parse::<tests::workload::Workload>()?.run(
        &Peers::find()?,
        Path::new(root),
        seed.parse()?,
        cut,
    )
}
