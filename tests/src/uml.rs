//! User-mode Linux: a real kernel as an ordinary process, without root.
//!
//! It boots in about two seconds on the machine's own files (hostfs) with the image as its
//! disk. Its init is this crate's program `uml_init`, which mounts the image at [`POINT`],
//! runs a shell script and powers off.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::manifest::Manifest;
use crate::ours;
use crate::peers::Peers;

/// Where the image is mounted inside; scripts find it in `$MNT`.
pub const POINT: &str = "/mnt/image";

/// The kernel's memory in bytes.
const MEMORY: u64 = 512 << 20;

/// A script that takes longer is taken for a hang.
const TIME_LIMIT: Duration = Duration::from_secs(300);

/// User-mode Linux, ready to boot.
#[derive(Debug, Clone)]
pub struct Uml {
    kernel: PathBuf,
    init: PathBuf,
}

impl Uml {
    /// Finds user-mode Linux among the peers and its init program in the target directory.
    ///
    /// # Errors
    ///
    /// When one is missing.
    pub fn find(peers: &Peers) -> Result<Self> {
        let kernel = peers.user_mode_linux();
        ensure!(kernel.exists(), "{} is missing (run `cargo xtask peers`)", kernel.display());
        Ok(Uml { kernel, init: ours::path("uml_init")? })
    }

    /// As [`Uml::find`], skipping the calling test when it is missing.
    pub fn or_skip(peers: &Peers) -> Option<Self> {
        crate::skip::or_skip(Self::find(peers))
    }

    /// Mounts `image` (replaying a dirty log, which changes the image) and lists all it holds.
    ///
    /// # Errors
    ///
    /// When it cannot be mounted or read.
    pub fn manifest(&self, image: &Path) -> Result<Manifest> {
        let helper = ours::path("tree_manifest")?;
        Manifest::parse(&self.script(image, &format!("exec '{}' \"$MNT\"", helper.display()))?)
    }

    /// Boots with `image` as the disk, mounts it read-write and runs the shell commands
    /// `script` with `$MNT` naming its root; returns what they printed.
    ///
    /// # Errors
    ///
    /// When it does not boot, the image cannot be mounted or unmounted, or a command fails.
    pub fn script(&self, image: &Path, script: &str) -> Result<String> {
        self.boot(&[image], &["XFS_UML_MOUNT=1"], script)
    }

    /// Boots with `disks` as /dev/ubda, /dev/ubdb and so on, at most 16, and runs the shell
    /// commands `script`, which mount what they need below /mnt; returns what they printed.
    ///
    /// # Errors
    ///
    /// When it does not boot, or a command fails.
    pub fn run(&self, disks: &[&Path], script: &str) -> Result<String> {
        self.boot(disks, &[], script)
    }

    /// Boots with these disks and words on the kernel's command line.
    fn boot(&self, disks: &[&Path], words: &[&str], script: &str) -> Result<String> {
        let dir = tempfile::Builder::new().prefix("xfs-uml-").tempdir()?;
        fs::write(dir.path().join("script"), script)?;
        fs::write(dir.path().join("output"), "")?;
        let console = fs::File::create(dir.path().join("console"))?;
        let mut child = Command::new(&self.kernel)
            .arg(format!("mem={}M", MEMORY >> 20))
            .args(["rootfstype=hostfs", "rw", "con=null", "con0=null,fd:1", "quiet"])
            .arg(format!("uml_dir={}/", dir.path().display()))
            .args(disk_words(disks)?)
            .args(words)
            .arg(format!("init={}", self.init.display()))
            .arg(format!("XFS_UML_DIR={}", dir.path().display()))
            .env("TMPDIR", memory_directory().unwrap_or(dir.path()))
            .stdin(Stdio::null())
            .stdout(console.try_clone()?)
            .stderr(console)
            .spawn()
            .with_context(|| self.kernel.display().to_string())?;
        wait(&mut child)?;
        let read = |name: &str| fs::read(dir.path().join(name)).unwrap_or_default();
        let output = String::from_utf8_lossy(&read("output")).into_owned();
        let status = String::from_utf8_lossy(&read("status")).into_owned();
        if status == "0" {
            return Ok(output);
        }
        let console = String::from_utf8_lossy(&read("console")).into_owned();
        bail!("user-mode Linux: {status}\n{output}\nits console:\n{console}")
    }
}

/// The words of the kernel's command line that name the disks.
fn disk_words(disks: &[&Path]) -> Result<Vec<String>> {
    let word = |(index, disk): (usize, &&Path)| -> Result<String> {
        let path = fs::canonicalize(disk).with_context(|| disk.display().to_string())?;
        Ok(format!("ubd{index}={}", path.display()))
    };
    disks.iter().enumerate().map(word).collect()
}

/// Where the kernel's memory goes, as an executable file: `/dev/shm` unless it is too small or
/// not executable, as in many containers.
fn memory_directory() -> Option<&'static Path> {
    let shared = Path::new("/dev/shm");
    let status = rustix::fs::statvfs(shared).ok()?;
    let free = status.f_bavail.saturating_mul(status.f_frsize);
    let executable = !status.f_flag.contains(rustix::fs::StatVfsMountFlags::NOEXEC);
    (executable && free > 2 * MEMORY).then_some(shared)
}

/// Waits for the kernel to power off.
fn wait(child: &mut Child) -> Result<()> {
    let start = Instant::now();
    while child.try_wait()?.is_none() {
        if start.elapsed() > TIME_LIMIT {
            child.kill()?;
            child.wait()?;
            bail!("user-mode Linux ran longer than {TIME_LIMIT:?} and was stopped");
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
