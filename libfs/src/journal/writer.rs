//! Writing checkpoints to the log.
//!
//! A checkpoint is one transaction as recovery sees it: a start operation, a transaction
//! header, one operation for each region of its items, and a commit operation, cut into
//! records. A record is never larger than [`RECORD_SIZE`] (or the log stripe unit), so that
//! every record between tail and head has the same number of header blocks: recovery takes
//! that number from the first record it reads.

use std::sync::Arc;

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromZeros, IntoBytes};

use super::clear::{clear_stale_blocks, has_stale_blocks};
use super::{LogArea, LogEnds, LogPlace, LogState};
use crate::device::Device;
use crate::format::log::record::{self, MAX_RECORD_SIZE};
use crate::format::log::wire::Wire;
use crate::format::log::{
    BASIC_BLOCK, LogEndian, Lsn, OpHeader, RecordHeader, TransactionHeader, UnmountRecord, client,
    op_flags,
};
use crate::{Error, Result};

/// Bytes of the buffer a record is built in, headers included, unless the log stripe unit
/// is larger: Linux's default.
const RECORD_SIZE: usize = 32 * 1024;

/// Bytes gathered before they are written to the device in one call.
const BATCH: usize = 1 << 20;

const OP_HEADER: usize = size_of::<OpHeader>();

/// The regions of a checkpoint's items, in order, each padded to four bytes.
#[derive(Debug, Default)]
pub struct Regions {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Regions {
    /// Appends one region.
    pub fn push(&mut self, region: &[u8]) {
        self.bytes.extend_from_slice(region);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        self.ends.push(self.bytes.len());
    }

    /// Appends all regions of one item.
    pub fn push_item(&mut self, regions: &[Vec<u8>]) {
        regions.iter().for_each(|region| self.push(region));
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }
}

/// Where the log's next record goes and what it says about the ones before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    /// Cycle and 512-byte block (from the start of the log) of the next record.
    pub head: Lsn,
    /// First record still needed for recovery, equal to `head` in a clean log.
    pub tail: Lsn,
    /// Block of the last record written, `None` in a fresh log.
    pub previous: Option<u32>,
}

/// The writing end of one filesystem's log.
pub struct LogWriter {
    device: Arc<dyn Device>,
    area: LogArea,
    /// Records are padded to a multiple of this many bytes.
    round_to: usize,
    record_size: usize,
    head: Lsn,
    previous: Option<u32>,
    /// Start of the last record written: what the tail is when nothing else is needed.
    last_record: Option<Lsn>,
    /// The tail that the last durable record carries. Nothing behind it is overwritten.
    published_tail: Lsn,
    next_tid: u32,
    batch: Batch,
    /// What lies ahead of the head was looked at.
    way_is_clear: bool,
}

/// Consecutive bytes of the log not yet given to the device.
#[derive(Default)]
struct Batch {
    offset: u64,
    bytes: Vec<u8>,
}

impl LogWriter {
    /// A writer that continues the log at `position`.
    pub fn new(log: LogPlace, position: LogPosition) -> Self {
        let LogPlace { device, area } = log;
        let round_to = area.unit as usize;
        Self {
            device,
            area,
            round_to,
            record_size: RECORD_SIZE.max(round_to).min(MAX_RECORD_SIZE),
            head: position.head,
            previous: position.previous,
            last_record: None,
            published_tail: position.tail,
            next_tid: 1,
            batch: Batch::default(),
            way_is_clear: false,
        }
    }

    /// Makes what was written to the log durable.
    ///
    /// # Errors
    /// [`Error::Io`] from the device.
    pub fn flush(&self) -> Result<()> {
        self.device.flush()
    }

    /// Keeps to the record size of an earlier writer whose records recovery may still have to
    /// read: it takes the number of header blocks of all records from the first of them.
    pub fn set_record_size(&mut self, bytes: u32) {
        let least = self.round_to.max(record::MIN_RECORD_SIZE);
        self.record_size = (bytes as usize).clamp(least, MAX_RECORD_SIZE);
    }

    /// Size of the log in bytes.
    pub fn size(&self) -> u64 {
        u64::from(self.area.blocks) * BASIC_BLOCK as u64
    }

    /// Bytes between the head and the published tail: what may be written before the tail
    /// has to move.
    pub fn free_bytes(&self) -> u64 {
        let (head, tail) = (self.head, self.published_tail);
        let used = if head.cycle() == tail.cycle() {
            u64::from(head.block()) - u64::from(tail.block()).min(u64::from(head.block()))
        } else {
            u64::from(self.area.blocks) - u64::from(tail.block()) + u64::from(head.block())
        };
        u64::from(self.area.blocks).saturating_sub(used) * BASIC_BLOCK as u64
    }

    /// The position of the next record.
    pub fn head(&self) -> Lsn {
        self.head
    }

    /// Bytes from `lsn` to the head.
    pub fn distance(&self, lsn: Lsn) -> u64 {
        let cycles = u64::from(self.head.cycle().wrapping_sub(lsn.cycle()));
        let blocks = cycles * u64::from(self.area.blocks) + u64::from(self.head.block());
        blocks.saturating_sub(u64::from(lsn.block())) * BASIC_BLOCK as u64
    }

    /// An upper bound of the log bytes that a checkpoint with `bytes` of regions takes.
    pub fn space_for(&self, bytes: u64, regions: u64) -> u64 {
        let stream = bytes + (regions + 3) * OP_HEADER as u64 + 16;
        let payload = self.payload_capacity() as u64 - 2 * OP_HEADER as u64;
        let records = stream.div_ceil(payload) + 1;
        stream
            + records * (self.record_size - self.payload_capacity() + OP_HEADER) as u64
            + 2 * self.round_to as u64
    }

    fn payload_capacity(&self) -> usize {
        self.record_size - record::header_blocks(self.record_size) * BASIC_BLOCK
    }

    /// Writes one checkpoint and returns the position of its first record, the LSN of all
    /// its items. `tail` is the oldest position still needed once this checkpoint is in,
    /// `None` when that is the checkpoint itself. The caller flushes before and after.
    ///
    /// # Errors
    /// [`Error::Io`] from the device; ENOSPC when the log has no room, which is a bug in the
    /// caller's accounting.
    pub fn write_checkpoint(&mut self, regions: &Regions, tail: Option<Lsn>) -> Result<Lsn> {
        let space = self.space_for(regions.bytes.len() as u64, regions.ends.len() as u64);
        if space > self.free_bytes() {
            return Err(Error::os(
                crate::Errno::ENOSPC,
                format!("the log has {} bytes free of {space} needed", self.free_bytes()),
            ));
        }
        self.clear_the_way()?;
        let start = self.head;
        let tail = tail.unwrap_or(start);
        let tid = self.next_tid;
        self.next_tid = self.next_tid.wrapping_add(1).max(1);
        let header = TransactionHeader {
            th_magic: TransactionHeader::MAGIC,
            th_type: TransactionHeader::CHECKPOINT,
            th_tid: 0,
            th_num_items: regions.ends.len() as u32,
        };
        let header = header.encode(LogEndian::NATIVE);
        let mut record = RecordBuilder::new(self.payload_capacity());
        self.append(&mut record, tid, op_flags::START, &[], tail)?;
        self.append(&mut record, tid, 0, &header, tail)?;
        for region in regions.iter() {
            self.append(&mut record, tid, 0, region, tail)?;
        }
        self.append(&mut record, tid, op_flags::COMMIT, &[], tail)?;
        self.write_record(&mut record, tail)?;
        self.send_batch()?;
        self.published_tail = tail;
        Ok(start)
    }

    /// Writes the record that marks a clean unmount; the log is then empty.
    ///
    /// # Errors
    /// [`Error::Io`] from the device.
    pub fn write_unmount(&mut self) -> Result<()> {
        self.clear_the_way()?;
        let tail = self.last_record.unwrap_or(self.head);
        let body = UnmountRecord { magic: UnmountRecord::MAGIC, pad1: 0, pad2: 0 };
        let mut record = RecordBuilder::new(self.payload_capacity());
        let body = body.encode(LogEndian::NATIVE);
        record.operation(0xb0c0_d0d0, client::LOG, op_flags::UNMOUNT, &body);
        self.write_record(&mut record, tail)?;
        self.send_batch()?;
        self.published_tail = self.head;
        Ok(())
    }

    /// Before the first record: overwrites what ahead of the head would make it look torn.
    fn clear_the_way(&mut self) -> Result<()> {
        if std::mem::replace(&mut self.way_is_clear, true) {
            return Ok(());
        }
        let ends = LogEnds {
            state: LogState::Clean,
            head: self.head,
            tail: self.published_tail,
            last_record: self.previous,
            record_size: None,
            torn: None,
        };
        if has_stale_blocks(self.device.as_ref(), self.area, &ends)? {
            clear_stale_blocks(self.device.as_ref(), self.area, &ends)?;
        }
        Ok(())
    }

    /// Adds one operation, continuing it over as many records as it needs.
    fn append(
        &mut self,
        record: &mut RecordBuilder,
        tid: u32,
        flags: u8,
        mut data: &[u8],
        tail: Lsn,
    ) -> Result<()> {
        let mut flags = flags;
        loop {
            let room = record.room();
            // A piece is at least one 32-bit word.
            if room < OP_HEADER + data.len().min(4) {
                self.write_record(record, tail)?;
                continue;
            }
            if data.len() <= room - OP_HEADER {
                if flags & op_flags::WAS_CONTINUED != 0 {
                    flags = op_flags::WAS_CONTINUED | op_flags::END;
                }
                record.operation(tid, client::TRANSACTION, flags, data);
                return Ok(());
            }
            let (piece, rest) = data.split_at((room - OP_HEADER) & !3);
            record.operation(tid, client::TRANSACTION, flags | op_flags::CONTINUE, piece);
            data = rest;
            flags = op_flags::WAS_CONTINUED;
        }
    }

    /// Completes the record (padding, headers, cycle numbers, checksum) and queues it.
    fn write_record(&mut self, builder: &mut RecordBuilder, tail: Lsn) -> Result<()> {
        if builder.operations == 0 {
            return Ok(());
        }
        let header_bytes = record::header_blocks(self.record_size) * BASIC_BLOCK;
        let total = (header_bytes + builder.payload.len()).next_multiple_of(self.round_to);
        builder.payload.resize(total - header_bytes, 0);
        let at = self.head;
        let mut header = RecordHeader::new_zeroed();
        header.h_magicno = U32::new(record::RECORD_MAGIC);
        header.h_cycle = U32::new(at.cycle());
        header.h_version = U32::new(record::RECORD_VERSION_2);
        header.h_len = U32::new(builder.payload.len() as u32);
        header.h_lsn = U64::new(at.0);
        header.h_tail_lsn = U64::new(tail.0);
        header.h_prev_block = U32::new(self.previous.unwrap_or(u32::MAX));
        header.h_num_logops = U32::new(builder.operations);
        header.h_fmt = U32::new(LogEndian::NATIVE.format());
        header.h_fs_uuid = self.area.uuid;
        header.h_size = U32::new(self.record_size as u32);
        let mut headers = vec![0; header_bytes];
        headers[..BASIC_BLOCK].copy_from_slice(header.as_bytes());
        let to_end = (self.area.blocks - at.block()) as usize;
        let wrap = (total / BASIC_BLOCK > to_end).then_some(to_end);
        record::stamp(&mut headers, &mut builder.payload, at.cycle(), wrap);
        let crc = record::record_crc(&headers, &builder.payload, record::HeaderLayout::Padded);
        headers[32..36].copy_from_slice(&crc.to_le_bytes());

        self.queue(&headers)?;
        self.queue(&builder.payload)?;
        self.previous = Some(at.block());
        self.last_record = Some(at);
        builder.clear();
        Ok(())
    }

    /// Queues bytes at the head and moves it, wrapping at the physical end of the log.
    fn queue(&mut self, bytes: &[u8]) -> Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let offset = self.area.byte(self.head.block());
            let contiguous = self.batch.offset + self.batch.bytes.len() as u64 == offset;
            if !self.batch.bytes.is_empty() && (!contiguous || self.batch.bytes.len() >= BATCH) {
                self.send_batch()?;
            }
            if self.batch.bytes.is_empty() {
                self.batch.offset = offset;
            }
            let to_end = (self.area.blocks - self.head.block()) as usize * BASIC_BLOCK;
            let (now, later) = rest.split_at(rest.len().min(to_end));
            self.batch.bytes.extend_from_slice(now);
            self.advance((now.len() / BASIC_BLOCK) as u32);
            rest = later;
        }
        Ok(())
    }

    fn advance(&mut self, blocks: u32) {
        let block = self.head.block() + blocks;
        self.head = if block >= self.area.blocks {
            Lsn::new(record::next_cycle(self.head.cycle()), block - self.area.blocks)
        } else {
            Lsn::new(self.head.cycle(), block)
        };
    }

    fn send_batch(&mut self) -> Result<()> {
        if !self.batch.bytes.is_empty() {
            self.device.write_at(&self.batch.bytes, self.batch.offset)?;
            self.batch.bytes.clear();
        }
        Ok(())
    }
}

/// The payload of the record being filled.
struct RecordBuilder {
    payload: Vec<u8>,
    operations: u32,
    capacity: usize,
}

impl RecordBuilder {
    fn new(capacity: usize) -> Self {
        Self { payload: Vec::with_capacity(capacity), operations: 0, capacity }
    }

    fn room(&self) -> usize {
        self.capacity - self.payload.len()
    }

    fn operation(&mut self, tid: u32, client: u8, flags: u8, data: &[u8]) {
        let header = OpHeader {
            oh_tid: U32::new(tid),
            oh_len: U32::new(data.len() as u32),
            oh_clientid: client,
            oh_flags: flags,
            oh_res2: U16::ZERO,
        };
        self.payload.extend_from_slice(header.as_bytes());
        self.payload.extend_from_slice(data);
        self.operations += 1;
    }

    fn clear(&mut self) {
        self.payload.clear();
        self.operations = 0;
    }
}
