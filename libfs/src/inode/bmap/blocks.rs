//! What mapping needs from the layer below: blocks, their owners, their reference counts.

use super::intent::change_block_count;
use crate::format::geometry::FsBlock;
use crate::format::inode::DiFlags2;
use crate::inode::extent_map::Extent;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::Owner;
use crate::space::ag_reservation::Pool;
use crate::space::alloc::{self, AllocArgs, Target};
use crate::space::extent_free::FreeExtent;
use crate::space::refcount::{self, RefcountIntent, RefcountOperation};
use crate::space::rmap::{RmapIntent, RmapOperation};
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Whether blocks of the fork may belong to other files as well, so that reverse mappings
/// may overlap and blocks are freed by their reference count.
fn may_share(mount: &Mount, inode: InodeRef, which: WhichFork) -> bool {
    which == WhichFork::Data && mount.inode(inode).core.flags2.contains(DiFlags2::REFLINK)
}

/// The change of the reverse mapping, on filesystems that have one.
fn rmap_intent(
    tp: &Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    extent: Extent,
    [own, shared]: [RmapOperation; 2],
) -> Option<RmapIntent> {
    let operation = if may_share(tp, inode, which) { shared } else { own };
    let ino = tp.inode(inode).ino;
    let blocks = (extent.start, extent.len as u32);
    let intent =
        || RmapIntent::file(operation, ino, which, extent.offset, blocks, extent.unwritten);
    tp.geo.features.rmapbt.then(intent)
}

fn defer_rmap(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    extent: Extent,
    operations: [RmapOperation; 2],
) {
    if let Some(intent) = rmap_intent(tp, inode, which, extent, operations) {
        intent.defer(tp);
    }
}

/// Queues that `extent` of a fork has a new owner; `alone` says that the fork maps nothing
/// else that continues it, in the file and on the device.
pub fn defer_rmap_map(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    extent: Extent,
    alone: bool,
) {
    let operations = [RmapOperation::Map, RmapOperation::MapShared];
    if let Some(intent) = rmap_intent(tp, inode, which, extent, operations) {
        RmapIntent { alone, ..intent }.defer(tp);
    }
}

/// Queues that `extent` of a fork lost its owner.
pub fn defer_rmap_unmap(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    extent: Extent,
) {
    defer_rmap(tp, inode, which, extent, [RmapOperation::Unmap, RmapOperation::UnmapShared]);
}

/// Queues that `extent` of a fork became what it is now, written or unwritten.
pub fn defer_rmap_convert(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    extent: Extent,
) {
    defer_rmap(tp, inode, which, extent, [RmapOperation::Convert, RmapOperation::ConvertShared]);
}

/// Queues that the fork gives up the blocks of `extent`: they are freed, unless other files
/// use them too.
pub fn defer_free_file_blocks(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    extent: Extent,
) {
    let len = extent.len as u32;
    if may_share(tp, inode, which) {
        let operation = RefcountOperation::Decrease;
        RefcountIntent { operation, start: extent.start, len }.defer(tp);
    } else {
        tp.defer(FreeExtent::data(extent.start, len));
    }
}

/// Takes one block for a fork's btree, counted in the inode.
///
/// # Errors
///
/// ENOSPC if there is none.
pub fn alloc_btree_block(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    near: FsBlock,
) -> Result<FsBlock> {
    let owner = Owner::extent_btree(tp.inode(inode).ino, which);
    let args = AllocArgs { owner, ..AllocArgs::new(1, 1, Target::Near(near)) };
    let found = alloc::allocate(tp, &args)?;
    let found = found.ok_or_else(|| Error::os(Errno::ENOSPC, "allocating a btree block"))?;
    change_block_count(tp, inode, 1);
    Ok(found.block)
}

/// Gives up a block of a fork's btree, no longer counted in the inode.
pub fn free_btree_block(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    block: FsBlock,
) {
    let owner = Owner::extent_btree(tp.inode(inode).ino, which);
    tp.defer(FreeExtent::new(block, 1, owner, Pool::None));
    change_block_count(tp, inode, -1);
}

/// Takes `min` to `max` blocks in one run, near `near`; `None` if there is no such run.
/// With `logged`, the blocks will be written through the log only.
///
/// # Errors
///
/// Errors of the allocation group's headers and trees.
pub fn alloc_file_blocks(
    tp: &mut Transaction<'_>,
    near: FsBlock,
    min: u64,
    max: u64,
    logged: bool,
) -> Result<Option<(FsBlock, u64)>> {
    let limit = |len: u64| u32::try_from(len).unwrap_or(u32::MAX);
    let args =
        AllocArgs { data: !logged, ..AllocArgs::new(limit(min), limit(max), Target::Near(near)) };
    let found = alloc::allocate(tp, &args)?;
    Ok(found.map(|found| (found.block, found.len.into())))
}

/// How many of `len` blocks from `start` on are not shared, and how many shared ones follow.
///
/// # Errors
///
/// Errors of reading the reference count btree.
pub fn find_shared(mount: &mut Mount, start: FsBlock, len: u64) -> Result<(u64, u64)> {
    let limit = u32::try_from(len).unwrap_or(u32::MAX);
    let found = refcount::find_shared(mount, start, limit)?;
    Ok(found.map_or((len, 0), |(first, shared)| (first.0 - start.0, shared.into())))
}
