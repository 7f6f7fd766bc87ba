//! A real Linux that mounts an image.
//!
//! [`Mount`] loop-mounts on the machine's own kernel, which takes root and XFS in that
//! kernel. [`manifest`] and [`script`] take whichever Linux there is: the machine's own,
//! or user-mode Linux (module [`crate::uml`]) where there is no root.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::manifest::Manifest;
use crate::peers::{Peers, run};
use crate::uml::Uml;

/// Checks that this machine's kernel can mount an XFS image by loop device.
///
/// # Errors
///
/// With the reason when it cannot.
pub fn host() -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "mounting on this machine's Linux takes root");
    let known = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    ensure!(
        known.lines().any(|line| line.trim() == "xfs"),
        "this machine's Linux has no XFS (/proc/filesystems)"
    );
    ensure!(Path::new("/dev/loop-control").exists(), "this machine has no loop devices");
    Ok(())
}

/// True when the machine's own kernel can mount; otherwise says why and skips the test.
pub fn host_or_skip() -> bool {
    crate::skip::or_skip(host()).is_some()
}

/// A file attached to a loop device, for what mount(8) does not attach itself.
#[derive(Debug)]
pub struct Loop(String);

impl Loop {
    /// Attaches `file`, with sectors of this many bytes.
    ///
    /// # Errors
    ///
    /// When losetup(8) fails.
    pub fn new(file: &Path, sector_size: u32) -> Result<Self> {
        let size = sector_size.to_string();
        let mut attach = Command::new("losetup");
        attach.args(["--find", "--show", "--sector-size", &size]).arg(file);
        Ok(Loop(run(&mut attach)?.trim().to_owned()))
    }

    /// The path of the device.
    pub fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if let Err(error) = run(Command::new("losetup").args(["--detach", &self.0])) {
            crate::skip::say(&format!("{error:#}"));
        }
    }
}

/// An image mounted by loop device on the machine's own kernel, unmounted on drop.
#[derive(Debug)]
pub struct Mount {
    point: TempDir,
    mounted: bool,
}

impl Mount {
    /// Mounts `image` read-write. Linux replays its log when it is dirty.
    ///
    /// # Errors
    ///
    /// When mount(8) fails; the message has the kernel's last words about it.
    pub fn new(image: &Path) -> Result<Self> {
        Self::with(image, "rw")
    }

    /// Mounts `image` with the comma-separated mount options `options`, such as
    /// `ro,norecovery`. `loop` and `nouuid` (copies share a UUID) are added.
    ///
    /// # Errors
    ///
    /// As [`Mount::new`].
    pub fn with(image: &Path, options: &str) -> Result<Self> {
        host()?;
        let point = tempfile::Builder::new().prefix("xfs-mount-").tempdir()?;
        let options = format!("loop,nouuid,{options}");
        run(Command::new("mount").args(["-t", "xfs", "-o", &options]).arg(image).arg(point.path()))
            .with_context(|| {
                format!("mounting {}; kernel log:\n{}", image.display(), kernel_log())
            })?;
        Ok(Mount { point, mounted: true })
    }

    /// The root of the mounted filesystem.
    pub fn root(&self) -> &Path {
        self.point.path()
    }

    /// The path of `name` inside the mounted filesystem.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    /// Unmounts, so that the image file is complete.
    ///
    /// # Errors
    ///
    /// When umount(8) keeps failing.
    pub fn unmount(mut self) -> Result<()> {
        self.detach()
    }

    /// Unmounts; a mount that is still busy (an exiting process) is tried again for a while.
    fn detach(&mut self) -> Result<()> {
        if !self.mounted {
            return Ok(());
        }
        let mut last = Ok(String::new());
        for attempt in 0..50 {
            if attempt > 0 {
                thread::sleep(Duration::from_millis(100));
            }
            last = run(Command::new("umount").arg(self.point.path()));
            if last.is_ok() {
                self.mounted = false;
                return Ok(());
            }
        }
        last.map(drop)
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        if let Err(error) = self.detach() {
            crate::skip::say(&format!("{error:#}"));
            // Never leave the temporary directory's removal walking a mounted filesystem.
            if run(Command::new("umount").arg("-l").arg(self.point.path())).is_err() {
                self.point.disable_cleanup(true);
            }
        }
    }
}

/// Mounts `image` on the machine's own kernel, runs `work` on its root and unmounts.
///
/// # Errors
///
/// From mounting, `work` and unmounting.
pub fn mount<R>(image: &Path, work: impl FnOnce(&Path) -> Result<R>) -> Result<R> {
    let mount = Mount::new(image)?;
    let result = work(mount.root());
    mount.unmount()?;
    result
}

/// Whichever Linux this machine offers: its own kernel, or user-mode Linux.
#[derive(Debug)]
pub enum Linux {
    /// The machine's own kernel, by loop mount.
    Host,
    /// User-mode Linux from the peers.
    Uml(Uml),
}

impl Linux {
    /// The machine's own kernel if it can, else user-mode Linux.
    ///
    /// # Errors
    ///
    /// When there is neither.
    pub fn find(peers: &Peers) -> Result<Self> {
        match host() {
            Ok(()) => Ok(Linux::Host),
            Err(why) => {
                let uml = Uml::find(peers).with_context(|| format!("{why:#}, and"))?;
                Ok(Linux::Uml(uml))
            }
        }
    }

    /// As [`Linux::find`], skipping the calling test when there is none.
    pub fn or_skip(peers: &Peers) -> Option<Self> {
        crate::skip::or_skip(Self::find(peers))
    }

    /// Mounts `image` (which replays a dirty log, changing the image) and lists all it holds.
    ///
    /// # Errors
    ///
    /// When it cannot be mounted or read.
    pub fn manifest(&self, image: &Path) -> Result<Manifest> {
        match self {
            Linux::Host => mount(image, Manifest::of),
            Linux::Uml(uml) => uml.manifest(image),
        }
    }

    /// Runs the shell commands `script` with the image mounted at `$MNT`; returns what
    /// they printed. A command that fails ends the script.
    ///
    /// # Errors
    ///
    /// When the image cannot be mounted or the script fails.
    pub fn script(&self, image: &Path, script: &str) -> Result<String> {
        match self {
            Linux::Host => mount(image, |root| {
                run(Command::new("/bin/sh").args(["-e", "-c", script]).env("MNT", root))
            }),
            Linux::Uml(uml) => uml.script(image, script),
        }
    }
}

/// The last XFS messages of the kernel, to explain a mount that failed.
fn kernel_log() -> String {
    let Ok(text) = run(&mut Command::new("dmesg")) else { return String::new() };
    let lines: Vec<&str> = text.lines().filter(|line| line.contains("XFS")).collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}
