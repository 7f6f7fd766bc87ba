//! What lies where in each allocation group of a new filesystem.
//!
//! A new group is not written empty: xfsprogs makes it by running real allocations, and
//! their traces (a free list taken off the first fitting extent, records left behind the
//! last one of a btree block) are part of the bytes to match.

use super::Plan;
use crate::format::btree_block::BtreeKind;
use crate::format::btree_record::{FreeExtent, Rmap, RmapFlags, owner};
use crate::format::geometry::Geometry;

/// One allocation group.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u32,
    /// Blocks in it.
    pub(super) length: u32,
    pub(super) free: FreeSpace,
    /// Reverse mappings in order; empty without the feature.
    pub(super) owners: Vec<Rmap>,
    /// Blocks of the free list.
    pub(super) free_list: Vec<u32>,
    /// First block of the chunk that holds the root directory; group 0 only.
    pub(super) inode_chunk: Option<u32>,
}

impl Group {
    pub(super) fn new(plan: &Plan, number: u32) -> Self {
        let geometry = &plan.geometry;
        let length = geometry.ag_size(number);
        let log = plan.log.filter(|(ag, _)| *ag == number).map(|(_, start)| start);
        let mut group = Self {
            number,
            length,
            free: FreeSpace::new(free_extents(geometry, length, log)),
            owners: initial_owners(geometry, log),
            free_list: Vec::new(),
            inode_chunk: None,
        };
        group.fill_free_list(geometry);
        if number == 0 {
            group.allocate_inode_chunk(geometry);
        }
        group
    }

    fn fill_free_list(&mut self, geometry: &Geometry) {
        let needed = geometry.min_freelist(1, 1, 1);
        // A log can leave a group with less: then the list stays empty.
        if self.free.blocks() < needed {
            return;
        }
        while (self.free_list.len() as u32) < needed {
            let missing = needed - self.free_list.len() as u32;
            let Some(taken) = self.free.take_by_size(missing) else { return };
            self.free_list.extend(taken.start..taken.start + taken.len);
            self.add_owner(geometry, taken, owner::AG);
        }
    }

    fn allocate_inode_chunk(&mut self, geometry: &Geometry) {
        let blocks = geometry.inode.alloc_blocks;
        let cluster = geometry.inode.align_mask + 1;
        let chunk = self
            .free
            .take_aligned(blocks, chunk_alignment(geometry))
            .or_else(|| self.free.take_aligned(blocks, cluster));
        if let Some(chunk) = chunk {
            self.add_owner(geometry, chunk, owner::INODES);
        }
        self.inode_chunk = chunk.map(|chunk| chunk.start);
    }

    /// The block of group 0 where repair programs look for the root directory: the first that is
    /// aligned behind headers, roots, free list and log, as if there were no gaps between them.
    pub(super) fn expected_inode_chunk(&self, plan: &Plan) -> u32 {
        let geometry = &plan.geometry;
        let log = if plan.log.is_some_and(|(ag, _)| ag == 0) { geometry.log.blocks } else { 0 };
        let first = geometry.prealloc_blocks() + geometry.min_freelist(1, 1, 1) + log;
        first.next_multiple_of(chunk_alignment(geometry))
    }

    /// Records who owns blocks that were free, joined to a neighbour of the same owner.
    fn add_owner(&mut self, geometry: &Geometry, extent: FreeExtent, owner: u64) {
        if !geometry.features.rmapbt {
            return;
        }
        let at = self.owners.partition_point(|record| record.startblock < extent.start);
        let left = at.checked_sub(1).and_then(|left| self.owners.get_mut(left));
        match left {
            Some(left) if left.owner == owner && left.startblock + left.len == extent.start => {
                left.len += extent.len;
            }
            _ => self.owners.insert(at, record(extent.start, extent.len, owner)),
        }
    }
}

/// Chunks of inodes start on stripes, if those start on clusters of inodes.
fn chunk_alignment(geometry: &Geometry) -> u32 {
    let (stripe, mask) = (geometry.stripe_unit, geometry.inode.align_mask);
    let striped = stripe != 0 && mask != 0 && stripe & mask == 0;
    if striped { stripe } else { mask + 1 }
}

fn record(startblock: u32, len: u32, owner: u64) -> Rmap {
    Rmap { startblock, len, owner, offset: 0, flags: RmapFlags::empty() }
}

/// What is free before any allocation: all behind the roots but the log. A log that ends its
/// group leaves an extent of no blocks behind it, which is written but does not count.
fn free_extents(geometry: &Geometry, length: u32, log: Option<u32>) -> Vec<FreeExtent> {
    let first = geometry.prealloc_blocks();
    let extent = |start: u32, end: u32| FreeExtent { start, len: end.saturating_sub(start) };
    match log {
        None => vec![extent(first, length)],
        Some(start) => {
            let before = Some(extent(first, start)).filter(|extent| extent.len != 0);
            before.into_iter().chain([extent(start + geometry.log.blocks, length)]).collect()
        }
    }
}

fn initial_owners(geometry: &Geometry, log: Option<u32>) -> Vec<Rmap> {
    let root = |kind| geometry.initial_root(kind);
    let (Some(bno), Some(ino), Some(rmap)) =
        (root(BtreeKind::Bno), root(BtreeKind::Ino), root(BtreeKind::Rmap))
    else {
        return Vec::new();
    };
    let mut owners = vec![
        record(0, bno, owner::FS),
        record(bno, 2, owner::AG),
        record(ino, rmap - ino, owner::INOBT),
        record(rmap, 1, owner::AG),
    ];
    owners.extend(root(BtreeKind::Refcount).map(|block| record(block, 1, owner::REFC)));
    owners.extend(log.map(|start| record(start, geometry.log.blocks, owner::LOG)));
    owners
}

/// The free extents of a group, as the leaves of its two btrees hold them.
#[derive(Debug)]
pub(super) struct FreeSpace {
    pub(super) by_block: Leaf,
    pub(super) by_size: Leaf,
}

impl FreeSpace {
    fn new(extents: Vec<FreeExtent>) -> Self {
        let mut sorted = extents.clone();
        sorted.sort_by_key(|extent| (extent.len == 0, by_size(extent)));
        Self { by_block: Leaf::new(extents), by_size: Leaf::new(sorted) }
    }

    /// Takes up to `len` blocks from the smallest extent that has as many, else all of
    /// the largest.
    fn take_by_size(&mut self, len: u32) -> Option<FreeExtent> {
        let extents = self.by_size.live();
        let found = extents.iter().find(|extent| extent.len >= len).or(extents.last())?;
        let taken = FreeExtent { start: found.start, len: len.min(found.len) };
        self.remove(*found, taken);
        Some(taken)
    }

    /// Takes `len` blocks at the lowest multiple of `align` where they are free.
    fn take_aligned(&mut self, len: u32, align: u32) -> Option<FreeExtent> {
        for extent in self.by_block.live().to_vec() {
            let start = extent.start.next_multiple_of(align);
            if u64::from(start) + u64::from(len) <= u64::from(extent.start + extent.len) {
                let taken = FreeExtent { start, len };
                self.remove(extent, taken);
                return Some(taken);
            }
        }
        None
    }

    /// Takes `taken` out of the free extent `from` in both leaves.
    fn remove(&mut self, from: FreeExtent, taken: FreeExtent) {
        let end = taken.start + taken.len;
        let left = FreeExtent { start: from.start, len: taken.start - from.start };
        let right = FreeExtent { start: end, len: from.start + from.len - end };
        let mut rest = [left, right].into_iter().filter(|extent| extent.len != 0);
        self.by_size.delete(from);
        for extent in rest.clone() {
            self.by_size.insert(extent, by_size);
        }
        match rest.next() {
            None => self.by_block.delete(from),
            Some(first) => self.by_block.replace(from, first),
        }
        for extent in rest {
            self.by_block.insert(extent, |extent| (extent.start, 0));
        }
    }

    /// Free blocks.
    pub(super) fn blocks(&self) -> u32 {
        self.by_size.live().iter().map(|extent| extent.len).sum()
    }

    /// Length of the longest free extent.
    pub(super) fn longest(&self) -> u32 {
        self.by_size.live().last().map_or(0, |extent| extent.len)
    }
}

fn by_size(extent: &FreeExtent) -> (u32, u32) {
    (extent.len, extent.start)
}

/// The only block of a free space btree. Deleting moves the later records down and
/// leaves what then lies behind the last one as it was.
#[derive(Debug)]
pub(super) struct Leaf {
    records: Vec<FreeExtent>,
    live: usize,
}

impl Leaf {
    fn new(records: Vec<FreeExtent>) -> Self {
        let live = records.iter().filter(|extent| extent.len != 0).count();
        Self { live, records }
    }

    /// The records that count.
    pub(super) fn live(&self) -> &[FreeExtent] {
        &self.records[..self.live]
    }

    /// All records there are to write, those left behind included.
    pub(super) fn written(&self) -> &[FreeExtent] {
        &self.records
    }

    fn position(&self, record: FreeExtent) -> Option<usize> {
        self.live().iter().position(|found| *found == record)
    }

    fn delete(&mut self, record: FreeExtent) {
        let Some(at) = self.position(record) else { return };
        self.records.copy_within(at + 1..self.live, at);
        self.live -= 1;
    }

    fn replace(&mut self, old: FreeExtent, new: FreeExtent) {
        let Some(at) = self.position(old) else { return };
        self.records[at] = new;
    }

    fn insert(&mut self, record: FreeExtent, key: fn(&FreeExtent) -> (u32, u32)) {
        let at = self.live().partition_point(|found| key(found) < key(&record));
        if self.live == self.records.len() {
            self.records.push(record);
        }
        self.records.copy_within(at..self.live, at + 1);
        self.records[at] = record;
        self.live += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(start: u32, len: u32) -> FreeExtent {
        FreeExtent { start, len }
    }

    #[test]
    fn an_extent_used_up_leaves_its_successor_behind() {
        let mut free = FreeSpace::new(vec![extent(10, 6), extent(40, 100)]);
        assert_eq!(free.take_by_size(6), Some(extent(10, 6)));
        assert_eq!(free.by_block.live(), [extent(40, 100)]);
        assert_eq!(free.by_block.written(), [extent(40, 100), extent(40, 100)]);
        assert_eq!(free.by_size.written(), [extent(40, 100), extent(40, 100)]);
    }

    #[test]
    fn an_aligned_extent_splits_what_was_free() {
        let mut free = FreeSpace::new(vec![extent(13, 1000)]);
        assert_eq!(free.take_aligned(8, 8), Some(extent(16, 8)));
        assert_eq!(free.by_block.live(), [extent(13, 3), extent(24, 989)]);
        assert_eq!(free.by_size.live(), [extent(13, 3), extent(24, 989)]);
        assert_eq!((free.blocks(), free.longest()), (992, 989));
    }
}
