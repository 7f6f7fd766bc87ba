//! Inodes in the log and in their cluster buffers.

use super::InodeRef;
use crate::buffer::BufferId;
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// The regions of an inode's log item.
pub fn encode(_mount: &Mount, _inode: InodeRef) -> Vec<Vec<u8>> {
    Vec::new()
}

/// Copies an inode into its cluster buffer, with LSN and checksum.
///
/// # Errors
/// As reading the cluster.
pub fn write_back(_mount: &mut Mount, _inode: InodeRef) -> Result<BufferId> {
    Err(Error::os(Errno::ENOSYS, "inode write-back"))
}
