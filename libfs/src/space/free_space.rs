//! The two free space trees of an allocation group, kept in step.

use std::mem::offset_of;

use super::header;
use super::trees::{BlockKey, Bnobt, Cntbt, SizeKey};
use crate::btree::Cursor;
use crate::buffer::BufferId;
use crate::format::ag::Agf;
use crate::format::btree_record::FreeExtent;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// The block after the last.
pub(crate) fn end(extent: &FreeExtent) -> u32 {
    extent.start.saturating_add(extent.len)
}

fn by_block(extent: &FreeExtent) -> BlockKey {
    BlockKey { start: extent.start, len: extent.len }
}

fn by_size(extent: &FreeExtent) -> SizeKey {
    SizeKey { len: extent.len, start: extent.start }
}

fn disagree(agno: u32, extent: &FreeExtent) -> Error {
    let why = format!("the two trees disagree about {} blocks here", extent.len);
    Error::corrupt("free space btree", At::AgBlock(agno, extent.start), why)
}

/// The free extent that contains block `agbno`, or else the nearest before it.
///
/// # Errors
/// [`Error::Corrupt`] or [`Error::Io`] from a block of the tree.
pub fn extent_at_or_before(
    mount: &mut Mount,
    agno: u32,
    agf: BufferId,
    agbno: u32,
) -> Result<Option<FreeExtent>> {
    let mut cursor = Bnobt::cursor(mount, agno, agf);
    if !cursor.lookup_le(mount, &BlockKey { start: agbno, len: 0 })? {
        return Ok(None);
    }
    cursor.get(mount)
}

/// Takes `part` out of the free extent `whole`, which must be in both trees.
pub(crate) fn take(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    whole: FreeExtent,
    part: FreeExtent,
) -> Result<()> {
    let before = FreeExtent { start: whole.start, len: part.start - whole.start };
    let behind = FreeExtent { start: end(&part), len: end(&whole) - end(&part) };
    let pieces = [before, behind];
    let mut pieces = pieces.iter().filter(|piece| piece.len > 0);

    let mut cnt = Cntbt::cursor(tp, agno, agf);
    remove_by_size(tp, &mut cnt, agno, &whole)?;
    for piece in pieces.clone() {
        add_by_size(tp, &mut cnt, agno, piece)?;
    }

    let mut bno = Bnobt::cursor(tp, agno, agf);
    if !bno.lookup_eq(tp, &by_block(&whole))? || bno.get(tp)? != Some(whole) {
        return Err(disagree(agno, &whole));
    }
    match pieces.next() {
        None => bno.delete(tp)?,
        Some(first) => bno.update(tp, first)?,
    }
    if let Some(second) = pieces.next() {
        if bno.lookup_eq(tp, &by_block(second))? {
            return Err(disagree(agno, second));
        }
        bno.insert(tp, second)?;
    }
    count(tp, agf, &mut cnt, -i64::from(part.len))
}

/// Adds `part` to free space and merges it with its neighbours.
pub(crate) fn give(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    part: FreeExtent,
) -> Result<()> {
    let mut bno = Bnobt::cursor(tp, agno, agf);
    let left = if bno.lookup_le(tp, &by_block(&part))? { Some(bno.expect(tp)?) } else { None };
    let right = if bno.increment(tp)? { Some(bno.expect(tp)?) } else { None };
    if left.is_some_and(|left| end(&left) > part.start)
        || right.is_some_and(|right| right.start < end(&part))
    {
        let why = format!("{} blocks to be freed here are free in part", part.len);
        return Err(Error::corrupt("free space", At::AgBlock(agno, part.start), why));
    }
    let left = left.filter(|left| end(left) == part.start);
    let right = right.filter(|right| right.start == end(&part));
    let merged = FreeExtent {
        start: left.map_or(part.start, |left| left.start),
        len: part.len + left.map_or(0, |left| left.len) + right.map_or(0, |right| right.len),
    };
    match (left, right) {
        (Some(_), Some(_)) => {
            bno.delete(tp)?;
            bno.decrement(tp)?;
            bno.update(tp, &merged)?;
        }
        (Some(_), None) => {
            bno.decrement(tp)?;
            bno.update(tp, &merged)?;
        }
        (None, Some(_)) => bno.update(tp, &merged)?,
        (None, None) => bno.insert(tp, &merged)?,
    }

    let mut cnt = Cntbt::cursor(tp, agno, agf);
    for neighbour in left.iter().chain(right.iter()) {
        remove_by_size(tp, &mut cnt, agno, neighbour)?;
    }
    add_by_size(tp, &mut cnt, agno, &merged)?;
    count(tp, agf, &mut cnt, part.len.into())
}

fn remove_by_size(
    tp: &mut Transaction<'_>,
    cnt: &mut Cursor<Cntbt>,
    agno: u32,
    extent: &FreeExtent,
) -> Result<()> {
    if !cnt.lookup_eq(tp, &by_size(extent))? {
        return Err(disagree(agno, extent));
    }
    cnt.delete(tp)
}

fn add_by_size(
    tp: &mut Transaction<'_>,
    cnt: &mut Cursor<Cntbt>,
    agno: u32,
    extent: &FreeExtent,
) -> Result<()> {
    if cnt.lookup_eq(tp, &by_size(extent))? {
        return Err(disagree(agno, extent));
    }
    cnt.insert(tp, extent)
}

/// Brings the AGF's count of free blocks and longest extent up to date.
fn count(
    tp: &mut Transaction<'_>,
    agf: BufferId,
    cnt: &mut Cursor<Cntbt>,
    delta: i64,
) -> Result<()> {
    header::add_to_field(tp, agf, offset_of!(Agf, freeblks), delta)?;
    let longest = if cnt.last(tp)? { cnt.expect(tp)?.len } else { 0 };
    if header::field(tp, agf, offset_of!(Agf, longest)) != longest {
        header::set_field(tp, agf, offset_of!(Agf, longest), longest);
    }
    Ok(())
}
