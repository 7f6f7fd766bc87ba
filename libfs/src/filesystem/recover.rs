//! Recovery: from a dirty log to a filesystem that can be used.
//!
//! 1. The log is replayed onto the device.
//! 2. Intents that were left without a done item are finished. The transaction that logs
//!    the done item of one makes its first step and logs new intents for what is left of it,
//!    so that a crash during recovery loses nothing.
//! 3. Inodes on the unlinked lists are freed, and blocks staged for copy-on-write by
//!    writers that are gone are given back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{Devices, Filesystem};
use crate::device::{Device, OverlayDevice};
use crate::format::geometry::Geometry;
use crate::format::log::intent::bmap_flags;
use crate::format::log::{IntentItem, IntentKind, LogItemType};
use crate::format::superblock::Superblock;
use crate::journal::LogEnds;
use crate::journal::recovery::{PendingIntent, replay};
use crate::journal::writer::LogWriter;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// A filesystem with a dirty log. It can only be recovered.
pub struct Unrecovered {
    devices: Devices,
    geo: Geometry,
    ends: LogEnds,
    read_only_reason: Option<String>,
    /// As [`Mount::checkpoint_limit`], where a test wants every step of recovery in the log.
    pub checkpoint_limit: Option<u64>,
}

/// What recovery did.
#[derive(Debug, Clone, Default)]
pub struct RecoveryReport {
    /// Transactions replayed.
    pub transactions: u64,
    /// Log items replayed, by type.
    pub items: BTreeMap<LogItemType, u64>,
    /// Items that were not applied, because what is on disk is newer or was freed.
    pub skipped: u64,
    /// Intents that had no done item and were finished, by kind.
    pub intents: BTreeMap<IntentKind, u64>,
    /// Inodes on the unlinked lists that were freed.
    pub unlinked: u64,
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: u64 = self.items.values().sum();
        let intents: u64 = self.intents.values().sum();
        write!(
            f,
            "log replayed: {} transactions, {items} items; {intents} intents finished, {} \
             unlinked inodes freed",
            self.transactions, self.unlinked
        )
    }
}

impl Unrecovered {
    pub(super) fn new(devices: Devices, sb: Superblock, geo: Geometry, ends: LogEnds) -> Self {
        let read_only_reason = sb.read_only_reason();
        Self { devices, geo, ends, read_only_reason, checkpoint_limit: None }
    }

    /// Where the log begins and ends.
    pub fn log_ends(&self) -> &LogEnds {
        &self.ends
    }

    /// The geometry.
    pub fn geometry(&self) -> &Geometry {
        &self.geo
    }

    /// Replays the log, finishes what was interrupted, and gives the usable filesystem.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the log or what it applies to is damaged,
    /// [`Error::Incompatible`] when the filesystem must not be written, EROFS on a read-only
    /// device, [`Error::Io`] from the device. The log stays as it is, so recovery can be
    /// tried again.
    pub fn recover(self) -> Result<(Filesystem, RecoveryReport)> {
        if let Some(reason) = self.read_only_reason {
            return Err(Error::Incompatible(format!("the log cannot be replayed: {reason}")));
        }
        let Devices { data, .. } = &self.devices;
        let log = self.devices.log_place(&self.geo)?;
        if let Some(device) = [data, &log.device].into_iter().find(|device| device.is_read_only()) {
            let what = format!("replaying the log of {}", device.name());
            return Err(Error::os(Errno::EROFS, what));
        }
        let replayed = replay(data.as_ref(), &log, &self.geo)?;
        let mut report = RecoveryReport {
            transactions: replayed.transactions,
            items: replayed.items.clone(),
            skipped: replayed.skipped,
            ..RecoveryReport::default()
        };
        let geo = Geometry::new(&replayed.superblock.dsb)?;
        let mut log = LogWriter::new(log, replayed.ends.position());
        if let Some(size) = replayed.ends.record_size {
            log.set_record_size(size);
        }
        let mut mount = Mount::new(self.devices.data, replayed.superblock, geo, Some(log));
        mount.checkpoint_limit = self.checkpoint_limit.unwrap_or(mount.checkpoint_limit);
        crate::space::startup::init_reservations(&mut mount)?;
        for intent in &replayed.intents {
            mount.note_recovered_intent(intent.item.id(), intent.lsn);
        }
        finish_intents(&mut mount, replayed.intents, &mut report)?;
        report.unlinked = crate::inode::unlinked::process(&mut mount)?.freed;
        crate::space::refcount::recover_cow_leftovers(&mut mount)?;
        mount.checkpoint()?;
        Ok((Filesystem::from_mount(mount), report))
    }

    /// As [`Unrecovered::recover`], but in memory: the device is not changed, and what is
    /// done to the filesystem is forgotten with it.
    ///
    /// # Errors
    /// As [`Unrecovered::recover`], apart from EROFS.
    pub fn recover_in_memory(mut self) -> Result<(Filesystem, RecoveryReport)> {
        self.devices.data = overlay(self.devices.data);
        self.devices.log = self.devices.log.map(overlay);
        self.recover()
    }
}

/// Takes writes in memory.
fn overlay(device: Arc<dyn Device>) -> Arc<dyn Device> {
    Arc::new(OverlayDevice::new(device))
}

/// The order in which intents are finished, whatever their order in the log, which changes
/// when the rest of an operation is logged anew. Blocks lose their owner in the reverse
/// mapping before they are freed (finishing an EFI takes it away from whoever has it), a file
/// gives up a range before it gets other blocks there, and staged blocks stop being staged
/// before a file gets them. What a step of an attribute change or an exchange deferred comes
/// before the operation goes on.
fn rank(item: &IntentItem) -> u8 {
    match item.kind() {
        IntentKind::Rmap | IntentKind::RmapRt => 0,
        IntentKind::Bmap if unmaps(item) => 1,
        IntentKind::Refcount | IntentKind::RefcountRt => 2,
        IntentKind::ExtentFree | IntentKind::ExtentFreeRt => 3,
        IntentKind::Bmap => 4,
        IntentKind::Attr => 5,
        IntentKind::Exchange => 6,
    }
}

fn unmaps(item: &IntentItem) -> bool {
    let IntentItem::Bmap { extents, .. } = item else { return false };
    extents.iter().all(|map| map.me_flags & bmap_flags::TYPE_MASK == bmap_flags::UNMAP)
}

fn finish_intents(
    mount: &mut Mount,
    mut intents: Vec<PendingIntent>,
    report: &mut RecoveryReport,
) -> Result<()> {
    intents.sort_by_key(|intent| rank(&intent.item));
    for PendingIntent { item, .. } in intents {
        let reservation = mount.reservations.itruncate;
        // Only growing a btree takes blocks; when none are free, the work may still fit.
        let wanted = u64::from(mount.geo.max_levels.rmap + mount.geo.max_levels.bmap_data) * 4;
        let blocks = wanted.min(mount.counters.available(&mount.geo));
        let mut tp = Transaction::begin(mount, reservation, blocks)?;
        tp.finish_intent(&item)?;
        tp.commit()?;
        *report.intents.entry(item.kind()).or_default() += 1;
    }
    Ok(())
}
