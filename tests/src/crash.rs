//! Images a real kernel left behind when its power was cut.
//!
//! The image is loop-mounted, a workload runs, and the filesystem is shut down with
//! `xfs_io -x -c shutdown`: what the log did not hold by then is lost, and the log is
//! dirty, as after a power cut.

use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::linux::{Linux, Mount};
use crate::ours;
use crate::peers::Peers;
use crate::workload::Workload;

/// What happens to the log's contents in memory at the cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// They are lost: `shutdown`.
    DropLog,
    /// They are written first: `shutdown -f`.
    FlushLog,
}

impl Cut {
    /// Both kinds.
    pub const ALL: [Cut; 2] = [Cut::DropLog, Cut::FlushLog];

    /// The word for it on the program `workload`'s command line.
    pub fn word(self) -> &'static str {
        match self {
            Cut::DropLog => "drop",
            Cut::FlushLog => "flush",
        }
    }

    /// Cuts the filesystem mounted at `root` off.
    ///
    /// # Errors
    ///
    /// When xfs_io fails.
    pub fn apply(self, peers: &Peers, root: &Path) -> Result<()> {
        let command = match self {
            Cut::DropLog => "shutdown",
            Cut::FlushLog => "shutdown -f",
        };
        peers.io(root, &[command]).map(drop)
    }
}

impl FromStr for Cut {
    type Err = anyhow::Error;

    fn from_str(word: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|cut| cut.word() == word);
        found.with_context(|| format!("a cut is drop or flush, not {word}"))
    }
}

/// Mounts `image` under either Linux, runs a workload and cuts the power within it; `image`
/// then has a dirty log.
///
/// # Errors
///
/// From mounting, the workload's preparations or the cut.
pub fn within(
    linux: &Linux,
    peers: &Peers,
    image: &Path,
    workload: Workload,
    seed: u64,
    cut: Cut,
) -> Result<()> {
    let program = ours::path("workload")?;
    let script = format!(
        "XFS_PEERS_DIR='{}' exec '{}' {workload} \"$MNT\" {seed} {}",
        peers.directory().display(),
        program.display(),
        cut.word()
    );
    linux.script(image, &script).map(drop)
}

/// Mounts `image`, runs `work` on its root, cuts the power and unmounts; `image` then has a
/// dirty log.
///
/// # Errors
///
/// From mounting, `work` or the cut.
pub fn after(
    peers: &Peers,
    image: &Path,
    cut: Cut,
    work: impl FnOnce(&Path) -> Result<()>,
) -> Result<()> {
    let mount = Mount::new(image)?;
    work(mount.root())?;
    cut.apply(peers, mount.root())?;
    mount.unmount()
}

/// Mounts `image`, starts `work` on its root, cuts the power after `delay` while it runs, and
/// unmounts when it has ended.
///
/// `work` gets the root and a flag that turns true at the cut. From then on its calls fail
/// with EIO, so it must take errors for its end and leave its loop when the flag is true.
///
/// # Errors
///
/// From mounting or the cut.
pub fn during(
    peers: &Peers,
    image: &Path,
    cut: Cut,
    delay: Duration,
    work: impl FnOnce(&Path, &AtomicBool) + Send,
) -> Result<()> {
    let mount = Mount::new(image)?;
    let stop = AtomicBool::new(false);
    let cut = thread::scope(|scope| {
        let worker = scope.spawn(|| work(mount.root(), &stop));
        thread::sleep(delay);
        let cut = cut.apply(peers, mount.root());
        stop.store(true, Ordering::Relaxed);
        worker.join().map_err(|_| anyhow::anyhow!("the workload panicked")).and(cut)
    });
    mount.unmount().context("after the cut")?;
    cut
}
