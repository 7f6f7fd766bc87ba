//! Extents of a file fork in memory, ordered by file offset.
//!
//! An [`Extent`] is one mapping of file blocks to filesystem blocks, decoded from the
//! 128-bit record (`xfs_bmbt_rec`) that inodes and bmap btree leaves hold. An
//! [`ExtentMap`] is all of a fork's mappings; every operation costs O(log n).

use std::collections::BTreeMap;

use crate::format::geometry::FsBlock;

/// Most blocks one extent record can map: its count has 21 bits.
pub const MAX_EXTENT_BLOCKS: u64 = (1 << 21) - 1;
/// Bytes of an extent record on disk.
pub const RECORD_BYTES: usize = 16;
/// Bits of a file offset in a record.
const OFFSET_BITS: u32 = 54;
/// Bits of a block count in a record.
const COUNT_BITS: u32 = 21;
/// Bits of the start block that share a 64-bit word with the count.
const LOW_BLOCK_BITS: u32 = 64 - COUNT_BITS;
/// Bits of the start block that share a 64-bit word with the offset.
const HIGH_BLOCK_BITS: u32 = 9;

/// File blocks `offset..offset + count` lie at filesystem blocks `block..block + count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// First file block.
    pub offset: u64,
    /// First filesystem block.
    pub block: FsBlock,
    /// Blocks, 1 to [`MAX_EXTENT_BLOCKS`].
    pub count: u64,
    /// Allocated but never written: reads as zeros.
    pub unwritten: bool,
}

impl Extent {
    /// The file block after the last one mapped.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.count)
    }

    /// Whether file block `offset` is mapped by this extent.
    pub fn contains(&self, offset: u64) -> bool {
        (self.offset..self.end()).contains(&offset)
    }

    /// The filesystem block of file block `offset`, which must not be before the extent.
    pub fn block_at(&self, offset: u64) -> FsBlock {
        FsBlock(self.block.0.saturating_add(offset.saturating_sub(self.offset)))
    }

    /// The part of this extent inside file blocks `start..end`, if there is one.
    pub fn clip(&self, start: u64, end: u64) -> Option<Extent> {
        let offset = self.offset.max(start);
        let end = self.end().min(end);
        (offset < end).then(|| Extent {
            offset,
            block: self.block_at(offset),
            count: end - offset,
            unwritten: self.unwritten,
        })
    }

    /// Whether `next` continues this extent in the file, on the device and in state, and
    /// one record could hold both. Neighbouring filesystem block numbers never cross an
    /// allocation group, because groups begin with headers that no file owns.
    pub fn joins(&self, next: &Extent) -> bool {
        self.end() == next.offset
            && self.block.0.checked_add(self.count) == Some(next.block.0)
            && self.unwritten == next.unwritten
            && self.count.saturating_add(next.count) <= MAX_EXTENT_BLOCKS
    }

    /// The record as stored on disk (big-endian). Values outside their bits are cut off;
    /// extents that came through [`Extent::from_bytes`] or an allocation always fit.
    pub fn to_bytes(&self) -> [u8; RECORD_BYTES] {
        let high = u64::from(self.unwritten) << 63
            | (self.offset & mask(OFFSET_BITS)) << HIGH_BLOCK_BITS
            | (self.block.0 >> LOW_BLOCK_BITS) & mask(HIGH_BLOCK_BITS);
        let low =
            (self.block.0 & mask(LOW_BLOCK_BITS)) << COUNT_BITS | self.count & mask(COUNT_BITS);
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }

    /// Decodes a record as stored on disk. Any bits decode; see [`super::fork`] for checks.
    pub fn from_bytes(bytes: [u8; RECORD_BYTES]) -> Self {
        let whole = u128::from_be_bytes(bytes);
        let (high, low) = ((whole >> 64) as u64, whole as u64);
        let block = (high & mask(HIGH_BLOCK_BITS)) << LOW_BLOCK_BITS | low >> COUNT_BITS;
        Extent {
            offset: high >> HIGH_BLOCK_BITS & mask(OFFSET_BITS),
            block: FsBlock(block),
            count: low & mask(COUNT_BITS),
            unwritten: high >> 63 != 0,
        }
    }
}

fn mask(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// What an [`ExtentMap`] keeps behind an extent's file offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    block: FsBlock,
    count: u32,
    unwritten: bool,
}

/// Extents that do not overlap, by file offset.
///
/// Neighbours that could be joined need not be: other writers may leave such records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExtentMap {
    map: BTreeMap<u64, Target>,
}

fn extent((&offset, target): (&u64, &Target)) -> Extent {
    let Target { block, count, unwritten } = *target;
    Extent { offset, block, count: count.into(), unwritten }
}

impl ExtentMap {
    /// No extents.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of extents.
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// Whether nothing is mapped.
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The extent that maps file block `offset`, or else the first one after it.
    pub fn lookup(&self, offset: u64) -> Option<Extent> {
        self.containing(offset).or_else(|| self.at_or_after(offset))
    }

    /// The extent that maps file block `offset`.
    pub fn containing(&self, offset: u64) -> Option<Extent> {
        self.map.range(..=offset).next_back().map(extent).filter(|found| found.contains(offset))
    }

    /// The last extent that begins before file block `offset`.
    pub fn before(&self, offset: u64) -> Option<Extent> {
        self.map.range(..offset).next_back().map(extent)
    }

    /// The first extent that begins at or after file block `offset`.
    pub fn at_or_after(&self, offset: u64) -> Option<Extent> {
        self.map.range(offset..).next().map(extent)
    }

    /// The first extent.
    pub fn first(&self) -> Option<Extent> {
        self.map.first_key_value().map(extent)
    }

    /// The last extent.
    pub fn last(&self) -> Option<Extent> {
        self.map.last_key_value().map(extent)
    }

    /// Adds an extent, or replaces the one that begins at the same offset. The caller sees
    /// to it that no others overlap.
    pub fn insert(&mut self, new: Extent) {
        let count = new.count.min(MAX_EXTENT_BLOCKS) as u32;
        let target = Target { block: new.block, count, unwritten: new.unwritten };
        self.map.insert(new.offset, target);
    }

    /// Adds an extent that must lie after all others; `false`, and nothing is added, if
    /// it does not.
    #[must_use]
    pub fn push(&mut self, new: Extent) -> bool {
        let fits = self.last().is_none_or(|last| last.end() <= new.offset);
        if fits {
            self.insert(new);
        }
        fits
    }

    /// Removes and returns the extent that begins at `offset`.
    pub fn remove(&mut self, offset: u64) -> Option<Extent> {
        self.map.remove(&offset).map(|target| extent((&offset, &target)))
    }

    /// All extents in file order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Extent> + '_ {
        self.map.iter().map(extent)
    }

    /// Extents that map any of file blocks `start..end`, whole, in file order.
    pub fn overlapping(
        &self,
        start: u64,
        end: u64,
    ) -> impl DoubleEndedIterator<Item = Extent> + '_ {
        let first = self.containing(start).map_or(start, |found| found.offset);
        self.map.range(first..end.max(first)).map(extent)
    }

    /// The extents as stored in an inode.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * RECORD_BYTES);
        self.iter().for_each(|found| bytes.extend_from_slice(&found.to_bytes()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ext(offset: u64, block: u64, count: u64, unwritten: bool) -> Extent {
        Extent { offset, block: FsBlock(block), count, unwritten }
    }

    /// `xfs_db -c "inode N" -c "print u3.bmx" -c "type text" -c print` on an image that
    /// Linux wrote: [startoff,startblock,blockcount,extentflag] and the bytes.
    #[test]
    fn records_are_as_linux_writes_them() {
        let mut bytes = [0u8; 16];
        bytes[7] = 0; // offset 0, block 24, 16 blocks, written
        bytes[8..].copy_from_slice(&(24u64 << 21 | 16).to_be_bytes());
        assert_eq!(Extent::from_bytes(bytes), ext(0, 24, 16, false));
        assert_eq!(ext(0, 24, 16, false).to_bytes(), bytes);
        let extreme = ext((1 << 54) - 1, (1 << 52) - 1, MAX_EXTENT_BLOCKS, true);
        assert_eq!(extreme.to_bytes(), [0xff; 16]);
        assert_eq!(Extent::from_bytes([0xff; 16]), extreme);
    }

    #[test]
    fn lookups_around_holes() {
        let mut map = ExtentMap::new();
        for new in [ext(10, 100, 5, false), ext(20, 200, 5, false), ext(25, 300, 1, true)] {
            assert!(map.push(new));
        }
        assert!(!map.push(ext(25, 1, 1, false)));
        assert_eq!(map.lookup(0).unwrap().offset, 10);
        assert_eq!(map.lookup(14).unwrap().offset, 10);
        assert_eq!(map.lookup(15).unwrap().offset, 20);
        assert_eq!(map.lookup(26), None);
        assert_eq!(map.containing(15), None);
        assert_eq!(map.before(20).unwrap().offset, 10);
        assert_eq!(map.overlapping(14, 21).count(), 2);
        assert_eq!(map.overlapping(15, 20).count(), 0);
        assert_eq!(map.overlapping(24, 100).count(), 2);
        assert_eq!(map.remove(20).unwrap().block, FsBlock(200));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn clip_and_join() {
        let whole = ext(10, 100, 10, false);
        assert_eq!(whole.clip(0, 12), Some(ext(10, 100, 2, false)));
        assert_eq!(whole.clip(12, 15), Some(ext(12, 102, 3, false)));
        assert_eq!(whole.clip(20, 25), None);
        assert!(whole.joins(&ext(20, 110, 1, false)));
        assert!(!whole.joins(&ext(20, 110, 1, true)));
        assert!(!whole.joins(&ext(20, 111, 1, false)));
        assert!(!whole.joins(&ext(20, 110, MAX_EXTENT_BLOCKS - 9, false)));
        assert!(whole.joins(&ext(20, 110, MAX_EXTENT_BLOCKS - 10, false)));
    }
}
