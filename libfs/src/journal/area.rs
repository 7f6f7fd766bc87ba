//! The ring of blocks that the log is.

use std::cell::RefCell;
use std::sync::Arc;

use crate::device::Device;
use crate::error::{At, Error, Result};
use crate::format::geometry::Geometry;
use crate::format::log::BASIC_BLOCK;
use crate::format::log::record::block_cycle;

/// Where the log lies on its device, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogArea {
    /// Byte offset of its first block on the device.
    pub offset: u64,
    /// Length in 512-byte blocks.
    pub blocks: u32,
    /// UUID that its records carry.
    pub uuid: [u8; 16],
    /// Bytes that records are padded to: the log stripe unit, or one block.
    pub unit: u32,
}

impl LogArea {
    /// The internal log of a filesystem.
    ///
    /// # Errors
    ///
    /// [`Error::Incompatible`] if the log is on a device of its own; [`Error::Corrupt`]
    /// if it is outside the filesystem or too large to be addressed.
    pub fn internal(geo: &Geometry) -> Result<Self> {
        let Some(start) = geo.log.start else {
            return Err(Error::Incompatible("the log is on a device of its own".into()));
        };
        let (agno, agbno) = geo.fsblock_parts(start);
        let fits = agno < geo.ag_count
            && agbno.checked_add(geo.log.blocks).is_some_and(|end| end <= geo.ag_size(agno));
        if !fits {
            let why = format!("{} blocks at AG {agno} block {agbno}", geo.log.blocks);
            return Err(Error::corrupt("log", At::Daddr(geo.fsblock_daddr(start)), why));
        }
        Self::at(geo.fsblock_byte(start), geo)
    }

    /// The log of a filesystem when it has a device of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Corrupt`] if it is too large to be addressed.
    pub fn external(geo: &Geometry) -> Result<Self> {
        Self::at(0, geo)
    }

    fn at(offset: u64, geo: &Geometry) -> Result<Self> {
        let blocks = u64::from(geo.log.blocks) * u64::from(geo.block_size) / BASIC_BLOCK as u64;
        // Linux keeps log positions in signed 32-bit numbers.
        let blocks = u32::try_from(blocks).ok().filter(|&b| b > 0 && b <= i32::MAX as u32);
        let Some(blocks) = blocks else {
            let why = format!("a length of {} filesystem blocks", geo.log.blocks);
            return Err(Error::corrupt("log", At::Daddr(offset / BASIC_BLOCK as u64), why));
        };
        let unit = geo.log.stripe_unit.max(BASIC_BLOCK as u32);
        Ok(LogArea { offset, blocks, uuid: geo.uuid, unit })
    }

    /// The block `by` blocks after `block`, around the ring.
    pub fn advance(&self, block: u32, by: u32) -> u32 {
        ((u64::from(block) + u64::from(by)) % u64::from(self.blocks)) as u32
    }

    /// How many blocks after `from` the block `to` comes, around the ring.
    pub fn distance(&self, from: u32, to: u32) -> u32 {
        if to >= from { to - from } else { self.blocks - from + to }
    }

    /// Byte offset of `block` on the device.
    pub fn byte(&self, block: u32) -> u64 {
        self.offset + u64::from(block) * BASIC_BLOCK as u64
    }
}

/// A log and the device that it is on: that of the data, or one of its own.
#[derive(Clone)]
pub struct LogPlace {
    /// The device.
    pub device: Arc<dyn Device>,
    /// Where on it.
    pub area: LogArea,
}

impl LogPlace {
    /// The log of the filesystem on `data`; `log` is the device named for it, if any.
    ///
    /// # Errors
    ///
    /// [`Error::Incompatible`] if the log is on a device of its own and none is named, or it is
    /// not and one is; [`Error::Corrupt`] if it does not fit where it should be.
    pub fn find(
        geo: &Geometry,
        data: &Arc<dyn Device>,
        log: Option<&Arc<dyn Device>>,
    ) -> Result<Self> {
        match (geo.log.start, log) {
            (Some(_), None) => Self::on(data, LogArea::internal(geo)?),
            (None, Some(device)) => Self::on(device, LogArea::external(geo)?),
            (None, None) => Err(Error::Incompatible(
                "the log is on a device of its own: name that as the log device".into(),
            )),
            (Some(_), Some(device)) => Err(Error::Incompatible(format!(
                "the log is inside the filesystem: {} is not its log device",
                device.name()
            ))),
        }
    }

    fn on(device: &Arc<dyn Device>, area: LogArea) -> Result<Self> {
        if device.size() < area.byte(area.blocks) {
            let (name, size) = (device.name(), device.size());
            let why = format!("{} blocks do not fit {name} of {size} bytes", area.blocks);
            return Err(Error::corrupt("log", At::Daddr(area.offset / BASIC_BLOCK as u64), why));
        }
        Ok(Self { device: Arc::clone(device), area })
    }

    /// The bytes of the data device that belong to the log: none, if it has its own.
    pub(crate) fn bytes_of_data(&self, geo: &Geometry) -> std::ops::Range<u64> {
        match geo.log.start {
            Some(_) => self.area.offset..self.area.byte(self.area.blocks),
            None => 0..0,
        }
    }
}

/// Reads blocks of the ring, through a window so that single blocks cost no system call.
pub struct LogBlocks<'a> {
    device: &'a dyn Device,
    area: LogArea,
    window: RefCell<Window>,
}

#[derive(Default)]
struct Window {
    first: u32,
    bytes: Vec<u8>,
}

/// Blocks in the window.
const WINDOW: u32 = 1024;

impl<'a> LogBlocks<'a> {
    /// Reads the log `area` of `device`.
    pub fn new(device: &'a dyn Device, area: LogArea) -> Self {
        LogBlocks { device, area, window: RefCell::default() }
    }

    /// Where the log lies.
    pub fn area(&self) -> &LogArea {
        &self.area
    }

    /// Reads `count` blocks from `block` on, around the ring. `count` must have been
    /// checked to be at most the size of the log.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn read(&self, block: u32, count: u32) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(count as usize * BASIC_BLOCK);
        let (mut block, mut left) = (block % self.area.blocks, count.min(self.area.blocks));
        while left > 0 {
            let done = self.with_window(block, |bytes| {
                let part = &bytes[..bytes.len().min(left as usize * BASIC_BLOCK)];
                out.extend_from_slice(part);
                (part.len() / BASIC_BLOCK) as u32
            })?;
            left -= done;
            block = self.area.advance(block, done);
        }
        Ok(out)
    }

    /// The cycle that `block` was written in; 0 if it never was.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn cycle(&self, block: u32) -> Result<u32> {
        self.with_window(block, |bytes| block_cycle(&bytes[..BASIC_BLOCK]))
    }

    /// Whether `block` begins with the magic number of record headers.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn is_header(&self, block: u32) -> Result<bool> {
        let magic = crate::format::log::record::RECORD_MAGIC.to_be_bytes();
        self.with_window(block, |bytes| bytes.starts_with(&magic))
    }

    /// Calls `with` on the bytes from `block` on, one block at least.
    fn with_window<T>(&self, block: u32, with: impl FnOnce(&[u8]) -> T) -> Result<T> {
        let block = block % self.area.blocks;
        let mut window = self.window.borrow_mut();
        let held = (window.bytes.len() / BASIC_BLOCK) as u32;
        if block < window.first || block - window.first >= held {
            let first = block - block % WINDOW;
            let count = WINDOW.min(self.area.blocks - first);
            let mut bytes = std::mem::take(&mut window.bytes);
            bytes.resize(count as usize * BASIC_BLOCK, 0);
            self.device.read_at(&mut bytes, self.area.byte(first))?;
            *window = Window { first, bytes };
        }
        Ok(with(&window.bytes[(block - window.first) as usize * BASIC_BLOCK..]))
    }
}
