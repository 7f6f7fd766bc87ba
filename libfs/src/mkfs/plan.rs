//! Every decision about a new filesystem, made before anything is written.

use zerocopy::FromZeros;

use super::groups::{AG_MIN_BYTES, Groups, Stripes};
use super::layout::Group;
use super::log_size::{self, LogPlace, MIN_SUPPORTED_BYTES};
use super::{
    AgSizing, DeviceTraits, Features, LogSizing, Notice, Options, PlanError, RootDirectory,
    SelfHealing, Sizes, features, realtime,
};
use crate::format::NULL_INO;
use crate::format::features::{Features2, Incompat, RoCompat, Version};
use crate::format::geometry::{FsBlock, Geometry};
use crate::format::inode::Timestamp;
use crate::format::superblock::{Dsb, LABEL_MAX, MAGIC};

const MEBI: u64 = 1 << 20;
const TEBI: u64 = 1 << 40;
const FIFTY_TEBI: u64 = 50 * TEBI;
/// Longest extent that one mapping can have, in blocks.
const MAX_EXTENT: u64 = (1 << 21) - 1;

/// A filesystem that can be written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The superblock before anything was allocated: no inodes, marked as in progress.
    pub superblock: Dsb,
    /// What follows from it.
    pub geometry: Geometry,
    /// Allocation group and first block of the log; `None`: it is on a device of its own.
    pub log: Option<(u32, u32)>,
    /// Value of the self-healing property, if the root directory gets one.
    pub self_healing: Option<SelfHealing>,
    /// Flags of the root directory.
    pub root: RootDirectory,
    /// Time for every timestamp.
    pub time: Timestamp,
    /// Generation number of new inodes.
    pub generation: u32,
}

impl Plan {
    /// Plans the filesystem that `options` ask for on `device`. What the user should know
    /// goes to `notify` as it is found, also when planning fails later.
    ///
    /// # Errors
    /// What cannot be done.
    pub fn new(
        options: &Options,
        sizes: Sizes,
        device: &DeviceTraits,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Self, PlanError> {
        let block = u64::from(sizes.block);
        let whole = device;
        let (features, self_healing) = features::settle(options, sizes.block, notify)?;
        let directory_block = directory_block_size(options, sizes.block)?;
        let inode = inode_size(options, sizes.block)?;
        let data_blocks = length(options.data_size.as_ref(), "data", sizes.block, notify)?;
        let log_blocks = match &options.log_sizing {
            LogSizing::Size(size) => length(Some(size), "log", sizes.block, notify)?,
            _ => None,
        };
        let realtime_blocks = length(options.realtime.size.as_ref(), "rt", sizes.block, notify)?;
        let (device, start) = &realtime::share(options, device, sizes, data_blocks)?;
        let data_blocks = data_size(options, device, sizes, data_blocks)?;
        match log_blocks {
            Some(blocks) if options.log_device.is_none() && blocks >= data_blocks => {
                return Err(PlanError::LogTooLargeForData(blocks));
            }
            _ => {}
        }
        let stripes = Stripes::new(options, device, block, sizes.sector, data_blocks, notify)?;
        let (log_unit, too_large) =
            log_size::stripe_unit(options, stripes.unit, block, sizes.log_sector.into())?;
        if let Some(bytes) = too_large {
            notify(Notice::Error(format!(
                "log stripe unit ({bytes} bytes) is too large (maximum is 256KiB)\n\
                 log stripe unit adjusted to 32KiB"
            )));
        }
        check_atomic_write(options, block)?;
        let groups = Groups::new(options, device, block, data_blocks, &stripes, notify)?;
        let metadir = features.metadata_directories.on;
        let section = (*start, realtime_blocks);
        let section =
            realtime::Section::new(options, whole, sizes.block, metadir, section, notify)?;
        let mut superblock = Dsb::new_zeroed();
        set_sizes(&mut superblock, sizes, inode, directory_block);
        set_features(&mut superblock, &features, &stripes, sizes);
        set_groups(&mut superblock, &groups, &stripes, options);
        section.put(&mut superblock);
        superblock.logsunit = ((log_unit * block).max(1) as u32).into();
        let geometry = planned_geometry(&superblock)?;
        let log = log_size::place(options, device, &geometry, &groups, log_unit)?;
        set_log(&mut superblock, &geometry, &log);
        set_identity(&mut superblock, options);
        let plan = Self {
            geometry: planned_geometry(&superblock)?,
            superblock,
            log: log.start.map(|(ag, start)| (ag as u32, start as u32)),
            self_healing,
            // Zones are what such a filesystem is made for.
            root: RootDirectory {
                realtime: options.root.realtime || options.realtime.zoned,
                ..options.root
            },
            time: options.time,
            generation: options.generation,
        };
        plan.check_hints()?;
        if options.unsupported {
            let text = "Filesystems formatted with --unsupported are not supported!!";
            notify(Notice::Output(text.into()));
        } else {
            plan.check_supported(options)?;
        }
        Ok(plan)
    }

    /// The number of the root directory's inode.
    ///
    /// # Errors
    /// It would not be where repair programs look for it, or there is no room for it, or the
    /// groups do not fit the data.
    pub fn root_inode(&self) -> Result<u32, PlanError> {
        self.check_groups()?;
        let group = Group::new(self, 0);
        let expected = group.expected_inode_chunk(self);
        let number = |chunk| self.geometry.agbno_agino(chunk);
        match group.inode_chunk {
            Some(chunk) if chunk == expected => Ok(number(chunk)),
            found => {
                let found = found.map_or(0, number);
                Err(PlanError::RootInode { found, expected: number(expected) })
            }
        }
    }

    /// Groups that were asked for by number and made larger to align them can be too many.
    fn check_groups(&self) -> Result<(), PlanError> {
        let (count, blocks) = (self.geometry.ag_count, self.geometry.ag_blocks);
        let (count, blocks, data) = (count.into(), blocks.into(), self.geometry.data_blocks);
        if (count - 1) * blocks >= data {
            return Err(PlanError::TooManyGroupsForData { count, blocks, data });
        }
        Ok(())
    }

    /// Percentage of the space that inodes may take if nobody asks for another.
    pub fn default_inode_percentage(&self) -> u8 {
        inode_percentage(self.bytes())
    }

    fn check_hints(&self) -> Result<(), PlanError> {
        let limit = MAX_EXTENT.min(u64::from(self.geometry.ag_blocks) / 2);
        let RootDirectory { extent_size, cow_extent_size, .. } = self.root;
        let unit = self.geometry.realtime.extent_size;
        let on_realtime = self.root.realtime && self.geometry.realtime.blocks != 0;
        if on_realtime && !extent_size.is_multiple_of(unit) {
            let hint = extent_size;
            return Err(PlanError::RealtimeExtentSizeHint { hint, limit, unit });
        }
        if u64::from(extent_size) > limit {
            return Err(PlanError::ExtentSizeHint { hint: extent_size, limit });
        }
        if u64::from(cow_extent_size) > limit {
            return Err(PlanError::CowExtentSizeHint { hint: cow_extent_size, limit });
        }
        Ok(())
    }

    /// What works but is too small to be good.
    fn check_supported(&self, options: &Options) -> Result<(), PlanError> {
        let block = u64::from(self.geometry.block_size);
        if self.geometry.data_blocks < 300 * MEBI / block {
            return Err(PlanError::FilesystemTooSmall);
        }
        if u64::from(self.geometry.log.blocks) < MIN_SUPPORTED_BYTES / block {
            let sized = matches!(options.ag_sizing, AgSizing::Count(_) | AgSizing::Size(_));
            if sized && !matches!(options.log_sizing, LogSizing::Size(_)) {
                let mebibytes = u64::from(self.geometry.ag_blocks) * block / MEBI;
                return Err(PlanError::AgTooSmallForLog(mebibytes));
            }
            return Err(PlanError::LogBelowSupported);
        }
        if self.geometry.ag_count < 2 {
            return Err(PlanError::SingleAg);
        }
        Ok(())
    }
}

/// The planner's own numbers are in range, so this cannot fail; if it does, the size of
/// the filesystem is what is out of range.
fn planned_geometry(superblock: &Dsb) -> Result<Geometry, PlanError> {
    Geometry::new(superblock).map_err(|_| PlanError::DataTooLarge {
        text: format!("{} blocks", superblock.dblocks.get()),
        maximum: (i64::MAX as u64) / u64::from(superblock.blocksize.get()),
    })
}

fn check_atomic_write(options: &Options, block: u64) -> Result<(), PlanError> {
    let Some(bytes) = options.max_atomic_write else { return Ok(()) };
    if !bytes.is_power_of_two() {
        return Err(PlanError::AtomicWriteSize(bytes));
    }
    if !bytes.is_multiple_of(block) {
        return Err(PlanError::AtomicWriteUnaligned(bytes));
    }
    Ok(())
}

fn directory_block_size(options: &Options, block: u32) -> Result<u32, PlanError> {
    let size = options.directory_block_size.unwrap_or(block.max(4096));
    if size < block || size > 65536 {
        return Err(PlanError::DirectoryBlockSize(size));
    }
    Ok(size)
}

fn inode_size(options: &Options, block: u32) -> Result<u32, PlanError> {
    let per_block = options.inodes_per_block.map(|count| block / count.max(1));
    let size = per_block.or(options.inode_size).unwrap_or(512);
    if size < 512 {
        return Err(PlanError::InodeSizeForChecksums(512));
    }
    if size > block / 2 || size > 2048 {
        return Err(PlanError::InodeSize { size, block });
    }
    Ok(size)
}

/// A length in blocks, of what was given in bytes.
fn length(
    size: Option<&super::Amount>,
    what: &'static str,
    block: u32,
    notify: &mut dyn FnMut(Notice),
) -> Result<Option<u64>, PlanError> {
    /// Every size is a multiple of the smallest block.
    const UNIT: u32 = 512;
    let Some(bytes) = size.map(|size| size.bytes) else { return Ok(None) };
    if !bytes.is_multiple_of(u64::from(UNIT)) {
        return Err(PlanError::Length { what, bytes, unit: UNIT });
    }
    let blocks = bytes / u64::from(block);
    if !bytes.is_multiple_of(u64::from(block)) {
        notify(Notice::Error(format!(
            "warning: {what} length {bytes} not a multiple of {block}, truncated to {}",
            blocks * u64::from(block)
        )));
    }
    Ok(Some(blocks).filter(|blocks| *blocks != 0))
}

/// Blocks of the filesystem: those asked for, if they fit, else all there are.
fn data_size(
    options: &Options,
    device: &DeviceTraits,
    sizes: Sizes,
    asked: Option<u64>,
) -> Result<u64, PlanError> {
    // The kernel addresses a device in units of a sector, or of 1 KiB.
    let usable =
        device.size / u64::from(sizes.sector.max(1024)) * u64::from(sizes.sector.max(1024));
    let available = usable / u64::from(sizes.block);
    let blocks = match asked {
        _ if usable == 0 && !device.is_file => return Err(PlanError::NoDeviceSize),
        Some(blocks) if usable != 0 && blocks > available => {
            let text = options.data_size.as_ref().map(|size| size.text.clone());
            let text = text.unwrap_or_default();
            return Err(PlanError::DataTooLarge { text, maximum: available });
        }
        Some(blocks) => blocks,
        None => available,
    };
    let minimum = AG_MIN_BYTES / u64::from(sizes.block);
    if blocks < minimum {
        return Err(PlanError::DataTooSmall { blocks, minimum });
    }
    Ok(blocks)
}

fn log2(size: u32) -> u8 {
    size.ilog2() as u8
}

fn set_sizes(sb: &mut Dsb, sizes: Sizes, inode: u32, directory_block: u32) {
    sb.magicnum = MAGIC.into();
    sb.blocksize = sizes.block.into();
    sb.blocklog = log2(sizes.block);
    sb.sectsize = (sizes.sector as u16).into();
    sb.sectlog = log2(sizes.sector);
    sb.inodesize = (inode as u16).into();
    sb.inodelog = log2(inode);
    sb.inopblock = ((sizes.block / inode) as u16).into();
    sb.inopblog = log2(sizes.block / inode);
    sb.dirblklog = log2(directory_block / sizes.block);
    if sizes.sector.max(sizes.log_sector) > 512 {
        sb.logsectlog = log2(sizes.log_sector);
        sb.logsectsize = (sizes.log_sector as u16).into();
    }
}

fn set_features(sb: &mut Dsb, features: &Features, stripes: &Stripes, sizes: Sizes) {
    let mut version = Version::NLINK
        | Version::EXTFLG
        | Version::DIRV2
        | Version::ALIGN
        | Version::LOGV2
        | Version::MOREBITS;
    version.set(Version::DALIGN, stripes.unit != 0);
    version.set(Version::BORG, features.ascii_case_insensitive.on);
    version.set(Version::SECTOR, sizes.sector.max(sizes.log_sector) > 512);
    // Parent pointers are attributes, so every filesystem with them will have some.
    version.set(Version::ATTR, features.parent_pointers.on);
    sb.versionnum = (version.bits() | Version::V5).into();
    let features2 =
        Features2::LAZYSBCOUNT | Features2::PROJID32 | Features2::CRC | Features2::ATTR2;
    sb.features2 = features2.bits().into();
    sb.bad_features2 = sb.features2;
    let mut ro_compat = RoCompat::empty();
    ro_compat.set(RoCompat::FINOBT, features.free_inode_btree.on);
    ro_compat.set(RoCompat::RMAPBT, features.reverse_mapping.on);
    ro_compat.set(RoCompat::REFLINK, features.reflink.on);
    ro_compat.set(RoCompat::INOBTCNT, features.inode_btree_counts.on);
    sb.features_ro_compat = ro_compat.bits().into();
    let mut incompat = Incompat::FTYPE;
    incompat.set(Incompat::SPINODES, features.sparse_inodes.on);
    incompat.set(Incompat::BIGTIME, features.big_timestamps.on);
    incompat.set(Incompat::NREXT64, features.large_extent_counts.on);
    incompat.set(Incompat::EXCHRANGE, features.exchange_range.on);
    incompat.set(Incompat::PARENT, features.parent_pointers.on);
    incompat.set(Incompat::METADIR, features.metadata_directories.on);
    sb.features_incompat = incompat.bits().into();
    // Chunks are aligned to inode buffers, or where they may be sparse to chunks.
    let inode = u32::from(sb.inodesize.get());
    let buffer = (8192 * (inode / 256)) >> sb.blocklog;
    sb.inoalignmt = buffer.into();
    if features.sparse_inodes.on {
        sb.spino_align = sb.inoalignmt;
        sb.inoalignmt = ((64 * inode) >> sb.blocklog).into();
    }
}

fn set_groups(sb: &mut Dsb, groups: &Groups, stripes: &Stripes, options: &Options) {
    let blocks = groups.blocks as u32;
    sb.agblocks = blocks.into();
    sb.agblklog = blocks.next_power_of_two().ilog2() as u8;
    sb.agcount = (groups.count as u32).into();
    sb.dblocks = groups.data_blocks.into();
    sb.unit = (stripes.unit as u32).into();
    sb.width = (stripes.width as u32).into();
    let block = u64::from(sb.blocksize.get());
    let usual = inode_percentage(groups.data_blocks * block);
    sb.imax_pct = options.inode_percentage.unwrap_or(usual);
}

/// Percentage of `bytes` of data that inodes may take.
fn inode_percentage(bytes: u64) -> u8 {
    match bytes {
        0..TEBI => 25,
        TEBI..FIFTY_TEBI => 5,
        _ => 1,
    }
}

fn set_log(sb: &mut Dsb, geometry: &Geometry, log: &LogPlace) {
    let headers = u64::from(geometry.ag_count) * u64::from(geometry.prealloc_blocks());
    let mut used = headers;
    if let Some((ag, start)) = log.start {
        let FsBlock(start) = geometry.fsblock(ag as u32, start as u32);
        sb.logstart = start.into();
        used += log.blocks;
    }
    sb.logblocks = (log.blocks as u32).into();
    sb.fdblocks = (sb.dblocks.get() - used).into();
}

fn set_identity(sb: &mut Dsb, options: &Options) {
    sb.uuid = options.uuid;
    if !options.quota.is_empty() {
        sb.qflags = options.quota.bits().into();
        sb.versionnum = (sb.versionnum.get() | Version::QUOTA.bits()).into();
    }
    for (place, byte) in sb.fname.iter_mut().zip(options.label.iter().take(LABEL_MAX)) {
        *place = *byte;
    }
    sb.rootino = NULL_INO.into();
    if sb.incompat().contains(Incompat::METADIR) {
        sb.metadirino = NULL_INO.into();
    } else {
        sb.rbmino = NULL_INO.into();
        sb.rsumino = NULL_INO.into();
    }
    sb.inprogress = 1;
}
