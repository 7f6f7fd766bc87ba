//! The view by records: from the oldest to the newest, each with its operations.

use super::dump;
use super::operations::{BadData, Printer};
use super::options::Options;
use super::ring::Ring;
use super::{Output, Stop};
use anyhow::anyhow;
use libfs::format::log::BASIC_BLOCK;
use libfs::format::log::LogEndian;
use libfs::format::log::record::{
    CYCLE_WORDS_PER_HEADER, ExtendedHeader, MAX_RECORD_SIZE, RECORD_MAGIC, RecordHeader,
    block_cycle, header_blocks, unstamp,
};
use libfs::journal::area::LogBlocks;
use std::fmt::Write;
use zerocopy::FromBytes;

/// The line between records.
pub(super) const RULE: &str =
    "============================================================================\n";
/// What is said where the blocks end.
pub(super) const PHYSICAL_END: &str = "\
xfs_logprint: physical end of log
============================================================================
";
/// What is said behind the newest record.
pub(super) const LOGICAL_END: &str = "\
xfs_logprint: logical end of log
============================================================================
";
const TILDES: &str = "~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~";
const STARS: &str = "**********************************************************************\n";

/// What lies at a block where a record could begin.
enum Here {
    Record(Box<RecordHeader>),
    /// A header that recovery wrote so that nothing old is taken for new, with its cycle.
    Cleared(u32),
    /// Never written.
    Zeroed,
    /// Neither of them; what is taken for a cycle number.
    Other(u32),
}

fn look(blocks: &LogBlocks<'_>, block: u32) -> Result<Here, Stop> {
    let bytes = blocks.read(block, 1)?;
    let word = |at: usize| {
        bytes.get(at..).and_then(|word| word.first_chunk().copied()).map(u32::from_be_bytes)
    };
    let Ok((header, _)) = RecordHeader::read_from_prefix(&bytes) else { return Ok(Here::Zeroed) };
    Ok(match word(0) {
        Some(0) => Here::Zeroed,
        Some(RECORD_MAGIC) if header.h_len.get() == 0 && header.h_num_logops.get() == 0 => {
            Here::Cleared(header.h_cycle.get())
        }
        Some(RECORD_MAGIC) => Here::Record(Box::new(header)),
        first => Here::Other(first.unwrap_or(0)),
    })
}

/// Prints all records, from `start` on or from the oldest.
pub(super) fn print(
    ring: &Ring,
    options: &Options,
    start: Option<u32>,
    out: &mut Output,
) -> Result<(), Stop> {
    let blocks = ring.blocks();
    let oldest = oldest_block(&blocks)?;
    if options.data {
        return dump::words(ring, start, oldest, out);
    }
    let mut walk = Walk {
        blocks: &blocks,
        options,
        printer: Printer::default(),
        at: start.unwrap_or(oldest),
        end: oldest,
        chosen: start.is_some(),
        zeroed: 0,
        cleared: 0,
        first_cleared: 0,
        behind_cleared: 0,
        wrapped: false,
        printed: false,
    };
    walk.run(out)
}

/// The block where the cycle of the last pass ends: what follows is older, or was never
/// written. Block 0 if there has been no more than one pass.
fn oldest_block(blocks: &LogBlocks<'_>) -> Result<u32, Stop> {
    let ring = blocks.area().blocks;
    let (first, last) = (blocks.cycle(0)?, blocks.cycle(ring - 1)?);
    if first == last || last == 0 {
        return Ok(0);
    }
    let (mut before, mut at) = (0, ring - 1);
    while at - before > 1 {
        let middle = before + (at - before) / 2;
        if blocks.cycle(middle)? == last { at = middle } else { before = middle }
    }
    Ok(at)
}

struct Walk<'a> {
    blocks: &'a LogBlocks<'a>,
    options: &'a Options,
    printer: Printer,
    at: u32,
    /// The oldest block, where the newest record ends.
    end: u32,
    /// Whether the start was chosen: then a record is printed in any case, and the first that
    /// ends behind the newest one's end is the last.
    chosen: bool,
    /// Blocks that were never written, just passed.
    zeroed: u32,
    /// Blocks that recovery cleared, and the first of them.
    cleared: u32,
    first_cleared: u32,
    /// The block behind the last of them.
    behind_cleared: u32,
    /// Whether the end of the ring was passed.
    wrapped: bool,
    /// Whether a record was printed; before the first, the rest of an older one is skipped.
    printed: bool,
}

impl Walk<'_> {
    fn run(&mut self, out: &mut Output) -> Result<(), Stop> {
        let ring = self.blocks.area().blocks;
        loop {
            if self.wrapped && self.at >= self.end && (self.printed || !self.chosen) {
                break;
            }
            let mut text = String::new();
            match look(self.blocks, self.at)? {
                Here::Zeroed if !self.wrapped => self.pass_zeroed(&mut text)?,
                Here::Cleared(_) if !self.wrapped => self.pass_cleared(),
                Here::Other(_) if !self.printed && !self.wrapped => self.at += 1,
                Here::Zeroed => self.bad_header(0, &mut text, out)?,
                Here::Cleared(cycle) => self.bad_header(cycle, &mut text, out)?,
                Here::Other(first) => {
                    if !self.wrapped {
                        let _ = writeln!(text, "Header {first:#x} wanted {RECORD_MAGIC:#x}");
                    }
                    self.after_zeroed(&mut text, out)?;
                    self.bad_header(first, &mut text, out)?;
                }
                Here::Record(header) => {
                    describe(&header, self.options.overwritten, &mut text);
                    self.printed = true;
                    self.after_zeroed(&mut text, out)?;
                    let printed = self.record(&header, &mut text);
                    out.put(&text)?;
                    text.clear();
                    match printed? {
                        Ok(()) if self.chosen && !self.wrapped && self.at >= self.end => break,
                        Ok(()) => out.put(RULE)?,
                        Err(BadData(_)) if self.options.go_on => {}
                        Err(BadData(message)) => return Err(anyhow!(message).into()),
                    }
                }
            }
            out.put(&text)?;
            if self.at >= ring && !self.wrapped {
                let mut text = String::new();
                self.end_of_cleared(&mut text);
                text.push_str(self.physical_end());
                self.at -= ring;
                out.put(&text)?;
            }
        }
        out.put(LOGICAL_END)
    }

    /// Complains of what is no header. Behind the end of the ring there must be one: what was
    /// never written lies before it.
    fn bad_header(&mut self, cycle: u32, text: &mut String, out: &mut Output) -> Result<(), Stop> {
        stars(&format!("header cycle={cycle:<11} block={:<28}", self.at), text);
        if !self.options.go_on {
            out.put(text)?;
            return Err(anyhow!("Bad log record header").into());
        }
        self.at += 1;
        Ok(())
    }

    /// The end of the ring, between two records.
    fn physical_end(&mut self) -> &'static str {
        self.wrapped = true;
        PHYSICAL_END
    }

    /// Passes blocks that were never written. There is nothing behind them but the end of the
    /// log.
    fn pass_zeroed(&mut self, text: &mut String) -> Result<(), Stop> {
        let (first, ring) = (self.at, self.blocks.area().blocks);
        self.end_of_cleared(text);
        while self.at < ring && matches!(look(self.blocks, self.at)?, Here::Zeroed) {
            self.at += 1;
        }
        self.zeroed = self.at - first;
        if self.at == ring {
            skipped("zeroed", first, self.zeroed, text);
            self.zeroed = 0;
        }
        Ok(())
    }

    /// Complains of what follows blocks that were never written.
    fn after_zeroed(&mut self, text: &mut String, out: &mut Output) -> Result<(), Stop> {
        let count = std::mem::take(&mut self.zeroed);
        if count == 0 {
            return Ok(());
        }
        let _ = writeln!(text, "xfs_logprint: after {count} zeroed blocks");
        stars(&format!("found data after zeroed blocks block={:<22}", self.at), text);
        if self.options.go_on {
            return Ok(());
        }
        out.put(text)?;
        Err(anyhow!("Bad log - data after zeroed blocks").into())
    }

    /// Passes a block that recovery cleared. They are counted until zeroes follow.
    fn pass_cleared(&mut self) {
        if self.cleared == 0 {
            self.first_cleared = self.at;
        }
        self.cleared += 1;
        self.at += 1;
        self.behind_cleared = self.at;
    }

    /// Tells of cleared blocks if they reach to here; what was told or passed before counts, too.
    fn end_of_cleared(&mut self, text: &mut String) {
        if self.cleared > 0 && self.behind_cleared == self.at {
            skipped("cleared", self.first_cleared, self.cleared, text);
        }
    }

    /// Prints the record that begins here, but for its first header.
    fn record(
        &mut self,
        header: &RecordHeader,
        text: &mut String,
    ) -> Result<Result<(), BadData>, Stop> {
        let ring = self.blocks.area().blocks;
        let headers = header_blocks(header.h_size.get() as usize);
        let (headers, payload) = (headers as u32, header.payload_blocks() as u32);
        if payload as usize > MAX_RECORD_SIZE / BASIC_BLOCK || headers > 8 {
            return Ok(Err(BadData("Bad log record header".into())));
        }
        let bytes = self.blocks.read(self.at, headers + payload)?;
        let (header_bytes, data) = bytes.split_at(headers as usize * BASIC_BLOCK);
        extended(header_bytes, payload as usize, self.options.overwritten, text);
        let mut data = data.to_vec();
        for (index, block) in data.chunks(BASIC_BLOCK).enumerate() {
            let at = self.at + headers + index as u32;
            if at == ring {
                text.push_str(RULE);
                text.push_str(self.physical_end());
            }
            let cycle = block_cycle(block);
            let expected = header.h_cycle.get() + u32::from(at >= ring);
            if cycle != expected {
                stars(&format!("data block={:<49}", self.at), text);
                self.at += 1;
                return Ok(Err(BadData("Bad data in log".into())));
            }
        }
        unstamp(header_bytes, &mut data);
        self.at += headers + payload;
        if self.at > ring {
            self.at -= ring;
        }
        let endian = header.endian().unwrap_or(LogEndian::NATIVE);
        let length = data.len().min(header.h_len.get() as usize);
        let operations = header.h_num_logops.get();
        let data = data.get(..length).unwrap_or_default();
        let printed = self.printer.record(data, operations, endian, self.options, text);
        Ok(printed)
    }
}

fn skipped(kind: &str, first: u32, count: u32, text: &mut String) {
    let last = u64::from(first) + u64::from(count) - 1;
    let _ =
        writeln!(text, "xfs_logprint: skipped {count} {kind} blocks in range: {first} - {last}");
}

/// What is wrong, where it cannot be overlooked.
fn stars(what: &str, text: &mut String) {
    let _ = write!(text, "{STARS}* ERROR: {what} *\n{STARS}");
}

/// The lines for a record's header.
fn describe(header: &RecordHeader, overwritten: bool, text: &mut String) {
    let _ = writeln!(
        text,
        "cycle: {}\tversion: {}\t\tlsn: {},{}\ttail_lsn: {},{}",
        header.h_cycle,
        header.h_version,
        header.lsn().cycle(),
        header.lsn().block(),
        header.tail_lsn().cycle(),
        header.tail_lsn().block()
    );
    let _ = writeln!(
        text,
        "length of Log Record: {}\tprev offset: {}\t\tnum ops: {}",
        header.h_len,
        header.h_prev_block.get() as i32,
        header.h_num_logops
    );
    if overwritten {
        let count = header.payload_blocks().min(CYCLE_WORDS_PER_HEADER);
        text.push_str("cycle num overwrites: ");
        words(&header.h_cycle_data, count, text);
    }
    let format = match header.h_fmt.get() {
        0 => "unknown".to_owned(),
        1 => "little endian linux".to_owned(),
        2 => "big endian linux".to_owned(),
        3 => "big endian irix".to_owned(),
        _ => "????".to_owned(),
    };
    let uuid = uuid::Uuid::from_bytes(header.h_fs_uuid);
    let _ = writeln!(text, "uuid: {uuid}   format: {format}\nh_size: {}", header.h_size);
}

fn words(data: &[[u8; 4]], count: usize, text: &mut String) {
    for (index, word) in data.iter().take(count).enumerate() {
        let _ = write!(text, "{index} - {:#x}  ", u32::from_be_bytes(*word));
    }
    text.push('\n');
}

/// The lines for the headers behind the first; the record has `payload` blocks of data.
fn extended(headers: &[u8], payload: usize, overwritten: bool, text: &mut String) {
    for (index, block) in headers.chunks_exact(BASIC_BLOCK).skip(1).enumerate() {
        let Ok((header, _)) = ExtendedHeader::read_from_prefix(block) else { continue };
        let _ = writeln!(text, "{TILDES}\nextended-header: cycle: {}", header.xh_cycle);
        if overwritten {
            let before = (index + 1) * CYCLE_WORDS_PER_HEADER;
            let count = payload.saturating_sub(before).min(CYCLE_WORDS_PER_HEADER);
            text.push_str("cycle num overwrites: ");
            words(&header.xh_cycle_data, count, text);
        }
    }
}
