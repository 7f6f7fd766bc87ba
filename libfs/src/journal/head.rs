//! Where the log begins and ends.
//!
//! The head is found by cycle numbers alone: from block 0 on the blocks carry one cycle,
//! from the head on the cycle before it. Up to eight record buffers are written at a
//! time and in any order, so the 2 MiB before that place may have holes; the first hole
//! is the head. Then the last records are checked by their checksums, and a torn one
//! moves the head back in front of it.
//!
//! A crash may also have torn records at the tail: when the log is full, records that
//! were still being written may overwrite it. If such damage is no further from the head
//! than buffers could have been in flight, the tail has moved past it; else the log is
//! corrupt.

use super::area::{LogArea, LogBlocks};
use super::record::{CrcState, Record, RecordReader, record_blocks};
use super::writer::LogPosition;
use crate::device::Device;
use crate::error::{At, Error, Result};
use crate::format::log::record::{MAX_RECORD_BUFFERS, MAX_RECORD_SIZE, next_cycle, previous_cycle};
use crate::format::log::{BASIC_BLOCK, Lsn, op_flags};

/// Blocks that may have been in flight at the head: eight buffers of 256 KiB.
pub(super) const IN_FLIGHT_BLOCKS: u32 =
    (MAX_RECORD_BUFFERS * MAX_RECORD_SIZE / BASIC_BLOCK) as u32;

/// Whether the log has to be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogState {
    /// The filesystem was unmounted, or never used.
    Clean,
    /// Records from the tail to the head have to be replayed.
    Dirty,
}

/// Both ends of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEnds {
    /// Whether there is anything to replay.
    pub state: LogState,
    /// Where the next record goes, and the cycle it gets.
    pub head: Lsn,
    /// The first record that recovery needs; the head, if the log is clean.
    pub tail: Lsn,
    /// Block of the last record before the head, which the next one names; `None` in a
    /// log that was never written.
    pub last_record: Option<u32>,
    /// Bytes of the buffer that the last record was built in (`h_size`). Linux takes the
    /// number of header blocks of every record from the first one it replays, so as long
    /// as the tail is among old records, new ones must have as many.
    pub record_size: Option<u32>,
    /// Block of the first torn record, if the head was moved back because of one.
    pub torn: Option<u32>,
}

impl LogEnds {
    /// What a log of zeroes has.
    const FRESH: LogEnds = LogEnds {
        state: LogState::Clean,
        head: Lsn::new(1, 0),
        tail: Lsn::new(1, 0),
        last_record: None,
        record_size: None,
        torn: None,
    };

    /// Where the writer goes on.
    pub fn position(&self) -> LogPosition {
        LogPosition { head: self.head, tail: self.tail, previous: self.last_record }
    }

    /// Blocks from the tail to the head.
    pub fn used_blocks(&self, area: &LogArea) -> u32 {
        area.distance(self.tail.block(), self.head.block())
    }
}

/// Finds head and tail of the log at `area` of `device`, and whether it is clean.
///
/// # Errors
///
/// [`Error::Corrupt`] if no consistent head and tail can be found, [`Error::Incompatible`]
/// if the log is not one this code can read, [`Error::Io`] if the device fails.
pub fn find_ends(device: &dyn Device, area: LogArea) -> Result<LogEnds> {
    let blocks = LogBlocks::new(device, area);
    let Some(head) = head_by_cycles(&blocks)? else {
        return Ok(LogEnds::FRESH);
    };
    let ends = ends_at(&blocks, head)?;
    if ends.state == LogState::Clean {
        return Ok(ends);
    }
    let ends = match first_torn(&blocks, &ends)? {
        Some(torn) => LogEnds { torn: Some(torn), ..ends_at(&blocks, torn)? },
        None => ends,
    };
    if ends.state == LogState::Clean {
        return Ok(ends);
    }
    verify_tail(&blocks, ends)
}

fn corrupt(block: u32, why: impl Into<String>) -> Error {
    Error::corrupt("log", At::Lsn(0, block), why)
}

/// A run of blocks in the order they were written, and the older cycle that a block of
/// it has if its write never happened.
struct Span {
    from: u32,
    to: u32,
    stale: u32,
}

/// The head as the cycle numbers tell it, cut back to the end of the last whole record;
/// `None` for a log that was never written.
fn head_by_cycles(blocks: &LogBlocks<'_>) -> Result<Option<u32>> {
    let ring = blocks.area().blocks;
    let (first, last) = (blocks.cycle(0)?, blocks.cycle(ring - 1)?);
    if first == 0 {
        return Ok(None);
    }
    let edge = if first == last { ring } else { first_block_of(blocks, last)? };
    let mut head = edge;
    for span in in_flight_spans(ring, edge, first, last) {
        let hole = (span.from..span.to).map(|block| Ok((block, blocks.cycle(block)?)));
        let mut hole = hole.skip_while(|cycle: &Result<_>| {
            cycle.as_ref().is_ok_and(|&(_, cycle)| cycle != span.stale)
        });
        if let Some(found) = hole.next() {
            head = found?.0;
            break;
        }
    }
    cut_to_record(blocks, head, first != last && last != 0).map(Some)
}

/// First block with cycle `cycle`, which the last block has and the first has not.
fn first_block_of(blocks: &LogBlocks<'_>, cycle: u32) -> Result<u32> {
    let (mut before, mut at) = (0, blocks.area().blocks - 1);
    while at - before > 1 {
        let middle = before + (at - before) / 2;
        if blocks.cycle(middle)? == cycle { at = middle } else { before = middle }
    }
    Ok(at)
}

/// What may have been in flight before the cycles change at `edge`, oldest first.
fn in_flight_spans(ring: u32, edge: u32, first: u32, last: u32) -> Vec<Span> {
    let window = IN_FLIGHT_BLOCKS.min(ring);
    let before_edge = Span {
        from: edge.saturating_sub(window),
        to: edge,
        stale: if first == last { previous_cycle(last) } else { last },
    };
    // Behind block 0 lies the end of the ring, in the cycle before; if it is all zeroes
    // this is the first pass and nothing lies behind.
    if edge >= window || last == 0 || first == last {
        return vec![before_edge];
    }
    let behind = window - edge;
    let end = Span { from: (ring - behind).max(edge), to: ring, stale: previous_cycle(last) };
    vec![end, before_edge]
}

/// If the blocks before `head` are the beginning of a record that goes on beyond it, the
/// record was not written whole, and the head is where it begins.
fn cut_to_record(blocks: &LogBlocks<'_>, head: u32, wraps: bool) -> Result<u32> {
    let ring = blocks.area().blocks;
    let reach = (MAX_RECORD_SIZE / BASIC_BLOCK) as u32 + 8;
    let reach = if wraps { reach.min(ring) } else { reach.min(head) };
    for back in 1..=reach {
        let block = (head % ring + ring - back % ring) % ring;
        if blocks.is_header(block)? {
            let fits = match blocks.header(block) {
                Ok(header) => record_blocks(&header) == back,
                Err(Error::Corrupt(_)) => false,
                Err(error) => return Err(error),
            };
            return Ok(if fits { head % ring } else { block });
        }
    }
    Err(corrupt(head % ring, "no record ends at the head"))
}

/// The ends of a log whose head is at block `head`, by the record before it.
fn ends_at(blocks: &LogBlocks<'_>, head: u32) -> Result<LogEnds> {
    let Some(block) = blocks.last_header_before(head, head)? else {
        return Err(corrupt(head, "there is no record before the head"));
    };
    let record = blocks.record(block)?;
    let cycle = record.header.h_cycle.get();
    // A record that begins behind the end of the ring, as seen from the head, was begun
    // in the cycle before.
    let cycle = if block >= head { next_cycle(cycle) } else { cycle };
    let head = Lsn::new(cycle, head);
    let record_size = Some(record.header.h_size.get());
    if is_unmount(&record)? && blocks.area().advance(block, record.blocks()) == head.block() {
        return Ok(LogEnds {
            state: LogState::Clean,
            head,
            tail: head,
            last_record: Some(block),
            record_size,
            torn: None,
        });
    }
    let tail = record.header.tail_lsn();
    check_tail(blocks.area(), head, tail)?;
    Ok(LogEnds {
        state: LogState::Dirty,
        head,
        tail,
        last_record: Some(block),
        record_size,
        torn: None,
    })
}

/// The tail is in the ring, before the head, and no more than one pass before it.
fn check_tail(area: &LogArea, head: Lsn, tail: Lsn) -> Result<()> {
    let same_pass = tail.cycle() == head.cycle() && tail.block() < head.block();
    let pass_before = next_cycle(tail.cycle()) == head.cycle() && tail.block() >= head.block();
    if tail.block() < area.blocks && (same_pass || pass_before) {
        return Ok(());
    }
    Err(corrupt(head.block(), format!("the tail is at {tail} and the head at {head}")))
}

fn is_unmount(record: &Record) -> Result<bool> {
    if record.header.h_num_logops.get() != 1 {
        return Ok(false);
    }
    let first = record.operations().next().transpose()?;
    Ok(first.is_some_and(|operation| operation.flags & op_flags::UNMOUNT != 0))
}

/// The first of the last eight records before the head that is torn.
fn first_torn(blocks: &LogBlocks<'_>, ends: &LogEnds) -> Result<Option<u32>> {
    let (tail, head) = (ends.tail.block(), ends.head.block());
    let mut from = head;
    for _ in 0..MAX_RECORD_BUFFERS {
        match blocks.last_header_before(from, tail)? {
            Some(block) => from = block,
            None => break,
        }
        if from == tail {
            break;
        }
    }
    match first_bad(blocks, from, head) {
        Bad::None => Ok(None),
        Bad::Torn(block) => Ok(Some(block)),
        Bad::Failed(error) => Err(error),
    }
}

enum Bad {
    None,
    Torn(u32),
    Failed(Error),
}

/// The first record from `tail` to `head` that is not whole, by checksum or structure.
fn first_bad(blocks: &LogBlocks<'_>, tail: u32, head: u32) -> Bad {
    let mut records = RecordReader::new(blocks, tail, head);
    loop {
        let at = records.position();
        match records.next() {
            None => return Bad::None,
            Some(Ok(record)) if record.crc == CrcState::Bad => return Bad::Torn(at),
            Some(Ok(_)) => {}
            Some(Err(Error::Corrupt(_))) => return Bad::Torn(at),
            Some(Err(error)) => return Bad::Failed(error),
        }
    }
}

/// Checks every record from the tail on, and moves the tail past damage that writes at
/// the head may have done.
fn verify_tail(blocks: &LogBlocks<'_>, mut ends: LogEnds) -> Result<LogEnds> {
    let head = ends.head.block();
    let area = *blocks.area();
    let in_flight = match ends.last_record {
        Some(block) => blocks.header(block)?.h_size.get() / BASIC_BLOCK as u32,
        None => 0,
    };
    let in_flight = in_flight.saturating_mul(MAX_RECORD_BUFFERS as u32);
    let mut from = ends.tail.block();
    if !blocks.is_header(from)? {
        from = next_header(blocks, from, head)?;
    }
    loop {
        let bad = match first_bad(blocks, from, head) {
            Bad::None => break,
            Bad::Torn(bad) => bad,
            Bad::Failed(error) => return Err(error),
        };
        if area.distance(head, bad) > in_flight {
            return Err(corrupt(bad, "a record between tail and head is damaged"));
        }
        from = next_header(blocks, area.advance(bad, 1), head)?;
    }
    if from != ends.tail.block() {
        let cycle = blocks.header(from)?.h_cycle.get();
        ends.tail = Lsn::new(cycle, from);
    }
    Ok(ends)
}

fn next_header(blocks: &LogBlocks<'_>, from: u32, head: u32) -> Result<u32> {
    blocks
        .first_header_from(from, head)?
        .ok_or_else(|| corrupt(from, "there is no record between tail and head"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::MemoryDevice;
    use crate::journal::clear::{clear_stale_blocks, write_unmount_record};

    const AREA: LogArea = LogArea { offset: 4096, blocks: 10_000, uuid: [7; 16], unit: 512 };

    fn device() -> MemoryDevice {
        MemoryDevice::new(AREA.byte(AREA.blocks))
    }

    /// A log whose last record is an unmount record that ends at block `head`.
    fn unmounted_at(head: u32, cycle: u32) -> (MemoryDevice, LogEnds) {
        let device = device();
        let block = AREA.advance(head, AREA.blocks - 2);
        for at in 0..AREA.blocks {
            // In a first pass nothing lies beyond the head; blocks before it are records.
            let old = at >= block && at >= 2;
            let number = if old { cycle - 1 } else { cycle };
            let mut bytes = [0; BASIC_BLOCK];
            bytes[..4].copy_from_slice(&number.to_be_bytes());
            device.write_at(&bytes, AREA.byte(at)).unwrap();
        }
        let ends = LogEnds { head: Lsn::new(cycle, block), ..LogEnds::FRESH };
        let written = write_unmount_record(&device, AREA, &ends).unwrap();
        (device, written)
    }

    #[test]
    fn zeroes_are_a_log_that_was_never_written() {
        assert_eq!(find_ends(&device(), AREA).unwrap(), LogEnds::FRESH);
    }

    /// As mkfs.xfs 7.2 leaves it: `xfs_logprint -t` says tail 2, head 2, clean.
    #[test]
    fn the_first_unmount_record_ends_at_block_2() {
        let device = device();
        write_unmount_record(&device, AREA, &LogEnds::FRESH).unwrap();
        let ends = find_ends(&device, AREA).unwrap();
        assert_eq!(
            (ends.state, ends.head, ends.tail),
            (LogState::Clean, Lsn::new(1, 2), ends.head)
        );
        assert_eq!(ends.last_record, Some(0));
    }

    #[test]
    fn the_head_is_found_anywhere_in_the_ring() {
        for head in [2, 3, 77, 4095, 4097, 5000, 9_999] {
            let (device, written) = unmounted_at(head, 5);
            let ends = find_ends(&device, AREA).unwrap();
            assert_eq!(ends.head, Lsn::new(5, head));
            assert_eq!((ends.state, ends.head), (LogState::Clean, written.head));
        }
    }

    #[test]
    fn a_head_at_the_end_of_the_ring_is_block_0_of_the_next_pass() {
        let (device, written) = unmounted_at(0, 5);
        let ends = find_ends(&device, AREA).unwrap();
        assert_eq!(ends.head, Lsn::new(6, 0));
        assert_eq!(written.head, ends.head);
    }

    #[test]
    fn blocks_written_out_of_order_ahead_of_the_head_do_not_count_once_cleared() {
        let (device, written) = unmounted_at(3000, 5);
        // A record of this pass that lies behind one that was never written.
        let ahead = LogEnds { head: Lsn::new(5, 3010), ..written };
        write_unmount_record(&device, AREA, &ahead).unwrap();
        assert_eq!(find_ends(&device, AREA).unwrap().head, Lsn::new(5, 3000), "a hole ends it");
        clear_stale_blocks(&device, AREA, &written).unwrap();
        let cycle = LogBlocks::new(&device, AREA).cycle(3010).unwrap();
        assert_eq!(cycle, 4);
        assert_eq!(find_ends(&device, AREA).unwrap().head, Lsn::new(5, 3000));
    }

    #[test]
    fn stale_blocks_are_cleared_around_the_end_of_the_ring() {
        let (device, written) = unmounted_at(9_000, 5);
        clear_stale_blocks(&device, AREA, &written).unwrap();
        let blocks = LogBlocks::new(&device, AREA);
        assert_eq!(blocks.cycle(9_500).unwrap(), 4);
        assert!(blocks.header(9_500).is_err(), "its length is 0");
        assert_eq!(blocks.cycle(100).unwrap(), 5);
        assert!(blocks.is_header(100).unwrap() && !blocks.is_header(3_200).unwrap());
        assert_eq!(find_ends(&device, AREA).unwrap().head, Lsn::new(5, 9_000));
    }

    #[test]
    fn tails_beyond_a_pass_from_the_head_are_refused() {
        let check = |head, tail| check_tail(&AREA, head, tail).is_ok();
        assert!(check(Lsn::new(5, 10), Lsn::new(5, 9)));
        assert!(check(Lsn::new(5, 10), Lsn::new(4, 10)));
        assert!(!check(Lsn::new(5, 10), Lsn::new(5, 10)));
        assert!(!check(Lsn::new(5, 10), Lsn::new(4, 9)));
        assert!(!check(Lsn::new(5, 10), Lsn::new(3, 11)));
        assert!(!check(Lsn::new(5, 10), Lsn::new(4, 10_000)));
    }
}
