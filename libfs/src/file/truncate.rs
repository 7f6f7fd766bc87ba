//! Changing a file's size.

use super::{MAX_SIZE, check_writable, cow, touch, write};
use crate::format::inode::DiFlags;
use crate::inode::bmap::{self, alloc};
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Sets the size of a regular file. What is cut off is freed; what is added reads as zeros.
///
/// # Errors
///
/// EFBIG beyond the largest size; EISDIR, EINVAL or EPERM if the file cannot be changed;
/// ENOSPC if the last block is shared and has to be copied; errors of the device and trees.
pub fn truncate(mount: &mut Mount, inode: InodeRef, size: u64) -> Result<()> {
    check_writable(mount, inode)?;
    if mount.inode(inode).core.flags.contains(DiFlags::APPEND) {
        return Err(Error::os(Errno::EPERM, "the file is append-only"));
    }
    if size > MAX_SIZE {
        return Err(Error::os(Errno::EFBIG, format!("size {size}")));
    }
    set_size(mount, inode, size)
}

/// As [`truncate`], for a size that is possible and a file that may be changed.
pub(super) fn set_size(mount: &mut Mount, inode: InodeRef, size: u64) -> Result<()> {
    bmap::load(mount, inode, WhichFork::Data)?;
    let old = mount.inode(inode).core.size;
    let block = u64::from(mount.geo.block_size);
    // The rest of the block that holds the end must read as zeros if the file grows again.
    let (from, to) = if size > old { (old, size) } else { (size, size.next_multiple_of(block)) };
    write::zero_written(mount, inode, from, to)?;
    let first = size.div_ceil(block);
    if size <= old {
        cow::cancel(mount, inode, (first, u64::MAX))?;
    }
    let reservation = mount.reservations.itruncate;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    tp.inode_mut(inode).core.size = size;
    tp.log_inode(inode, InodeLogFlags::CORE);
    touch(&mut tp, inode);
    if size <= old {
        alloc::unmap_all(&mut tp, inode, WhichFork::Data, first, u64::MAX)?;
        cow::clear_flag_of_empty(&mut tp, inode)?;
    }
    tp.commit()
}
