//! Changing the counts of a run of blocks.
//!
//! The run is taken piece by piece, each with one count. A piece is cut out of the record
//! that covers it, if there is one, and put back with its new count, merged with a
//! neighbour that has the same.

use super::{Refcount, RefcountIntent, RefcountOperation, record_end};
use crate::btree::Cursor;
use crate::format::btree_record::{REFCOUNT_MAX, RefcountDomain, encode_refcount_start};
use crate::space::extent_free::FreeExtent;
use crate::space::trees::Refcountbt;
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// Bytes of log that an extent takes in an intent to free it, as Linux counts them here.
const ITEM_BYTES: u64 = 32;

/// Blocks with one count, and what the tree has around them.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: u32,
    end: u32,
    /// The record that says so; none for blocks without one.
    record: Option<Refcount>,
    /// The record that ends where the piece begins.
    left: Option<Refcount>,
    /// The record that begins where the piece ends.
    right: Option<Refcount>,
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
    let mut cursor = Refcountbt::cursor(tp, agno, agf);
    let mut at = start;
    let mut items = 0;
    while at < end && (at == start || tp.has_log_room(items)) {
        let piece = next_piece(tp, &mut cursor, domain, at, end)?;
        adjust_piece(tp, &mut cursor, domain, piece, change.operation)?;
        at = piece.end;
        items += ITEM_BYTES;
    }
    Ok(at - start)
}

/// The piece that begins at block `at`. The cursor then stands on its record, or where that
/// would have to be inserted.
fn next_piece(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Refcountbt>,
    domain: RefcountDomain,
    at: u32,
    end: u32,
) -> Result<Piece> {
    let same = |record: &Refcount| record.domain == domain;
    let found = cursor.lookup_le(tp, &encode_refcount_start(domain, at))?;
    let before = if found { cursor.get(tp)?.filter(same) } else { None };
    if let Some(record) = before.filter(|record| record_end(record) > at) {
        let end = record_end(&record).min(end);
        let mut beside = cursor.clone();
        let left =
            if record.startblock == at && beside.decrement(tp)? { beside.get(tp)? } else { None };
        let mut beside = cursor.clone();
        let right = if record_end(&record) == end && beside.increment(tp)? {
            beside.get(tp)?
        } else {
            None
        };
        let left = left.filter(|left| same(left) && record_end(left) == at);
        let right = right.filter(|right| same(right) && right.startblock == end);
        return Ok(Piece { start: at, end, record: Some(record), left, right });
    }
    let next = if cursor.increment(tp)? { cursor.get(tp)?.filter(same) } else { None };
    let right = next.filter(|next| next.startblock <= end);
    let end = right.map_or(end, |right| right.startblock);
    let left = before.filter(|left| record_end(left) == at);
    Ok(Piece { start: at, end, record: None, left, right })
}

fn adjust_piece(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Refcountbt>,
    domain: RefcountDomain,
    piece: Piece,
    operation: RefcountOperation,
) -> Result<()> {
    let agno = cursor.tree.agno;
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
    set_count(tp, cursor, domain, piece, recorded.then_some(new))
}

/// Gives the piece, which the cursor stands on, the count `count`, or none.
fn set_count(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Refcountbt>,
    domain: RefcountDomain,
    piece: Piece,
    count: Option<u32>,
) -> Result<()> {
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
    let alike = |record: &Refcount| Some(record.refcount) == count;
    let (left, right) = (piece.left.filter(alike), piece.right.filter(alike));
    if [before, behind, left, right].iter().all(Option::is_none) {
        return match (piece.record, middle) {
            (Some(_), Some(middle)) => cursor.update(tp, &middle),
            (Some(_), None) => cursor.delete(tp),
            (None, Some(middle)) => cursor.insert(tp, &middle),
            (None, None) => Ok(()),
        };
    }
    let merged = middle.map(|middle| Refcount {
        startblock: left.map_or(middle.startblock, |left| left.startblock),
        len: middle.len + left.map_or(0, |l| l.len) + right.map_or(0, |r| r.len),
        ..middle
    });
    let old = [left, piece.record, right];
    let new = [before, merged, behind];
    replace(tp, cursor, &old, &new)
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
