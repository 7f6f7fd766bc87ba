//! Metadata dumps made and restored by xfsprogs, for tests that exchange them.

use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};

use crate::peers::Peers;

/// Makes the dump `target` of `source` with xfsprogs 7.2: what its xfs_metadump, a shell
/// script around its xfs_db, does. `devices` are options of xfs_db for other devices.
///
/// # Errors
///
/// When xfs_db cannot be started, or fails.
pub fn by_peer(
    peers: &Peers,
    options: &str,
    devices: &[String],
    source: &Path,
    target: &Path,
) -> Result<Output> {
    let command = format!("metadump {options} {}", target.display());
    let mut program = peers.command("xfs_db");
    program.args(["-f", "-i", "-p", "xfs_metadump", "-c", &command]).args(devices).arg(source);
    let output = program.output().context("xfs_db")?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success() && target.exists(), "{command}: {words}");
    Ok(output)
}
