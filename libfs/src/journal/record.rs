//! One record of the log, checked; and walking from record to record.

use zerocopy::FromBytes;

use super::area::LogBlocks;
use crate::error::{At, Error, Result};
use crate::format::log::record::{
    CYCLE_BYTES_PER_HEADER, MAX_RECORD_SIZE, RECORD_MAGIC, RECORD_VERSION_2, crc_matches,
    header_blocks, stored_crc, unstamp,
};
use crate::format::log::{BASIC_BLOCK, LogEndian, Lsn, OpHeader, RecordHeader};

/// A record whose header was found sound.
#[derive(Debug, Clone)]
pub struct Record {
    /// Block of the log where it begins.
    pub block: u32,
    /// Its header.
    pub header: RecordHeader,
    /// Number of header blocks.
    pub header_blocks: u32,
    /// Byte order of the items in it.
    pub endian: LogEndian,
    /// Its operations, with the words that cycle numbers displaced put back.
    pub payload: Vec<u8>,
    /// What the checksum says.
    pub crc: CrcState,
}

/// What a record's checksum says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrcState {
    /// It fits.
    Good,
    /// There is none: mkfs and other tools leave it zero.
    Absent,
    /// It does not fit: the record was torn or damaged.
    Bad,
}

/// One operation of a record.
#[derive(Debug, Clone, Copy)]
pub struct Operation<'a> {
    /// Transaction.
    pub tid: u32,
    /// Who wrote it.
    pub client: u8,
    /// What it is: see [`crate::format::log::op_flags`].
    pub flags: u8,
    /// Its data.
    pub data: &'a [u8],
}

impl Record {
    /// Blocks it takes, headers included.
    pub fn blocks(&self) -> u32 {
        self.header_blocks + self.header.payload_blocks() as u32
    }

    /// Its position.
    pub fn lsn(&self) -> Lsn {
        self.header.lsn()
    }

    /// Its operations, in order.
    pub fn operations(&self) -> impl Iterator<Item = Result<Operation<'_>>> {
        let mut rest = self.payload.as_slice();
        let mut left = self.header.h_num_logops.get();
        std::iter::from_fn(move || {
            if left == 0 || rest.is_empty() {
                return None;
            }
            left -= 1;
            let next = self.next_operation(rest);
            match &next {
                Ok((_, after)) => rest = after,
                Err(_) => left = 0,
            }
            Some(next.map(|(operation, _)| operation))
        })
    }

    fn next_operation<'a>(&self, bytes: &'a [u8]) -> Result<(Operation<'a>, &'a [u8])> {
        let Ok((header, rest)) = OpHeader::ref_from_prefix(bytes) else {
            return Err(self.corrupt("the payload ends inside an operation header"));
        };
        let len = header.oh_len.get() as usize;
        let Some((data, rest)) = rest.split_at_checked(len) else {
            let why = format!("an operation of {len} bytes with {} left", rest.len());
            return Err(self.corrupt(why));
        };
        let (client, flags) = (header.oh_clientid, header.oh_flags);
        Ok((Operation { tid: header.oh_tid.get(), client, flags, data }, rest))
    }

    /// The record is damaged: `why`.
    pub fn corrupt(&self, why: impl Into<String>) -> Error {
        corrupt(self.lsn(), why)
    }
}

fn corrupt(lsn: Lsn, why: impl Into<String>) -> Error {
    Error::corrupt("log record", At::Lsn(lsn.cycle(), lsn.block()), why)
}

impl LogBlocks<'_> {
    /// Reads the record header at `block` and checks everything but the checksum.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if there is no record header, or one that does not belong
    /// here; [`Error::Incompatible`] if the items' byte order is not known.
    pub fn header(&self, block: u32) -> Result<RecordHeader> {
        let bytes = self.read(block, 1)?;
        let (header, _) = RecordHeader::read_from_prefix(&bytes)
            .map_err(|_| corrupt(Lsn::new(0, block), "too short"))?;
        self.check_header(block, &header)?;
        Ok(header)
    }

    fn check_header(&self, block: u32, header: &RecordHeader) -> Result<()> {
        let here = Lsn::new(header.h_cycle.get(), block);
        let check = |holds: bool, why: &dyn Fn() -> String| match holds {
            true => Ok(()),
            false => Err(corrupt(here, why())),
        };
        let magic = header.h_magicno.get();
        check(magic == RECORD_MAGIC, &|| format!("magic {magic:#x}"))?;
        let version = header.h_version.get();
        check(version == RECORD_VERSION_2, &|| format!("version {version}"))?;
        check(header.lsn().block() == block, &|| format!("it says it is at {}", header.lsn()))?;
        let uuid = header.h_fs_uuid;
        check(uuid == self.area().uuid || uuid == [0; 16], &|| {
            format!("it belongs to filesystem {}", uuid::Uuid::from_bytes(uuid))
        })?;
        let (len, size) = (header.h_len.get() as usize, buffer_size(header));
        check((1..=size).contains(&len) && size <= MAX_RECORD_SIZE, &|| {
            format!("{len} bytes of payload in a buffer of {size}")
        })?;
        let blocks = record_blocks(header);
        check(blocks <= self.area().blocks, &|| format!("{blocks} blocks"))?;
        match header.endian() {
            Some(_) => Ok(()),
            None => Err(Error::Incompatible(format!(
                "the log record at {here} was written by a system of unknown byte order ({})",
                header.h_fmt
            ))),
        }
    }

    /// Reads the record at `block`.
    ///
    /// # Errors
    ///
    /// As for [`LogBlocks::header`]; a bad checksum is no error but [`CrcState::Bad`].
    pub fn record(&self, block: u32) -> Result<Record> {
        let header = self.header(block)?;
        let endian = header.endian().unwrap_or(LogEndian::NATIVE);
        let headers = header_blocks(buffer_size(&header));
        let all = self.read(block, (headers + header.payload_blocks()) as u32)?;
        let (header_bytes, payload) = all.split_at(headers * BASIC_BLOCK);
        let len = header.h_len.get() as usize;
        let mut payload = payload.get(..len).unwrap_or(payload).to_vec();
        let crc = match stored_crc(header_bytes) {
            Some(0) => CrcState::Absent,
            _ if crc_matches(header_bytes, &payload) => CrcState::Good,
            _ => CrcState::Bad,
        };
        unstamp(header_bytes, &mut payload);
        Ok(Record { block, header, header_blocks: headers as u32, endian, payload, crc })
    }

    /// Last block before `head` (and not before `limit`, around the ring) that begins a
    /// record, or `None`. Blocks are searched backwards from `head`, `head` excluded;
    /// with `limit` the same as `head` all of the ring is searched.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn last_header_before(&self, head: u32, limit: u32) -> Result<Option<u32>> {
        let ring = self.area().blocks;
        let span = match self.area().distance(limit % ring, head % ring) {
            0 => ring,
            span => span,
        };
        for back in 1..=span {
            let block = self.area().advance(head, ring - back);
            if self.is_header(block)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }

    /// First block from `from` on, before `head`, that begins a record.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn first_header_from(&self, from: u32, head: u32) -> Result<Option<u32>> {
        let span = self.area().distance(from, head);
        for ahead in 0..span {
            let block = self.area().advance(from, ahead);
            if self.is_header(block)? {
                return Ok(Some(block));
            }
        }
        Ok(None)
    }
}

/// Blocks of the record with this header, header blocks included.
pub(super) fn record_blocks(header: &RecordHeader) -> u32 {
    (header_blocks(buffer_size(header)) + header.payload_blocks()) as u32
}

/// Bytes of the buffer a record was built in.
///
/// Some versions of mkfs wrote an unmount record longer than the buffer it claims to be
/// from; such a record, of a single operation, has one header block all the same.
fn buffer_size(header: &RecordHeader) -> usize {
    let (len, size) = (header.h_len.get() as usize, header.h_size.get() as usize);
    if len > size && len <= CYCLE_BYTES_PER_HEADER && header.h_num_logops.get() == 1 {
        return CYCLE_BYTES_PER_HEADER;
    }
    size
}

/// Walks the records from the tail to the head.
pub struct RecordReader<'a> {
    blocks: &'a LogBlocks<'a>,
    next: u32,
    left: u32,
    failed: bool,
}

impl<'a> RecordReader<'a> {
    /// The records from block `tail` up to block `head`. With both the same there are none.
    pub fn new(blocks: &'a LogBlocks<'a>, tail: u32, head: u32) -> Self {
        let area = blocks.area();
        let (tail, head) = (tail % area.blocks, head % area.blocks);
        RecordReader { blocks, next: tail, left: area.distance(tail, head), failed: false }
    }

    /// Where the next record has to begin.
    pub fn position(&self) -> u32 {
        self.next
    }

    fn read(&mut self) -> Result<Record> {
        let record = self.blocks.record(self.next)?;
        let blocks = record.blocks();
        if blocks > self.left {
            return Err(record.corrupt(format!("{blocks} blocks, {} before the head", self.left)));
        }
        self.left -= blocks;
        self.next = self.blocks.area().advance(self.next, blocks);
        Ok(record)
    }
}

impl Iterator for RecordReader<'_> {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.left == 0 || self.failed {
            return None;
        }
        let record = self.read();
        self.failed = record.is_err();
        Some(record)
    }
}
