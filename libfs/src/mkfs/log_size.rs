//! Size and place of the log.

use super::groups::Groups;
use super::{DeviceTraits, LogSizing, Options, PlanError};
use crate::format::geometry::Geometry;
use crate::format::log_reservation;

const MEBI: u64 = 1 << 20;
const GIBI: u64 = 1 << 30;
/// Limits of any log.
const MAX_BLOCKS: u64 = 1 << 20;
const MIN_BYTES: u64 = 10 * MEBI;
const MAX_BYTES: u64 = 2 * GIBI - MIN_BYTES;
/// Smaller logs are slow enough to be refused.
pub(super) const MIN_SUPPORTED_BYTES: u64 = 64 * MEBI;
/// Largest stripe unit of a log, and what a larger one becomes, in bytes.
const MAX_STRIPE_UNIT: u64 = 256 * 1024;
const DEFAULT_STRIPE_UNIT: u64 = 32 * 1024;

/// Where the log lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LogPlace {
    /// Allocation group and first block in it; `None`: on a device of its own.
    pub(super) start: Option<(u64, u64)>,
    pub(super) blocks: u64,
}

/// The log's stripe unit in blocks; 0 for none.
///
/// The second value is the size in bytes that was asked for and is too large.
pub(super) fn stripe_unit(
    options: &Options,
    data_unit: u64,
    block: u64,
    sector: u64,
) -> Result<(u64, Option<u64>), PlanError> {
    let asked = options.log_stripe_unit.unwrap_or(0);
    if !asked.is_multiple_of(block) {
        return Err(PlanError::LogStripeUnaligned { unit: asked, block: block as u32 });
    }
    // The stripes of the data say nothing of another device.
    let data_unit = if options.log_device.is_some() { 0 } else { data_unit };
    let unit = match (asked / block, data_unit) {
        // A log of sectors larger than a record header is written in whole blocks.
        (0, 0) => u64::from(sector > 512),
        (0, data_unit) => data_unit,
        (unit, _) => unit,
    };
    if unit * block <= MAX_STRIPE_UNIT {
        return Ok((unit, None));
    }
    Ok((DEFAULT_STRIPE_UNIT / block, (asked != 0).then_some(unit * block)))
}

/// Decides the size and place of the log. `geometry` has everything but the log.
pub(super) fn place(
    options: &Options,
    device: &DeviceTraits,
    geometry: &Geometry,
    groups: &Groups,
    unit: u64,
) -> Result<LogPlace, PlanError> {
    let sizing = Sizing { options, device, geometry, groups, block: geometry.block_size.into() };
    let minimum = sizing.minimum()?;
    if let Some(device) = &options.log_device {
        return sizing.external(device, unit, minimum);
    }
    // One block less than is usable: a group without any free block is trouble.
    let mut maximum = i64::from(geometry.ag_max_usable()) - 1;
    if maximum < minimum as i64 {
        return Err(PlanError::NoRoomForLog { maximum, minimum });
    }
    let asked = sizing.asked_blocks();
    let mut blocks = match asked {
        None => sizing.automatic(minimum, maximum as u64)?,
        Some(blocks) if blocks as i64 > maximum => {
            return Err(PlanError::LogTooLarge { blocks, maximum });
        }
        Some(blocks) => blocks,
    };
    if blocks > u64::from(geometry.ag_blocks - geometry.prealloc_blocks()) {
        return Err(PlanError::LogBiggerThanAg(blocks));
    }
    let ag = match options.log_ag {
        Some(ag) if ag >= groups.count => {
            return Err(PlanError::LogAg { ag, count: groups.count });
        }
        Some(ag) => ag,
        None => groups.count / 2,
    };
    if ag == 0 {
        maximum -= sizing.root_directory_room();
        if asked.is_some() && blocks as i64 > maximum {
            return Err(PlanError::LogTooLarge { blocks, maximum });
        }
        // With no room at all, what else is wrong with the groups is the better answer.
        blocks = u64::try_from(maximum).map_or(blocks, |maximum| blocks.min(maximum));
    }
    let mut start = geometry.prealloc_blocks().into();
    let align = if unit != 0 { unit } else { geometry.stripe_unit.into() };
    if align != 0 {
        start = sizing.align_start(ag, align)?;
        blocks = sizing.align_blocks(blocks, align, maximum as u64)?;
        blocks = sizing.fit(ag, start, blocks, align)?;
    }
    check(blocks, sizing.block, minimum)?;
    Ok(LogPlace { start: Some((ag, start)), blocks })
}

fn check(blocks: u64, block: u64, minimum: u64) -> Result<(), PlanError> {
    if blocks < minimum {
        return Err(PlanError::LogTooSmall { blocks, minimum });
    }
    if blocks > MAX_BLOCKS {
        return Err(PlanError::LogBlocksAboveMaximum { blocks, maximum: MAX_BLOCKS });
    }
    let bytes = blocks * block;
    if bytes > MAX_BYTES {
        return Err(PlanError::LogBytesAboveMaximum { bytes, maximum: MAX_BYTES });
    }
    Ok(())
}

struct Sizing<'a> {
    options: &'a Options,
    device: &'a DeviceTraits,
    geometry: &'a Geometry,
    groups: &'a Groups,
    block: u64,
}

impl Sizing<'_> {
    fn asked_blocks(&self) -> Option<u64> {
        match &self.options.log_sizing {
            LogSizing::Size(size) => Some(size.bytes / self.block).filter(|blocks| *blocks != 0),
            _ => None,
        }
    }

    fn minimum(&self) -> Result<u64, PlanError> {
        let minimum = log_reservation::minimum_log_blocks(self.geometry);
        let minimum = match self.options.max_atomic_write {
            Some(bytes) => minimum.max(self.minimum_for_untorn(bytes)?),
            None => minimum,
        };
        let large = self.groups.data_blocks >= GIBI / self.block;
        if self.asked_blocks().is_none() && large {
            return Ok(minimum.max(MIN_BYTES / self.block));
        }
        Ok(minimum)
    }

    fn minimum_for_untorn(&self, bytes: u64) -> Result<u64, PlanError> {
        let blocks = bytes / self.block;
        log_reservation::minimum_log_blocks_for_untorn(self.geometry, blocks)
            .ok_or(PlanError::AtomicWriteTooBigForLog(bytes))
    }

    /// 1/2048 of the filesystem, or what many CPUs need, within the limits.
    fn automatic(&self, minimum: u64, maximum: u64) -> Result<u64, PlanError> {
        let data_blocks = self.groups.data_blocks;
        let blocks = (data_blocks / 2048).max(self.concurrent().unwrap_or(0));
        let blocks = if data_blocks < 300 * MEBI / self.block {
            minimum
        } else {
            blocks.max(MIN_SUPPORTED_BYTES / self.block)
        };
        let blocks = blocks.max(minimum).min(maximum);
        let blocks = blocks.min(MAX_BLOCKS).min(MAX_BYTES / self.block);
        check(blocks, self.block, minimum)?;
        Ok(blocks)
    }

    /// Room for one of the largest transactions for each thread, and half as many again.
    fn concurrent(&self) -> Option<u64> {
        let threads = match self.options.log_sizing {
            LogSizing::Concurrency(threads) => threads,
            _ if self.device.solid_state => self.options.cpus,
            _ => 0,
        };
        if threads == 0 || self.groups.data_blocks < GIBI / self.block {
            return None;
        }
        let bytes = log_reservation::largest_reservation(self.geometry).total();
        let blocks = bytes * 3 * u64::from(threads) / 2 / self.block;
        Some(blocks.min(MAX_BYTES / self.block))
    }

    /// What the first inode chunk needs beside a log in its group.
    fn root_directory_room(&self) -> i64 {
        let chunk = 64 * i64::from(self.geometry.inode.size) / self.block as i64;
        (4 * chunk).max(2 * i64::from(self.geometry.stripe_unit))
    }

    /// A log that takes all of its device, or as much of it as was asked for.
    fn external(
        &self,
        device: &DeviceTraits,
        unit: u64,
        minimum: u64,
    ) -> Result<LogPlace, PlanError> {
        let available = device.size / self.block;
        let mut blocks = match &self.options.log_sizing {
            LogSizing::Size(size) if size.bytes / self.block > available => {
                let text = size.text.clone();
                return Err(PlanError::LogTooLargeForDevice { text, maximum: available });
            }
            _ if available == 0 => return Err(PlanError::NoLogDeviceSize),
            LogSizing::Size(size) => size.bytes / self.block,
            _ => available,
        };
        if unit != 0 {
            blocks = self.align_blocks(blocks, unit, available)?;
        }
        if blocks < minimum {
            return Err(PlanError::LogDeviceTooSmall { blocks, minimum });
        }
        check(blocks, self.block, minimum)?;
        Ok(LogPlace { start: None, blocks })
    }

    /// First block of the log in its group. The address is aligned, not the block within the
    /// group.
    fn align_start(&self, ag: u64, unit: u64) -> Result<u64, PlanError> {
        let group_start = ag << self.geometry.ag_block_log;
        let first = u64::from(self.geometry.prealloc_blocks());
        let address = (group_start + first).next_multiple_of(unit);
        if address - group_start >= self.group_blocks(ag) {
            return Err(PlanError::LogStartUnalignable(address));
        }
        Ok(address - group_start)
    }

    fn align_blocks(&self, blocks: u64, unit: u64, maximum: u64) -> Result<u64, PlanError> {
        if blocks.is_multiple_of(unit) {
            return Ok(blocks);
        }
        if self.asked_blocks().is_some() {
            return Err(PlanError::LogSizeUnaligned { blocks, unit });
        }
        let up = blocks.next_multiple_of(unit);
        let fits = up <= MAX_BLOCKS && up * self.block <= MAX_BYTES && up <= maximum;
        Ok(if fits { up } else { blocks / unit * unit })
    }

    /// A log moved to an aligned place may have to give up its end.
    fn fit(&self, ag: u64, start: u64, blocks: u64, unit: u64) -> Result<u64, PlanError> {
        let fits = |blocks| start + blocks <= self.group_blocks(ag);
        let blocks = if fits(blocks) || blocks <= unit { blocks } else { blocks - unit };
        if fits(blocks) { Ok(blocks) } else { Err(PlanError::LogUnalignable(blocks)) }
    }

    fn group_blocks(&self, ag: u64) -> u64 {
        self.geometry.ag_size(ag as u32).into()
    }
}
