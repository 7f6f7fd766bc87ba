//! Untorn writes.

use super::Filesystem;
use crate::Result;
use crate::file::untorn::{self, AtomicLimits};

impl Filesystem {
    /// How large untorn writes to a file may be, as Linux reports it in statx.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn atomic_write_limits(&mut self, ino: u64) -> Result<AtomicLimits> {
        let inode = self.inode(ino)?;
        Ok(untorn::limits(&self.mount, inode))
    }
}
