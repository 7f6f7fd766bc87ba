//! What is in memory for one open filesystem.
//!
//! [`Mount`] is a plain record: the device, the geometry, the caches, the log and the
//! counters, borrowed mutably by the one transaction that may be open. The methods here
//! are the ones that involve several of its parts: reading blocks by their address,
//! checkpoints, writing back, shutting down.

use std::sync::Arc;

use zerocopy::IntoBytes;

use crate::buffer::{BufferCache, BufferId, BufferKind, Segment, WriteQueue};
use crate::device::Device;
use crate::format::features::QuotaFlags;
use crate::format::geometry::{FsBlock, Geometry};
use crate::format::log::{BufferFormat, BufferItem, LogEndian, LogItem, Lsn, blf};
use crate::format::log_reservation::Reservations;
use crate::format::superblock::{Dsb, Superblock};
use crate::inode::{Clock, Inode, InodeCache, InodeLogFlags, InodeRef, Timestamp};
use crate::journal::writer::{LogWriter, Regions};
use crate::space::PerAg;
use crate::transaction::InjectTag;
use crate::transaction::cil::{Cil, LoggedItems};
use crate::{Errno, Error, Result};

/// The superblock's counters, kept in memory and written to it when the log is quiet
/// (`sb_lazysbcount`: the AG headers hold the truth in between).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Allocated inodes.
    pub icount: u64,
    /// Free ones among them.
    pub ifree: u64,
    /// Free blocks, as the superblock counts them.
    pub fdblocks: u64,
    /// Blocks of `fdblocks` promised to open transactions and to AG reservations.
    pub reserved: u64,
}

impl Counters {
    /// Blocks a new reservation may take. Like Linux, keeps a pool back for changes that
    /// cannot know beforehand what they need, so that a full filesystem can still be emptied.
    pub fn available(&self, geo: &Geometry) -> u64 {
        let kept = self.reserved + geo.alloc_set_aside() + reserve_pool(geo);
        self.fdblocks.saturating_sub(kept)
    }
}

/// Linux's default pool: a twentieth of the filesystem, but not more than 8192 blocks.
fn reserve_pool(geo: &Geometry) -> u64 {
    (geo.data_blocks / 20).min(8192)
}

/// A checkpoint is forced when the committed items reach this share of the log.
const CHECKPOINT_SHARE: u64 = 8;

/// Everything is written back when less than this share of the log is free.
const WRITE_BACK_SHARE: u64 = 2;

/// Inodes that stay in memory between operations.
const INODES_KEPT: usize = 65_536;

/// One open filesystem.
pub struct Mount {
    /// Where it lies.
    pub device: Arc<dyn Device>,
    /// Its geometry; clone the `Arc` freely.
    pub geo: Arc<Geometry>,
    /// The superblock as read; the counters in it are stale while the filesystem is open.
    pub sb: Superblock,
    /// Log space of each kind of transaction.
    pub reservations: Reservations,
    /// Metadata blocks.
    pub buffers: BufferCache,
    /// Inodes.
    pub inodes: InodeCache,
    /// State of each allocation group.
    pub ags: Vec<PerAg>,
    /// Superblock counters.
    pub counters: Counters,
    /// Why nothing may be written any more.
    pub shutdown: Option<String>,
    pub(crate) cil: Cil,
    pub(crate) logged: LoggedItems,
    /// `None` on a filesystem that may only be read.
    pub(crate) log: Option<LogWriter>,
    /// File data, or metadata in place, was written and not flushed since.
    pub(crate) unflushed: bool,
    /// The log on the device is clean and nothing has to be written to keep it so.
    pub(crate) log_is_clean: bool,
    /// Log bytes of committed items that force a checkpoint: a share of the log, unless a
    /// test wants the steps of every chain in the log.
    pub checkpoint_limit: u64,
    /// Source of timestamps, each later than the one before.
    pub clock: Clock,
    /// The filesystem is being made: nothing is logged, and new inodes get this generation.
    making: Option<u32>,
    intent_id: u64,
    inject: Option<(InjectTag, u32)>,
}

impl Mount {
    /// The in-memory state of a filesystem whose log is clean, or that is only read
    /// (`log` is `None`).
    pub fn new(
        device: Arc<dyn Device>,
        sb: Superblock,
        geo: Geometry,
        log: Option<LogWriter>,
    ) -> Self {
        let geo = Arc::new(geo);
        let reservations = Reservations::new(&geo);
        Self {
            buffers: BufferCache::new(Arc::clone(&device), Arc::clone(&geo)),
            inodes: InodeCache::default(),
            ags: (0..geo.ag_count).map(PerAg::new).collect(),
            counters: Counters {
                icount: sb.dsb.icount.get(),
                ifree: sb.dsb.ifree.get(),
                fdblocks: sb.dsb.fdblocks.get(),
                reserved: 0,
            },
            checkpoint_limit: log.as_ref().map_or(0, LogWriter::size) / CHECKPOINT_SHARE,
            // Ids must not repeat those of an earlier session that may still lie between
            // tail and head; the head only ever moves forward.
            intent_id: log.as_ref().map_or(0, |log| log.head().0 << 8),
            device,
            geo,
            sb,
            reservations,
            shutdown: None,
            cil: Cil::default(),
            logged: LoggedItems::default(),
            log,
            unflushed: false,
            log_is_clean: false,
            clock: Clock::default(),
            making: None,
            inject: None,
        }
    }

    /// The state of a filesystem that is being made and that nobody else sees: changes are not
    /// logged, and everything made has the same time and generation. What was changed reaches
    /// the device by [`Mount::write_made`].
    pub(crate) fn for_making(
        device: Arc<dyn Device>,
        sb: Superblock,
        geo: Geometry,
        time: Timestamp,
        generation: u32,
    ) -> Self {
        let mount = Self::new(device, sb, geo, None);
        Self { clock: Clock::standing(time), making: Some(generation), ..mount }
    }

    /// The generation of new inodes, on a filesystem that is being made.
    pub(crate) fn generation_of_made(&self) -> Option<u32> {
        self.making
    }

    /// Writes what was changed on a filesystem that is being made, as never logged. What is in
    /// memory must not be changed afterwards.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, [`Error::Corrupt`] for blocks that make no sense.
    pub(crate) fn write_made(&mut self) -> Result<()> {
        let cil = std::mem::take(&mut self.cil);
        let mut buffers = cil.buffers;
        for inode in cil.inodes {
            buffers.push(crate::inode::log_item::write_back(self, inode)?);
        }
        buffers.retain(|&id| !self.buffers.buffer(id).stale);
        buffers.sort_unstable_by_key(|&id| self.buffers.buffer(id).daddr());
        buffers.dedup();
        let mut writes = WriteQueue::new(Arc::clone(&self.device));
        for id in buffers {
            self.buffers.prepare_write(id, &mut writes)?;
        }
        writes.flush()
    }

    // ---- reading ----

    /// Reads the metadata block at `daddr` (512-byte units) of `len` bytes.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, [`Error::Corrupt`] when the block is damaged.
    pub fn read_buffer(&mut self, daddr: u64, len: u32, kind: BufferKind) -> Result<BufferId> {
        self.buffers.read(daddr, len, kind)
    }

    /// Reads a metadata block that lies in several pieces.
    ///
    /// # Errors
    /// As [`Mount::read_buffer`].
    pub fn read_buffer_map(&mut self, segments: &[Segment], kind: BufferKind) -> Result<BufferId> {
        self.buffers.read_map(segments, kind)
    }

    /// Reads one filesystem block of an allocation group.
    ///
    /// # Errors
    /// As [`Mount::read_buffer`], and [`Error::Corrupt`] when there is no such block.
    pub fn read_block(&mut self, agno: u32, agbno: u32, kind: BufferKind) -> Result<BufferId> {
        if !self.geo.valid_agbno(agno, agbno) {
            let at = crate::At::AgBlock(agno, agbno);
            return Err(Error::corrupt(kind.name(), at, "there is no such block"));
        }
        self.read_buffer(self.geo.agblock_daddr(agno, agbno), self.geo.block_size, kind)
    }

    /// Reads one filesystem block.
    ///
    /// # Errors
    /// As [`Mount::read_block`].
    pub fn read_fsb(&mut self, block: FsBlock, kind: BufferKind) -> Result<BufferId> {
        let (agno, agbno) = self.geo.fsblock_parts(block);
        self.read_block(agno, agbno, kind)
    }

    /// Reads the free space header of an allocation group.
    ///
    /// # Errors
    /// As [`Mount::read_buffer`].
    pub fn read_agf(&mut self, agno: u32) -> Result<BufferId> {
        self.read_buffer(self.geo.agf_daddr(agno), self.geo.sector_size, BufferKind::Agf)
    }

    /// Reads the inode header of an allocation group.
    ///
    /// # Errors
    /// As [`Mount::read_buffer`].
    pub fn read_agi(&mut self, agno: u32) -> Result<BufferId> {
        self.read_buffer(self.geo.agi_daddr(agno), self.geo.sector_size, BufferKind::Agi)
    }

    /// Reads the free list of an allocation group.
    ///
    /// # Errors
    /// As [`Mount::read_buffer`].
    pub fn read_agfl(&mut self, agno: u32) -> Result<BufferId> {
        self.read_buffer(self.geo.agfl_daddr(agno), self.geo.sector_size, BufferKind::Agfl)
    }

    /// The content of a buffer.
    pub fn buffer(&self, id: BufferId) -> &[u8] {
        self.buffers.data(id)
    }

    /// An in-core inode.
    pub fn inode(&self, inode: InodeRef) -> &Inode {
        self.inodes.get(inode)
    }

    /// An in-core inode for changing; follow with [`crate::transaction::Transaction::log_inode`].
    pub fn inode_mut(&mut self, inode: InodeRef) -> &mut Inode {
        self.inodes.get_mut(inode)
    }

    /// Frees memory over the caches' limits. Only between operations: buffer ids and inode
    /// references may be invalid afterwards.
    pub fn trim_caches(&mut self) {
        self.buffers.trim();
        self.inodes.trim(INODES_KEPT);
    }

    /// Gives back what was taken in advance only, when there is not enough space.
    ///
    /// # Errors
    /// As giving back staged blocks.
    pub(crate) fn reclaim_space(&mut self) -> Result<()> {
        crate::file::cow::cancel_everywhere(self)
    }

    /// Writes file data. It is made durable before the next checkpoint is.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, [`Error::Shutdown`].
    pub fn write_data(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        self.prepare_data(buf.len(), offset)?;
        self.device.write_at(buf, offset)
    }

    /// As [`Mount::write_data`], by the device's own untorn write.
    ///
    /// # Errors
    /// As [`Mount::write_data`]; EOPNOTSUPP, EINVAL where the device does not promise this.
    pub fn write_data_untorn(&mut self, buf: &[u8], offset: u64) -> Result<()> {
        self.prepare_data(buf.len(), offset)?;
        self.device.write_atomic_at(buf, offset)
    }

    fn prepare_data(&mut self, len: usize, offset: u64) -> Result<()> {
        self.check_writable()?;
        self.unflushed = true;
        self.buffers.forget_range(offset / 512, (len as u64).div_ceil(512));
        Ok(())
    }

    // ---- the log ----

    /// Fails on a filesystem that is shut down or may only be read.
    ///
    /// # Errors
    /// [`Error::Shutdown`], EROFS.
    pub fn check_writable(&self) -> Result<()> {
        if let Some(why) = &self.shutdown {
            return Err(Error::Shutdown(why.clone()));
        }
        if self.log.is_none() && self.making.is_none() {
            return Err(Error::os(Errno::EROFS, "the filesystem is open for reading only"));
        }
        Ok(())
    }

    pub(crate) fn next_intent_id(&mut self) -> u64 {
        self.intent_id += 1;
        self.intent_id
    }

    /// Takes note of an intent that recovery found at `lsn`: it holds the tail until its done
    /// item is in the log, and its id is not used again.
    pub(crate) fn note_recovered_intent(&mut self, id: u64, lsn: Lsn) {
        self.logged.insert_intent(id, lsn);
        // Linux uses kernel addresses, which have the top bit set; ours count up.
        if id < 1 << 63 {
            self.intent_id = self.intent_id.max(id);
        }
    }

    fn log_size(&self) -> u64 {
        self.log.as_ref().map_or(0, LogWriter::size)
    }

    /// Log bytes the committed items and a further `bytes` would take.
    fn log_need(&self, bytes: u64) -> u64 {
        self.log.as_ref().map_or(0, |log| log.space_for(self.cil.bytes + bytes, self.cil.regions))
    }

    fn log_free(&self) -> u64 {
        self.log.as_ref().map_or(0, LogWriter::free_bytes)
    }

    /// Makes sure that a transaction logging `bytes` can be written, by a checkpoint, by
    /// writing back, and by telling the log that the tail moved.
    pub(crate) fn make_log_room(&mut self, bytes: u64) -> Result<()> {
        let size = self.log_size();
        if self.cil.bytes > self.checkpoint_limit {
            self.checkpoint()?;
            if self.log_free() < size / WRITE_BACK_SHARE {
                self.write_back()?;
            }
        }
        if self.log_need(bytes) <= self.log_free() {
            return Ok(());
        }
        self.checkpoint()?;
        self.write_back()?;
        self.publish_tail()?;
        if self.log_need(bytes) > self.log_free() {
            // Only intents of the chain that asks can still hold the tail, and they are
            // logged anew on every roll once they lie this far back.
            return Err(self.fail(Error::os(Errno::ENOSPC, "no room in the log")));
        }
        Ok(())
    }

    /// Whether something lies so far behind the head that intents there should be logged anew.
    pub(crate) fn tail_is_far(&self) -> bool {
        self.logged.tail().is_some_and(|tail| self.is_far(tail))
    }

    /// Whether the intent does.
    pub(crate) fn intent_holds_tail(&self, id: u64) -> bool {
        self.logged.intent(id).is_some_and(|lsn| self.is_far(lsn))
    }

    fn is_far(&self, lsn: Lsn) -> bool {
        self.log.as_ref().is_some_and(|log| log.distance(lsn) > log.size() / 4)
    }

    /// Writes everything committed so far to the log; durable when this returns.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, which also shuts the filesystem down.
    pub fn checkpoint(&mut self) -> Result<()> {
        self.check_writable()?;
        if self.making.is_some() {
            return Ok(());
        }
        if self.unflushed {
            self.device.flush().map_err(|e| self.fail(e))?;
            self.unflushed = false;
        }
        if self.cil.is_empty() {
            return Ok(());
        }
        self.forget_quota_check()?;
        let regions = self.encode_items();
        let tail = self.logged.tail();
        let Some(log) = &mut self.log else { return Ok(()) };
        self.log_is_clean = false;
        let written = log.write_checkpoint(&regions, tail);
        let flushed = written.and_then(|lsn| log.flush().map(|()| lsn));
        let lsn = flushed.map_err(|e| self.fail(e))?;
        self.settle_items(lsn);
        Ok(())
    }

    /// Encodes the current content of everything in the committed item list.
    fn encode_items(&self) -> Regions {
        let mut regions = Regions::default();
        for item in &self.cil.inode_creates {
            regions.push_item(&LogItem::InodeCreate(*item).encode(LogEndian::NATIVE));
        }
        for &id in &self.cil.buffers {
            self.encode_buffer(id, &mut regions);
        }
        for &inode in &self.cil.inodes {
            regions.push_item(&crate::inode::log_item::encode(self, inode));
        }
        for intent in self.cil.intents.values() {
            regions.push_item(&intent.encode());
        }
        for done in &self.cil.dones {
            regions.push_item(&done.encode());
        }
        regions
    }

    fn encode_buffer(&self, id: BufferId, regions: &mut Regions) {
        // An ordered buffer has no dirty chunk unless it was changed once more afterwards.
        let buffer = self.buffers.buffer(id);
        let mut at = 0;
        for segment in buffer.segments() {
            let end = at + segment.len as usize;
            let mut flags = if buffer.stale { blf::CANCEL } else { 0 };
            if buffer.kind() == BufferKind::InodeCluster && !buffer.stale {
                flags |= blf::INODE_BUF;
            }
            let blocks = (segment.len / 512) as u16;
            let kind = if buffer.stale { 0 } else { buffer.kind().blf_type() as u8 };
            let mut format = BufferFormat::new(segment.daddr as i64, blocks, kind, flags);
            let first = at / crate::buffer::CHUNK;
            let mut any = false;
            for chunk in first..end.div_ceil(crate::buffer::CHUNK) {
                any |= buffer.is_dirty(chunk) && format.mark(chunk - first);
            }
            if any || buffer.stale {
                let item = BufferItem::from_marked(format, &buffer.data()[at..end]);
                regions.push_item(&LogItem::Buffer(item).encode(LogEndian::NATIVE));
            }
            at = end;
        }
    }

    /// The committed items are in the log at `lsn`.
    fn settle_items(&mut self, lsn: Lsn) {
        let cil = std::mem::take(&mut self.cil);
        for id in cil.buffers {
            let buffer = self.buffers.buffer_mut(id);
            buffer.in_cil = false;
            let old = buffer.lsn;
            if buffer.stale {
                self.logged.remove(old);
                self.buffers.forget(id);
            } else {
                buffer.lsn = lsn.0;
                self.logged.relocate(old, lsn);
            }
        }
        for inode in cil.inodes {
            let state = &mut self.inodes.get_mut(inode).log;
            state.in_cil = false;
            state.lsn = lsn;
            let old = state.tail_lsn.replace(lsn);
            self.logged.relocate(old.map_or(0, |lsn| lsn.0), lsn);
        }
        for id in cil.intents.keys() {
            self.logged.insert_intent(*id, lsn);
        }
        for done in cil.dones {
            self.logged.remove_intent(done.id);
        }
        self.ags.iter_mut().for_each(PerAg::checkpoint_done);
    }

    /// Writes every logged change in place. What is not in the log yet is logged first.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, which also shuts the filesystem down.
    pub fn write_back(&mut self) -> Result<()> {
        self.checkpoint()?;
        self.write_back_logged().map_err(|e| self.fail(e))
    }

    fn write_back_logged(&mut self) -> Result<()> {
        for inode in self.inodes.all() {
            self.write_back_inode(inode)?;
        }
        let mut buffers = self.buffers.logged();
        buffers.sort_unstable_by_key(|&id| self.buffers.buffer(id).daddr());
        let mut writes = WriteQueue::new(Arc::clone(&self.device));
        for id in buffers {
            let lsn = self.buffers.buffer(id).lsn;
            self.buffers.prepare_write(id, &mut writes)?;
            self.logged.remove(lsn);
        }
        writes.flush()?;
        self.device.flush()
    }

    /// Copies a logged inode into its cluster buffer, which then has to be written instead.
    fn write_back_inode(&mut self, inode: InodeRef) -> Result<()> {
        let Some(lsn) = self.inode(inode).log.tail_lsn else { return Ok(()) };
        if !self.inode(inode).log.stale {
            let cluster = crate::inode::log_item::write_back(self, inode)?;
            let buffer = self.buffers.buffer_mut(cluster);
            if buffer.lsn == 0 {
                buffer.lsn = lsn.0;
                self.logged.relocate(0, lsn);
            }
        }
        self.logged.remove(lsn.0);
        let state = &mut self.inode_mut(inode).log;
        state.tail_lsn = None;
        state.fields = InodeLogFlags::empty();
        Ok(())
    }

    /// Writes a record that carries the present tail, so that the space behind it can be
    /// used: the superblock with the current counters, as Linux covers an idle log.
    fn publish_tail(&mut self) -> Result<()> {
        self.log_superblock()?;
        self.checkpoint()
    }

    /// Quota records are not kept up to date here. So the first checkpoint says that they have
    /// to be checked: Linux then counts anew when it mounts with quota.
    fn forget_quota_check(&mut self) -> Result<()> {
        let flags = self.sb.dsb.quota_flags();
        if !flags.intersects(QuotaFlags::CHECKED) {
            return Ok(());
        }
        self.sb.dsb.qflags = flags.difference(QuotaFlags::CHECKED).bits().into();
        self.log_superblock()
    }

    /// Puts the counters and quota flags into the superblock's buffer, and returns that.
    fn put_counters(&mut self) -> Result<BufferId> {
        let id = self.read_buffer(0, self.geo.sector_size, BufferKind::Superblock)?;
        let Counters { icount, ifree, fdblocks, .. } = self.counters;
        let data = self.buffers.data_mut(id);
        for (i, value) in [icount, ifree, fdblocks].into_iter().enumerate() {
            let offset = std::mem::offset_of!(Dsb, icount) + 8 * i;
            data[offset..offset + 8].copy_from_slice(&value.to_be_bytes());
        }
        let qflags = std::mem::offset_of!(Dsb, qflags);
        data[qflags..qflags + 2].copy_from_slice(self.sb.dsb.qflags.as_bytes());
        Ok(id)
    }

    /// Puts counters and quota flags into the superblock's buffer and lists it for the log.
    pub(crate) fn log_superblock(&mut self) -> Result<()> {
        let id = self.put_counters()?;
        let offset = std::mem::offset_of!(Dsb, icount);
        let buffer = self.buffers.buffer_mut(id);
        buffer.mark(offset..offset + 24);
        let qflags = std::mem::offset_of!(Dsb, qflags);
        buffer.mark(qflags..qflags + 2);
        if !std::mem::replace(&mut buffer.in_cil, true) {
            self.cil.add_buffer(id, 1, self.geo.sector_size as usize);
            self.cil.add_chunks(4);
        }
        Ok(())
    }

    /// Puts the counters into the superblock on the device, without logging them: whoever
    /// replays a log sums them up from the group headers, so they count only once the
    /// unmount record is there. Made durable by the flush of [`Mount::write_back`].
    fn write_counters(&mut self) -> Result<()> {
        let id = self.put_counters()?;
        let mut writes = WriteQueue::new(Arc::clone(&self.device));
        let lsn = self.buffers.buffer(id).lsn;
        self.buffers.prepare_write(id, &mut writes)?;
        self.logged.remove(lsn);
        writes.flush()
    }

    /// Writes everything in place and marks the log clean. The filesystem is then closed.
    /// When nothing was changed, nothing is written.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, [`Error::Shutdown`].
    pub fn unmount(&mut self) -> Result<()> {
        if self.log.is_none() {
            return Ok(());
        }
        self.check_writable()?;
        crate::file::cow::cancel_everywhere(self)?;
        if self.log_is_clean && self.cil.is_empty() {
            self.shutdown = Some("it is closed".into());
            return if self.unflushed { self.device.flush() } else { Ok(()) };
        }
        self.checkpoint()?;
        self.write_counters().map_err(|e| self.fail(e))?;
        self.write_back()?;
        if let Some(log) = &mut self.log {
            let written = log.write_unmount().and_then(|()| log.flush());
            written.map_err(|e| self.fail(e))?;
        }
        self.shutdown = Some("it is closed".into());
        Ok(())
    }

    /// Stops at once, as a power cut would: `write_log` decides whether what was committed
    /// in memory reaches the log first.
    ///
    /// # Errors
    /// [`Error::Io`] when writing the log fails; the filesystem is shut down all the same.
    pub fn shut_down(&mut self, write_log: bool, why: &str) -> Result<()> {
        let written = if write_log { self.checkpoint() } else { Ok(()) };
        self.shutdown.get_or_insert_with(|| why.to_string());
        written
    }

    /// Remembers that the device failed under a change and passes the error on.
    fn fail(&mut self, error: Error) -> Error {
        self.shutdown.get_or_insert_with(|| error.to_string());
        error
    }

    // ---- fault injection ----

    /// Stops the filesystem, with the log written, at the point named by `tag`, after
    /// passing it `skip` times.
    pub fn set_inject(&mut self, tag: InjectTag, skip: u32) {
        self.inject = Some((tag, skip));
    }

    /// Whether some point may be [injected](Mount::set_inject) at all.
    pub(crate) fn is_inject_set(&self) -> bool {
        self.inject.is_some()
    }

    /// Called between logging an intent and acting on it; the state is consistent.
    pub(crate) fn inject_point(&mut self, tag: InjectTag) -> Result<()> {
        match &mut self.inject {
            Some((wanted, skip)) if *wanted == tag => {
                if *skip > 0 {
                    *skip -= 1;
                    return Ok(());
                }
            }
            _ => return Ok(()),
        }
        let why = format!("stopped by inject {}", tag.name());
        self.shut_down(true, &why)?;
        Err(Error::Shutdown(why))
    }
}
