//! Allocating and freeing inode numbers.
//!
//! Inodes come in chunks of 64. [`allocate`] takes a free inode of an existing chunk, or
//! makes a chunk first; [`free`] gives an inode back, and the chunk with its last one.

mod blocks;
mod chunk;
mod free;

pub use free::{FreedChunk, free};

use super::header;
use super::inobt;
use super::trees::{AgTree, AgTreeKind, Finobt, Inobt};
use crate::btree::Cursor;
use crate::buffer::BufferId;
use crate::format::ag::Agi;
use crate::format::btree_record::InodeChunk;
use crate::format::geometry::{Geometry, Ino};
use crate::format::inode::mode;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};
use std::mem::offset_of;

/// Blocks to reserve for allocating an inode: a chunk, and splits of both inode btrees
/// (`XFS_IALLOC_SPACE_RES`).
pub fn blocks_to_allocate(geo: &Geometry) -> u64 {
    let splits = u64::from(geo.max_levels.inobt.saturating_sub(1));
    let trees = if geo.features.finobt { 2 } else { 1 };
    u64::from(geo.inode.alloc_blocks) + trees * splits
}

/// Blocks to reserve for freeing an inode: its chunk may have to enter the free inode
/// btree (`XFS_IFREE_SPACE_RES`).
pub fn blocks_to_free(geo: &Geometry) -> u64 {
    if geo.features.finobt { geo.max_levels.inobt.into() } else { 0 }
}

/// How hard a pass over the allocation groups tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pass {
    /// Only groups with ample space for a new chunk.
    Comfortable,
    /// Any group where a chunk may fit.
    Tight,
}

/// Takes a free inode for a file of type and permissions `mode` in directory `parent` and
/// returns its number. Files go near their directory; directories are spread over the
/// allocation groups. The transaction is rolled if a chunk has to be made.
///
/// # Errors
///
/// ENOSPC if there is no free inode and no space, or no permission by `imaxpct`, for a
/// chunk: nothing was changed then. [`Error::Corrupt`] or [`Error::Io`] from the btrees.
pub fn allocate(tp: &mut Transaction<'_>, parent: u64, mode: u16) -> Result<u64> {
    let clean = !tp.is_dirty();
    let groups = tp.geo.ag_count;
    let first = first_group(tp, parent, mode);
    let low_on_space = tp.counters.fdblocks < tp.geo.data_blocks / 100;
    for pass in [Pass::Comfortable, Pass::Tight] {
        let may_grow = chunk::within_limit(tp) && (!low_on_space || pass == Pass::Tight);
        for agno in (first..groups).chain(0..first) {
            if let Some(ino) = try_group(tp, agno, parent, mode, pass, may_grow)? {
                return Ok(ino);
            }
        }
    }
    if clean && tp.is_dirty() {
        // Free lists that were filled up in vain are a complete change of their own.
        tp.finish_deferred()?;
        tp.roll()?;
    }
    Err(Error::os(Errno::ENOSPC, "allocating an inode"))
}

fn first_group(tp: &mut Transaction<'_>, parent: u64, mode: u16) -> u32 {
    let groups = tp.geo.ag_count;
    if mode & mode::TYPE == mode::DIR {
        return tp.inodes.next_directory_group() % groups;
    }
    let agno = tp.geo.ino_agno(Ino(parent));
    if agno < groups { agno } else { 0 }
}

/// Takes an inode of one group, if it has one or can have a chunk more.
fn try_group(
    tp: &mut Transaction<'_>,
    agno: u32,
    parent: u64,
    mode: u16,
    pass: Pass,
    may_grow: bool,
) -> Result<Option<u64>> {
    let agi = tp.read_agi(agno)?;
    if header::agi(tp, agi)?.freecount.get() == 0 {
        if !may_grow || !chunk::may_fit(tp, agno, mode, pass)? || !chunk::make(tp, agno, agi)? {
            return Ok(None);
        }
        tp.roll()?;
    }
    let (parent_agno, parent_agino) = tp.geo.ino_parts(Ino(parent));
    let near = (parent_agno == agno).then_some(parent_agino);
    let agino = if tp.geo.features.finobt {
        take_listed(tp, agno, agi, near)
    } else {
        take(tp, agno, agi, near)
    };
    let ino = tp.geo.ino(agno, agino?);
    header::add_to_field(tp, agi, offset_of!(Agi, freecount), -1)?;
    tp.mod_ifree(-1);
    Ok(Some(ino.0))
}

/// Takes an inode that the free inode btree lists.
fn take_listed(
    tp: &mut Transaction<'_>,
    agno: u32,
    agi: BufferId,
    near: Option<u32>,
) -> Result<u32> {
    let mut listed = Finobt::cursor(tp, agno, agi);
    seek_free(tp, &mut listed, agi, near)?;
    let mut chunk = listed.expect(tp)?;
    let bit = first_free(tp, agno, &chunk)?;
    mark_used(&mut chunk, bit);
    if chunk.freecount == 0 {
        listed.delete(tp)?;
    } else {
        listed.update(tp, &chunk)?;
    }
    let mut all = Inobt::cursor(tp, agno, agi);
    let mut same = None;
    if all.lookup_eq(tp, &chunk.startino)? {
        let mut found = all.expect(tp)?;
        if found.free & bit != 0 && found.freecount > 0 {
            mark_used(&mut found, bit);
            same = Some(found);
        }
    }
    if same != Some(chunk) {
        let why = "the free inode btree has another record for the chunk";
        return Err(inobt::inconsistent(tp, agno, chunk.startino, why));
    }
    all.update(tp, &chunk)?;
    Ok(chunk.startino + bit.trailing_zeros())
}

/// Takes an inode where there is no free inode btree.
fn take(tp: &mut Transaction<'_>, agno: u32, agi: BufferId, near: Option<u32>) -> Result<u32> {
    let mut all = Inobt::cursor(tp, agno, agi);
    seek_free(tp, &mut all, agi, near)?;
    let mut chunk = all.expect(tp)?;
    let bit = first_free(tp, agno, &chunk)?;
    mark_used(&mut chunk, bit);
    all.update(tp, &chunk)?;
    Ok(chunk.startino + bit.trailing_zeros())
}

fn mark_used(chunk: &mut InodeChunk, bit: u64) {
    chunk.free &= !bit;
    chunk.freecount = chunk.freecount.saturating_sub(1);
}

fn first_free(mount: &Mount, agno: u32, chunk: &InodeChunk) -> Result<u64> {
    let free = chunk.free_mask();
    if free == 0 {
        let why = "a chunk listed as free has no free inode";
        return Err(inobt::inconsistent(mount, agno, chunk.startino, why));
    }
    Ok(1 << free.trailing_zeros())
}

/// Either of the inode btrees.
trait ChunkTree: AgTreeKind<Record = InodeChunk, Key = u32> {}
impl<K: AgTreeKind<Record = InodeChunk, Key = u32>> ChunkTree for K {}

/// Moves `cursor` to the chunk with a free inode that is nearest to inode `near`; without
/// one to the chunk made last, or else to the first with a free inode.
fn seek_free<K: ChunkTree>(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<AgTree<K>>,
    agi: BufferId,
    near: Option<u32>,
) -> Result<()> {
    let Some(near) = near else { return seek_newest(tp, cursor, agi) };
    let mut right = cursor.clone();
    let left_chunk = match cursor.lookup_le(tp, &near)? {
        true => back_to_free(tp, cursor)?,
        false => None,
    };
    if left_chunk.is_some_and(|chunk| inobt::bit(&chunk, near).is_some()) {
        return Ok(());
    }
    let right_chunk = match right.lookup_ge(tp, &near)? {
        true => on_to_free(tp, &mut right)?,
        false => None,
    };
    // Both ends of a chunk are equally good, so the left one counts from its last inode.
    let left_distance = left_chunk.map(|chunk| near.saturating_sub(chunk.startino | 63));
    let right_distance = right_chunk.map(|chunk| chunk.startino.saturating_sub(near));
    match (left_distance, right_distance) {
        (Some(left), Some(distance)) if distance < left => *cursor = right,
        (None, Some(_)) => *cursor = right,
        _ => {}
    }
    Ok(())
}

fn seek_newest<K: ChunkTree>(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<AgTree<K>>,
    agi: BufferId,
) -> Result<()> {
    let newest = header::agi(tp, agi)?.newino.get();
    if cursor.lookup_eq(tp, &newest)? && cursor.expect(tp)?.freecount > 0 {
        return Ok(());
    }
    if cursor.first(tp)? {
        on_to_free(tp, cursor)?;
    }
    Ok(())
}

/// The next chunk with free inodes from the cursor's place on.
fn on_to_free<K: ChunkTree>(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<AgTree<K>>,
) -> Result<Option<InodeChunk>> {
    loop {
        match cursor.get(tp)? {
            None => return Ok(None),
            Some(chunk) if chunk.freecount > 0 => return Ok(Some(chunk)),
            Some(_) if !cursor.increment(tp)? => return Ok(None),
            Some(_) => {}
        }
    }
}

/// As [`on_to_free`], towards smaller numbers.
fn back_to_free<K: ChunkTree>(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<AgTree<K>>,
) -> Result<Option<InodeChunk>> {
    loop {
        match cursor.get(tp)? {
            None => return Ok(None),
            Some(chunk) if chunk.freecount > 0 => return Ok(Some(chunk)),
            Some(_) if !cursor.decrement(tp)? => return Ok(None),
            Some(_) => {}
        }
    }
}
