//! Size, extents and groups of the realtime section.

use super::groups::{self, GroupSize};
use super::zones;
use super::{GroupSizing, RealtimeError, RealtimeOptions};
use crate::format::features::Incompat;
use crate::format::realtime::{
    MAX_EXTENT_BYTES, MAX_GROUP_BLOCKS, MIN_EXTENT_BYTES, MIN_GROUP_EXTENTS, RtBlockHeader,
};
use crate::format::superblock::Dsb;
use crate::mkfs::{DeviceTraits, Notice, Options, PlanError, Sizes};

const MEBI: u64 = 1 << 20;
/// Least size of the data section where a zoned section follows it and no size is given.
const LEAST_DATA_BEFORE_ZONES: u64 = 300 * MEBI;

/// The realtime section, in blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::mkfs) struct Section {
    pub(in crate::mkfs) blocks: u64,
    pub(in crate::mkfs) extent: u32,
    /// Realtime groups and blocks in each; 0 without the metadata directory.
    pub(in crate::mkfs) groups: u64,
    pub(in crate::mkfs) group_blocks: u64,
    pub(in crate::mkfs) zoned: bool,
    /// First block of a section on the data device; 0 for a device of its own.
    pub(in crate::mkfs) start: u64,
    pub(in crate::mkfs) reserved: u64,
}

/// Shares the data device with a realtime section on it: what is left of it for the data, and
/// the byte where the realtime section begins, if there is one on that device. `data` is the
/// size asked for the data section, in blocks.
///
/// If nobody says where it begins, it does so behind the data section, and that, if it has no
/// size either, gets about a hundredth of the device.
pub(in crate::mkfs) fn share(
    options: &Options,
    device: &DeviceTraits,
    sizes: Sizes,
    data: Option<u64>,
) -> Result<(DeviceTraits, Option<u64>), RealtimeError> {
    let realtime = &options.realtime;
    if !realtime.zoned && realtime.start.is_some() {
        return Err(RealtimeError::StartUnzoned);
    }
    if !realtime.zoned && realtime.reserved.is_some() {
        return Err(RealtimeError::ReservedUnzoned);
    }
    if !realtime.zoned || realtime.device.is_some() {
        return Ok((*device, None));
    }
    let block = u64::from(sizes.block);
    let asked = realtime.start.as_ref().map_or(0, |start| start.bytes);
    let bytes = if asked >= block {
        asked
    } else if let Some(blocks) = data {
        blocks * block
    } else {
        device.size.div_ceil(100).max(LEAST_DATA_BEFORE_ZONES).next_power_of_two()
    };
    if bytes >= device.size {
        return Err(RealtimeError::DeviceTooSmallForZones { sectors: device.size / 512 });
    }
    Ok((DeviceTraits { size: bytes, ..*device }, Some(bytes)))
}

impl Section {
    /// Decides everything about the section. `start` is the byte where it begins on the data
    /// device, if it is there, and `asked` its size in blocks, if one was given.
    pub(in crate::mkfs) fn new(
        options: &Options,
        data_device: &DeviceTraits,
        block: u32,
        metadir: bool,
        (start, asked): (Option<u64>, Option<u64>),
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Self, PlanError> {
        let realtime = &options.realtime;
        let extent = extent_blocks(realtime, block)?;
        let available = available(realtime, data_device, block.into(), start)?;
        let sized = realtime.size.is_some();
        let blocks = asked.unwrap_or(if sized { 0 } else { available });
        let mut section = Self {
            blocks,
            extent,
            start: start.unwrap_or(0) / u64::from(block),
            ..Self::default()
        };
        let extents = blocks / u64::from(extent);
        if realtime.is_wanted() && extents == 0 {
            let error =
                if sized || blocks != 0 { RealtimeError::NoExtents } else { RealtimeError::Empty };
            return Err(error.into());
        }
        if !metadir {
            return Ok(section);
        }
        if realtime.zoned {
            // Such a filesystem, with realtime extents of more than a block, could not be
            // mounted, and mkfs.xfs 7.2 fails in the middle of making it.
            if u64::from(block) < MIN_EXTENT_BYTES {
                return Err(RealtimeError::ZonedBlockSize(MIN_EXTENT_BYTES).into());
            }
            section.zoned = true;
            zones::divide(&mut section, realtime, block, available, notify)?;
        } else {
            let size = groups::choose(options, block.into(), blocks, extent)?;
            let GroupSize { blocks: group_blocks, groups } = size;
            (section.groups, section.group_blocks) = (groups, group_blocks);
        }
        section.check_groups()?;
        if section.zoned {
            zones::check(&section)?;
        }
        Ok(section)
    }

    pub(super) fn check_groups(&self) -> Result<(), RealtimeError> {
        let (blocks, extent) = (self.group_blocks, self.extent);
        if !blocks.is_multiple_of(u64::from(extent)) {
            return Err(RealtimeError::GroupSizeNotExtents { blocks, extent });
        }
        let maximum = u64::from(MAX_GROUP_BLOCKS);
        if blocks > maximum {
            return Err(RealtimeError::GroupTooLarge { blocks, maximum });
        }
        if blocks / u64::from(extent) < u64::from(MIN_GROUP_EXTENTS) {
            return Err(RealtimeError::GroupTooSmall(blocks));
        }
        Ok(())
    }

    /// Writes the section into the superblock.
    pub(in crate::mkfs) fn put(&self, sb: &mut Dsb) {
        let extents = self.blocks / u64::from(self.extent);
        sb.rextsize = self.extent.into();
        sb.rblocks = self.blocks.into();
        sb.rextents = extents.into();
        sb.rextslog = extents.checked_ilog2().unwrap_or(0) as u8;
        let has_groups = self.group_blocks != 0;
        let mut counted = extents;
        let mut header = 0;
        if has_groups {
            let blocks = self.group_blocks;
            let group_extents = blocks / u64::from(self.extent);
            sb.rgcount = (self.groups as u32).into();
            sb.rgextents = (group_extents as u32).into();
            sb.rgblklog = (u64::BITS - (blocks - 1).leading_zeros()) as u8;
            header = size_of::<RtBlockHeader>() as u64;
            counted = if extents == 0 { 0 } else { group_extents };
        }
        if self.zoned {
            sb.rtstart = self.start.into();
            sb.rtreserved = self.reserved.into();
            counted = 0;
            let zoned = sb.features_incompat.get() | Incompat::ZONED.bits();
            sb.features_incompat = zoned.into();
        }
        let bits = 8 * (u64::from(sb.blocksize.get()) - header);
        sb.rbmblocks = (counted.div_ceil(bits) as u32).into();
    }
}

/// Blocks that the section can have.
fn available(
    realtime: &RealtimeOptions,
    data_device: &DeviceTraits,
    block: u64,
    start: Option<u64>,
) -> Result<u64, RealtimeError> {
    let bytes = match (&realtime.device, start) {
        (Some(device), _) => device.size,
        (None, Some(start)) => data_device.size.saturating_sub(start),
        (None, None) if realtime.size.is_some() => return Err(RealtimeError::SizeWithoutDevice),
        (None, None) => return Ok(0),
    };
    let maximum = bytes / block;
    match &realtime.size {
        _ if maximum == 0 => Err(RealtimeError::Empty),
        Some(size) if size.bytes / block > maximum => {
            Err(RealtimeError::TooLarge { text: size.text.clone(), maximum })
        }
        _ => Ok(maximum),
    }
}

fn extent_blocks(realtime: &RealtimeOptions, block: u32) -> Result<u32, RealtimeError> {
    let bytes = extent_bytes(realtime, block);
    if !bytes.is_multiple_of(u64::from(block)) {
        return Err(RealtimeError::ExtentSize { bytes, block });
    }
    Ok((bytes / u64::from(block)) as u32)
}

/// Bytes of a realtime extent: as asked for, as the stripes of the device, else as small as
/// can be.
pub(super) fn extent_bytes(realtime: &RealtimeOptions, block: u32) -> u64 {
    let least = MIN_EXTENT_BYTES.max(block.into());
    if let Some(size) = &realtime.extent_size {
        return size.bytes;
    }
    let width = realtime.device.map_or(0, |device| u64::from(device.stripe_width) * 512);
    if realtime.no_align || realtime.zoned || width > MAX_EXTENT_BYTES {
        least
    } else {
        width.max(least)
    }
}

/// The number of groups that were asked for, if any was.
pub(super) fn group_count(realtime: &RealtimeOptions) -> Option<u64> {
    match realtime.sizing {
        GroupSizing::Count(count) => Some(count),
        _ => None,
    }
}
