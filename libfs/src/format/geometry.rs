//! What follows from the superblock: sizes, limits, and conversions between the address
//! spaces of XFS.
//!
//! Address spaces: a *block* is `sb_blocksize` bytes. An allocation group block (`agbno`)
//! counts within one group; an [`FsBlock`] packs group and block with the group in the
//! bits above `agblklog`, so it has gaps when the group size is not a power of two; a
//! `daddr` counts 512-byte units from the start of the device without gaps. An inode
//! number [`Ino`] is the [`FsBlock`] of its block followed by the inode's index in it.

use super::btree_block::BtreeKind;
use super::features::{Features2, Incompat, RoCompat, Version};
pub use super::realtime_geometry::RealtimeGeometry;
use super::superblock::Dsb;
use super::{Check, NULL_FSBLOCK, NULL_INO};
use crate::{At, Result};

/// log2 of the unit of disk addresses.
pub const DADDR_LOG: u32 = 9;
/// Inodes in a chunk, the unit of inode allocation and of inode btree records.
pub const INODES_PER_CHUNK: u32 = 64;
/// AGFL blocks and transaction blocks that each group keeps back (`XFS_ALLOCBT_AGFL_RESERVE`).
pub const AGFL_RESERVE: u32 = 4;
/// Bytes in one of the three sections of a directory's address space.
pub const DIR_SPACE: u64 = 1 << 35;

/// A block of the data device: allocation group number above, block in the group below.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FsBlock(pub u64);

impl FsBlock {
    /// No block.
    pub const NULL: Self = FsBlock(NULL_FSBLOCK);

    /// Whether this is [`FsBlock::NULL`].
    pub fn is_null(self) -> bool {
        self == Self::NULL
    }
}

impl std::fmt::Display for FsBlock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// An inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ino(pub u64);

impl Ino {
    /// No inode.
    pub const NULL: Self = Ino(NULL_INO);

    /// Whether this is [`Ino::NULL`].
    pub fn is_null(self) -> bool {
        self == Self::NULL
    }
}

impl std::fmt::Display for Ino {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Which of an inode's two on-disk forks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fork {
    /// File contents, directory entries, link target.
    Data,
    /// Extended attributes.
    Attr,
}

/// Features as booleans. Every version 5 filesystem has checksums, 32-bit project
/// identifiers, version 2 logs, aligned inodes and lazy counters, so those are not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features {
    /// Btree of chunks with free inodes.
    pub finobt: bool,
    /// Reverse mapping btree.
    pub rmapbt: bool,
    /// Shared extents, reference count btree, copy on write.
    pub reflink: bool,
    /// Inode btree block counts in the AGI.
    pub inobtcount: bool,
    /// File types in directory entries.
    pub ftype: bool,
    /// Inode chunks with holes.
    pub sparse_inodes: bool,
    /// Metadata UUID differs from the user's.
    pub meta_uuid: bool,
    /// New inodes have 64-bit nanosecond timestamps.
    pub bigtime: bool,
    /// xfs_repair must run before the next mount.
    pub needs_repair: bool,
    /// New inodes have 48-bit extent counts.
    pub nrext64: bool,
    /// Exchange-range log items may be used.
    pub exchange: bool,
    /// Parent pointers.
    pub parent: bool,
    /// Metadata directory tree and realtime groups.
    pub metadir: bool,
    /// Zoned realtime device.
    pub zoned: bool,
    /// Names compare without regard to ASCII case.
    pub ascii_ci: bool,
    /// A realtime section belongs to the filesystem.
    pub realtime: bool,
    /// Realtime groups have gaps between them in the address space of mappings only, not
    /// on the device, unless this is set: then on the device too.
    pub zone_gaps: bool,
    /// Quota inodes are recorded.
    pub quota: bool,
    /// Counters in the superblock are lazy.
    pub lazy_counters: bool,
}

/// Inode allocation parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InodeGeometry {
    /// Inode size in bytes.
    pub size: u32,
    /// log2 of the inode size.
    pub size_log: u32,
    /// Inodes in a block.
    pub per_block: u32,
    /// log2 of `per_block`.
    pub per_block_log: u32,
    /// Bits of an inode number below the allocation group number.
    pub agino_log: u32,
    /// Alignment of chunks in blocks (`sb_inoalignmt`).
    pub chunk_align: u32,
    /// Alignment of sparse chunks in blocks, 0 if there are none (`sb_spino_align`).
    pub sparse_align: u32,
    /// Blocks that an inode buffer covers.
    pub blocks_per_cluster: u32,
    /// Inodes that an inode buffer covers.
    pub inodes_per_cluster: u32,
    /// Alignment of inode buffers in blocks.
    pub cluster_align: u32,
    /// Mask for a chunk's offset within its alignment, in blocks; 0 without alignment.
    pub align_mask: u32,
    /// Inodes allocated at once.
    pub alloc_inodes: u32,
    /// Blocks allocated at once.
    pub alloc_blocks: u32,
    /// Least blocks allocated at once: less than `alloc_blocks` if chunks may be sparse.
    pub alloc_min_blocks: u32,
    /// Most inodes, by `imax_pct`; 0 for no limit.
    pub max_count: u64,
}

/// Greatest heights of the btrees, by which corrupt levels and endless descents are noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MaxLevels {
    /// Free space btrees.
    pub alloc: u32,
    /// Inode btrees.
    pub inobt: u32,
    /// Reverse mapping btree, 0 without.
    pub rmap: u32,
    /// Reference count btree, 0 without.
    pub refcount: u32,
    /// Data fork, with the root in the inode.
    pub bmap_data: u32,
    /// Attribute fork, with the root in the inode.
    pub bmap_attr: u32,
    /// Reverse mapping btree of a realtime group, with the root in the inode; 0 without.
    pub rt_rmap: u32,
    /// Reference count btree of a realtime group, with the root in the inode; 0 without.
    pub rt_refcount: u32,
}

impl MaxLevels {
    /// The greatest height of an allocation group's tree of this kind, or of any fork's
    /// tree for [`BtreeKind::Bmap`].
    pub fn of(&self, kind: BtreeKind) -> u32 {
        match kind {
            BtreeKind::Bno | BtreeKind::Cnt => self.alloc,
            BtreeKind::Ino | BtreeKind::Fino => self.inobt,
            BtreeKind::Rmap => self.rmap,
            BtreeKind::Refcount => self.refcount,
            BtreeKind::Bmap => self.bmap_data.max(self.bmap_attr),
            BtreeKind::RtRmap => self.rt_rmap,
            BtreeKind::RtRefcount => self.rt_refcount,
        }
    }
}

/// Directory and attribute block parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirGeometry {
    /// Bytes in a directory block.
    pub block_size: u32,
    /// log2 of `block_size`.
    pub block_log: u32,
    /// Filesystem blocks in a directory block.
    pub fs_blocks: u32,
    /// File block where the leaf section starts.
    pub leaf_block: u64,
    /// File block where the free index section starts.
    pub free_block: u64,
}

/// The log's place and units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogGeometry {
    /// First block of an internal log, `None` if it is on a device of its own.
    pub start: Option<FsBlock>,
    /// Blocks in the log.
    pub blocks: u32,
    /// Stripe unit in bytes; 1 for none.
    pub stripe_unit: u32,
    /// Sector size in bytes.
    pub sector_size: u32,
}

/// Everything derived from the superblock that does not change while mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    /// Block size in bytes.
    pub block_size: u32,
    /// log2 of the block size.
    pub block_log: u32,
    /// Sector size in bytes.
    pub sector_size: u32,
    /// log2 of the sector size.
    pub sector_log: u32,
    /// Blocks on the data device.
    pub data_blocks: u64,
    /// Number of allocation groups.
    pub ag_count: u32,
    /// Blocks in each group but the last.
    pub ag_blocks: u32,
    /// Bits of an [`FsBlock`] below the group number.
    pub ag_block_log: u32,
    /// Percentage of the space that inodes may take, 0 for no limit.
    pub imax_pct: u32,
    /// Stripe unit in blocks, 0 for none.
    pub stripe_unit: u32,
    /// Stripe width in blocks, 0 for none.
    pub stripe_width: u32,
    /// Realtime section.
    pub realtime: RealtimeGeometry,
    /// Root of the metadata directory tree; [`Ino::NULL`] without.
    pub metadir_ino: Ino,
    /// UUID that metadata carries.
    pub meta_uuid: [u8; 16],
    /// UUID that users see, and that log records carry.
    pub uuid: [u8; 16],
    /// Root directory.
    pub root_ino: Ino,
    /// Inodes known to the superblock that no directory names: realtime bitmap, realtime
    /// summary, user, group and project quota; [`Ino::NULL`] where there is none.
    pub internal_inodes: [Ino; 5],
    /// Inode parameters.
    pub inode: InodeGeometry,
    /// Directory parameters.
    pub dir: DirGeometry,
    /// Log parameters.
    pub log: LogGeometry,
    /// Btree heights.
    pub max_levels: MaxLevels,
    /// Features.
    pub features: Features,
}

impl Geometry {
    /// Derives the geometry. `sb` need not be verified: what arithmetic depends on is
    /// checked here.
    ///
    /// # Errors
    ///
    /// An error is returned if a size, logarithm or count is out of its range.
    pub fn new(sb: &Dsb) -> Result<Self> {
        check_arithmetic(sb)?;
        let features = features(sb);
        let blocklog = u32::from(sb.blocklog);
        let dirlog = blocklog + u32::from(sb.dirblklog);
        let mut geometry = Geometry {
            block_size: 1 << blocklog,
            block_log: blocklog,
            sector_size: 1 << sb.sectlog,
            sector_log: sb.sectlog.into(),
            data_blocks: sb.dblocks.get(),
            ag_count: sb.agcount.get(),
            ag_blocks: sb.agblocks.get(),
            ag_block_log: sb.agblklog.into(),
            imax_pct: sb.imax_pct.into(),
            stripe_unit: sb.unit.get(),
            stripe_width: sb.width.get(),
            realtime: RealtimeGeometry::new(sb),
            metadir_ino: if features.metadir { Ino(sb.metadirino.get()) } else { Ino::NULL },
            meta_uuid: sb.metadata_uuid(),
            uuid: sb.uuid,
            root_ino: Ino(sb.rootino.get()),
            internal_inodes: internal_inodes(sb),
            inode: inode_geometry(sb),
            dir: DirGeometry {
                block_size: 1 << dirlog,
                block_log: dirlog,
                fs_blocks: 1 << sb.dirblklog,
                leaf_block: DIR_SPACE >> blocklog,
                free_block: (2 * DIR_SPACE) >> blocklog,
            },
            log: log_geometry(sb),
            max_levels: MaxLevels::default(),
            features,
        };
        geometry.max_levels = geometry.compute_max_levels();
        Ok(geometry)
    }

    // ---- Address conversions ----

    /// 512-byte units in a block.
    pub fn daddrs_per_block(&self) -> u64 {
        1 << (self.block_log - DADDR_LOG)
    }

    /// 512-byte units in a sector.
    pub fn daddrs_per_sector(&self) -> u64 {
        1 << (self.sector_log - DADDR_LOG)
    }

    /// The block `agbno` of group `agno`.
    pub fn fsblock(&self, agno: u32, agbno: u32) -> FsBlock {
        FsBlock(u64::from(agno) << self.ag_block_log | u64::from(agbno))
    }

    /// The allocation group of a block. Groups beyond 32 bits give `u32::MAX`, which is
    /// never a valid group.
    pub fn fsblock_agno(&self, block: FsBlock) -> u32 {
        u32::try_from(block.0 >> self.ag_block_log).unwrap_or(u32::MAX)
    }

    /// The block within its allocation group.
    pub fn fsblock_agbno(&self, block: FsBlock) -> u32 {
        (block.0 & mask(self.ag_block_log)) as u32
    }

    /// Group and block within the group.
    pub fn fsblock_parts(&self, block: FsBlock) -> (u32, u32) {
        (self.fsblock_agno(block), self.fsblock_agbno(block))
    }

    /// Disk address of a block.
    pub fn fsblock_daddr(&self, block: FsBlock) -> u64 {
        let (agno, agbno) = self.fsblock_parts(block);
        self.agblock_daddr(agno, agbno)
    }

    /// Disk address of block `agbno` of group `agno`.
    pub fn agblock_daddr(&self, agno: u32, agbno: u32) -> u64 {
        let linear = u64::from(agno) * u64::from(self.ag_blocks) + u64::from(agbno);
        linear << (self.block_log - DADDR_LOG)
    }

    /// Disk address of a place in group `agno` that is `offset` 512-byte units into it.
    pub fn ag_daddr(&self, agno: u32, offset: u64) -> u64 {
        self.agblock_daddr(agno, 0).wrapping_add(offset)
    }

    /// The block that holds a disk address.
    pub fn daddr_fsblock(&self, daddr: u64) -> FsBlock {
        let (agno, agbno) = self.daddr_agblock(daddr);
        self.fsblock(agno, agbno)
    }

    /// Group, and block within it, of a disk address.
    pub fn daddr_agblock(&self, daddr: u64) -> (u32, u32) {
        let linear = daddr >> (self.block_log - DADDR_LOG);
        let size = u64::from(self.ag_blocks);
        (u32::try_from(linear / size).unwrap_or(u32::MAX), (linear % size) as u32)
    }

    /// Byte offset on the data device of a block.
    pub fn fsblock_byte(&self, block: FsBlock) -> u64 {
        self.fsblock_daddr(block) << DADDR_LOG
    }

    /// Blocks needed for `bytes` bytes.
    pub fn blocks_for(&self, bytes: u64) -> u64 {
        bytes.div_ceil(u64::from(self.block_size))
    }

    /// The inode `agino` of group `agno`.
    pub fn ino(&self, agno: u32, agino: u32) -> Ino {
        Ino(u64::from(agno) << self.inode.agino_log | u64::from(agino))
    }

    /// The allocation group of an inode; `u32::MAX` for impossible ones.
    pub fn ino_agno(&self, ino: Ino) -> u32 {
        u32::try_from(ino.0 >> self.inode.agino_log).unwrap_or(u32::MAX)
    }

    /// The inode's number within its group.
    pub fn ino_agino(&self, ino: Ino) -> u32 {
        (ino.0 & mask(self.inode.agino_log)) as u32
    }

    /// Group, and number within the group, of an inode.
    pub fn ino_parts(&self, ino: Ino) -> (u32, u32) {
        (self.ino_agno(ino), self.ino_agino(ino))
    }

    /// The block that holds an inode.
    pub fn ino_fsblock(&self, ino: Ino) -> FsBlock {
        FsBlock(ino.0 >> self.inode.per_block_log)
    }

    /// The inode's index in its block.
    pub fn ino_offset(&self, ino: Ino) -> u32 {
        (ino.0 & mask(self.inode.per_block_log)) as u32
    }

    /// The block of its group that holds inode `agino`.
    pub fn agino_agbno(&self, agino: u32) -> u32 {
        agino >> self.inode.per_block_log
    }

    /// The index in its block of inode `agino`.
    pub fn agino_offset(&self, agino: u32) -> u32 {
        agino & mask(self.inode.per_block_log) as u32
    }

    /// The first inode in block `agbno`; wraps for impossible blocks.
    pub fn agbno_agino(&self, agbno: u32) -> u32 {
        agbno.wrapping_shl(self.inode.per_block_log)
    }

    /// First inode of the first block of `block`.
    pub fn fsblock_ino(&self, block: FsBlock) -> Ino {
        Ino(block.0.wrapping_shl(self.inode.per_block_log))
    }

    /// Where to read inode `ino`: the disk address and length in bytes of the buffer (an
    /// inode cluster, as Linux reads and logs them), and the inode's byte offset in it.
    ///
    /// Clusters are aligned within their chunk, whose first block is `chunk_agbno` if the
    /// caller knows it; without alignment guarantees that is needed.
    pub fn inode_buffer(&self, ino: Ino, chunk_agbno: Option<u32>) -> (u64, usize, usize) {
        let (agno, agino) = self.ino_parts(ino);
        let agbno = self.agino_agbno(agino);
        let blocks = self.inode.blocks_per_cluster;
        let start = chunk_agbno.unwrap_or(agbno & !self.inode.align_mask).min(agbno);
        let cluster = start + (agbno - start) / blocks * blocks;
        let within = u64::from(agbno - cluster) * u64::from(self.inode.per_block)
            + u64::from(self.agino_offset(agino));
        (
            self.agblock_daddr(agno, cluster),
            (blocks as usize) << self.block_log,
            (within << self.inode.size_log) as usize,
        )
    }

    // ---- Allocation groups ----

    /// Blocks in group `agno`; 0 if there is no such group.
    pub fn ag_size(&self, agno: u32) -> u32 {
        if agno >= self.ag_count {
            return 0;
        }
        let start = u64::from(agno) * u64::from(self.ag_blocks);
        let left = self.data_blocks.saturating_sub(start);
        u32::try_from(left).unwrap_or(u32::MAX).min(self.ag_blocks)
    }

    /// Disk address of group `agno`'s superblock.
    pub fn sb_daddr(&self, agno: u32) -> u64 {
        self.ag_daddr(agno, 0)
    }

    /// Disk address of group `agno`'s free space header.
    pub fn agf_daddr(&self, agno: u32) -> u64 {
        self.ag_daddr(agno, self.daddrs_per_sector())
    }

    /// Disk address of group `agno`'s inode header.
    pub fn agi_daddr(&self, agno: u32) -> u64 {
        self.ag_daddr(agno, 2 * self.daddrs_per_sector())
    }

    /// Disk address of group `agno`'s free list.
    pub fn agfl_daddr(&self, agno: u32) -> u64 {
        self.ag_daddr(agno, 3 * self.daddrs_per_sector())
    }

    /// The block that holds the free list: the last of the headers' blocks.
    pub fn agfl_block(&self) -> u32 {
        3 << self.sector_log >> self.block_log
    }

    /// First block of a group that does not hold its headers.
    pub fn first_free_agbno(&self) -> u32 {
        self.agfl_block() + 1
    }

    /// Entries in a free list.
    pub fn agfl_size(&self) -> u32 {
        (self.sector_size - size_of::<super::ag::AgflHeader>() as u32) / 4
    }

    /// The block of each group where mkfs puts the first root of a tree; `None` for a
    /// tree that the filesystem does not have, and for inode forks.
    pub fn initial_root(&self, kind: BtreeKind) -> Option<u32> {
        let bno = self.first_free_agbno();
        let fino = bno + 3;
        let rmap = fino + u32::from(self.features.finobt);
        match kind {
            BtreeKind::Bno => Some(bno),
            BtreeKind::Cnt => Some(bno + 1),
            BtreeKind::Ino => Some(bno + 2),
            BtreeKind::Fino => self.features.finobt.then_some(fino),
            BtreeKind::Rmap => self.features.rmapbt.then_some(rmap),
            BtreeKind::Refcount => {
                self.features.reflink.then_some(rmap + u32::from(self.features.rmapbt))
            }
            BtreeKind::Bmap | BtreeKind::RtRmap | BtreeKind::RtRefcount => None,
        }
    }

    /// Blocks at the start of each group that hold headers and initial btree roots
    /// (`XFS_PREALLOC_BLOCKS`): first block that files can have.
    pub fn prealloc_blocks(&self) -> u32 {
        let optional = [self.features.finobt, self.features.rmapbt, self.features.reflink];
        self.first_free_agbno() + 3 + optional.iter().map(|&has| u32::from(has)).sum::<u32>()
    }

    /// The most blocks of an empty group that one allocation can get: all but headers,
    /// roots and the blocks kept back for the free list.
    pub fn ag_max_usable(&self) -> u32 {
        let headers = (4u32 << self.sector_log).div_ceil(self.block_size);
        let roots = self.prealloc_blocks() - self.first_free_agbno();
        self.ag_blocks.saturating_sub(headers + AGFL_RESERVE + roots)
    }

    /// Free blocks that user allocations must leave alone, over the whole filesystem.
    pub fn alloc_set_aside(&self) -> u64 {
        u64::from(self.ag_count) * u64::from(AGFL_RESERVE + 4)
    }

    /// Least length of the free list of a group whose trees have these heights, so that
    /// one allocation can split every tree to a new root.
    pub fn min_freelist(&self, bno_level: u32, cnt_level: u32, rmap_level: u32) -> u32 {
        let for_tree =
            |level: u32, max: u32| (2 * level.saturating_add(1).min(max)).saturating_sub(2);
        let free_space =
            for_tree(bno_level, self.max_levels.alloc) + for_tree(cnt_level, self.max_levels.alloc);
        let rmap =
            if self.features.rmapbt { for_tree(rmap_level, self.max_levels.rmap) } else { 0 };
        free_space + rmap
    }

    // ---- Realtime section ----

    /// Whether realtime groups have reverse mapping btrees.
    pub fn has_rt_rmap(&self) -> bool {
        self.features.metadir && self.features.rmapbt && self.features.realtime
    }

    /// Whether realtime groups have reference count btrees.
    pub fn has_rt_refcount(&self) -> bool {
        self.features.metadir && self.features.reflink && self.features.realtime
    }

    /// The realtime block `rgbno` of realtime group `rgno`, as mappings count it. Without
    /// groups the section is one group, number 0.
    pub fn rt_block(&self, rgno: u32, rgbno: u32) -> u64 {
        self.realtime.block(rgno, rgbno)
    }

    /// Realtime group, and block within it, of a realtime block. Groups beyond 32 bits, and
    /// blocks beyond them where there are no groups, give `u32::MAX`.
    pub fn rt_block_parts(&self, block: u64) -> (u32, u32) {
        self.realtime.parts(block)
    }

    /// Disk address of a realtime block, in 512-byte units from the start of the device that
    /// has the realtime section: the data device if [`RealtimeGeometry::is_internal`].
    pub fn rt_block_daddr(&self, block: u64) -> u64 {
        let linear = self.realtime.linear(block);
        linear.wrapping_add(self.realtime.start) << (self.block_log - DADDR_LOG)
    }

    /// The realtime block at a disk address of the device that has the realtime section;
    /// `None` before the section.
    pub fn daddr_rt_block(&self, daddr: u64) -> Option<u64> {
        let linear = (daddr >> (self.block_log - DADDR_LOG)).checked_sub(self.realtime.start)?;
        Some(self.realtime.block_at(linear))
    }

    // ---- Validity ----

    /// Whether `agbno` is a block of group `agno` behind the headers.
    pub fn valid_agbno(&self, agno: u32, agbno: u32) -> bool {
        agbno >= self.first_free_agbno() && agbno < self.ag_size(agno)
    }

    /// Whether the blocks from `agbno` on are all in group `agno` and behind the headers.
    pub fn valid_ag_extent(&self, agno: u32, agbno: u32, len: u32) -> bool {
        let Some(last) = len.checked_sub(1).and_then(|more| agbno.checked_add(more)) else {
            return false;
        };
        self.valid_agbno(agno, agbno) && self.valid_agbno(agno, last)
    }

    /// Whether `block` is on the data device and not a header.
    pub fn valid_fsb(&self, block: FsBlock) -> bool {
        let (agno, agbno) = self.fsblock_parts(block);
        self.valid_agbno(agno, agbno)
    }

    /// Whether `len` blocks from `block` on lie in one group, behind its headers.
    pub fn valid_fsb_extent(&self, block: FsBlock, len: u64) -> bool {
        let (agno, agbno) = self.fsblock_parts(block);
        u32::try_from(len).is_ok_and(|len| self.valid_ag_extent(agno, agbno, len))
    }

    /// First and last inode number that group `agno` can have, by its size.
    pub fn agino_range(&self, agno: u32) -> (u32, u32) {
        let align = self.inode.cluster_align.max(1);
        let first = self.first_free_agbno().div_ceil(align) * align;
        let end = self.ag_size(agno) / align * align;
        (self.agbno_agino(first), self.agbno_agino(end).wrapping_sub(1))
    }

    /// Whether group `agno` can have an inode `agino`.
    pub fn valid_agino(&self, agno: u32, agino: u32) -> bool {
        let (first, last) = self.agino_range(agno);
        agno < self.ag_count && (first..=last).contains(&agino)
    }

    /// Whether the filesystem can have an inode `ino`.
    pub fn valid_ino(&self, ino: Ino) -> bool {
        let (agno, agino) = self.ino_parts(ino);
        agno < self.ag_count && self.ino(agno, agino) == ino && self.valid_agino(agno, agino)
    }

    /// Whether a directory may name `ino`: valid and not for internal use.
    pub fn valid_dir_ino(&self, ino: Ino) -> bool {
        self.valid_ino(ino) && !self.internal_inodes.contains(&ino)
    }

    /// Whether a file may have blocks at `[offset, offset + len)`, in blocks.
    pub fn valid_file_range(&self, offset: u64, len: u64) -> bool {
        /// 2^54 - 1 plus 2^21 - 1: the end of the last mapping that can be recorded.
        const MAX_FILE_BLOCK: u64 = (1 << 54) - 1 + (1 << 21) - 1;
        len.checked_sub(1)
            .and_then(|more| offset.checked_add(more))
            .is_some_and(|last| last <= MAX_FILE_BLOCK)
    }

    // ---- Btree capacities ----

    /// Most records in a block of a tree: of leaf records, or of key and pointer pairs.
    pub fn max_records(&self, kind: BtreeKind, leaf: bool) -> u32 {
        let space = self.block_size - kind.header_len() as u32;
        space / kind.entry_len(leaf) as u32
    }

    /// Least records in a block of a tree other than its root.
    pub fn min_records(&self, kind: BtreeKind, leaf: bool) -> u32 {
        self.max_records(kind, leaf) / 2
    }

    /// Blocks of a tree of this kind that holds `records` records in blocks as empty as
    /// they may be: the worst case, for reservations.
    pub fn btree_worst_size(&self, kind: BtreeKind, records: u64) -> u64 {
        let mut fanout = u64::from(self.min_records(kind, true));
        let mut left = records;
        let mut blocks = 0;
        while left > 1 {
            left = left.div_ceil(fanout);
            fanout = u64::from(self.min_records(kind, false));
            blocks += left;
        }
        blocks
    }

    fn compute_max_levels(&self) -> MaxLevels {
        let ag_blocks = u64::from(self.ag_blocks);
        let height = |kind, records| {
            let leaf = u64::from(self.min_records(kind, true));
            let node = u64::from(self.min_records(kind, false));
            records_to_height(leaf, node, records)
        };
        let inode_chunks = (1u64 << self.inode.agino_log) / u64::from(INODES_PER_CHUNK);
        // With shared blocks there can be more reverse mappings than blocks, so there the
        // limit is a tree that fills the group.
        let rmap = if self.features.reflink {
            space_to_height(u64::from(self.min_records(BtreeKind::Rmap, false)), ag_blocks)
        } else {
            height(BtreeKind::Rmap, ag_blocks)
        };
        MaxLevels {
            alloc: height(BtreeKind::Bno, ag_blocks.div_ceil(2)),
            inobt: height(BtreeKind::Ino, inode_chunks),
            rmap: if self.features.rmapbt { rmap } else { 0 },
            refcount: if self.features.reflink {
                height(BtreeKind::Refcount, ag_blocks)
            } else {
                0
            },
            bmap_data: self
                .bmap_height(if self.features.nrext64 { (1 << 48) - 1 } else { (1 << 31) - 1 }, 3),
            bmap_attr: self
                .bmap_height(if self.features.nrext64 { (1 << 32) - 1 } else { (1 << 15) - 1 }, 2),
            rt_rmap: if self.has_rt_rmap() { self.rt_height(BtreeKind::RtRmap) } else { 0 },
            rt_refcount: if self.has_rt_refcount() {
                self.rt_height(BtreeKind::RtRefcount)
            } else {
                0
            },
        }
    }

    /// Height of a realtime group's tree with a record for each block of a group, as far as
    /// the data device, where its blocks are, has room for one; the root in the inode comes
    /// on top.
    fn rt_height(&self, kind: BtreeKind) -> u32 {
        let leaf = u64::from(self.min_records(kind, true));
        let node = u64::from(self.min_records(kind, false));
        let by_space = space_to_height(node, self.data_blocks);
        let by_records = records_to_height(leaf, node, self.realtime.group_blocks.into());
        by_space.min(by_records) + 1
    }

    /// Height of a fork's tree with `extents` records whose root in the inode holds
    /// `root_records` pointers.
    fn bmap_height(&self, extents: u64, root_records: u64) -> u32 {
        let mut blocks = extents.div_ceil(u64::from(self.min_records(BtreeKind::Bmap, true)));
        let fanout = u64::from(self.min_records(BtreeKind::Bmap, false));
        let mut level = 1;
        while blocks > 1 {
            blocks = if blocks <= root_records { 1 } else { blocks.div_ceil(fanout) };
            level += 1;
        }
        level
    }
}

/// Height of a tree of `records` records with the given least fanouts.
fn records_to_height(leaf: u64, node: u64, records: u64) -> u32 {
    let mut blocks = records.div_ceil(leaf);
    let mut height = 1;
    while blocks > 1 {
        blocks = blocks.div_ceil(node);
        height += 1;
    }
    height
}

/// Height of the tallest tree that fits in `blocks` blocks.
fn space_to_height(node: u64, blocks: u64) -> u32 {
    let mut at_level = 2;
    let mut left = blocks.saturating_sub(1);
    let mut height = 1;
    while at_level < left {
        left -= at_level;
        at_level = at_level.saturating_mul(node);
        height += 1;
    }
    height
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

fn check_arithmetic(sb: &Dsb) -> Result<()> {
    let check = Check::new("superblock", At::Daddr(0));
    let range = |name: &str, value: u8, range: std::ops::RangeInclusive<u8>| {
        check.that(range.contains(&value), || format!("{name} is {value}"))
    };
    range("sectlog", sb.sectlog, 9..=15)?;
    range("blocklog", sb.blocklog, 10..=16)?;
    range("inodelog", sb.inodelog, 9..=11)?;
    range("dirblklog", sb.dirblklog, 0..=16 - sb.blocklog)?;
    range("agblklog", sb.agblklog, 6..=31)?;
    check.that(sb.inodelog <= sb.blocklog, || "inodes are larger than blocks".into())?;
    check.that(sb.sectlog <= sb.blocklog, || "sectors are larger than blocks".into())?;
    check.equal("inopblog", sb.inopblog, sb.blocklog - sb.inodelog)?;
    let agino_log = sb.agblklog + sb.inopblog;
    check.that(agino_log <= 32, || format!("inode numbers take {agino_log} bits in a group"))?;
    let blocks = sb.agblocks.get();
    check.that((64..=1 << sb.agblklog).contains(&blocks), || format!("agblocks is {blocks}"))?;
    check.that(sb.agcount.get() > 0, || "agcount is 0".into())?;
    let most = u64::from(sb.agcount.get()) * u64::from(blocks);
    let bytes = most.checked_mul(1 << sb.blocklog).filter(|&bytes| bytes <= i64::MAX as u64);
    check.that(bytes.is_some(), || "the filesystem is larger than 2^63 bytes".into())
}

fn features(sb: &Dsb) -> Features {
    let (ro, incompat, version) = (sb.ro_compat(), sb.incompat(), sb.version());
    Features {
        finobt: ro.contains(RoCompat::FINOBT),
        rmapbt: ro.contains(RoCompat::RMAPBT),
        reflink: ro.contains(RoCompat::REFLINK),
        inobtcount: ro.contains(RoCompat::INOBTCNT),
        ftype: incompat.contains(Incompat::FTYPE),
        sparse_inodes: incompat.contains(Incompat::SPINODES),
        meta_uuid: incompat.contains(Incompat::META_UUID),
        bigtime: incompat.contains(Incompat::BIGTIME),
        needs_repair: incompat.contains(Incompat::NEEDSREPAIR),
        nrext64: incompat.contains(Incompat::NREXT64),
        exchange: incompat.contains(Incompat::EXCHRANGE),
        parent: incompat.contains(Incompat::PARENT),
        metadir: incompat.contains(Incompat::METADIR),
        zoned: incompat.contains(Incompat::ZONED),
        zone_gaps: incompat.contains(Incompat::ZONE_GAPS),
        ascii_ci: version.contains(Version::BORG),
        realtime: sb.rblocks.get() != 0,
        quota: version.contains(Version::QUOTA),
        lazy_counters: sb.features2().contains(Features2::LAZYSBCOUNT),
    }
}

fn internal_inodes(sb: &Dsb) -> [Ino; 5] {
    let fields = [&sb.rbmino, &sb.rsumino, &sb.uquotino, &sb.gquotino, &sb.pquotino];
    // mkfs leaves unused quota inodes 0, Linux writes them as all ones.
    fields.map(|field| if field.get() == 0 { Ino::NULL } else { Ino(field.get()) })
}

fn inode_geometry(sb: &Dsb) -> InodeGeometry {
    /// Bytes of an inode buffer for the smallest inodes, and their size.
    const BIG_CLUSTER: u32 = 8192;
    const SMALLEST_INODE: u32 = 256;
    let blocklog = u32::from(sb.blocklog);
    let size = 1u32 << sb.inodelog;
    let per_block_log = u32::from(sb.inopblog);
    let chunk_align = sb.inoalignmt.get();
    let scaled = BIG_CLUSTER * (size / SMALLEST_INODE);
    let cluster_bytes = if chunk_align >= scaled >> blocklog { scaled } else { BIG_CLUSTER };
    let blocks_per_cluster = (cluster_bytes >> blocklog).max(1);
    let cluster_blocks_rounded_down = cluster_bytes >> blocklog;
    let aligned = sb.version().contains(Version::ALIGN)
        && chunk_align >= cluster_blocks_rounded_down
        && chunk_align.is_power_of_two();
    let sparse_align = sb.spino_align.get();
    let alloc_inodes = INODES_PER_CHUNK.max(1 << per_block_log);
    let alloc_blocks = alloc_inodes >> per_block_log;
    let limit = sb.dblocks.get() / 100 * u64::from(sb.imax_pct)
        + sb.dblocks.get() % 100 * u64::from(sb.imax_pct) / 100;
    let limit = limit / u64::from(alloc_blocks) * u64::from(alloc_blocks);
    InodeGeometry {
        size,
        size_log: sb.inodelog.into(),
        per_block: 1 << per_block_log,
        per_block_log,
        agino_log: u32::from(sb.agblklog) + per_block_log,
        chunk_align,
        sparse_align,
        blocks_per_cluster,
        inodes_per_cluster: blocks_per_cluster << per_block_log,
        cluster_align: if sparse_align != 0 { sparse_align } else { blocks_per_cluster },
        align_mask: if aligned { chunk_align - 1 } else { 0 },
        alloc_inodes,
        alloc_blocks,
        alloc_min_blocks: if sparse_align != 0 { sparse_align } else { alloc_blocks },
        max_count: limit << per_block_log,
    }
}

fn log_geometry(sb: &Dsb) -> LogGeometry {
    let start = sb.logstart.get();
    let sector = sb.logsectsize.get();
    LogGeometry {
        start: (start != 0).then_some(FsBlock(start)),
        blocks: sb.logblocks.get(),
        stripe_unit: sb.logsunit.get().max(1),
        sector_size: if sector == 0 { 512 } else { sector.into() },
    }
}
