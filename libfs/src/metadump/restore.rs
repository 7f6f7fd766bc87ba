//! Making a filesystem of a dump again.

use super::format::Section;
use super::reader::{Place, Reader};
use crate::device::Device;
use crate::format::superblock::{self, Dsb};
use crate::{Error, Result};
use std::io::Read;

/// Neighbouring pieces are written together, up to about this many bytes.
const RUN: usize = 1 << 20;
/// Zeros are left out in units of this many bytes where the target reads as zeros anyway.
const HOLE: usize = 4096;
/// Byte of the superblock that says that the filesystem is not complete.
const IN_PROGRESS: usize = std::mem::offset_of!(Dsb, inprogress);

/// Where a section of a dump is restored to.
pub struct Target<'d> {
    /// The device, as large as the section.
    pub device: &'d dyn Device,
    /// It reads as zeros: what is zero need not be written.
    pub is_blank: bool,
}

/// The devices that a dump is restored to.
pub struct Targets<'d> {
    /// The data device.
    pub data: Target<'d>,
    /// The external log.
    pub log: Option<Target<'d>>,
    /// The realtime device.
    pub realtime: Option<Target<'d>>,
}

impl<'d> Targets<'d> {
    fn of(&self, section: Section) -> Option<&Target<'d>> {
        match section {
            Section::Data => Some(&self.data),
            Section::Log => self.log.as_ref(),
            Section::Realtime => self.realtime.as_ref(),
        }
    }
}

/// How large the parts of the filesystem in a dump are, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// The data device.
    pub data: u64,
    /// The log.
    pub log: u64,
    /// The realtime device.
    pub realtime: u64,
}

impl Sizes {
    /// The sizes that the superblock at the start of a dump tells. Nothing else is required
    /// of it: a dump is restored whatever is wrong with its filesystem.
    fn of(sector: &[u8]) -> Result<Self> {
        let refuse = |why: String| Error::Incompatible(why);
        let wrong_magic = || refuse("bad magic number for primary superblock".into());
        let sb = Dsb::view(sector).map_err(|_| wrong_magic())?;
        if sb.magicnum.get() != superblock::MAGIC {
            return Err(wrong_magic());
        }
        let sector_size = sb.sectsize.get();
        if sector_size < 512 || !sector_size.is_power_of_two() {
            return Err(refuse(format!("bad sector size {sector_size} in metadump image")));
        }
        let bytes = |blocks: u64| {
            let bytes = blocks.checked_mul(sb.blocksize.get().into());
            bytes.ok_or_else(|| refuse(format!("a size of {blocks} blocks is impossible")))
        };
        // A realtime section may lie behind the data on the same device.
        let (data, realtime) = match sb.rtstart.get() {
            0 => (sb.dblocks.get(), sb.rblocks.get()),
            start => (start.saturating_add(sb.rblocks.get()), 0),
        };
        Ok(Sizes {
            data: bytes(data)?,
            log: bytes(sb.logblocks.get().into())?,
            realtime: bytes(realtime)?,
        })
    }
}

/// A dump that is about to be restored.
pub struct Restore<R> {
    reader: Reader<R>,
    sizes: Sizes,
    /// The first piece.
    superblock: Vec<u8>,
}

impl<R: Read> Restore<R> {
    /// Reads the start of the dump.
    ///
    /// # Errors
    ///
    /// An error is returned if the dump cannot be read (see [`Reader`]) or does not start
    /// with a superblock.
    pub fn new(mut reader: Reader<R>) -> Result<Self> {
        let first = reader.next_piece()?.map(|(_, bytes)| bytes.to_vec());
        let superblock = first.unwrap_or_default();
        Ok(Restore { sizes: Sizes::of(&superblock)?, superblock, reader })
    }

    /// The sizes that the targets must have.
    pub fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// Restores everything; `progress` is called with the bytes read so far, often.
    ///
    /// Until the end, the superblock says that the filesystem is not complete. The devices
    /// are not flushed.
    ///
    /// # Errors
    ///
    /// An error is returned if the dump cannot be read, holds something for a device that is
    /// not among the targets, or a device fails.
    pub fn run(mut self, targets: Targets<'_>, progress: &mut dyn FnMut(u64)) -> Result<()> {
        let mut done = self.superblock.len() as u64;
        mark(&mut self.superblock, 1);
        let data = targets.data.device;
        data.write_at(&self.superblock, 0)?;
        let place = Place { section: Section::Data, offset: 0 };
        let mut writer = Writer { targets, place, run: Vec::with_capacity(RUN) };
        while let Some((place, bytes)) = self.reader.next_piece()? {
            writer.add(place, bytes)?;
            done = done.saturating_add(bytes.len() as u64);
            progress(done);
        }
        writer.flush()?;
        mark(&mut self.superblock, 0);
        data.write_at(&self.superblock, 0)
    }
}

fn mark(superblock: &mut [u8], in_progress: u8) {
    if let Some(byte) = superblock.get_mut(IN_PROGRESS) {
        *byte = in_progress;
    }
}

/// Puts pieces together that belong together.
struct Writer<'d> {
    targets: Targets<'d>,
    /// Where the run starts.
    place: Place,
    run: Vec<u8>,
}

impl Writer<'_> {
    fn add(&mut self, place: Place, bytes: &[u8]) -> Result<()> {
        let end = self.place.offset.saturating_add(self.run.len() as u64);
        let follows = place.section == self.place.section && place.offset == end;
        if !follows || self.run.len() + bytes.len() > RUN {
            self.flush()?;
            self.place = place;
        }
        self.run.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.run.is_empty() {
            return Ok(());
        }
        let section = self.place.section;
        let target = self.targets.of(section).ok_or_else(|| {
            Error::Incompatible(format!(
                "the dump holds something for {section:?}, which is missing"
            ))
        })?;
        if target.is_blank {
            write_around_holes(target.device, &self.run, self.place.offset)?;
        } else {
            target.device.write_at(&self.run, self.place.offset)?;
        }
        self.run.clear();
        Ok(())
    }
}

/// Writes `bytes` at `offset` without the zeros.
fn write_around_holes(device: &dyn Device, bytes: &[u8], offset: u64) -> Result<()> {
    let write = |from: usize, to: usize| match bytes.get(from..to) {
        Some(part) if from < to => device.write_at(part, offset.saturating_add(from as u64)),
        _ => Ok(()),
    };
    let mut start = 0;
    for (index, unit) in bytes.chunks(HOLE).enumerate() {
        if unit.iter().all(|&byte| byte == 0) {
            write(start, index * HOLE)?;
            start = index * HOLE + unit.len();
        }
    }
    write(start, bytes.len())
}
