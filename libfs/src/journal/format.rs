//! Making the log anew, as `xfs_db logformat` and a change of the UUID do: whatever it holds
//! is gone, and it is clean.

use super::area::LogPlace;
use crate::Result;
use crate::device::Zeroed;
use crate::format::log::{BASIC_BLOCK, Lsn, empty_record};

/// Bytes of the largest record that Linux writes.
const LARGEST_RECORD: u32 = 256 * 1024;
/// Bytes written at a time.
const CHUNK: usize = 1 << 20;

/// What a log is to become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewLog {
    /// UUID that its records carry.
    pub uuid: [u8; 16],
    /// Cycle that its first record is of, from 1 on; the others are of the one before.
    pub cycle: u32,
    /// Bytes that records are padded to.
    pub unit: u32,
    /// Fill it with records as large as can be, not as small.
    pub large_records: bool,
}

/// Writes empty records to the whole log, and flushes the device. A log in cycle 1 has but one,
/// the rest being zeros.
///
/// The first record is written before the others, so that the log is clean at every instant.
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn format_log(place: &LogPlace, new: &NewLog) -> Result<()> {
    let unit = new.unit.max(BASIC_BLOCK as u32);
    let blocks_of = |bytes: usize| (bytes / BASIC_BLOCK) as u32;
    let first = first_record(place, new);
    let start = blocks_of(first.len());
    place.device.write_at(&first, place.area.byte(0))?;
    place.device.flush()?;
    if new.cycle <= 1 {
        zero(place, start, place.area.blocks)?;
        return place.device.flush();
    }
    let size = if new.large_records { LARGEST_RECORD.max(unit) } else { unit };
    let step = blocks_of(empty_record(&new.uuid, size, Lsn(0), Lsn(0)).len());
    let cycle = new.cycle - 1;
    let mut at = start.next_multiple_of(step);
    zero(place, start, at.min(place.area.blocks))?;
    let (mut pending, mut pending_at) = (Vec::new(), at);
    while at < place.area.blocks {
        // The last record is as short as it must be. Each names as tail where one of its size would
        // begin before it.
        let len = step.min(place.area.blocks - at);
        let (lsn, tail) = (Lsn::new(cycle, at), Lsn::new(cycle, at.saturating_sub(len)));
        let mut record = empty_record(&new.uuid, len * BASIC_BLOCK as u32, lsn, tail);
        record.truncate(len as usize * BASIC_BLOCK);
        pending.append(&mut record);
        at += len;
        if pending.len() >= CHUNK {
            place.device.write_at(&pending, place.area.byte(pending_at))?;
            pending.clear();
            pending_at = at;
        }
    }
    if !pending.is_empty() {
        place.device.write_at(&pending, place.area.byte(pending_at))?;
    }
    place.device.flush()
}

/// The record at the start of a new log; it names as tail where a record of its size would end the
/// cycle before, or itself in the first cycle.
fn first_record(place: &LogPlace, new: &NewLog) -> Vec<u8> {
    let unit = new.unit.max(BASIC_BLOCK as u32);
    let lsn = Lsn::new(new.cycle, 0);
    if new.cycle <= 1 {
        return empty_record(&new.uuid, unit, lsn, lsn);
    }
    let len = (empty_record(&new.uuid, unit, lsn, lsn).len() / BASIC_BLOCK) as u32;
    let tail = Lsn::new(new.cycle - 1, place.area.blocks.saturating_sub(len));
    empty_record(&new.uuid, unit, lsn, tail)
}

/// Zeros the blocks from `start` to `end` of the log.
fn zero(place: &LogPlace, start: u32, end: u32) -> Result<()> {
    let (mut at, end) = (place.area.byte(start), place.area.byte(end));
    if at >= end || place.device.zero_range(at, end - at)? == Zeroed::Offloaded {
        return Ok(());
    }
    while at < end {
        let len = (end - at).min(CHUNK as u64);
        place.device.write_at(&vec![0; len as usize], at)?;
        at += len;
    }
    Ok(())
}
