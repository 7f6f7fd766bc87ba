//! Prints the manifest of a tree of files: `tree_manifest ROOT`.
#![forbid(unsafe_code)]

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result};
use tests::manifest::Manifest;

fn main() -> Result<()> {
    let root =
        std::env::args_os().nth(1).map(PathBuf::from).context("usage: tree_manifest ROOT")?;
    std::io::stdout().write_all(Manifest::of(&root)?.to_string().as_bytes())?;
    Ok(())
}
