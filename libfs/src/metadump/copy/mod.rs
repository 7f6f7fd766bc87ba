//! Making a dump: all metadata is read, changed as the options say, and written, in an order
//! that does not depend on threads.
//!
//! The driver walks the trees of one allocation group after the other and cuts inode chunks
//! and large forks into units. A window of units is read and changed by all threads at once,
//! while the window before is written. Nothing is trusted and nothing has to be sound: what
//! makes no sense is told to `warn` and copied, but not followed.

mod clean;
mod groups;
mod inode;
mod log;
mod trees;
mod units;

use self::clean::{Cleaner, LOST_AND_FOUND};
use self::units::{Output, Unit};
use super::format::{Info, Section, Version};
use super::obfuscate::{Key, Obfuscator};
use super::writer::Writer;
use crate::device::Device;
use crate::format::dir::shortform::ShortForm;
use crate::format::geometry::{DADDR_LOG, Fork, Geometry, INODES_PER_CHUNK, Ino};
use crate::format::inode::{Dinode, ForkFormat};
use crate::journal::LogState;
use crate::scan::{Entry, Inode, Scanner};
use crate::{Error, Result};
use rayon::prelude::*;
use std::io::Write;

/// Bytes that a window of units reads, about.
const WINDOW: u64 = 2 << 20;

/// What a dump is made of.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The data device.
    pub data: &'a dyn Device,
    /// The external log, if there is one. Only version 2 holds it.
    pub log: Option<&'a dyn Device>,
    /// The realtime device, if there is one. Only version 2 holds its superblock.
    pub realtime: Option<&'a dyn Device>,
    /// The filesystem's geometry.
    pub geo: &'a Geometry,
}

/// How a dump is made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The format.
    pub version: Version,
    /// Replaces names and values.
    pub obfuscate: Option<Key>,
    /// Copies bytes too that are not in use.
    pub full_blocks: bool,
    /// Most blocks of an extent of metadata that is believed.
    pub max_extent: u64,
    /// Ends with an error where the device cannot be read, instead of leaving that out.
    pub stop_on_read_error: bool,
}

/// How far a dump is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The trees of this group are being copied.
    Trees(u32),
    /// So many inodes were copied, and inode trees of so many groups.
    Inodes(u64, u32),
    /// The log is being copied.
    Log,
    /// It is clean, and is being replaced by an empty one.
    EmptyLog,
}

/// Who is told how it goes.
pub struct Listener<'a> {
    /// Told how far it is, now and then.
    pub progress: &'a mut (dyn FnMut(Progress) + Send),
    /// Told what makes no sense or cannot be read.
    pub warn: &'a (dyn Fn(&str) + Sync),
}

impl Source<'_> {
    /// Whether there is something on the realtime device to be dumped.
    pub fn has_realtime_metadata(&self) -> bool {
        let section = &self.geo.realtime;
        self.realtime.is_some() && section.has_groups && !section.is_internal()
    }
}

/// Whether the log holds changes. One that is missing or makes no sense counts as dirty.
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn log_is_dirty(source: &Source<'_>) -> Result<bool> {
    match log::ends(source) {
        Ok(ends) => Ok(ends.is_none_or(|ends| ends.state == LogState::Dirty)),
        Err(Error::Corrupt(_) | Error::Incompatible(_)) => Ok(true),
        Err(error) => Err(error),
    }
}

/// Writes a dump of `source` to `output`, and returns that.
///
/// # Errors
///
/// An error is returned if the output fails, or the first superblock cannot be read; for
/// anything else that cannot be read only as the options say.
pub fn dump<W: Write + Send>(
    source: &Source<'_>,
    options: &Options,
    output: W,
    listener: Listener<'_>,
) -> Result<W> {
    let is_v2 = options.version == Version::V2;
    let info = Info {
        version: options.version,
        has_flags: true,
        obfuscated: options.obfuscate.is_some(),
        full_blocks: options.full_blocks,
        dirty_log: log_is_dirty(source)?,
        external_log: is_v2 && source.log.is_some(),
        realtime: is_v2 && source.has_realtime_metadata(),
    };
    let cleaner = Cleaner {
        geo: source.geo,
        zero_stale: !options.full_blocks,
        obfuscator: options.obfuscate.map(Obfuscator::new),
        lost_and_found: options.obfuscate.and_then(|_| lost_and_found(source)),
    };
    let copier = Copier { source, options, cleaner, warn: listener.warn };
    let mut driver = Driver {
        copier: &copier,
        writer: Writer::new(output, info),
        progress: listener.progress,
        window: Vec::new(),
        weight: 0,
        ready: Vec::new(),
        serial: Output::default(),
        large: Vec::new(),
        inodes: 0,
    };
    for agno in 0..source.geo.ag_count {
        driver.group(agno)?;
    }
    driver.realtime_superblock()?;
    driver.log(&info)?;
    driver.run()?;
    driver.write_ready()?;
    driver.writer.finish()
}

/// The inode of the directory of found files, if the root directory has one and can be read.
fn lost_and_found(source: &Source<'_>) -> Option<Ino> {
    let geo = source.geo;
    let (daddr, len, offset) = geo.inode_buffer(geo.root_ino, None);
    let mut buffer = vec![0; len];
    let scanner = Scanner::new(source.data, geo).on_damage(&|_| {});
    scanner.read(daddr, &mut buffer).ok()?;
    let bytes = buffer.get(offset..offset.checked_add(geo.inode.size as usize)?)?;
    let core = Dinode::view(bytes, geo.root_ino).ok()?;
    let mut found = None;
    if core.fork_format(Fork::Data) == Some(ForkFormat::Local) {
        let space = core.data_fork(bytes);
        let names =
            ShortForm::decode(space, core.size.get(), geo.features.ftype, geo.root_ino).ok()?;
        return names.entries.iter().find(|e| e.name == LOST_AND_FOUND).map(|entry| entry.ino);
    }
    let root = Inode { ino: geo.root_ino, core, bytes };
    let mut visit = |entry: Entry<'_>| {
        if entry.name == LOST_AND_FOUND {
            found = Some(entry.ino);
        }
        Ok(())
    };
    scanner.entries(&root, &mut visit).ok()?;
    found
}

/// What all threads share.
struct Copier<'a> {
    source: &'a Source<'a>,
    options: &'a Options,
    cleaner: Cleaner<'a>,
    warn: &'a (dyn Fn(&str) + Sync),
}

impl Copier<'_> {
    /// Reads; `false` if that failed and the options say to go on.
    fn read(&self, device: &dyn Device, daddr: u64, bytes: &mut [u8]) -> Result<bool> {
        let offset = daddr.saturating_mul(1 << DADDR_LOG);
        match device.read_at(bytes, offset) {
            Ok(()) => Ok(true),
            Err(error) if self.options.stop_on_read_error => Err(error),
            Err(error) => {
                (self.warn)(&error.to_string());
                Ok(false)
            }
        }
    }
}

/// What goes through the filesystem.
struct Driver<'a, W> {
    copier: &'a Copier<'a>,
    writer: Writer<W>,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    /// Units that were not looked at yet.
    window: Vec<Unit>,
    /// Bytes that they have, about.
    weight: u64,
    /// What the window before became.
    ready: Vec<Output>,
    /// What the driver reads itself.
    serial: Output,
    /// Inodes with forks that are too large to be copied with their chunk.
    large: Vec<(Ino, Vec<u8>)>,
    inodes: u64,
}

impl<W: Write + Send> Driver<'_, W> {
    /// Adds a unit of about so many bytes.
    fn push(&mut self, unit: Unit, weight: u64) -> Result<()> {
        self.window.push(unit);
        self.weight = self.weight.saturating_add(weight);
        if self.weight >= WINDOW { self.run() } else { Ok(()) }
    }

    /// Looks at the units in the window, and writes meanwhile what the last ones became.
    fn run(&mut self) -> Result<()> {
        let (copier, window) = (self.copier, std::mem::take(&mut self.window));
        let look = || window.par_iter().map(|unit| copier.unit(unit)).collect::<Result<Vec<_>>>();
        let (written, found) = rayon::join(|| self.write_ready(), look);
        written?;
        self.ready = found?;
        self.window = window;
        self.window.clear();
        self.weight = 0;
        for output in &mut self.ready {
            self.large.append(&mut output.large);
            self.inodes += output.inodes;
        }
        Ok(())
    }

    fn write_ready(&mut self) -> Result<()> {
        for output in self.ready.drain(..) {
            output.write(&mut self.writer)?;
        }
        self.write_serial()
    }

    /// Writes what the driver itself read.
    fn write_serial(&mut self) -> Result<()> {
        let output = std::mem::take(&mut self.serial);
        output.write(&mut self.writer)?;
        self.serial = output.emptied();
        Ok(())
    }

    /// Copies the forks that were put off.
    fn run_large(&mut self) -> Result<()> {
        while let Some((ino, bytes)) = self.large.pop() {
            self.large_inode(ino, &bytes)?;
        }
        Ok(())
    }

    fn show_inodes(&mut self, groups: u32) {
        (self.progress)(Progress::Inodes(self.inodes, groups));
    }
}

/// Weight of an inode chunk.
fn chunk_weight(geo: &Geometry) -> u64 {
    u64::from(INODES_PER_CHUNK) << geo.inode.size_log
}

/// Adds the superblock of the realtime section.
impl<W: Write + Send> Driver<'_, W> {
    fn realtime_superblock(&mut self) -> Result<()> {
        let geo = self.copier.source.geo;
        let Some(device) = self.copier.source.realtime else { return Ok(()) };
        if !self.copier.source.has_realtime_metadata() {
            return Ok(());
        }
        let mut bytes = vec![0; geo.block_size as usize];
        if self.copier.read(device, 0, &mut bytes)? {
            groups::hide_label(&self.copier.cleaner, &mut bytes, groups::Labelled::Realtime);
            self.serial.add(Section::Realtime, 0, &bytes);
        }
        Ok(())
    }
}
