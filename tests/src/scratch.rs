//! Temporary directories for images.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use tempfile::TempDir;

/// The largest file ext4 holds, the usual filesystem under the temporary directory.
const EXT4_FILE_LIMIT: u64 = 16 << 40;

/// A temporary directory for images, removed on drop.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
}

impl Scratch {
    /// A directory under the machine's temporary directory.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn new() -> Result<Self> {
        Ok(Scratch { dir: tempfile::Builder::new().prefix("xfs-test-").tempdir()? })
    }

    /// A directory that can hold sparse files of `size` bytes: under `/dev/shm`, a tmpfs,
    /// when `size` is more than ext4 takes.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn for_size(size: u64) -> Result<Self> {
        if size < EXT4_FILE_LIMIT {
            return Self::new();
        }
        let shared = Path::new("/dev/shm");
        ensure!(shared.is_dir(), "files of {size} bytes need a tmpfs, and /dev/shm is missing");
        Ok(Scratch { dir: tempfile::Builder::new().prefix("xfs-test-").tempdir_in(shared)? })
    }

    /// A directory in memory where the machine has a tmpfs at `/dev/shm`, else as [`Scratch::new`]:
    /// for images that many small changes are written to.
    ///
    /// # Errors
    ///
    /// When it cannot be made.
    pub fn in_memory() -> Result<Self> {
        let shared = Path::new("/dev/shm");
        if !shared.is_dir() {
            return Self::new();
        }
        Ok(Scratch { dir: tempfile::Builder::new().prefix("xfs-test-").tempdir_in(shared)? })
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The path of `name` in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}
