//! Replaying the log.
//!
//! Two passes over the transactions between tail and head. The first notes which buffers
//! were freed ([`cancel`]); the second applies every item, unless what lies at its place
//! is as new as the transaction already. Within a transaction buffers and new inode chunks
//! come first, then inodes and quota records, then the unlinked lists logged in inode
//! buffers, then cancellations.
//!
//! Intents without a done item are handed back, in the order they were logged: finishing them is the
//! business of the filesystem, with transactions of its own. Until they are finished, the
//! tail stays at the oldest of them.
//!
//! Replay may be interrupted and begun again at any time, as the log is left as it is:
//! only what lies ahead of the head is overwritten. A block is stamped with the LSN of
//! the transaction that changed it, so that a second replay does not go back in time.

mod buffer_item;
mod cancel;
mod counters;
mod dquot_item;
mod inode_create;
mod inode_item;
mod inode_root;
mod intents;
mod pieces;
mod stamp;
mod store;

use std::collections::BTreeMap;

use super::area::{LogBlocks, LogPlace};
use super::clear::clear_stale_blocks;
use super::head::{LogEnds, LogState, find_ends};
use super::reader::{RecoveredTransaction, TransactionReader};
use crate::device::Device;
use crate::error::{At, Error, Result};
use crate::format::geometry::Geometry;
use crate::format::log::{BASIC_BLOCK, IntentItem, LogItem, LogItemType, Lsn, blf};
use crate::format::superblock::Superblock;
use cancel::Cancelled;
use intents::Intents;
use pieces::Pieces;
use store::Store;

/// What a replay did, and what is left to do.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The log's ends. The tail is that of before, until intents are finished; without
    /// any it is the head.
    pub ends: LogEnds,
    /// Whether there was anything to replay.
    pub was_dirty: bool,
    /// Transactions replayed.
    pub transactions: u64,
    /// Items in them, by type.
    pub items: BTreeMap<LogItemType, u64>,
    /// Items that were not applied, because what is on disk is newer or was freed.
    pub skipped: u64,
    /// Intents left unfinished, in the order they were logged.
    pub intents: Vec<PendingIntent>,
    /// The superblock as it is after replay, with counters that agree with the groups.
    pub superblock: Superblock,
}

/// An intent that the log has no done item for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingIntent {
    /// Record that its transaction starts in.
    pub lsn: Lsn,
    /// What has to be finished.
    pub item: IntentItem,
}

/// Replays the log of the filesystem on `device`, and flushes the device.
///
/// A clean log is left alone. Nothing is written unless head and tail were found and
/// pass 1 read all of the log.
///
/// # Errors
///
/// [`Error::Corrupt`] if the log, or a block it applies to, is damaged;
/// [`Error::Incompatible`] if the log cannot be replayed here: the superblock has features
/// that are unknown; [`Error::Io`] if the device fails.
pub fn replay(device: &dyn Device, log: &LogPlace, geo: &Geometry) -> Result<Replayed> {
    let ends = find_ends(log.device.as_ref(), log.area)?;
    if ends.state == LogState::Clean {
        let superblock = read_superblock(device, geo)?;
        return Ok(Replayed {
            ends,
            was_dirty: false,
            transactions: 0,
            items: BTreeMap::new(),
            skipped: 0,
            intents: Vec::new(),
            superblock,
        });
    }
    check_features(&read_superblock(device, geo)?)?;
    let blocks = LogBlocks::new(log.device.as_ref(), log.area);
    let (tail, head) = (ends.tail.block(), ends.head.block());
    let cancelled = Cancelled::collect(&blocks, tail, head)?;
    let mut replay = Replay::new(device, log, geo.clone(), cancelled);
    for transaction in TransactionReader::new(&blocks, tail, head) {
        replay.transaction(transaction?)?;
    }
    replay.finish(log, ends)
}

fn read_superblock(device: &dyn Device, geo: &Geometry) -> Result<Superblock> {
    let mut sector = vec![0; geo.sector_size as usize];
    device.read_at(&mut sector, 0)?;
    Superblock::decode(&sector)
}

/// Replay writes, and knows every kind of item only if it knows the features.
fn check_features(superblock: &Superblock) -> Result<()> {
    if let Some(reason) = superblock.read_only_reason() {
        return Err(Error::Incompatible(format!("the log cannot be replayed: {reason}")));
    }
    let unknown = superblock.dsb.log_incompat().unknown();
    if !unknown.is_empty() {
        return Err(Error::Incompatible(format!(
            "the log cannot be replayed: unknown incompatible log features {:#x}",
            unknown.bits()
        )));
    }
    Ok(())
}

/// Pass 2.
struct Replay<'a> {
    store: Store<'a>,
    geo: Geometry,
    cancelled: Cancelled,
    /// LSN of the transactions whose buffers are pending in the store.
    lsn: Lsn,
    intents: Intents,
    pieces: Pieces,
    transactions: u64,
    items: BTreeMap<LogItemType, u64>,
    skipped: u64,
}

/// What became of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Applied,
    /// What is on disk is as new, or was freed later in the log.
    Skipped,
}

impl<'a> Replay<'a> {
    fn new(device: &'a dyn Device, log: &LogPlace, geo: Geometry, cancelled: Cancelled) -> Self {
        Replay {
            store: Store::new(device, log.bytes_of_data(&geo)),
            geo,
            cancelled,
            lsn: Lsn(0),
            intents: Intents::default(),
            pieces: Pieces::default(),
            transactions: 0,
            items: BTreeMap::new(),
            skipped: 0,
        }
    }

    fn transaction(&mut self, transaction: RecoveredTransaction) -> Result<()> {
        if transaction.lsn != self.lsn {
            self.store.settle(self.lsn, &self.geo)?;
            self.lsn = transaction.lsn;
        }
        let mut items = transaction.items;
        items.sort_by_key(replay_order);
        for item in items {
            *self.items.entry(item.kind()).or_default() += 1;
            if self.item(item)? == Outcome::Skipped {
                self.skipped += 1;
            }
        }
        self.transactions += 1;
        Ok(())
    }

    fn item(&mut self, item: LogItem) -> Result<Outcome> {
        match item {
            LogItem::Buffer(buffer) => self.buffer(&buffer),
            LogItem::Inode(inode) => self.inode(&inode),
            LogItem::Dquot(dquot) => self.dquot(&dquot),
            LogItem::InodeCreate(create) => self.inode_create(&create),
            LogItem::QuotaOff(_) => Ok(Outcome::Applied),
            LogItem::Intent(item) => {
                self.intents.add(self.lsn, item);
                Ok(Outcome::Applied)
            }
            LogItem::Done(done) => {
                self.intents.finish(&done);
                Ok(Outcome::Applied)
            }
        }
    }

    fn finish(mut self, log: &LogPlace, ends: LogEnds) -> Result<Replayed> {
        self.store.settle(self.lsn, &self.geo)?;
        self.join_pieces()?;
        let superblock = self.rebuild_counters()?;
        self.store.finish()?;
        clear_stale_blocks(log.device.as_ref(), log.area, &ends)?;
        let intents = self.intents.into_pending();
        let tail = intents.iter().map(|intent| intent.lsn).min().unwrap_or(ends.head);
        Ok(Replayed {
            ends: LogEnds { tail, ..ends },
            was_dirty: true,
            transactions: self.transactions,
            items: self.items,
            skipped: self.skipped,
            intents,
            superblock,
        })
    }
}

/// Rank of an item within its transaction.
fn replay_order(item: &LogItem) -> u8 {
    match item {
        LogItem::Buffer(buffer) if buffer.format.is_cancel() => 3,
        LogItem::Buffer(buffer) if buffer.format.flags & blf::INODE_BUF != 0 => 2,
        LogItem::Buffer(_) | LogItem::InodeCreate(_) => 0,
        _ => 1,
    }
}

/// Address and length in bytes of a logged buffer.
fn place(blkno: i64, blocks: u64, what: &'static str) -> Result<(u64, usize)> {
    let bytes = usize::try_from(blocks).ok().and_then(|blocks| blocks.checked_mul(BASIC_BLOCK));
    match (u64::try_from(blkno), bytes) {
        (Ok(daddr), Some(bytes)) if bytes <= store::MAX_BUFFER && daddr < 1 << 54 => {
            Ok((daddr, bytes))
        }
        _ => {
            let why = format!("a buffer of {blocks} blocks at {blkno}");
            Err(Error::corrupt(what, At::Daddr(blkno as u64), why))
        }
    }
}
