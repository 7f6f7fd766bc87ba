//! Copy on write: what is staged for a file, and giving it blocks of its own.

use super::{Filesystem, Mapping};
use crate::Result;
use crate::file::{self, AllocateMode, cow};

impl Filesystem {
    /// Gives a file blocks of its own where it shares those of bytes `offset..offset + len`
    /// with other files, and unwritten ones where it has none (`FALLOC_FL_UNSHARE_RANGE`). It
    /// grows to the end of the range. If it was not written to and shares nothing any more,
    /// that is noted in its inode, so that nobody has to look at reference counts for it.
    ///
    /// # Errors
    /// As [`file::allocate()`].
    pub fn unshare(&mut self, ino: u64, offset: u64, len: u64) -> Result<()> {
        let inode = self.inode(ino)?;
        file::allocate(&mut self.mount, inode, AllocateMode::UnshareRange, offset, len)
    }

    /// The blocks that are staged for a file, without the holes between: those that later
    /// writes will use where others share what the file has now. They are given back when
    /// the last user releases the file.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn staged_mappings(&mut self, ino: u64) -> Result<Vec<Mapping>> {
        let inode = self.inode(ino)?;
        let units = self.mount.geo.daddrs_per_block();
        let staged = cow::staged_in(&self.mount, inode, (0, u64::MAX));
        Ok(staged
            .iter()
            .map(|extent| Mapping {
                offset: extent.offset * units,
                len: extent.len * units,
                start: Some(self.mount.geo.fsblock_daddr(extent.start)),
                unwritten: extent.unwritten,
                shared: false,
            })
            .collect())
    }
}
