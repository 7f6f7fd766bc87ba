//! What has to be out of the way before extents move.

use crate::Result;
use crate::file::cow;
use crate::format::inode::DiFlags;
use crate::inode::bmap::{self, alloc};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;

/// Bytes of a page of Linux's: the unit in which it makes sure that a file's data is at rest.
const PAGE: u64 = 4096;

/// Prepares moving everything from byte `offset` on: gives back blocks behind the end that
/// nobody asked for, and everything staged, which would be meant for other file blocks then.
pub(super) fn prepare(mount: &mut Mount, inode: InodeRef, offset: u64) -> Result<()> {
    free_behind_end(mount, inode)?;
    let unit = PAGE.max(u64::from(mount.geo.block_size));
    let first = (offset / unit * unit) >> mount.geo.block_log;
    cow::cancel(mount, inode, (first.saturating_sub(1), u64::MAX))
}

/// Frees the blocks behind the end of a file that an extent size hint brought there; those
/// that were allocated on purpose stay. Linux does it when a file is closed.
///
/// # Errors
///
/// Errors of the device and trees.
pub fn free_behind_end(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    let found = mount.inode(inode);
    let kept = found.core.flags.contains(DiFlags::PREALLOC);
    if !found.core.is_regular() || kept || found.core.size == 0 {
        return Ok(());
    }
    let end = mount.geo.blocks_for(found.core.size);
    bmap::load(mount, inode, WhichFork::Data)?;
    if bmap::last_offset(bmap::extents(mount, inode, WhichFork::Data)?) <= end {
        return Ok(());
    }
    let reservation = mount.reservations.itruncate;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    alloc::unmap_all(&mut tp, inode, WhichFork::Data, end, u64::MAX)?;
    tp.commit()
}
