//! Reference counts: how many files use a block.
//!
//! Blocks that one file uses have no record. Blocks that several use have one with their
//! count; blocks allocated for a copy on write that has not finished have one of another
//! domain, so that a crash does not lose them. Records are as long as they can be.

mod adjust;

use super::extent_free::FreeExtent;
use super::rmap::{RmapIntent, RmapOperation};
use super::trees::Refcountbt;
use super::{Owner, ag_reservation::Pool};
use crate::buffer::BufferId;
use crate::format::btree_record::{Refcount, RefcountDomain, encode_refcount_start};
use crate::format::geometry::FsBlock;
use crate::format::log::intent::refcount_flags;
use crate::format::log::{DoneItem, IntentItem, IntentKind, PhysicalExtent};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{At, Error, Result};

/// Most changes in one intent, as Linux logs them.
const MAX_CHANGES: usize = 16;

/// What a deferred change of reference counts does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefcountOperation {
    /// One more file uses the blocks.
    Increase,
    /// One file less uses the blocks; those that nobody uses any more are freed.
    Decrease,
    /// The blocks are staged for copy on write.
    AllocCow,
    /// The blocks are staged no more.
    FreeCow,
}

impl RefcountOperation {
    const NUMBERS: [(Self, u32); 4] = [
        (Self::Increase, refcount_flags::INCREASE),
        (Self::Decrease, refcount_flags::DECREASE),
        (Self::AllocCow, refcount_flags::ALLOC_COW),
        (Self::FreeCow, refcount_flags::FREE_COW),
    ];

    fn number(self) -> u32 {
        Self::NUMBERS.iter().find(|(op, _)| *op == self).map_or(0, |(_, number)| *number)
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::NUMBERS.iter().find(|(_, n)| *n == number).map(|(op, _)| *op)
    }
}

/// A change of reference counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefcountIntent {
    /// What to do.
    pub operation: RefcountOperation,
    /// First block.
    pub start: FsBlock,
    /// Number of blocks.
    pub len: u32,
}

impl RefcountIntent {
    /// Defers the change; does nothing on a filesystem without shared blocks.
    pub fn defer(self, tp: &mut Transaction<'_>) {
        if tp.geo.features.reflink {
            tp.defer(self);
        }
    }
}

/// Defers recording that blocks, just allocated, are staged for copy on write.
pub fn alloc_cow(tp: &mut Transaction<'_>, start: FsBlock, len: u32) {
    RefcountIntent { operation: RefcountOperation::AllocCow, start, len }.defer(tp);
    staged_owner(RmapOperation::Alloc, start, len).defer(tp);
}

/// Defers forgetting that blocks are staged for copy on write: they get another owner, or
/// are freed.
pub fn free_cow(tp: &mut Transaction<'_>, start: FsBlock, len: u32) {
    staged_owner(RmapOperation::Free, start, len).defer(tp);
    RefcountIntent { operation: RefcountOperation::FreeCow, start, len }.defer(tp);
}

/// Defers giving blocks that are staged for copy on write back to free space.
pub fn give_back_cow(tp: &mut Transaction<'_>, start: FsBlock, len: u32) {
    free_cow(tp, start, len);
    tp.defer(FreeExtent::new(start, len, Owner::ELSEWHERE, Pool::None));
}

fn staged_owner(operation: RmapOperation, start: FsBlock, len: u32) -> RmapIntent {
    RmapIntent { operation, start, len, owner: Owner::COW, unwritten: false, alone: false }
}

impl Deferred for RefcountIntent {
    const MAX_ITEMS: usize = MAX_CHANGES;

    fn intent(ops: &[Self], id: u64) -> IntentItem {
        let logged = |op: &Self| PhysicalExtent {
            pe_startblock: op.start.0,
            pe_len: op.len,
            pe_flags: op.operation.number(),
        };
        IntentItem::Refcount { realtime: false, id, extents: ops.iter().map(logged).collect() }
    }

    fn done(_ops: &[Self], id: u64) -> DoneItem {
        DoneItem { kind: IntentKind::Refcount, id, extents: Vec::new() }
    }

    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        if !tp.geo.features.reflink {
            return Ok(Step::Done);
        }
        let done = adjust::adjust(tp, self)?;
        self.start = FsBlock(self.start.0 + u64::from(done));
        self.len -= done;
        Ok(if self.len == 0 { Step::Done } else { Step::Again })
    }

    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        let bad = |why: &str| Error::corrupt("CUI log item", At::Byte(0), why.to_string());
        let IntentItem::Refcount { realtime: false, extents, .. } = intent else {
            return Err(bad("not a CUI"));
        };
        if !mount.geo.features.reflink {
            return Err(bad("the filesystem has no reference counts"));
        }
        let op = |logged: &PhysicalExtent| {
            let operation = RefcountOperation::from_number(logged.pe_flags);
            let start = FsBlock(logged.pe_startblock);
            if !mount.geo.valid_fsb_extent(start, logged.pe_len.into()) {
                return Err(bad("impossible extent"));
            }
            let operation = operation.ok_or_else(|| bad("unknown operation"))?;
            Ok(Self { operation, start, len: logged.pe_len })
        };
        extents.iter().map(op).collect()
    }
}

/// The record that covers block `agbno`, or the first behind it that begins before `end`.
fn first_record(
    mount: &mut Mount,
    agno: u32,
    agf: BufferId,
    domain: RefcountDomain,
    (agbno, end): (u32, u32),
) -> Result<Option<Refcount>> {
    let mut cursor = Refcountbt::cursor(mount, agno, agf);
    let covering = if cursor.lookup_le(mount, &encode_refcount_start(domain, agbno))? {
        cursor.get(mount)?
    } else {
        None
    };
    let covers = |record: &Refcount| record.domain == domain && record_end(record) > agbno;
    if let Some(record) = covering.filter(covers) {
        return Ok(Some(record));
    }
    let next = if cursor.increment(mount)? { cursor.get(mount)? } else { None };
    Ok(next.filter(|record| record.domain == domain && record.startblock < end))
}

fn record_end(record: &Refcount) -> u32 {
    record.startblock.saturating_add(record.len)
}

/// The first run of blocks in the extent that several files use, as long as it is shared by
/// any number of files; `None` if none are.
///
/// # Errors
/// [`Error::Corrupt`] or [`Error::Io`] from the AGF or the tree.
pub fn find_shared(mount: &mut Mount, start: FsBlock, len: u32) -> Result<Option<(FsBlock, u32)>> {
    if !mount.geo.features.reflink || len == 0 {
        return Ok(None);
    }
    let (agno, agbno) = mount.geo.fsblock_parts(start);
    let agf = mount.read_agf(agno)?;
    let end = agbno.saturating_add(len);
    let domain = RefcountDomain::Shared;
    let first = first_record(mount, agno, agf, domain, (agbno, end))?;
    let Some(first) = first else { return Ok(None) };
    let from = first.startblock.max(agbno);
    let mut to = record_end(&first).min(end);
    while to < end {
        let next = first_record(mount, agno, agf, domain, (to, end))?;
        let Some(next) = next.filter(|next| next.startblock == to) else { break };
        to = record_end(&next).min(end);
    }
    Ok(Some((mount.geo.fsblock(agno, from), to - from)))
}

/// Frees every extent that is staged for copy on write: after a crash nobody will finish
/// those copies.
///
/// # Errors
/// [`Error::Corrupt`] or [`Error::Io`] from the trees.
pub fn recover_cow_leftovers(mount: &mut Mount) -> Result<u64> {
    if !mount.geo.features.reflink {
        return Ok(0);
    }
    let mut freed = 0;
    for agno in 0..mount.geo.ag_count {
        let agf = mount.read_agf(agno)?;
        let mut from = 0;
        loop {
            let range = (from, u32::MAX);
            let next = first_record(mount, agno, agf, RefcountDomain::Cow, range)?;
            let Some(record) = next else { break };
            let start = mount.geo.fsblock(agno, record.startblock);
            let mut tp = Transaction::begin(mount, mount.reservations.write, 0)?;
            give_back_cow(&mut tp, start, record.len);
            tp.commit()?;
            freed += u64::from(record.len);
            from = record_end(&record);
        }
    }
    Ok(freed)
}
