//! Which filesystem blocks hold which file blocks, and changes to that.
//!
//! Lookups work on the [`ExtentMap`] that every fork keeps in memory; [`load`] reads it for
//! a btree fork and must have been called once before. Changes go through [`edit`], which
//! keeps map, btree and fork format together and merges what can be one record. Freeing
//! and reverse mappings are deferred, in the order Linux defers them.

pub mod alloc;
pub mod blocks;
pub mod edit;
#[cfg(test)]
mod edit_tests;
pub mod intent;
pub mod shift;

pub use intent::{BmapIntent, BmapOperation};

use crate::btree::Cursor;
use crate::format::geometry::FsBlock;
use crate::inode::bmbt::BmapTree;
use crate::inode::extent_map::{Extent, ExtentMap};
use crate::inode::fork::push_checked;
use crate::inode::{InodeFork, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::{At, Error, Result};

/// What lies behind some file blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// Nothing: reads as zeros.
    Hole,
    /// Blocks from this one on, holding data.
    Written(FsBlock),
    /// Blocks from this one on, allocated but not written: reads as zeros.
    Unwritten(FsBlock),
}

/// File blocks `offset..offset + len`, all in one hole or in one extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// First file block.
    pub offset: u64,
    /// Number of blocks.
    pub len: u64,
    /// What they are.
    pub target: Target,
}

impl Mapping {
    /// The block after the last in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// The extent behind it, unless it is a hole.
    pub fn extent(&self) -> Option<Extent> {
        let (start, unwritten) = match self.target {
            Target::Hole => return None,
            Target::Written(start) => (start, false),
            Target::Unwritten(start) => (start, true),
        };
        Some(Extent { offset: self.offset, start, len: self.len, unwritten })
    }
}

impl From<Extent> for Mapping {
    fn from(extent: Extent) -> Self {
        let Extent { offset, start, len, unwritten } = extent;
        let target = if unwritten { Target::Unwritten(start) } else { Target::Written(start) };
        Mapping { offset, len, target }
    }
}

/// Reads all extents of a btree fork, if that was not done yet.
///
/// # Errors
///
/// [`Error::Corrupt`] if the btree is damaged or does not hold as many extents as the inode
/// says; [`Error::Io`] from the device.
pub fn load(mount: &mut Mount, inode: InodeRef, which: WhichFork) -> Result<()> {
    let Some(InodeFork::Btree { map: None, count, .. }) = mount.inode(inode).fork(which) else {
        return Ok(());
    };
    let expected = *count;
    let ino = mount.inode(inode).ino;
    let found = read_extents(mount, inode, which, expected)?;
    if found.len() as u64 != expected {
        let why = format!("{} extents, the inode says {expected}", found.len());
        return Err(Error::corrupt("extent btree", At::Inode(ino), why));
    }
    if let Some(InodeFork::Btree { map, .. }) = mount.inode_mut(inode).fork_mut(which) {
        *map = Some(found);
    }
    Ok(())
}

/// Walks the leaves; stops with an error as soon as there is one extent too many, so that
/// memory is bounded by what the blocks really hold.
fn read_extents(
    mount: &mut Mount,
    inode: InodeRef,
    which: WhichFork,
    expected: u64,
) -> Result<ExtentMap> {
    let ino = mount.inode(inode).ino;
    let geo = std::sync::Arc::clone(&mount.geo);
    let mut map = ExtentMap::new();
    let mut cursor = Cursor::new(mount, BmapTree::new(mount, inode, which));
    let mut more = cursor.first(mount)?;
    while more {
        if map.len() as u64 >= expected {
            let why = format!("more than the {expected} extents that the inode says");
            return Err(Error::corrupt("extent btree", At::Inode(ino), why));
        }
        push_checked(&geo, ino, which, &mut map, cursor.expect(mount)?)?;
        more = cursor.increment(mount)?;
    }
    Ok(map)
}

/// The extents of a fork that was [loaded](load).
///
/// # Errors
///
/// [`Error::Corrupt`] if the fork has no extents by its format: the caller wanted to map
/// blocks of something that is inline or a device.
pub fn extents(mount: &Mount, inode: InodeRef, which: WhichFork) -> Result<&ExtentMap> {
    let inode = mount.inode(inode);
    inode.fork(which).and_then(InodeFork::extents).ok_or_else(|| {
        let format = inode.fork(which).map(InodeFork::format);
        let why = format!("the {which:?} fork has format {format:?}, not extents");
        Error::corrupt("inode fork", At::Inode(inode.ino), why)
    })
}

/// The mapping that file block `offset` is part of, cut to begin at `offset` and to end at
/// or before `end`, which must be greater.
pub fn mapping_at(map: &ExtentMap, offset: u64, end: u64) -> Mapping {
    if let Some(found) = map.containing(offset).and_then(|found| found.clip(offset, end)) {
        return found.into();
    }
    let next = map.at_or_after(offset).map_or(end, |next| next.offset.min(end));
    Mapping { offset, len: next.saturating_sub(offset), target: Target::Hole }
}

/// Everything in file blocks `start..end`, holes included, in order.
pub fn mappings(map: &ExtentMap, start: u64, end: u64) -> Vec<Mapping> {
    let mut list = Vec::new();
    let mut at = start;
    for found in map.overlapping(start, end) {
        let Some(part) = found.clip(at, end) else { continue };
        if at < part.offset {
            list.push(Mapping { offset: at, len: part.offset - at, target: Target::Hole });
        }
        at = part.end();
        list.push(part.into());
    }
    if at < end {
        list.push(Mapping { offset: at, len: end - at, target: Target::Hole });
    }
    list
}

/// The file block after the last one mapped.
pub fn last_offset(map: &ExtentMap) -> u64 {
    map.last().map_or(0, |last| last.end())
}

/// The first file block, at `from` or later, where `len` blocks are not mapped.
pub fn first_unused(map: &ExtentMap, from: u64, len: u64) -> u64 {
    let mut at = from;
    for found in map.overlapping(from, u64::MAX) {
        if found.offset >= at.saturating_add(len) {
            break;
        }
        at = at.max(found.end());
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(list: &[(u64, u64, u64, bool)]) -> ExtentMap {
        let mut map = ExtentMap::new();
        for &(offset, start, len, unwritten) in list {
            assert!(map.push(Extent { offset, start: FsBlock(start), len, unwritten }));
        }
        map
    }

    #[test]
    fn holes_are_mappings_too() {
        let map = map(&[(2, 100, 3, false), (5, 200, 1, true), (9, 300, 4, false)]);
        let found: Vec<_> =
            mappings(&map, 0, 11).iter().map(|m| (m.offset, m.len, m.target)).collect();
        let expected = [
            (0, 2, Target::Hole),
            (2, 3, Target::Written(FsBlock(100))),
            (5, 1, Target::Unwritten(FsBlock(200))),
            (6, 3, Target::Hole),
            (9, 2, Target::Written(FsBlock(300))),
        ];
        assert_eq!(found, expected);
        for offset in 0..11 {
            let at = mapping_at(&map, offset, 11);
            let whole = found.iter().find(|m| (m.0..m.0 + m.1).contains(&offset)).unwrap();
            assert_eq!(at.offset, offset);
            assert_eq!(at.end(), whole.0 + whole.1);
        }
    }

    #[test]
    fn unused_ranges() {
        let map = map(&[(0, 100, 2, false), (3, 200, 1, false), (10, 300, 1, false)]);
        assert_eq!(first_unused(&map, 0, 1), 2);
        assert_eq!(first_unused(&map, 0, 2), 4);
        assert_eq!(first_unused(&map, 0, 7), 11);
        assert_eq!(first_unused(&map, 20, 7), 20);
        assert_eq!(last_offset(&map), 11);
    }
}
