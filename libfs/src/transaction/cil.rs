//! The committed item list: what transactions changed since the last checkpoint.
//!
//! Nothing is copied when a transaction commits. Buffers and inodes remember which parts
//! are dirty, and the next checkpoint encodes their content as it is then. That is safe
//! because a checkpoint happens only between transactions.

use std::collections::{BTreeMap, HashMap};

use crate::buffer::BufferId;
use crate::format::log::{DoneItem, InodeCreateLog, IntentItem, Lsn};
use crate::inode::InodeRef;

/// Operation header bytes that every region costs in the log.
const REGION_OVERHEAD: u64 = 12;
/// Format structure of a logged buffer, with a dirty map for up to 4 KiB.
const BUFFER_FORMAT: u64 = 32;

/// Items committed in memory, not yet in the log.
#[derive(Default)]
pub(crate) struct Cil {
    pub(crate) buffers: Vec<BufferId>,
    pub(crate) inodes: Vec<InodeRef>,
    pub(crate) inode_creates: Vec<InodeCreateLog>,
    /// Intents without a done item, by id: ids grow, so this is the order they were logged.
    pub(crate) intents: BTreeMap<u64, IntentItem>,
    /// Done items whose intent is already in the log.
    pub(crate) dones: Vec<DoneItem>,
    /// Upper bound of the bytes the next checkpoint's regions take.
    pub(crate) bytes: u64,
    /// Upper bound of the number of its regions.
    pub(crate) regions: u64,
}

impl Cil {
    pub(crate) fn is_empty(&self) -> bool {
        self.buffers.is_empty()
            && self.inodes.is_empty()
            && self.inode_creates.is_empty()
            && self.intents.is_empty()
            && self.dones.is_empty()
    }

    fn add(&mut self, bytes: u64, regions: u64) {
        self.bytes += bytes + regions * REGION_OVERHEAD;
        self.regions += regions;
    }

    /// Accounts `chunks` newly dirty 128-byte chunks; in the worst case none are neighbours.
    pub(crate) fn add_chunks(&mut self, chunks: usize) {
        self.add(chunks as u64 * crate::buffer::CHUNK as u64, chunks as u64);
    }

    pub(crate) fn add_buffer(&mut self, id: BufferId, segments: usize, data_len: usize) {
        self.buffers.push(id);
        let map = (data_len / 1024) as u64;
        self.add((BUFFER_FORMAT + map) * segments as u64, segments as u64);
    }

    pub(crate) fn add_inode(&mut self, inode: InodeRef, inode_size: u32) {
        self.inodes.push(inode);
        // Format (56), core (176) and both forks, which share the rest of the inode. A
        // btree root grows while it is in memory, but never past the literal area.
        self.add(256 + u64::from(inode_size), 4);
    }

    pub(crate) fn add_inode_create(&mut self, item: InodeCreateLog) {
        self.inode_creates.push(item);
        self.add(28, 1);
    }

    pub(crate) fn add_intent(&mut self, item: IntentItem) {
        self.add(intent_bytes(&item) as u64, 5);
        self.intents.insert(item.id(), item);
    }

    /// Logs that an intent is done. When the intent is not in the log yet, neither it nor
    /// its done item ever has to be.
    pub(crate) fn add_done(&mut self, done: DoneItem) {
        if self.intents.remove(&done.id).is_none() {
            self.add(16 + 16 * done.extents.len() as u64, 1);
            self.dones.push(done);
        }
    }
}

/// Bytes that an intent takes in the log, without encoding it: chains log thousands.
fn intent_bytes(item: &IntentItem) -> usize {
    const HEADER: usize = 16;
    match item {
        IntentItem::ExtentFree { extents, .. } => HEADER + 16 * extents.len(),
        IntentItem::Rmap { extents, .. } | IntentItem::Bmap { extents, .. } => {
            HEADER + 32 * extents.len()
        }
        IntentItem::Refcount { extents, .. } => HEADER + 16 * extents.len(),
        IntentItem::Exchange(_) => 88,
        IntentItem::Attr(_) => {
            item.encode().iter().map(|region| region.len().next_multiple_of(4)).sum()
        }
    }
}

/// Positions in the log of items that are there but not yet in place, oldest first: the
/// oldest is where recovery would have to start.
#[derive(Default)]
pub(crate) struct LoggedItems {
    counts: BTreeMap<Lsn, usize>,
    intents: HashMap<u64, Lsn>,
}

impl LoggedItems {
    /// The oldest position still needed.
    pub(crate) fn tail(&self) -> Option<Lsn> {
        self.counts.keys().next().copied()
    }

    /// Moves an item from `old` (zero: it was not in the log) to `new`.
    pub(crate) fn relocate(&mut self, old: u64, new: Lsn) {
        self.remove(old);
        *self.counts.entry(new).or_default() += 1;
    }

    /// Forgets an item at `lsn`, zero when it was not in the log.
    pub(crate) fn remove(&mut self, lsn: u64) {
        if lsn == 0 {
            return;
        }
        if let Some(count) = self.counts.get_mut(&Lsn(lsn)) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&Lsn(lsn));
            }
        }
    }

    pub(crate) fn insert_intent(&mut self, id: u64, lsn: Lsn) {
        self.relocate(0, lsn);
        self.intents.insert(id, lsn);
    }

    pub(crate) fn remove_intent(&mut self, id: u64) {
        if let Some(lsn) = self.intents.remove(&id) {
            self.remove(lsn.0);
        }
    }

    /// Where intent `id` lies in the log, if it is there.
    pub(crate) fn intent(&self, id: u64) -> Option<Lsn> {
        self.intents.get(&id).copied()
    }
}
