//! Runs recipes on a mounted filesystem (see `tests::gallery`): `gallery_fill ROOT RECIPE...`.
#![forbid(unsafe_code)]

use std::path::PathBuf;

use anyhow::{Context, Result};
use tests::gallery::fill;
use tests::peers::Peers;

fn main() -> Result<()> {
    let mut args = std::env::args_os().skip(1);
    let root = PathBuf::from(args.next().context("usage: gallery_fill ROOT RECIPE...")?);
    let peers = Peers::find()?;
    for name in args {
        fill::run(&peers, &root, &name.to_string_lossy())?;
    }
    Ok(())
}
