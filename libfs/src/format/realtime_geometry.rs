//! What follows from the superblock for the realtime section.
//!
//! Address spaces: mappings of realtime files count *realtime blocks*. Where there are groups
//! (with the metadata directory) a realtime block packs group and block within the group, the
//! group in the bits above `sb_rgblklog`, so that there are gaps when the size of a group is
//! not a power of two; on the device the groups follow each other without gaps, except with
//! [`Incompat::ZONE_GAPS`]. Without groups realtime blocks are counted from the start of the
//! section, which then is one large group for the purposes of this module.

use super::features::Incompat;
use super::realtime::{RtBlockHeader, WORD_BITS, WORD_LEN};
use super::superblock::Dsb;

/// Sizes of the realtime section and of its bitmap and summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RealtimeGeometry {
    /// Blocks of the realtime section; 0 if there is none.
    pub blocks: u64,
    /// Realtime extents of the section.
    pub extents: u64,
    /// Blocks in a realtime extent, at least 1.
    pub extent_size: u32,
    /// log2 of `extents`, rounded down, as the superblock says (`sb_rextslog`).
    pub extents_log: u32,
    /// The section is divided into groups, whose metadata is in the metadata directory.
    pub has_groups: bool,
    /// Number of groups; 1 without groups, 0 without a realtime section.
    pub group_count: u32,
    /// Realtime extents in each group but the last.
    pub group_extents: u64,
    /// Blocks in each group but the last; capped to 32 bits without groups.
    pub group_blocks: u32,
    /// Bits of a realtime block below the group number; 0 without groups.
    pub group_block_log: u32,
    /// Groups are apart on the device as they are in the address space of mappings.
    pub has_gaps: bool,
    /// First block of an internal realtime section on the data device; 0 if the section has
    /// a device of its own.
    pub start: u64,
    /// Blocks set aside in a zoned section.
    pub reserved: u64,
    /// 32-bit words in a block of the bitmap or summary.
    pub words_per_block: u32,
    /// Blocks of one bitmap file: of each group, or of the only one.
    pub bitmap_blocks: u64,
    /// Magnitudes that the summary counts; 0 in a zoned section.
    pub summary_levels: u32,
    /// Blocks of one summary file.
    pub summary_blocks: u64,
}

impl RealtimeGeometry {
    /// Derives the geometry; nothing in `sb` needs to be right.
    pub(super) fn new(sb: &Dsb) -> Self {
        let incompat = sb.incompat();
        let has_groups = incompat.contains(Incompat::METADIR);
        let zoned = incompat.contains(Incompat::ZONED);
        let (blocks, extents) = (sb.rblocks.get(), sb.rextents.get());
        let extent_size = sb.rextsize.get().max(1);
        let group_extents = if has_groups { u64::from(sb.rgextents.get()) } else { extents };
        let group_blocks = group_extents.saturating_mul(extent_size.into());
        let header = if has_groups { size_of::<RtBlockHeader>() as u32 } else { 0 };
        let block_size = 1u32.checked_shl(sb.blocklog.into()).unwrap_or(0);
        let words_per_block = (block_size.saturating_sub(header) / WORD_LEN).max(1);
        let per_block = u64::from(words_per_block);
        // No extents, no bitmap, though groups may have been given a size already.
        let counted = if zoned || extents == 0 { 0 } else { group_extents };
        let bitmap_blocks = counted.div_ceil(per_block * u64::from(WORD_BITS));
        let summary_levels = counted.checked_ilog2().map_or(0, |log| log + 1);
        Self {
            blocks,
            extents,
            extent_size,
            extents_log: sb.rextslog.into(),
            has_groups,
            group_count: if has_groups { sb.rgcount.get() } else { u32::from(extents != 0) },
            group_extents,
            group_blocks: u32::try_from(group_blocks).unwrap_or(u32::MAX),
            group_block_log: if has_groups { u32::from(sb.rgblklog).min(63) } else { 0 },
            has_gaps: incompat.contains(Incompat::ZONE_GAPS),
            start: if zoned { sb.rtstart.get() } else { 0 },
            reserved: if zoned { sb.rtreserved.get() } else { 0 },
            words_per_block,
            bitmap_blocks,
            summary_levels,
            summary_blocks: (bitmap_blocks.saturating_mul(summary_levels.into()))
                .div_ceil(per_block),
        }
    }

    /// Whether the section lies on the data device, behind the data.
    pub fn is_internal(&self) -> bool {
        self.start != 0
    }

    /// Bytes at the start of each block of the bitmap and summary that are no words.
    pub fn word_offset(&self) -> usize {
        if self.has_groups { size_of::<RtBlockHeader>() } else { 0 }
    }

    /// Realtime extents of group `rgno`: fewer in the last group.
    pub fn extents_of(&self, rgno: u32) -> u64 {
        if rgno >= self.group_count {
            return 0;
        }
        let before = u64::from(rgno).saturating_mul(self.group_extents);
        self.extents.saturating_sub(before).min(self.group_extents)
    }

    /// Blocks of group `rgno`, whole realtime extents only.
    pub fn blocks_of(&self, rgno: u32) -> u64 {
        self.extents_of(rgno).saturating_mul(self.extent_size.into())
    }

    /// Whether `len` blocks from `rgbno` on are all in group `rgno`.
    pub fn valid_group_extent(&self, rgno: u32, rgbno: u32, len: u32) -> bool {
        len != 0 && u64::from(rgbno) + u64::from(len) <= self.blocks_of(rgno)
    }

    /// Whether `len` realtime blocks from `block` on lie in one group.
    pub fn valid_extent(&self, block: u64, len: u64) -> bool {
        if !self.has_groups {
            return len != 0 && block.checked_add(len).is_some_and(|end| end <= self.blocks);
        }
        let (rgno, rgbno) = self.parts(block);
        u32::try_from(len).is_ok_and(|len| self.valid_group_extent(rgno, rgbno, len))
    }

    pub(super) fn block(&self, rgno: u32, rgbno: u32) -> u64 {
        u64::from(rgno) << self.group_block_log | u64::from(rgbno)
    }

    pub(super) fn parts(&self, block: u64) -> (u32, u32) {
        let narrow = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        if !self.has_groups {
            return (0, narrow(block));
        }
        (narrow(block >> self.group_block_log), narrow(block & ((1 << self.group_block_log) - 1)))
    }

    /// Place of a realtime block on the device, in blocks from the start of the section.
    pub(super) fn linear(&self, block: u64) -> u64 {
        if !self.has_groups || self.has_gaps {
            return block;
        }
        let (rgno, rgbno) = self.parts(block);
        u64::from(rgno) * u64::from(self.group_blocks) + u64::from(rgbno)
    }

    /// The opposite of [`RealtimeGeometry::linear`].
    pub(super) fn block_at(&self, linear: u64) -> u64 {
        let size = u64::from(self.group_blocks);
        if !self.has_groups || self.has_gaps || size == 0 {
            return linear;
        }
        let rgno = u32::try_from(linear / size).unwrap_or(u32::MAX);
        self.block(rgno, u32::try_from(linear % size).unwrap_or(u32::MAX))
    }
}
