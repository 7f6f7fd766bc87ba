//! Flags, hints, project, mode and times of files.

use super::Filesystem;
use crate::Result;
use crate::file::attributes::{self, FileAttributes};
use crate::format::inode::{DiFlags, Timestamp};
use crate::inode::InodeRef;

impl Filesystem {
    /// Flags, hints and project of a file, as `FS_IOC_FSGETXATTR` tells them.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn attributes(&mut self, ino: u64) -> Result<FileAttributes> {
        let inode = self.inode(ino)?;
        Ok(attributes::attributes(&self.mount.geo, self.mount.inode(inode)))
    }

    /// Sets flags, hints and project of a file, as `FS_IOC_FSSETXATTR` does.
    ///
    /// # Errors
    /// As [`attributes::set_attributes`].
    pub fn set_attributes(&mut self, ino: u64, new: &FileAttributes) -> Result<()> {
        let inode = self.inode(ino)?;
        attributes::set_attributes(&mut self.mount, inode, new)
    }

    /// Sets the times of last access and last change of the contents, in seconds and
    /// nanoseconds since 1970; `None` leaves one as it is.
    ///
    /// # Errors
    /// As [`attributes::set_times`].
    pub fn set_times(
        &mut self,
        ino: u64,
        atime: Option<(i64, u32)>,
        mtime: Option<(i64, u32)>,
    ) -> Result<()> {
        let inode = self.inode(ino)?;
        let time = |time: Option<(i64, u32)>| {
            time.map(|(seconds, nanos)| Timestamp { seconds, nanos: nanos.min(999_999_999) })
        };
        attributes::set_times(&mut self.mount, inode, time(atime), time(mtime))
    }

    /// Sets the permissions of a file, the lower twelve bits of its mode.
    ///
    /// # Errors
    /// As [`attributes::set_mode`].
    pub fn set_mode(&mut self, ino: u64, permissions: u16) -> Result<()> {
        let inode = self.inode(ino)?;
        attributes::set_mode(&mut self.mount, inode, permissions)
    }

    /// As [`Filesystem::hold`], for one who writes: may go on writing when the file becomes
    /// immutable or append-only.
    ///
    /// # Errors
    /// As [`attributes::hold_writer`].
    pub fn hold_writer(&mut self, ino: u64, append: bool) -> Result<()> {
        let inode = self.inode(ino)?;
        attributes::hold_writer(&mut self.mount, inode, append)?;
        self.held.push(ino);
        Ok(())
    }

    /// Ends one [`Filesystem::hold_writer`].
    ///
    /// # Errors
    /// As [`Filesystem::release`].
    pub fn release_writer(&mut self, ino: u64) -> Result<()> {
        let Some(position) = self.held.iter().position(|&held| held == ino) else { return Ok(()) };
        self.held.swap_remove(position);
        let inode = self.inode(ino)?;
        attributes::release_writer(&mut self.mount, inode)
    }

    /// After a change of a file's contents: makes it durable if the file has the sync flag.
    pub(super) fn settle(&mut self, inode: InodeRef) -> Result<()> {
        if self.mount.inode(inode).core.flags.contains(DiFlags::SYNC) {
            self.sync()?;
        }
        Ok(())
    }
}
