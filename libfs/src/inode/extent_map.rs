//! Extents of a file fork in memory, ordered by file offset.
//!
//! An [`Extent`] is one mapping of file blocks to filesystem blocks. An [`ExtentMap`] is
//! all of a fork's mappings; every operation costs O(log n).

use std::collections::BTreeMap;

use zerocopy::IntoBytes;

use crate::format::extent::{DiskExtent, MAX_LEN};
use crate::format::geometry::FsBlock;

pub use crate::format::extent::Extent;

/// Most blocks one extent record can map.
pub const MAX_EXTENT_BLOCKS: u64 = MAX_LEN as u64;
/// Bytes of an extent record on disk.
pub const RECORD_BYTES: usize = size_of::<DiskExtent>();

impl Extent {
    /// Whether file block `offset` is mapped by this extent.
    pub fn contains(&self, offset: u64) -> bool {
        (self.offset..self.end()).contains(&offset)
    }

    /// The filesystem block of file block `offset`, which must not be before the extent.
    pub fn block_at(&self, offset: u64) -> FsBlock {
        FsBlock(self.start.0.saturating_add(offset.saturating_sub(self.offset)))
    }

    /// The part of this extent inside file blocks `start..end`, if there is one.
    pub fn clip(&self, start: u64, end: u64) -> Option<Extent> {
        let offset = self.offset.max(start);
        let end = self.end().min(end);
        (offset < end).then(|| Extent {
            offset,
            start: self.block_at(offset),
            len: end - offset,
            unwritten: self.unwritten,
        })
    }

    /// Whether `next` continues this extent in the file, on the device and in state, and
    /// one record could hold both. Neighbouring filesystem block numbers never cross an
    /// allocation group, because groups begin with headers that no file owns.
    pub fn joins(&self, next: &Extent) -> bool {
        self.is_continued_by(next) && self.len.saturating_add(next.len) <= MAX_EXTENT_BLOCKS
    }

    /// Whether `next` continues this extent in the file, on the device and in state.
    pub fn is_continued_by(&self, next: &Extent) -> bool {
        self.end() == next.offset
            && self.start.0.checked_add(self.len) == Some(next.start.0)
            && self.unwritten == next.unwritten
    }
}

/// What an [`ExtentMap`] keeps behind an extent's file offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Target {
    start: FsBlock,
    len: u32,
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
    let Target { start, len, unwritten } = *target;
    Extent { offset, start, len: len.into(), unwritten }
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
        let len = new.len.min(MAX_EXTENT_BLOCKS) as u32;
        let target = Target { start: new.start, len, unwritten: new.unwritten };
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
        self.iter().for_each(|found| bytes.extend_from_slice(found.encode().as_bytes()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ext(offset: u64, start: u64, len: u64, unwritten: bool) -> Extent {
        Extent { offset, start: FsBlock(start), len, unwritten }
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
        assert_eq!(map.remove(20).unwrap().start, FsBlock(200));
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
