//! Writing what is not a transaction: unmount records, and emptiness.

use zerocopy::{FromZeros, IntoBytes};

use super::area::{LogArea, LogBlocks, LogPlace};
use super::head::{IN_FLIGHT_BLOCKS, LogEnds, LogState, find_ends};
use crate::device::Device;
use crate::error::{Error, Result};
use crate::format::log::record::{
    CYCLE_BYTES_PER_HEADER, HeaderLayout, RECORD_MAGIC, RECORD_VERSION_2, header_blocks,
    next_cycle, previous_cycle, record_crc, stamp,
};
use crate::format::log::wire::Wire;
use crate::format::log::{
    BASIC_BLOCK, LogEndian, Lsn, OpHeader, RecordHeader, UnmountRecord, client, op_flags,
};

/// Transaction identifier that Linux gives unmount records.
const UNMOUNT_TID: u32 = 0xb0c0_d0d0;
/// Byte offset of a record header's checksum.
const CRC_OFFSET: usize = std::mem::offset_of!(RecordHeader, h_crc);
/// Blocks written at a time.
const CHUNK_BLOCKS: u32 = 2048;

/// Marks the log clean: writes an unmount record at the head and flushes the device.
/// Returns the new ends.
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn write_unmount_record(device: &dyn Device, area: LogArea, ends: &LogEnds) -> Result<LogEnds> {
    let bytes = unmount_record(&area, ends.head, ends.last_record);
    let blocks = (bytes.len() / BASIC_BLOCK) as u32;
    device.flush()?;
    write_blocks(device, &area, ends.head.block(), &bytes)?;
    device.flush()?;
    let block = area.advance(ends.head.block(), blocks);
    let wrapped = block <= ends.head.block();
    let cycle = if wrapped { next_cycle(ends.head.cycle()) } else { ends.head.cycle() };
    let head = Lsn::new(cycle, block);
    let last_record = Some(ends.head.block());
    Ok(LogEnds { head, tail: head, last_record, state: LogState::Clean, torn: None, ..*ends })
}

/// The unmount record for position `at`, stamped and summed.
fn unmount_record(area: &LogArea, at: Lsn, previous: Option<u32>) -> Vec<u8> {
    let buffer = (area.unit as usize).max(CYCLE_BYTES_PER_HEADER);
    let headers = header_blocks(buffer) * BASIC_BLOCK;
    let total = (headers + BASIC_BLOCK).next_multiple_of(area.unit as usize);
    let mut bytes = vec![0; total];
    let (header_bytes, payload) = bytes.split_at_mut(headers);
    let operation = OpHeader {
        oh_tid: UNMOUNT_TID.into(),
        oh_len: (UnmountRecord::SIZE as u32).into(),
        oh_clientid: client::LOG,
        oh_flags: op_flags::UNMOUNT,
        oh_res2: 0.into(),
    };
    let body = UnmountRecord { magic: UnmountRecord::MAGIC, ..UnmountRecord::default() };
    let operation = [operation.as_bytes(), &body.encode(LogEndian::NATIVE)].concat();
    payload[..operation.len()].copy_from_slice(&operation);
    let header = RecordHeader {
        h_len: (payload.len() as u32).into(),
        h_prev_block: previous.unwrap_or(u32::MAX).into(),
        h_num_logops: 1.into(),
        h_size: (buffer as u32).into(),
        ..blank_header(area, at.cycle(), at.block(), at)
    };
    header_bytes[..BASIC_BLOCK].copy_from_slice(header.as_bytes());
    let to_end = (area.blocks - at.block()) as usize;
    stamp(header_bytes, payload, at.cycle(), Some(to_end));
    let crc = record_crc(header_bytes, payload, HeaderLayout::Padded);
    header_bytes[CRC_OFFSET..CRC_OFFSET + 4].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// The header of an empty record.
fn blank_header(area: &LogArea, cycle: u32, block: u32, tail: Lsn) -> RecordHeader {
    RecordHeader {
        h_magicno: RECORD_MAGIC.into(),
        h_cycle: cycle.into(),
        h_version: RECORD_VERSION_2.into(),
        h_lsn: Lsn::new(cycle, block).0.into(),
        h_tail_lsn: tail.0.into(),
        h_fmt: LogEndian::NATIVE.format().into(),
        h_fs_uuid: area.uuid,
        ..RecordHeader::new_zeroed()
    }
}

/// Writes whole blocks at `block`, around the ring.
fn write_blocks(device: &dyn Device, area: &LogArea, block: u32, bytes: &[u8]) -> Result<()> {
    let to_end = (area.blocks - block) as usize * BASIC_BLOCK;
    let (first, wrapped) = bytes.split_at(to_end.min(bytes.len()));
    device.write_at(first, area.byte(block))?;
    if !wrapped.is_empty() {
        device.write_at(wrapped, area.byte(0))?;
    }
    Ok(())
}

/// Fills `count` blocks from `block` on (not around the ring) with empty records of `cycle`.
fn fill(
    device: &dyn Device,
    area: &LogArea,
    block: u32,
    count: u32,
    cycle: u32,
    tail: Lsn,
) -> Result<()> {
    let end = block + count;
    let mut at = block;
    while at < end {
        let here = CHUNK_BLOCKS.min(end - at);
        let mut bytes = Vec::with_capacity(here as usize * BASIC_BLOCK);
        for block in at..at + here {
            bytes.extend_from_slice(blank_header(area, cycle, block, tail).as_bytes());
        }
        device.write_at(&bytes, area.byte(at))?;
        at += here;
    }
    Ok(())
}

/// Overwrites what may lie ahead of the head: blocks of records that were in flight at a
/// crash and came out of order. They carry the current cycle, so a later search for the
/// head would take them for records written after it.
///
/// Must be done before a record is written behind a head that recovery found. As much is
/// overwritten as can have been in flight, up to the tail.
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn clear_stale_blocks(device: &dyn Device, area: LogArea, ends: &LogEnds) -> Result<()> {
    let (head, tail) = (ends.head, ends.tail);
    let free = area.blocks - ends.used_blocks(&area);
    if tail.cycle() != head.cycle() && tail.block() == head.block() {
        return Ok(()); // the log is full
    }
    let stale = free.min(IN_FLIGHT_BLOCKS);
    let before_end = stale.min(area.blocks - head.block());
    fill(device, &area, head.block(), before_end, previous_cycle(head.cycle()), tail)?;
    if stale > before_end {
        fill(device, &area, 0, stale - before_end, head.cycle(), tail)?;
    }
    device.flush()
}

/// Whether blocks ahead of the head carry other cycles than those of a log that was written
/// block by block. xfsprogs leaves such a log when it clears one (`uuid` of xfs_db).
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn has_stale_blocks(device: &dyn Device, area: LogArea, ends: &LogEnds) -> Result<bool> {
    let blocks = LogBlocks::new(device, area);
    let (head, free) = (ends.head, area.blocks - ends.used_blocks(&area));
    for distance in 0..free.min(IN_FLIGHT_BLOCKS) {
        let block = area.advance(head.block(), distance);
        let wrapped = block < head.block();
        let due = if wrapped { head.cycle() } else { previous_cycle(head.cycle()) };
        if blocks.cycle(block)? != due {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Throws away whatever the log holds and leaves it clean (`xfs_repair -L`).
///
/// The cycle goes on from the highest one in the log, so that no metadata block seems to
/// be newer than records still to be written.
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn zero_log(log: &LogPlace) -> Result<LogEnds> {
    let (device, area) = (log.device.as_ref(), log.area);
    let cycle = match find_ends(device, area) {
        Ok(ends) => next_cycle(ends.head.cycle()),
        Err(Error::Corrupt(_) | Error::Incompatible(_)) => next_cycle(highest_cycle(device, area)?),
        Err(error) => return Err(error),
    };
    let start = Lsn::new(cycle.max(1), 0);
    let before = previous_cycle(start.cycle());
    fill(device, &area, 0, area.blocks, before, Lsn::new(before, 0))?;
    let ends = LogEnds {
        state: LogState::Clean,
        head: start,
        tail: start,
        last_record: None,
        record_size: None,
        torn: None,
    };
    write_unmount_record(device, area, &ends)
}

/// The highest cycle of any sound record header in the log.
fn highest_cycle(device: &dyn Device, area: LogArea) -> Result<u32> {
    let blocks = LogBlocks::new(device, area);
    let mut highest = 0;
    for block in 0..area.blocks {
        if let Ok(header) = blocks.header(block) {
            highest = highest.max(header.h_cycle.get());
        }
    }
    Ok(highest)
}
