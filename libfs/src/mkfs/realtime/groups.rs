//! The size of realtime groups.
//!
//! The rules, found by trying sizes with mkfs.xfs 7.2: a section is divided like the data
//! section into allocation groups. Where realtime extents are a power of two of blocks, so are
//! groups: the largest ones that make at least as many groups as that division. The last group
//! must not have fewer than two realtime extents, and is counted as too small if it is whole;
//! then groups grow, but not beyond what a group may be; or else by one realtime extent.

use super::{GroupSizing, RealtimeError};
use crate::format::realtime::{MAX_GROUP_BLOCKS, MIN_GROUP_EXTENTS};
use crate::mkfs::Options;
use crate::mkfs::groups::concurrent_ag_blocks;

const MEBI: u64 = 1 << 20;
const TEBI: u64 = 1 << 40;

/// Size and number of groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GroupSize {
    pub(super) blocks: u64,
    pub(super) groups: u64,
}

/// How a section of `blocks` blocks is divided into groups.
pub(super) fn choose(
    options: &Options,
    block: u64,
    blocks: u64,
    extent: u32,
) -> Result<GroupSize, RealtimeError> {
    let realtime = &options.realtime;
    let extent = u64::from(extent);
    let by_size = |size: u64| GroupSize { blocks: size, groups: blocks.div_ceil(size.max(1)) };
    let solid = realtime.device.filter(|device| device.solid_state);
    match &realtime.sizing {
        GroupSizing::Size(size) => {
            if !size.bytes.is_multiple_of(block) {
                let text = size.text.clone();
                return Err(RealtimeError::GroupSizeUnaligned { text, block: block as u32 });
            }
            Ok(by_size(size.bytes / block))
        }
        // What a section that may come later would be divided into.
        _ if blocks == 0 => {
            let size = TEBI / block;
            Ok(GroupSize { blocks: size - size % extent, groups: 0 })
        }
        _ if blocks < extent * u64::from(MIN_GROUP_EXTENTS) => Ok(GroupSize { blocks, groups: 0 }),
        GroupSizing::Count(count) => {
            let size = blocks.div_ceil((*count).max(1));
            Ok(GroupSize { blocks: size, groups: blocks.div_ceil(size) })
        }
        GroupSizing::Concurrency(threads) if *threads > 0 => {
            Ok(by_size(for_threads(block, blocks, extent, u64::from(*threads))))
        }
        GroupSizing::Automatic if solid.is_some() => {
            let threads = u64::from(options.cpus);
            Ok(by_size(for_threads(block, blocks, extent, threads)))
        }
        GroupSizing::Automatic | GroupSizing::Concurrency(_) => {
            Ok(by_size(automatic(block, blocks, extent)))
        }
    }
}

/// Group size that gives each of `threads` a group of its own, of at least 4 GiB.
fn for_threads(block: u64, blocks: u64, extent: u64, threads: u64) -> u64 {
    let usual = automatic(block, blocks, extent);
    concurrent_ag_blocks(block, blocks, usual, threads)
}

/// Group size by the size of the section alone.
fn automatic(block: u64, blocks: u64, extent: u64) -> u64 {
    let maximum = u64::from(MAX_GROUP_BLOCKS);
    let large = blocks >= 4 * TEBI / block;
    let count = if large || blocks < 128 * MEBI / block { 1 } else { 4 };
    let division = if large { maximum } else { blocks.div_ceil(count) };
    let grown = |size: u64| size + extent;
    let runt = |size: u64| blocks % size < extent * u64::from(MIN_GROUP_EXTENTS);
    if !extent.is_power_of_two() {
        let size = division.min(maximum);
        let size = size - size % extent;
        return if size != 0 && runt(size) { grown(size) } else { size };
    }
    let size = largest_power(blocks / count).min(largest_power(maximum));
    if !runt(size) {
        return size;
    }
    // Twice the group, or twice all if that would be as many groups again.
    let whole = blocks / size == count;
    let larger = if whole { 2 * blocks } else { 2 * division };
    let larger = larger.next_power_of_two();
    if larger > maximum { grown(size) } else { larger }
}

fn largest_power(number: u64) -> u64 {
    1 << number.max(1).ilog2()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automatic_sizes_are_those_of_mkfs() {
        // Blocks of the section, of a realtime extent, and rgsize (in realtime extents) as
        // `mkfs.xfs -N -m metadir=1 -r rtdev=FILE` of xfsprogs 7.2 prints it.
        for (blocks, extent, extents) in [
            (2, 1, 4),
            (3, 1, 8),
            (4, 1, 8),
            (5, 1, 16),
            (6, 1, 4),
            (33, 1, 128),
            (25_600, 1, 16_384),
            (32_768, 1, 65_536),
            (33_280, 1, 8192),
            (51_200, 1, 8192),
            (130_816, 1, 16_384),
            (262_144, 1, 524_288),
            (262_145, 1, 1_048_576),
            (262_146, 1, 65_536),
            (327_681, 1, 262_144),
            (327_682, 1, 65_536),
            (1_835_009, 1, 1_048_576),
            (2_621_440, 1, 2_097_152),
            (26_214_400, 1, 4_194_304),
            (805_306_368, 1, 536_870_912),
            (536_870_912, 1, 1_073_741_824),
            (536_870_913, 1, 134_217_729),
            (1_073_741_823, 1, 134_217_728),
            (1_073_741_824, 1, 1_073_741_825),
            (1_073_741_826, 1, 1_073_741_824),
            (2_147_483_649, 1, 1_073_741_825),
            (3_221_225_473, 1, 1_073_741_825),
            (4_026_531_840, 1, 1_073_741_824),
            (262_160, 16, 65_536),
            (262_176, 16, 4096),
            (33, 16, 8),
            (1_073_741_824, 256, 4_194_305),
            (25_600, 3, 8534),
            (262_144, 3, 21_846),
            (4_456_448, 3, 371_370),
            (2_621_440, 5, 131_073),
            (268_435_456, 5, 13_421_772),
            (301, 3, 101),
            (1_073_741_824, 3, 715_827_882),
            (4_294_963_200, 3, 715_827_882),
        ] {
            assert_eq!(automatic(4096, blocks, extent) / extent, extents, "{blocks} {extent}");
        }
    }
}
