//! Copying the log, or making an empty one of it.

use super::super::format::{Info, Section};
use super::{Driver, Progress, Source};
use crate::device::Device;
use crate::format::log::clean::clean_record;
use crate::format::log::{BASIC_BLOCK, Lsn, RecordHeader};
use crate::journal::{LogArea, LogEnds, find_ends};
use crate::{Error, Result};
use std::io::Write;

/// Bytes copied at a time.
const PIECE: usize = 1 << 20;
/// Bytes of each record of an empty log but the first; the first may be shorter, and zeros
/// follow up to this size.
const RECORD: u32 = 256 << 10;

/// The log's device and place; nothing if it is on a device that is not dumped.
fn place<'a>(source: &Source<'a>) -> Result<Option<(Section, &'a dyn Device, LogArea)>> {
    let geo = source.geo;
    if geo.log.start.is_some() {
        return Ok(Some((Section::Data, source.data, LogArea::internal(geo)?)));
    }
    let Some(device) = source.log else { return Ok(None) };
    Ok(Some((Section::Log, device, LogArea::external(geo)?)))
}

/// Head and tail of the log, if it is to be dumped.
pub(super) fn ends(source: &Source<'_>) -> Result<Option<LogEnds>> {
    let Some((_, device, area)) = place(source)? else { return Ok(None) };
    find_ends(device, area).map(Some)
}

impl<W: Write + Send> Driver<'_, W> {
    /// Copies the log. One that is clean is emptied, unless everything is to be copied as it is.
    pub(super) fn log(&mut self, info: &Info) -> Result<()> {
        (self.progress)(Progress::Log);
        let copier = self.copier;
        let (section, device, area) = match place(copier.source) {
            Ok(Some(found)) => found,
            Ok(None) => return Ok(()),
            Err(error @ Error::Corrupt(_)) => {
                (copier.warn)(&error.to_string());
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        if !info.dirty_log && copier.cleaner.is_active() {
            (self.progress)(Progress::EmptyLog);
            let Some(ends) = ends(copier.source)? else { return Ok(()) };
            return self.empty_log(section, &area, ends.head.cycle().saturating_add(1));
        }
        let (mut offset, end) = (area.offset, area.byte(area.blocks));
        let mut bytes = Vec::new();
        while offset < end {
            let len = (end - offset).min(PIECE as u64);
            bytes.resize(len as usize, 0);
            let daddr = offset / BASIC_BLOCK as u64;
            if copier.read(device, daddr, &mut bytes)? {
                self.serial.add(section, daddr, &bytes);
                self.write_ready()?;
            }
            offset += len;
        }
        Ok(())
    }

    /// Writes what an empty log consists of: one record that says so, with the new cycle,
    /// and records of the cycle before up to the end.
    fn empty_log(&mut self, section: Section, area: &LogArea, cycle: u32) -> Result<()> {
        let record_blocks = RECORD / BASIC_BLOCK as u32;
        let daddr = area.offset / BASIC_BLOCK as u64;
        let whole = clean_record(&area.uuid, RECORD);
        let mut start = 0;
        while start < area.blocks {
            let blocks = record_blocks.min(area.blocks - start);
            let len = blocks as usize * BASIC_BLOCK;
            let (mut bytes, at) = match start {
                0 => (clean_record(&area.uuid, area.unit), Lsn::new(cycle, 0)),
                _ if blocks == record_blocks => (whole.clone(), Lsn::new(cycle - 1, start)),
                _ => (clean_record(&area.uuid, len as u32), Lsn::new(cycle - 1, start)),
            };
            // xfsprogs lets each name the place that would be before it if all were as long.
            let size = (bytes.len() / BASIC_BLOCK) as u32;
            let end = if start == 0 { area.blocks } else { start };
            move_record(&mut bytes, at, Lsn::new(cycle - 1, end.saturating_sub(size)));
            bytes.resize(len, 0);
            self.serial.add(section, daddr + u64::from(start), &bytes);
            self.write_ready()?;
            start += blocks;
        }
        Ok(())
    }
}

/// Puts a record to `lsn`.
fn move_record(bytes: &mut [u8], lsn: Lsn, tail: Lsn) {
    for block in bytes.chunks_exact_mut(BASIC_BLOCK).skip(1) {
        for (place, byte) in block.iter_mut().zip(lsn.cycle().to_be_bytes()) {
            *place = byte;
        }
    }
    let Ok(header) =
        crate::format::overlay_mut::<RecordHeader>(bytes, "log record", crate::At::Byte(0))
    else {
        return;
    };
    header.h_cycle = lsn.cycle().into();
    header.h_lsn = lsn.0.into();
    header.h_tail_lsn = tail.0.into();
}
