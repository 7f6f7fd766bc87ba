//! Taking blocks for a file, and giving them back.

use super::blocks;
use super::edit::{self, ReverseMapping};
use super::intent::change_block_count;
use crate::format::geometry::{FsBlock, Geometry, Ino};
use crate::format::inode::DiFlags;
use crate::inode::extent_map::{Extent, ExtentMap, MAX_EXTENT_BLOCKS};
use crate::inode::{InodeCore, InodeRef, WhichFork};
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Extents that one transaction unmaps at most: what its log reservation is made for
/// (`XFS_ITRUNC_MAX_EXTENTS`).
pub const UNMAPS_PER_TRANSACTION: usize = 2;

/// Blocks that a fork's btree may need when one extent is added
/// (`XFS_EXTENTADD_SPACE_RES`): part of the reservation of every allocating transaction.
pub fn btree_blocks(geo: &Geometry, which: WhichFork) -> u64 {
    let height = match which {
        WhichFork::Data => geo.max_levels.bmap_data,
        WhichFork::Attr => geo.max_levels.bmap_attr,
    };
    u64::from(height.saturating_sub(1))
}

/// Blocks that a fork's btree may need when `extents` extents are added, each in the worst
/// place (`XFS_NEXTENTADD_SPACE_RES`).
pub fn btree_blocks_for(geo: &Geometry, which: WhichFork, extents: u64) -> u64 {
    let kind = crate::format::btree_block::BtreeKind::Bmap;
    let per_leaf = geo.max_records(kind, true).saturating_sub(geo.min_records(kind, true)).max(1);
    extents.div_ceil(u64::from(per_leaf)).saturating_mul(btree_blocks(geo, which))
}

/// What to allocate.
#[derive(Debug, Clone, Copy)]
pub struct Request {
    /// For whom.
    pub inode: InodeRef,
    /// For which fork.
    pub which: WhichFork,
    /// First file block; it and those after it must not be mapped.
    pub offset: u64,
    /// Fewest blocks to take.
    pub min: u64,
    /// Most blocks to take, for `offset` and those after it.
    pub max: u64,
    /// Map them as unwritten.
    pub unwritten: bool,
}

/// Allocates one run of blocks and maps it. The extent may be shorter than asked for, and,
/// with an extent size hint, it may begin before the offset and end behind what was asked.
///
/// # Errors
///
/// ENOSPC if there is no run of `min` blocks; EFBIG; errors of reading the trees.
pub fn allocate(tp: &mut Transaction<'_>, request: &Request) -> Result<Extent> {
    let new = try_allocate(tp, request)?;
    new.ok_or_else(|| Error::os(Errno::ENOSPC, format!("allocating {} blocks", request.min)))
}

/// As [`allocate`], but `None` if there is no run of `min` blocks. The transaction may have
/// changed something even so, and can be committed.
///
/// # Errors
///
/// EFBIG; errors of reading the trees.
pub fn try_allocate(tp: &mut Transaction<'_>, request: &Request) -> Result<Option<Extent>> {
    let &Request { inode, which, .. } = request;
    super::load(tp, inode, which)?;
    let hinted = apply_hint(tp, request)?;
    edit::reserve_count(tp, inode, which, 1)?;
    let near = target(tp, inode, which, hinted.offset)?;
    let max = hinted.max.min(MAX_EXTENT_BLOCKS);
    // Directories are written through the log, file data is not.
    let logged = which == WhichFork::Data && !tp.inode(inode).core.is_regular();
    let found = blocks::alloc_file_blocks(tp, near, hinted.min.min(max), max, logged)?;
    let Some((start, len)) = found else { return Ok(None) };
    let new = Extent { offset: hinted.offset, start, len, unwritten: hinted.unwritten };
    edit::add(tp, inode, which, new, ReverseMapping::Deferred)?;
    change_block_count(tp, inode, new.len as i64);
    Ok(Some(new))
}

/// The extent size hint of a file's data in blocks; 0 if there is none.
pub fn extent_size_hint(core: &InodeCore) -> u64 {
    let has = core.is_regular() && core.flags.contains(DiFlags::EXTSIZE);
    if has { core.extsize.into() } else { 0 }
}

/// Widens a request for file data to multiples of the file's extent size hint, as far as
/// nothing is mapped there and the transaction has the blocks.
fn apply_hint(tp: &Transaction<'_>, request: &Request) -> Result<Request> {
    let map = super::extents(tp, request.inode, request.which)?;
    let end = request.offset.saturating_add(request.max);
    let hole_end = map.at_or_after(request.offset).map_or(u64::MAX, |next| next.offset);
    let hint = extent_size_hint(&tp.inode(request.inode).core);
    let plain = Request { max: end.min(hole_end).saturating_sub(request.offset), ..*request };
    if request.which != WhichFork::Data || !request.unwritten || hint <= 1 {
        return Ok(plain);
    }
    let hole_start = map.before(request.offset).map_or(0, |previous| previous.end());
    let (start, end) = widen((request.offset, end.min(hole_end)), (hole_start, hole_end), hint);
    let wide = Request {
        offset: start,
        min: request.offset - start + request.min,
        max: end.saturating_sub(start),
        ..*request
    };
    let spare = btree_blocks(&tp.geo, request.which);
    let affordable = wide.max.saturating_add(spare) <= tp.blocks_reserved();
    Ok(if affordable { wide } else { plain })
}

/// File blocks `start..end`, inside a hole, widened to multiples of `hint` (at least 2). If
/// that reaches over the end of the hole, the whole moves down, if need be to the start of
/// the hole (`xfs_bmap_extsize_align`).
pub(crate) fn widen(
    (start, end): (u64, u64),
    (hole_start, hole_end): (u64, u64),
    hint: u64,
) -> (u64, u64) {
    let mut from = start / hint * hint;
    let most = (MAX_EXTENT_BLOCKS / hint * hint).max(1);
    let mut len = end.saturating_sub(from).min(most).next_multiple_of(hint);
    let fits_below = |from: u64| from == start || from >= hole_start;
    let fits_above = |from: u64, len: u64| from + len <= hole_end.max(end);
    if !fits_below(from) {
        from = hole_start;
    }
    if !fits_above(from, len) {
        from = hole_end.saturating_sub(len);
    }
    if !fits_below(from) {
        from = hole_start;
    }
    if !fits_above(from, len) {
        len = hole_end - from;
    }
    (from.min(start), from + len)
}

/// The best block for file block `offset`: behind the extent before it, in front of the
/// one after it, or near the inode.
pub(crate) fn target(
    tp: &Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    offset: u64,
) -> Result<FsBlock> {
    let map = super::extents(tp, inode, which)?;
    let geo = &tp.geo;
    let in_same_group = |from: FsBlock, to: u64| {
        let to = FsBlock(to);
        (geo.valid_fsb(to) && geo.fsblock_agno(from) == geo.fsblock_agno(to)).then_some(to)
    };
    if let Some(left) = map.before(offset) {
        let behind = left.start.0.saturating_add(offset - left.offset);
        let close = in_same_group(left.start, behind);
        return Ok(close.unwrap_or(left.start));
    }
    if let Some(right) = map.at_or_after(offset) {
        let front = right.start.0.saturating_sub(right.offset - offset);
        let close = in_same_group(right.start, front);
        return Ok(close.unwrap_or(right.start));
    }
    Ok(geo.ino_fsblock(Ino(tp.inode(inode).ino)))
}

/// Unmaps and frees the last extents inside file blocks `start..end`, at most `max` of
/// them, and returns whether nothing is mapped there any more. Freeing is deferred: finish
/// it before the next step.
///
/// # Errors
///
/// EFBIG, or ENOSPC without a reservation, if an extent has to be split; errors of the tree.
pub fn unmap_step(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    (start, end): (u64, u64),
    max: usize,
) -> Result<bool> {
    super::load(tp, inode, which)?;
    for _ in 0..max {
        let Some(part) = last_in(super::extents(tp, inode, which)?, start, end) else {
            return Ok(true);
        };
        edit::remove(tp, inode, which, part, ReverseMapping::Deferred)?;
        change_block_count(tp, inode, -(part.len as i64));
        blocks::defer_free_file_blocks(tp, inode, which, part);
    }
    Ok(last_in(super::extents(tp, inode, which)?, start, end).is_none())
}

fn last_in(map: &ExtentMap, start: u64, end: u64) -> Option<Extent> {
    map.overlapping(start, end).next_back().and_then(|found| found.clip(start, end))
}

/// Unmaps and frees everything in file blocks `start..end`, over as many transactions as
/// it takes; the last of them is not committed.
///
/// # Errors
///
/// As [`unmap_step`], and errors of the deferred operations.
pub fn unmap_all(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    start: u64,
    end: u64,
) -> Result<()> {
    while !unmap_step(tp, inode, which, (start, end), UNMAPS_PER_TRANSACTION)? {
        tp.finish_deferred()?;
        tp.roll()?;
    }
    tp.finish_deferred()
}
