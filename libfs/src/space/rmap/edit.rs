//! Changes where no other record overlaps: everything but blocks of files that may share.

use crate::btree::Cursor;
use crate::format::btree_record::{Rmap, RmapFlags, RmapKey, owner};
use crate::space::Owner;
use crate::space::trees::Rmapbt;
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// Blocks of an allocation group whose mapping changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Change {
    pub(super) start: u32,
    pub(super) len: u32,
    pub(super) owner: Owner,
    /// The owner's flags, and whether the blocks are unwritten.
    pub(super) flags: RmapFlags,
}

impl Change {
    pub(super) fn new(start: u32, len: u32, owner: &Owner, unwritten: bool) -> Self {
        let mut flags = owner.flags;
        flags.set(RmapFlags::UNWRITTEN, unwritten);
        Change { start, len, owner: *owner, flags }
    }

    pub(super) fn end(&self) -> u32 {
        self.start.saturating_add(self.len)
    }

    /// The change's own record.
    pub(super) fn record(&self) -> Rmap {
        Rmap {
            startblock: self.start,
            len: self.len,
            owner: self.owner.owner,
            offset: self.owner.offset,
            flags: self.flags,
        }
    }

    /// The offset of block `agbno`, which counts only where offsets do.
    pub(super) fn offset_of(&self, agbno: u32) -> u64 {
        if !self.owner.has_offset() {
            return self.owner.offset;
        }
        let ahead = i64::from(agbno) - i64::from(self.start);
        self.owner.offset.saturating_add_signed(ahead)
    }

    pub(super) fn key_at(&self, agbno: u32) -> RmapKey {
        let record = Rmap { startblock: agbno, offset: self.offset_of(agbno), ..self.record() };
        record.low_key()
    }

    /// Whether `record` is of the same owner, fork and state.
    pub(super) fn mergeable(&self, record: &Rmap) -> bool {
        record.owner == self.owner.owner && record.flags == self.flags
    }

    /// Whether `record` and the change, which touches it, continue each other in the file.
    pub(super) fn continues(&self, record: &Rmap) -> bool {
        !self.owner.has_offset() || record.offset == self.offset_of(record.startblock)
    }

    pub(super) fn fail(&self, tree: &Rmapbt, why: impl Into<String>) -> Error {
        let at = At::AgBlock(tree.agno, self.start);
        let (len, owner, offset) = (self.len, self.owner.owner as i64, self.owner.offset);
        let what = format!("{len} blocks of owner {owner} at offset {offset}: {}", why.into());
        Error::corrupt("reverse mapping", at, what)
    }

    /// Checks that `record` covers the change and belongs to the same owner.
    pub(super) fn check_covered(&self, tree: &Rmapbt, record: &Rmap) -> Result<()> {
        let fail = |why: &str| Err(self.fail(tree, format!("{why}: {record:?}")));
        if record.startblock > self.start || end(record) < self.end() {
            return fail("the record covers only a part");
        }
        if (record.flags ^ self.flags).contains(RmapFlags::UNWRITTEN) {
            return fail("the record's state is another");
        }
        if self.owner.owner == owner::UNKNOWN {
            return Ok(());
        }
        if record.owner != self.owner.owner || record.flags != self.flags {
            return fail("the record is of another owner");
        }
        if !self.continues(record) {
            return fail("the record is at another offset");
        }
        Ok(())
    }
}

pub(super) fn end(record: &Rmap) -> u32 {
    record.startblock.saturating_add(record.len)
}

/// The part of `record` from block `agbno` on.
pub(super) fn tail(record: &Rmap, agbno: u32) -> Rmap {
    let ahead = agbno - record.startblock;
    let advances =
        !owner::is_special(record.owner) && !record.flags.contains(RmapFlags::BMBT_BLOCK);
    let offset = record.offset + if advances { u64::from(ahead) } else { 0 };
    Rmap { startblock: agbno, len: record.len - ahead, offset, ..*record }
}

/// Adds a mapping.
pub(super) fn map(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
) -> Result<()> {
    let new = change.record();
    let left = if cursor.lookup_le(tp, &new.low_key())? { cursor.get(tp)? } else { None };
    let left = left.filter(|left| change.mergeable(left));
    let right = if cursor.increment(tp)? { cursor.get(tp)? } else { None };
    let right = right.filter(|right| change.mergeable(right));
    if left.is_some_and(|left| end(&left) > change.start)
        || right.is_some_and(|right| right.startblock < change.end())
    {
        return Err(change.fail(&cursor.tree, "some have this owner already"));
    }
    let left = left.filter(|left| end(left) == change.start && change.continues(left));
    let right = right.filter(|right| right.startblock == change.end() && change.continues(right));
    match (left, right) {
        (Some(left), Some(right)) => {
            cursor.delete(tp)?;
            cursor.decrement(tp)?;
            cursor.update(tp, &Rmap { len: left.len + change.len + right.len, ..left })
        }
        (Some(left), None) => {
            cursor.decrement(tp)?;
            cursor.update(tp, &Rmap { len: left.len + change.len, ..left })
        }
        (None, Some(right)) => cursor.update(tp, &Rmap { len: new.len + right.len, ..new }),
        (None, None) => cursor.insert(tp, &new),
    }
}

/// Removes a mapping.
pub(super) fn unmap(
    tp: &mut Transaction<'_>,
    cursor: &mut Cursor<Rmapbt>,
    change: &Change,
) -> Result<()> {
    let anybody = change.owner.owner == owner::UNKNOWN;
    let found = cursor.lookup_le(tp, &change.record().low_key())?;
    let record = if found { cursor.get(tp)? } else { None };
    let Some(record) = record else {
        return Err(change.fail(&cursor.tree, "no record is there"));
    };
    if anybody && end(&record) <= change.start {
        // Recovery of a freeing: the mapping has gone already, wholly or not at all.
        let next = if cursor.increment(tp)? { cursor.get(tp)? } else { None };
        if next.is_some_and(|next| next.startblock < change.end()) {
            return Err(change.fail(&cursor.tree, "some have an owner, some have none"));
        }
        return Ok(());
    }
    change.check_covered(&cursor.tree, &record)?;
    let before = change.start - record.startblock;
    match (before, end(&record) == change.end()) {
        (0, true) => cursor.delete(tp),
        (0, false) => cursor.update(tp, &tail(&record, change.end())),
        (_, at_end) => {
            cursor.update(tp, &Rmap { len: before, ..record })?;
            if at_end {
                return Ok(());
            }
            let rest = tail(&record, change.end());
            // The record that follows the shortened one.
            cursor.increment(tp)?;
            cursor.insert(tp, &rest)
        }
    }
}
