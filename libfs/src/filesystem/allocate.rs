//! Blocks of files without writing them, and where data is.

use super::Filesystem;
use crate::Result;
use crate::file::{self, AllocateMode, Seek};

impl Filesystem {
    /// Allocates, frees or moves blocks of bytes `offset..offset + len` of a file, as
    /// fallocate(2) does.
    ///
    /// ```no_run
    /// # use libfs::file::AllocateMode;
    /// # fn punch(filesystem: &mut libfs::filesystem::Filesystem) -> libfs::Result<()> {
    /// let file = filesystem.lookup("/disk.img")?;
    /// filesystem.allocate(file, AllocateMode::PunchHole, 1 << 20, 4 << 20)
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`file::allocate()`].
    pub fn allocate(&mut self, ino: u64, mode: AllocateMode, offset: u64, len: u64) -> Result<()> {
        let inode = self.inode(ino)?;
        file::allocate(&mut self.mount, inode, mode, offset, len)?;
        self.settle(inode)
    }

    /// The first byte of a file, at `offset` or behind it, that is data or in a hole.
    ///
    /// # Errors
    /// As [`file::seek()`].
    pub fn seek(&mut self, ino: u64, offset: u64, wanted: Seek) -> Result<u64> {
        let inode = self.inode(ino)?;
        file::seek(&mut self.mount, inode, offset, wanted)
    }
}
