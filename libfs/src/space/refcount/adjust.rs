//! Changing the counts of a run of blocks.
//!
//! The run is taken piece by piece, each with one count. A piece is cut out of the record
//! that covers it, if there is one, and put back with its new count, merged with a
//! neighbour that has the same.

use super::{Refcount, RefcountIntent, RefcountOperation, first_record, record_end};
use crate::btree::Cursor;
use crate::buffer::BufferId;
use crate::format::btree_record::{REFCOUNT_MAX, RefcountDomain, encode_refcount_start};
use crate::space::extent_free::FreeExtent;
use crate::space::trees::Refcountbt;
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// Bytes of log that an extent takes in an intent to free it, as Linux counts them here.
const ITEM_BYTES: u64 = 32;

/// Blocks with one count.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
    /// The record that says so; none for blocks without one.
    record: Option<Refcount>,
}

/// Does as much of the change as the transaction has log space for, but at least one piece,
/// and returns how many blocks, from the first on, are done.
pub(super) fn adjust(tp: &mut Transaction<'_>, change: &RefcountIntent) -> Result<u32> {
    let (agno, start) = tp.geo.fsblock_parts(change.start);
    let end = start.saturating_add(change.len);
    let agf = tp.read_agf(agno)?;
    let domain = match change.operation {
        RefcountOperation::Increase | RefcountOperation::Decrease => RefcountDomain::Shared,
        RefcountOperation::AllocCow | RefcountOperation::FreeCow => RefcountDomain::Cow,
    };
    let mut at = start;
    let mut items = 0;
    while at < end && (at == start || tp.has_log_room(items)) {
        let piece = next_piece(tp, agno, agf, domain, at, end)?;
        adjust_piece(tp, agno, agf, domain, piece, change.operation)?;
        at = piece.end;
        items += ITEM_BYTES;
    }
    Ok(at - start)
}

fn next_piece(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    domain: RefcountDomain,
    at: u32,
    end: u32,
) -> Result<Piece> {
    let record = first_record(tp, agno, agf, domain, (at, end))?;
    Ok(match record {
        Some(record) if record.startblock <= at => {
            Piece { start: at, end: record_end(&record).min(end), record: Some(record) }
        }
        Some(record) => Piece { start: at, end: record.startblock, record: None },
        None => Piece { start: at, end, record: None },
    })
}

fn adjust_piece(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    domain: RefcountDomain,
    piece: Piece,
    operation: RefcountOperation,
) -> Result<()> {
    let fail = |why: &str| {
        let at = At::AgBlock(agno, piece.start);
        let len = piece.end - piece.start;
        Err(Error::corrupt("reference count", at, format!("{len} blocks {why}")))
    };
    let old = match (piece.record, domain) {
        (Some(record), _) => record.refcount,
        (None, RefcountDomain::Shared) => 1,
        (None, RefcountDomain::Cow) => 0,
    };
    let new = match operation {
        // A count that reached the limit is not exact any more and stays.
        _ if old == REFCOUNT_MAX => return Ok(()),
        RefcountOperation::Increase => old + 1,
        RefcountOperation::AllocCow if old == 0 => 1,
        RefcountOperation::AllocCow => return fail("are staged for copy on write twice"),
        RefcountOperation::FreeCow if old == 0 => return fail("are not staged for copy on write"),
        RefcountOperation::Decrease | RefcountOperation::FreeCow => old - 1,
    };
    if operation == RefcountOperation::Decrease && new == 0 {
        let start = tp.geo.fsblock(agno, piece.start);
        tp.defer(FreeExtent::data(start, piece.end - piece.start));
        return Ok(());
    }
    let recorded = match domain {
        RefcountDomain::Shared => new >= 2,
        RefcountDomain::Cow => new == 1,
    };
    set_count(tp, agno, agf, domain, piece, recorded.then_some(new))
}

/// Gives the piece the count `count`, or none.
fn set_count(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    domain: RefcountDomain,
    piece: Piece,
    count: Option<u32>,
) -> Result<()> {
    let mut cursor = Refcountbt::cursor(tp, agno, agf);
    let middle = count.map(|refcount| Refcount {
        domain,
        startblock: piece.start,
        len: piece.end - piece.start,
        refcount,
    });
    let before = piece.record.filter(|record| record.startblock < piece.start);
    let before = before.map(|r| Refcount { len: piece.start - r.startblock, ..r });
    let behind = piece.record.filter(|record| record_end(record) > piece.end);
    let behind =
        behind.map(|r| Refcount { startblock: piece.end, len: record_end(&r) - piece.end, ..r });
    let alike = |record: &Refcount| record.domain == domain && Some(record.refcount) == count;
    let mut left = None;
    if before.is_none() && count.is_some() && piece.start > 0 {
        let key = encode_refcount_start(domain, piece.start - 1);
        let found = if cursor.lookup_le(tp, &key)? { cursor.get(tp)? } else { None };
        left = found.filter(|record| record_end(record) == piece.start && alike(record));
    }
    let mut right = None;
    if behind.is_none()
        && count.is_some()
        && cursor.lookup_eq(tp, &encode_refcount_start(domain, piece.end))?
    {
        right = cursor.get(tp)?.filter(alike);
    }
    let merged = middle.map(|middle| Refcount {
        startblock: left.map_or(middle.startblock, |left| left.startblock),
        len: middle.len + left.map_or(0, |l| l.len) + right.map_or(0, |r| r.len),
        ..middle
    });
    let old = [left, piece.record, right];
    let new = [before, merged, behind];
    replace(tp, &mut cursor, &old, &new)
}

/// Makes `new` out of `old`: what has the same key is updated, the rest deleted and inserted.
fn replace(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Refcountbt>,
    old: &[Option<Refcount>],
    new: &[Option<Refcount>],
) -> Result<()> {
    let (old, new) = (old.iter().flatten(), new.iter().flatten());
    let same_key = |a: &Refcount, b: &Refcount| a.startblock == b.startblock;
    let key = |record: &Refcount| encode_refcount_start(record.domain, record.startblock);
    for record in old.clone() {
        let kept = new.clone().find(|other| same_key(other, record));
        if kept == Some(record) {
            continue;
        }
        cursor.lookup_eq(tp, &key(record))?;
        match kept {
            Some(other) => cursor.update(tp, other)?,
            None => cursor.delete(tp)?,
        }
    }
    for record in new {
        if old.clone().any(|other| same_key(other, record)) {
            continue;
        }
        if cursor.lookup_eq(tp, &key(record))? {
            let at = At::AgBlock(cursor.tree.agno, record.startblock);
            return Err(Error::corrupt("reference count", at, "a record is there already"));
        }
        cursor.insert(tp, record)?;
    }
    Ok(())
}
