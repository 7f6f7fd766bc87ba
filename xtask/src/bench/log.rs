//! Log replay.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ::tests::crash::{self, Cut};
use ::tests::linux::Mount;
use ::tests::sparse::copy;
use anyhow::Result;

use super::{Bencher, Row, ours, time};

/// Files whose creation nearly fills a log of 64 MiB.
const FILES: usize = 60_000;

/// Replays a full 64 MiB log that Linux left, against Linux's mount.
pub fn replay(bencher: &Bencher) -> Result<Vec<Row>> {
    let (image, work) = (bencher.path("image"), bencher.path("work"));
    bencher.peers.mkfs(&image, 2 << 30, &["-l", "size=64m"])?;
    crash::after(&bencher.peers, &image, Cut::FlushLog, fill_log)?;
    let row = bencher.compare(
        "replay a 64 MiB log",
        |_| {
            copy(&image, &work)?;
            time(ours("xfs_repair").arg(&work))
        },
        |_| {
            copy(&image, &work)?;
            let start = Instant::now();
            let mount = Mount::new(&work)?;
            let time = start.elapsed();
            mount.unmount()?;
            Ok(time)
        },
    )?;
    Ok(vec![row])
}

/// Creates files in many directories and removes a third of them.
fn fill_log(root: &Path) -> Result<()> {
    let path = |index: usize| root.join(format!("dir{}/file{index}", index / 500));
    for index in 0..FILES {
        if index % 500 == 0 {
            fs::create_dir(root.join(format!("dir{}", index / 500)))?;
        }
        fs::write(path(index), b"x")?;
        if index % 3 == 2 {
            fs::remove_file(path(index - 1))?;
        }
    }
    ::tests::peers::run(Command::new("sync").arg("-f").arg(root)).map(drop)
}
