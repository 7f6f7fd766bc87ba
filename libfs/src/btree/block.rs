//! Where things are in a btree block, and raw access to them.
//!
//! Slots count from 1, as xfs_db prints them; slot 0 is "before the first".

use std::ops::Range;

use super::Tree;
use crate::Result;
use crate::buffer::BufferId;
use crate::format::btree_block::{BtreeKind, Header};
use crate::mount::Mount;
use crate::transaction::Transaction;

/// Byte range of `numrecs` in either header form.
pub(super) const NUMRECS: Range<usize> = 6..8;

/// The sibling on one side of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// Half of the key bytes of an entry in trees of overlapping records, all otherwise.
pub(super) const fn one_key_len(kind: BtreeKind, overlapping: bool) -> usize {
    if overlapping { kind.key_len() / 2 } else { kind.key_len() }
}

pub(super) fn level_of(bytes: &[u8]) -> u32 {
    u32::from(u16::from_be_bytes([bytes[4], bytes[5]]))
}

pub(super) fn numrecs_of(bytes: &[u8]) -> usize {
    usize::from(u16::from_be_bytes([bytes[6], bytes[7]]))
}

/// Byte range of a sibling pointer.
pub(super) fn sibling_range(kind: BtreeKind, side: Side) -> Range<usize> {
    match (kind.is_long(), side) {
        (false, Side::Left) => 8..12,
        (false, Side::Right) => 12..16,
        (true, Side::Left) => 8..16,
        (true, Side::Right) => 16..24,
    }
}

pub(super) fn read_ptr(bytes: &[u8]) -> u64 {
    match *bytes {
        [a, b, c, d] => u64::from(u32::from_be_bytes([a, b, c, d])),
        [a, b, c, d, e, f, g, h] => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        _ => u64::MAX,
    }
}

/// Writes a pointer; all ones when it is `u64::MAX`, in either width.
pub(super) fn write_ptr(bytes: &mut [u8], ptr: u64) {
    let wide = ptr.to_be_bytes();
    bytes.copy_from_slice(&wide[8 - bytes.len()..]);
}

pub(super) fn sibling_of(bytes: &[u8], kind: BtreeKind, side: Side) -> Option<u64> {
    let field = &bytes[sibling_range(kind, side)];
    if field.iter().all(|&byte| byte == 0xff) { None } else { Some(read_ptr(field)) }
}

pub(super) fn owner_of(bytes: &[u8], kind: BtreeKind) -> u64 {
    if kind.is_long() { read_ptr(&bytes[56..64]) } else { read_ptr(&bytes[48..52]) }
}

/// Where entries are in the blocks of one tree: the offsets depend on the block size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    kind: BtreeKind,
    one_key: usize,
    /// Capacity of leaves and of inner blocks.
    max: [usize; 2],
}

impl Layout {
    pub(super) fn new<T: Tree>(mount: &Mount) -> Self {
        let kind = T::KIND;
        let capacity = |leaf| mount.geo.max_records(kind, leaf) as usize;
        Layout {
            kind,
            one_key: one_key_len(kind, T::OVERLAPPING),
            max: [capacity(true), capacity(false)],
        }
    }

    pub(super) fn capacity(&self, level: u32) -> usize {
        self.max[usize::from(level > 0)]
    }

    pub(super) fn minimum(&self, level: u32) -> usize {
        self.capacity(level) / 2
    }

    /// Records `first..first + count`.
    pub(super) fn records(&self, first: usize, count: usize) -> Range<usize> {
        let start = self.kind.record_offset(first - 1);
        start..start + count * self.kind.record_len()
    }

    /// Keys `first..first + count`, low and high.
    pub(super) fn keys(&self, first: usize, count: usize) -> Range<usize> {
        let start = self.kind.key_offset(first - 1);
        start..start + count * self.kind.key_len()
    }

    /// Pointers `first..first + count`.
    pub(super) fn ptrs(&self, first: usize, count: usize) -> Range<usize> {
        let start = self.kind.ptr_offset(first - 1, self.max[1]);
        start..start + count * self.kind.ptr_len()
    }

    pub(super) fn low_key(&self, slot: usize) -> Range<usize> {
        let start = self.kind.key_offset(slot - 1);
        start..start + self.one_key
    }

    pub(super) fn high_key(&self, slot: usize) -> Range<usize> {
        let start = self.kind.key_offset(slot - 1) + self.one_key;
        start..start + self.one_key
    }

    /// The high key within the keys of one entry.
    pub(super) fn second_key(&self) -> Range<usize> {
        let start = self.kind.key_len() - self.one_key;
        start..start + self.one_key
    }

    /// The arrays that make up entries `first..first + count`: records of a leaf, keys and
    /// pointers of an inner block.
    pub(super) fn entries(
        &self,
        level: u32,
        first: usize,
        count: usize,
    ) -> impl Iterator<Item = Range<usize>> + use<> {
        let (a, b) = if level == 0 {
            (self.records(first, count), None)
        } else {
            (self.keys(first, count), Some(self.ptrs(first, count)))
        };
        std::iter::once(a).chain(b)
    }
}

/// Moves entries `from..from + count` of one block to `to` in the same block.
pub(super) fn move_within(
    tp: &mut Transaction<'_>,
    layout: &Layout,
    level: u32,
    buffer: BufferId,
    (from, to, count): (usize, usize, usize),
) {
    if count == 0 {
        return;
    }
    let targets = layout.entries(level, to, count);
    for (source, target) in layout.entries(level, from, count).zip(targets) {
        tp.copy_within_buffer(buffer, source, target.start);
    }
}

/// Copies entries `from..from + count` of one block to `to` in another.
pub(super) fn copy_between(
    tp: &mut Transaction<'_>,
    layout: &Layout,
    level: u32,
    (source, from): (BufferId, usize),
    (target, to): (BufferId, usize),
    count: usize,
) {
    if count == 0 {
        return;
    }
    let targets = layout.entries(level, to, count);
    for (range, place) in layout.entries(level, from, count).zip(targets) {
        tp.copy_between(source, range, target, place.start);
    }
}

pub(super) fn set_numrecs(tp: &mut Transaction<'_>, buffer: BufferId, count: usize) {
    tp.buffer_mut(buffer, NUMRECS).copy_from_slice(&(count as u16).to_be_bytes());
}

pub(super) fn set_sibling(
    tp: &mut Transaction<'_>,
    kind: BtreeKind,
    buffer: BufferId,
    side: Side,
    block: Option<u64>,
) {
    let field = tp.buffer_mut(buffer, sibling_range(kind, side));
    write_ptr(field, block.unwrap_or(u64::MAX));
}

/// Turns a freshly allocated block into an empty block of the tree at `level`.
pub(super) fn new_block<T: Tree>(
    tp: &mut Transaction<'_>,
    tree: &T,
    block: u64,
    level: u32,
    siblings: (Option<u64>, Option<u64>),
) -> Result<BufferId> {
    let daddr = tree
        .daddr(tp, block)
        .ok_or_else(|| super::corrupt(tree, Some(block), "allocated, but outside of the group"))?;
    let len = tp.geo.block_size;
    let header = Header {
        magic: T::KIND.magic(),
        level: level as u16,
        numrecs: 0,
        left: siblings.0,
        right: siblings.1,
        blkno: daddr,
        lsn: 0,
        uuid: tp.geo.meta_uuid,
        owner: tree.owner(),
    };
    let id = tp.get_buffer(daddr, len, T::BUFFER);
    let bytes = tp.buffer_mut(id, 0..T::KIND.header_len());
    header.write(bytes, T::KIND)?;
    Ok(id)
}
