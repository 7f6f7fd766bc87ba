//! What mapping needs from the layer below: blocks, their owners, their reference counts.

use crate::format::geometry::FsBlock;
use crate::inode::extent_map::Extent;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Queues that `extent` of a fork has a new owner.
pub fn defer_rmap_map(_: &mut Transaction<'_>, _: InodeRef, _: WhichFork, _: Extent) {}

/// Queues that `extent` of a fork lost its owner.
pub fn defer_rmap_unmap(_: &mut Transaction<'_>, _: InodeRef, _: WhichFork, _: Extent) {}

/// Queues that `extent` of a fork became what it is now, written or unwritten.
pub fn defer_rmap_convert(_: &mut Transaction<'_>, _: InodeRef, _: WhichFork, _: Extent) {}

/// Queues that the fork gives up the blocks of `extent`.
pub fn defer_free_file_blocks(_: &mut Transaction<'_>, _: InodeRef, _: WhichFork, _: Extent) {}

/// Takes one block for a fork's btree.
///
/// # Errors
///
/// ENOSPC if there is none.
pub fn alloc_btree_block(
    _: &mut Transaction<'_>,
    _: InodeRef,
    _: WhichFork,
    _near: FsBlock,
) -> Result<FsBlock> {
    Err(Error::os(Errno::ENOSYS, "allocating a btree block"))
}

/// Gives up a block of a fork's btree.
pub fn free_btree_block(_: &mut Transaction<'_>, _: InodeRef, _: WhichFork, _: FsBlock) {}

/// Takes `min` to `max` blocks in one run, near `near`.
///
/// # Errors
///
/// ENOSPC if there is no such run.
pub fn alloc_file_blocks(
    _: &mut Transaction<'_>,
    _near: FsBlock,
    _min: u64,
    _max: u64,
) -> Result<(FsBlock, u64)> {
    Err(Error::os(Errno::ENOSYS, "allocating file blocks"))
}

/// How many of `len` blocks from `start` on are not shared, and how many shared ones follow.
///
/// # Errors
///
/// Errors of reading the reference count btree.
pub fn find_shared(_: &mut Mount, _start: FsBlock, len: u64) -> Result<(u64, u64)> {
    Ok((len, 0))
}
