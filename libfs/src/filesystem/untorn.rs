//! Untorn writes.

use super::Filesystem;
use crate::Result;
use crate::file::untorn::{self, AtomicLimits, UntornWay};

impl Filesystem {
    /// How large untorn writes to a file may be, as Linux reports it in statx.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn atomic_write_limits(&mut self, ino: u64) -> Result<AtomicLimits> {
        let inode = self.inode(ino)?;
        Ok(untorn::limits(&self.mount, inode))
    }
    /// Writes all of `data` at byte `offset`, or nothing of it; returns which way was taken
    /// and why. `direct` stands for O_DIRECT. Durable after [`Filesystem::sync`].
    ///
    /// # Errors
    /// As [`untorn::write_untorn`].
    pub fn write_untorn(
        &mut self,
        ino: u64,
        offset: u64,
        data: &[u8],
        direct: bool,
    ) -> Result<UntornWay> {
        let inode = self.inode(ino)?;
        untorn::write_untorn(&mut self.mount, inode, offset, data, direct)
    }
}
