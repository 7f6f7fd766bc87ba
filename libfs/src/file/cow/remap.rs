//! Putting staged blocks in the place of those a file has.

use super::{remove, staged_in};
use crate::inode::bmap::{self, BmapIntent, BmapOperation, Target, alloc, mapping_at, mappings};
use crate::inode::extent_map::Extent;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::refcount::{self, RefcountIntent, RefcountOperation};
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Whether a crash may leave part of a range remapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remap {
    /// It may: one mapping of the file after the other is replaced.
    ByExtent,
    /// It may not: one transaction logs the intents for all of the range, and recovery
    /// finishes either all of them or, if it is not in the log, none.
    AtOnce,
}

/// Lets the staged blocks for file blocks `range`, as far as data is in them, take the place
/// of what the file has there. With `stamp`, which is the size that the file has at least
/// then, size and times change too, with [`Remap::ByExtent`] in the last transaction.
///
/// # Errors
///
/// ENOSPC if the trees cannot grow, EFBIG for too many extents, in both cases with nothing
/// changed with [`Remap::AtOnce`]; errors of the trees and the device. What is still staged
/// in the range then is given back.
pub(crate) fn remap(
    mount: &mut Mount,
    inode: InodeRef,
    range: (u64, u64),
    how: Remap,
    stamp: Option<u64>,
) -> Result<()> {
    let result = try_remap(mount, inode, range, how, stamp);
    if result.is_err() && mount.shutdown.is_none() {
        // The data of a write that failed must not be taken for that of a later one.
        super::cancel(mount, inode, range)?;
    }
    result
}

fn try_remap(
    mount: &mut Mount,
    inode: InodeRef,
    range: (u64, u64),
    how: Remap,
    stamp: Option<u64>,
) -> Result<()> {
    bmap::load(mount, inode, WhichFork::Data)?;
    let mut staged: Vec<Extent> =
        staged_in(mount, inode, range).into_iter().filter(|extent| !extent.unwritten).collect();
    if how == Remap::AtOnce {
        return remap_all(mount, inode, &staged, stamp);
    }
    // One mapping of the file at a time, from the first on. Those that lie behind the end of
    // the file show when all of them are there.
    staged.reverse();
    while let Some(extent) = staged.pop() {
        let map = bmap::extents(mount, inode, WhichFork::Data)?;
        let old = mapping_at(map, extent.offset, extent.end());
        let Some(part) = extent.clip(extent.offset, old.end()) else { continue };
        staged.extend(extent.clip(part.end(), extent.end()));
        let stamp = stamp.filter(|_| staged.is_empty());
        remap_all(mount, inode, &[part], stamp)?;
    }
    Ok(())
}

/// Remaps some extents in one chain.
fn remap_all(
    mount: &mut Mount,
    inode: InodeRef,
    staged: &[Extent],
    stamp: Option<u64>,
) -> Result<()> {
    let changes = changes(mount, inode, staged)?;
    let reservation = match changes {
        0..=2 => mount.reservations.write,
        _ => mount.reservations.atomic_ioend,
    };
    let blocks = alloc::btree_blocks_for(&mount.geo, WhichFork::Data, changes)
        + alloc::btree_blocks(&mount.geo, WhichFork::Data);
    // The data is written and has its blocks: for the trees, like Linux, those that are
    // kept back from users will do.
    let blocks = blocks.min(mount.counters.available(&mount.geo));
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    bmap::edit::reserve_count(&mut tp, inode, WhichFork::Data, changes)?;
    if let Some(size) = stamp {
        crate::file::write::written_up_to(&mut tp, inode, size);
    }
    for extent in staged {
        defer_remap(&mut tp, inode, *extent)?;
    }
    tp.commit()
}

/// How many extents the changes may add to the file at most.
fn changes(mount: &Mount, inode: InodeRef, staged: &[Extent]) -> Result<u64> {
    let map = bmap::extents(mount, inode, WhichFork::Data)?;
    let pieces = |extent: &Extent| mappings(map, extent.offset, extent.end()).len() as u64 + 1;
    staged
        .iter()
        .map(pieces)
        .try_fold(0u64, u64::checked_add)
        .ok_or_else(|| Error::os(Errno::EFBIG, "too many extents"))
}

/// Queues, in the order of Linux: the old blocks leave the file, the new ones are staged no
/// more, and the file gets them.
fn defer_remap(tp: &mut Transaction<'_>, inode: InodeRef, new: Extent) -> Result<()> {
    let which = WhichFork::Data;
    let old = mappings(bmap::extents(tp, inode, which)?, new.offset, new.end());
    for old in old.iter().filter(|old| old.target != Target::Hole) {
        let Some(old) = old.extent() else { continue };
        tp.defer(BmapIntent::new(tp, inode, which, BmapOperation::Unmap, old));
        // Never an EFI at once, also where nothing is shared: recovery would take it for
        // what a step before left, and free the blocks before the file gives them up.
        let operation = RefcountOperation::Decrease;
        RefcountIntent { operation, start: old.start, len: old.len as u32 }.defer(tp);
    }
    refcount::free_cow(tp, new.start, new.len as u32);
    tp.defer(BmapIntent::new(tp, inode, which, BmapOperation::Map, new));
    remove(tp, inode, new);
    Ok(())
}
