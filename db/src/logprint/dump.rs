//! Where things are in the log: its records and cycles, and its blocks as numbers.

use super::plain;
use super::ring::Ring;
use super::{Output, Stop};
use libfs::format::log::record::{RecordHeader, block_cycle};
use std::fmt::Write;
use zerocopy::FromBytes;

/// Lists the records, and the blocks where the cycle changes.
pub(super) fn records(ring: &Ring, out: &mut Output) -> Result<(), Stop> {
    let blocks = ring.blocks();
    let (mut cycle, mut since) = (u32::MAX, 0);
    for block in 0..ring.area.blocks {
        let mut text = String::new();
        if blocks.is_header(block)? {
            let bytes = blocks.read(block, 1)?;
            if let Ok((header, _)) = RecordHeader::read_from_prefix(&bytes) {
                describe(block, &header, &mut text);
            }
        }
        let found = block_cycle(&blocks.read(block, 1)?);
        if found != cycle {
            let _ = writeln!(
                text,
                "[{since:05} - {block:05}] Cycle {cycle:#010x} New Cycle {found:#010x}"
            );
            (cycle, since) = (found, block);
        }
        out.put(&text)?;
    }
    Ok(())
}

fn describe(block: u32, header: &RecordHeader, text: &mut String) {
    let tail = header.tail_lsn();
    let _ = writeln!(
        text,
        "{block:6} HEADER Cycle {} tail {}:{:06} len {:6} ops {}",
        header.h_cycle,
        tail.cycle(),
        tail.block(),
        header.h_len,
        header.h_num_logops
    );
}

/// Prints blocks as 32-bit numbers: all from block `oldest` on, around the end of the log. With
/// another `start`, from there on, and the first block not before `oldest` is the last.
pub(super) fn words(
    ring: &Ring,
    start: Option<u32>,
    oldest: u32,
    out: &mut Output,
) -> Result<(), Stop> {
    let blocks = ring.blocks();
    let (mut block, mut wrapped) = (start.unwrap_or(oldest), false);
    loop {
        if block >= ring.area.blocks {
            (block, wrapped) = (0, true);
            out.put(plain::PHYSICAL_END)?;
        }
        if start.is_none() && wrapped && block >= oldest {
            break;
        }
        let mut text = format!("BLKNO: {block}\n");
        numbers(&blocks.read(block, 1)?, &mut text);
        out.put(&text)?;
        block += 1;
        if start.is_some() && wrapped && block >= oldest {
            break;
        }
    }
    out.put(plain::LOGICAL_END)
}

/// Bytes as 32-bit numbers of this machine, eight to a line.
pub(super) fn numbers(bytes: &[u8], text: &mut String) {
    for (line, bytes) in bytes.chunks(32).enumerate() {
        let _ = write!(text, "{:2x}: ", line * 8);
        for word in bytes.chunks(4) {
            let mut number = [0; 4];
            number.iter_mut().zip(word).for_each(|(place, byte)| *place = *byte);
            let _ = write!(text, "{:08x} ", u32::from_ne_bytes(number));
        }
        if bytes.len() == 32 {
            text.push('\n');
        }
    }
    text.push('\n');
}
