//! The image file that an example works on.

use std::error::Error;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libfs::device::{Device, FileDevice};
use libfs::filesystem::{Filesystem, Opened};

/// Bytes of the image: the least that XFS takes. It has holes, so it takes less.
const SIZE: u64 = 300 << 20;

/// An image file, empty at first.
pub struct Image {
    path: PathBuf,
    /// Removes the image in the end, if the user did not name it.
    _temporary: Option<tempfile::TempDir>,
}

impl Image {
    /// The image that the first argument names; without one, a temporary file.
    pub fn from_arguments() -> Result<Self, Box<dyn Error + Send + Sync>> {
        let (path, temporary) = match std::env::args_os().nth(1) {
            Some(path) => (PathBuf::from(path), None),
            None => {
                let dir = tempfile::tempdir()?;
                (dir.path().join("image"), Some(dir))
            }
        };
        File::create(&path)?.set_len(SIZE)?;
        Ok(Image { path, _temporary: temporary })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn device(&self) -> libfs::Result<Arc<dyn Device>> {
        Ok(Arc::new(FileDevice::open(&self.path)?))
    }
}

/// Opens a filesystem whose power was cut, and finishes what its log says was committed.
pub fn recover(device: Arc<dyn Device>) -> Result<Filesystem, Box<dyn Error + Send + Sync>> {
    match Filesystem::open(device)? {
        Opened::Clean(_) => Err("the log is clean, so nothing was cut off".into()),
        Opened::Dirty(unrecovered) => Ok(unrecovered.recover()?.0),
    }
}
