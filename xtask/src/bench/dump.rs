//! Dumps of the metadata of a million inodes: time and peak memory of making one, plain and
//! obfuscated, and of restoring it.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::look::{compare, cost, million_inodes};
use super::{Bencher, Row, ours};

/// Each kind of dump, then restoring the last one.
pub fn dump(bencher: &Bencher) -> Result<Vec<Row>> {
    let image = million_inodes(bencher)?;
    let dump = bencher.path("dump");
    let mut rows = Vec::new();
    for (name, options) in [("metadump -o", &["-o"][..]), ("metadump, obfuscated", &[])] {
        rows.push(compare(
            bencher,
            name,
            || cost(ours("xfs_metadump").args(options).arg(&image).arg(&dump)),
            || cost(peer_metadump(bencher, options, &dump).arg(&image)),
        )?);
    }
    let target = bencher.path("target");
    rows.push(compare(
        bencher,
        "mdrestore",
        || cost(ours("xfs_mdrestore").arg(&dump).arg(&target)),
        || cost(bencher.peers.command("xfs_mdrestore").arg(&dump).arg(&target)),
    )?);
    Ok(rows)
}

/// What xfs_metadump of xfsprogs, a shell script, does.
fn peer_metadump(bencher: &Bencher, options: &[&str], dump: &Path) -> Command {
    let metadump = format!("metadump {} {}", options.join(" "), dump.display());
    let mut command = bencher.peers.command("xfs_db");
    command.args(["-f", "-i", "-p", "xfs_metadump", "-c", &metadump]);
    command
}
