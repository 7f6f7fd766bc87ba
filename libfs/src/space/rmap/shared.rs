//! Changes where records of other owners may overlap: blocks of files that may share.
//!
//! A record in question is often not next to the key it is looked for by, since records of
//! other owners lie in between. So it is searched by overlap, after a plain lookup, which
//! mostly finds it too.

use super::edit::{Change, end, tail};
use crate::Result;
use crate::btree::Cursor;
use crate::format::btree_record::{Rmap, RmapFlags, RmapKey};
use crate::mount::Mount;
use crate::space::trees::Rmapbt;
use crate::transaction::Transaction;

/// Finds a record that overlaps `key` and that `wanted` accepts.
fn find(
    mount: &mut Mount,
    cursor: &mut Cursor<Rmapbt>,
    key: RmapKey,
    wanted: impl Fn(&Rmap) -> bool,
) -> Result<Option<Rmap>> {
    if cursor.lookup_le(mount, &key)?
        && let Some(record) = cursor.get(mount)?
        && wanted(&record)
    {
        return Ok(Some(record));
    }
    cursor.find_overlapping(mount, &key, &key, |record| wanted(record).then_some(*record))
}

/// The record that ends where the change begins and could be merged with it.
fn left_neighbour(
    mount: &mut Mount,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
) -> Result<Option<Rmap>> {
    // The file's first block has nothing to its left, nor has the group's.
    if change.start == 0 || (change.owner.has_offset() && change.owner.offset == 0) {
        return Ok(None);
    }
    let adjacent = |record: &Rmap| {
        end(record) == change.start && change.mergeable(record) && change.continues(record)
    };
    find(mount, cursor, change.key_at(change.start - 1), adjacent)
}

/// The record that begins where the change ends and could be merged with it.
fn right_neighbour(
    mount: &mut Mount,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
) -> Result<Option<Rmap>> {
    if !cursor.lookup_eq(mount, &change.key_at(change.end()))? {
        return Ok(None);
    }
    Ok(cursor.get(mount)?.filter(|record| change.mergeable(record)))
}

/// The record of the change's owner that contains its first block, in either state.
fn containing(mount: &mut Mount, cursor: &mut Cursor<Rmapbt>, change: &Change) -> Result<Rmap> {
    let same_fork = |record: &Rmap| {
        let differ = record.flags ^ change.flags;
        record.owner == change.owner.owner && (differ - RmapFlags::UNWRITTEN).is_empty()
    };
    let contains = |record: &Rmap| {
        same_fork(record)
            && (record.startblock..end(record)).contains(&change.start)
            && change.continues(record)
    };
    find(mount, cursor, change.key_at(change.start), contains)?
        .ok_or_else(|| change.fail(&cursor.tree, "no record contains the first"))
}

/// Makes `new` out of `old`: what has the same key is updated, the rest deleted and inserted.
fn replace(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Rmapbt>,
    old: &[Rmap],
    new: &[Rmap],
) -> Result<()> {
    let same_key = |a: &Rmap, b: &Rmap| a.low_key() == b.low_key();
    for record in old {
        let kept = new.iter().find(|other| same_key(other, record));
        if kept == Some(record) {
            continue;
        }
        cursor.lookup_eq(tp, &record.low_key())?;
        match kept {
            Some(other) => cursor.update(tp, other)?,
            None => cursor.delete(tp)?,
        }
    }
    for record in new.iter().filter(|record| !old.iter().any(|other| same_key(other, record))) {
        if cursor.lookup_eq(tp, &record.low_key())? {
            let change = Change {
                start: record.startblock,
                len: record.len,
                owner: crate::space::Owner {
                    owner: record.owner,
                    offset: record.offset,
                    flags: record.flags,
                },
                flags: record.flags,
            };
            return Err(change.fail(&cursor.tree, "a record with this key exists"));
        }
        cursor.insert(tp, record)?;
    }
    Ok(())
}

/// `middle` merged with its neighbours, if it has any.
fn merge(left: Option<Rmap>, middle: Rmap, right: Option<Rmap>) -> Rmap {
    let first = left.unwrap_or(middle);
    let len = middle.len + left.map_or(0, |l| l.len) + right.map_or(0, |r| r.len);
    Rmap { len, ..first }
}

/// Adds a mapping; `alone` says that no record can be merged with it.
pub(super) fn map(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
    alone: bool,
) -> Result<()> {
    let (mut left, mut right) = (None, None);
    if !alone {
        left = left_neighbour(tp, cursor, change)?;
        right = right_neighbour(tp, cursor, change)?;
    }
    let old: Vec<Rmap> = left.into_iter().chain(right).collect();
    replace(tp, cursor, &old, &[merge(left, change.record(), right)])
}

/// Removes a mapping.
pub(super) fn unmap(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
) -> Result<()> {
    let record = containing(tp, cursor, change)?;
    change.check_covered(&cursor.tree, &record)?;
    let before = Rmap { len: change.start - record.startblock, ..record };
    let behind = (end(&record) > change.end()).then(|| tail(&record, change.end()));
    let rest: Vec<Rmap> = Some(before).filter(|r| r.len > 0).into_iter().chain(behind).collect();
    replace(tp, cursor, &[record], &rest)
}

/// Changes the state to that of `change`.
pub(super) fn convert(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
) -> Result<()> {
    let former = Change { flags: change.flags ^ RmapFlags::UNWRITTEN, ..*change };
    let record = containing(tp, cursor, change)?;
    former.check_covered(&cursor.tree, &record)?;
    let before = Rmap { len: change.start - record.startblock, ..record };
    let behind = (end(&record) > change.end()).then(|| tail(&record, change.end()));
    let left = if before.len == 0 { left_neighbour(tp, cursor, change)? } else { None };
    let right = if behind.is_none() { right_neighbour(tp, cursor, change)? } else { None };
    let old: Vec<Rmap> = left.into_iter().chain([record]).chain(right).collect();
    let new: Vec<Rmap> = Some(before)
        .filter(|before| before.len > 0)
        .into_iter()
        .chain([merge(left, change.record(), right)])
        .chain(behind)
        .collect();
    replace(tp, cursor, &old, &new)
}
