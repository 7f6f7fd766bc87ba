//! Giving back the blocks of a range.

use crate::Result;
use crate::file::write;
use crate::inode::bmap::{alloc, edit};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;

/// Frees the whole blocks in bytes `start..end` and writes zeros to the rest. Nothing is
/// written behind the end of the file.
///
/// # Errors
///
/// EFBIG if an extent has to be split and there are too many; ENOSPC if there is no block
/// for that, or for the copy of a shared block; errors of the device and trees.
pub(super) fn free_range(mount: &mut Mount, inode: InodeRef, start: u64, end: u64) -> Result<()> {
    let blocks = (mount.geo.blocks_for(start), end >> mount.geo.block_log);
    if blocks.0 < blocks.1 {
        while !free_some(mount, inode, blocks)? {}
    }
    let end = end.min(mount.inode(inode).core.size);
    write::zero_written(mount, inode, start, end)
}

/// Frees the last extents in a range of blocks; returns whether that was all.
fn free_some(mount: &mut Mount, inode: InodeRef, blocks: (u64, u64)) -> Result<bool> {
    let reservation = mount.reservations.write;
    let spare = alloc::btree_blocks(&mount.geo, WhichFork::Data);
    let mut tp = Transaction::begin(mount, reservation, spare)?;
    // Before anything changes: one extent can become two.
    edit::reserve_count(&mut tp, inode, WhichFork::Data, 1)?;
    let most = alloc::UNMAPS_PER_TRANSACTION;
    let done = alloc::unmap_step(&mut tp, inode, WhichFork::Data, blocks, most)?;
    tp.commit()?;
    Ok(done)
}
