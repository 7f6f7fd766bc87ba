//! The blocks of the log, wherever they are.

use super::Stop;
use super::options::Options;
use anyhow::{Context, Result, anyhow};
use libfs::device::{Device, FileDevice};
use libfs::format::geometry::Geometry;
use libfs::format::log::BASIC_BLOCK;
use libfs::format::log::record::RECORD_MAGIC;
use libfs::format::superblock::Superblock;
use libfs::journal::LogArea;
use libfs::journal::area::LogBlocks;
use std::fmt::Write as _;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// A log, and what is said of the devices it was found by.
pub(super) struct Ring {
    device: FileDevice,
    pub(super) area: LogArea,
    data_number: u64,
    log_name: LogName,
}

/// How the log's device is named.
enum LogName {
    Number(u64),
    File(String),
}

/// What a regular file has for a device number.
const NO_NUMBER: u64 = u64::MAX;

impl Ring {
    /// Opens what the options name.
    pub(super) fn open(options: &Options) -> Result<Self, Stop> {
        let path = options.device.as_deref().context("no device")?;
        let log = options.log_device.as_deref();
        if let Some(log) = log.filter(|log| !log.exists()) {
            return Err(cannot_open(log).into());
        }
        if options.file && !path.exists() {
            return Err(cannot_open(path).into());
        }
        let data_number = device_number(path)?;
        let device = FileDevice::open_read_only(path)?;
        if options.file {
            let device = match log {
                Some(log) => FileDevice::open_read_only(log)?,
                None => device,
            };
            let area = copied_area(&device)?;
            let log_name = log_name(log, data_number)?;
            return Ok(Ring { device, area, data_number, log_name });
        }
        let mut sector = vec![0; 4096];
        device.read_at(&mut sector, 0)?;
        let geo = Geometry::new(&Superblock::decode(&sector)?.dsb)?;
        let log_name = log_name(log, data_number)?;
        let (device, area) = match (geo.log.start, log) {
            (Some(_), None) => (device, LogArea::internal(&geo)?),
            (_, Some(log)) => (FileDevice::open_read_only(log)?, LogArea::external(&geo)?),
            (None, None) => {
                let message = format!("    external log device not specified\n\n{}", super::USAGE);
                return Err(anyhow!(message).into());
            }
        };
        Ok(Ring { device, area, data_number, log_name })
    }

    /// The lines that say where the log is.
    pub(super) fn describe(&self) -> String {
        let mut text = format!("    data device: {:#x}\n", self.data_number);
        let place = format!(
            "daddr: {} length: {}\n\n",
            self.area.offset / BASIC_BLOCK as u64,
            self.area.blocks
        );
        _ = match &self.log_name {
            LogName::Number(number) => write!(text, "    log device: {number:#x} {place}"),
            LogName::File(name) => write!(text, "    log file: \"{name}\" {place}"),
        };
        text
    }

    /// The device that the log is on.
    pub(super) fn device(&self) -> &dyn Device {
        &self.device
    }

    /// A reader of its blocks.
    pub(super) fn blocks(&self) -> LogBlocks<'_> {
        LogBlocks::new(&self.device, self.area)
    }

    /// Copies all of it to a new file.
    pub(super) fn copy_to(&self, path: &Path) -> Result<(), Stop> {
        const CHUNK: u32 = 2048;
        let mut file = File::create(path).map_err(|error| anyhow!("open: {}", plain(&error)))?;
        let blocks = self.blocks();
        for first in (0..self.area.blocks).step_by(CHUNK as usize) {
            let count = CHUNK.min(self.area.blocks - first);
            file.write_all(&blocks.read(first, count)?)
                .map_err(|error| anyhow!("write: {}", plain(&error)))?;
        }
        Ok(())
    }
}

/// A number as C's atoi reads it: the digits in front, 0 without any.
pub(super) fn number(text: &str) -> u32 {
    let digits = text.trim_start();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits.get(..end).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// All of a file is the log. The UUID that its records carry has to be taken from them.
fn copied_area(device: &dyn Device) -> Result<LogArea> {
    let blocks =
        u32::try_from(device.size() / BASIC_BLOCK as u64).context("the log is too large")?;
    let mut area = LogArea { offset: 0, blocks, uuid: [0; 16], unit: BASIC_BLOCK as u32 };
    if blocks == 0 {
        return Err(anyhow!("xfs_logprint: can't determine device size"));
    }
    let ring = LogBlocks::new(device, area);
    for block in 0..blocks {
        let bytes = ring.read(block, 1)?;
        let uuid = bytes.get(304..320).and_then(|uuid| uuid.first_chunk::<16>());
        if let Some(uuid) = uuid.filter(|uuid| **uuid != [0; 16])
            && bytes.starts_with(&RECORD_MAGIC.to_be_bytes())
        {
            area.uuid = *uuid;
            break;
        }
    }
    Ok(area)
}

fn log_name(log: Option<&Path>, data_number: u64) -> Result<LogName> {
    let Some(path) = log else { return Ok(LogName::Number(data_number)) };
    Ok(match device_number(path)? {
        NO_NUMBER => LogName::File(path.display().to_string()),
        number => LogName::Number(number),
    })
}

/// Device number of a block device.
fn device_number(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path)
        .map_err(|error| anyhow!("{}: {}", path.display(), plain(&error)))?;
    Ok(if metadata.file_type().is_block_device() { metadata.rdev() } else { NO_NUMBER })
}

fn cannot_open(path: &Path) -> anyhow::Error {
    anyhow!("xfs_logprint: cannot open {}: No such file or directory", path.display())
}

/// The system's words alone.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}
