//! Extents of a file's fork: the packed 128-bit record, lists of records in the inode or
//! in a btree leaf, and the root of the extent btree inside the inode.

use super::geometry::{Fork, FsBlock, Geometry, Ino};
use super::{Check, assert_layout, overlay, overlay_mut};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Greatest length of one extent in blocks.
pub const MAX_LEN: u32 = (1 << LEN_BITS) - 1;
/// Greatest first block of an extent in a file.
pub const MAX_OFFSET: u64 = (1 << OFFSET_BITS) - 1;

const LEN_BITS: u32 = 21;
const OFFSET_BITS: u32 = 54;
const START_BITS: u32 = 52;
/// Bits of the start block that are in the first word.
const START_HIGH_BITS: u32 = START_BITS - START_LOW_BITS;
const START_LOW_BITS: u32 = 64 - LEN_BITS;

const ROOT_NAME: &str = "extent btree root";

/// An extent record as it lies on disk (`xfs_bmbt_rec`). From the top: 1 bit unwritten,
/// 54 bits file offset, 52 bits start block, 21 bits length.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Default,
    FromBytes,
    IntoBytes,
    KnownLayout,
    Immutable,
    Unaligned,
)]
#[repr(C)]
pub struct DiskExtent {
    /// Upper 64 bits.
    pub l0: U64,
    /// Lower 64 bits.
    pub l1: U64,
}

assert_layout!(DiskExtent, 16, l1 @ 8);

/// A run of blocks of a file that are consecutive in the file and on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Extent {
    /// First block in the file.
    pub offset: u64,
    /// First block on the device.
    pub start: FsBlock,
    /// Number of blocks, at most [`MAX_LEN`] on disk.
    pub len: u64,
    /// Allocated, but reads as zeros.
    pub unwritten: bool,
}

impl Extent {
    /// Decodes a record; every bit pattern means something.
    pub fn decode(disk: &DiskExtent) -> Self {
        let (l0, l1) = (disk.l0.get(), disk.l1.get());
        let high = l0 & ((1 << START_HIGH_BITS) - 1);
        Extent {
            offset: l0 << 1 >> (1 + START_HIGH_BITS),
            start: FsBlock(high << START_LOW_BITS | l1 >> LEN_BITS),
            len: l1 & u64::from(MAX_LEN),
            unwritten: l0 >> 63 != 0,
        }
    }

    /// As it lies on disk. Bits beyond the fields' widths are cut off.
    pub fn encode(&self) -> DiskExtent {
        let offset = (self.offset & MAX_OFFSET) << START_HIGH_BITS;
        let high = self.start.0 >> START_LOW_BITS & ((1 << START_HIGH_BITS) - 1);
        let l0 = u64::from(self.unwritten) << 63 | offset | high;
        let l1 = self.start.0 << LEN_BITS | self.len & u64::from(MAX_LEN);
        DiskExtent { l0: l0.into(), l1: l1.into() }
    }

    /// The block after the last in the file.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.len)
    }

    /// Checks the extent of inode `ino`. Blocks of realtime files are not checked.
    ///
    /// # Errors
    ///
    /// An error with the extent is returned if it cannot be.
    pub fn verify(&self, geo: &Geometry, ino: Ino, fork: Fork, realtime: bool) -> Result<()> {
        let check = Check::new("extent record", At::Inode(ino.0));
        let placed = geo.valid_file_range(self.offset, self.len)
            && (realtime || geo.valid_fsb_extent(self.start, self.len))
            && !(fork == Fork::Attr && self.unwritten);
        check.that(placed, || {
            format!(
                "{} blocks at file block {} and device block {} in the {fork:?} fork{}",
                self.len,
                self.offset,
                self.start,
                if self.unwritten { ", unwritten" } else { "" }
            )
        })
    }
}

/// The records at the start of `bytes`, as many as fit.
pub fn records(bytes: &[u8]) -> &[DiskExtent] {
    super::slice_of(bytes)
}

/// Decodes and checks the first `count` records in `bytes`: each by itself, and all in
/// order without overlap, starting at or after `from`.
///
/// # Errors
///
/// An error is returned if there are fewer records, or one of them is wrong.
pub fn decode_list(
    bytes: &[u8],
    count: usize,
    geo: &Geometry,
    ino: Ino,
    fork: Fork,
    realtime: bool,
    from: u64,
) -> Result<Vec<Extent>> {
    let check = Check::new("extent list", At::Inode(ino.0));
    let records = records(bytes)
        .get(..count)
        .ok_or_else(|| check.fail(format!("{count} records do not fit {} bytes", bytes.len())))?;
    let mut next = from;
    let mut list = Vec::with_capacity(count);
    for (index, record) in records.iter().enumerate() {
        let extent = Extent::decode(record);
        extent.verify(geo, ino, fork, realtime)?;
        check.that(extent.offset >= next, || {
            format!("record {index} starts at {}, before {next}", extent.offset)
        })?;
        next = extent.end();
        list.push(extent);
    }
    Ok(list)
}

/// Header of the btree root inside an inode (`xfs_bmdr_block`). Keys follow, then, after
/// room for as many keys as the fork can hold, pointers.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RootHeader {
    /// Height above the leaves; at least 1.
    pub level: U16,
    /// Number of key and pointer pairs.
    pub numrecs: U16,
}

assert_layout!(RootHeader, 4, numrecs @ 2);

const KEY: usize = 8;
const PTR: usize = 8;

/// Most key and pointer pairs of a btree root in a fork of `fork_size` bytes.
pub const fn root_max_records(fork_size: usize) -> usize {
    fork_size.saturating_sub(size_of::<RootHeader>()) / (KEY + PTR)
}

/// Bytes of a fork that hold a btree root of `records` key and pointer pairs.
pub const fn root_space(records: usize) -> usize {
    size_of::<RootHeader>() + records * (KEY + PTR)
}

/// The root of an extent btree, decoded from an inode's fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Height above the leaves.
    pub level: u16,
    /// First file block and block of each child.
    pub children: Vec<(u64, FsBlock)>,
}

impl Root {
    /// Decodes the root in `fork`, all bytes of the fork of inode `ino`, and checks it.
    ///
    /// # Errors
    ///
    /// An error is returned if level, count, order of keys or a pointer is impossible.
    pub fn decode(fork: &[u8], geo: &Geometry, ino: Ino, which: Fork) -> Result<Self> {
        let at = At::Inode(ino.0);
        let check = Check::new(ROOT_NAME, at);
        let header: &RootHeader = overlay(fork, ROOT_NAME, at)?;
        let (level, count) = (header.level.get(), usize::from(header.numrecs.get()));
        let height = match which {
            Fork::Data => geo.max_levels.bmap_data,
            Fork::Attr => geo.max_levels.bmap_attr,
        };
        let possible = (1..height.max(2)).contains(&u32::from(level));
        check.that(possible, || format!("level is {level}"))?;
        let max = root_max_records(fork.len());
        check.that((1..=max).contains(&count), || format!("{count} records, {max} fit"))?;
        let read = |at: usize| -> u64 {
            let bytes = fork.get(at..).and_then(|b| b.first_chunk::<8>());
            bytes.map_or(0, |b| u64::from_be_bytes(*b))
        };
        let children: Vec<_> = (0..count)
            .map(|i| {
                let key = size_of::<RootHeader>() + i * KEY;
                let ptr = size_of::<RootHeader>() + max * KEY + i * PTR;
                (read(key), FsBlock(read(ptr)))
            })
            .collect();
        let sorted = children.is_sorted_by(|a, b| a.0 < b.0);
        check.that(sorted, || "keys are not in order".into())?;
        for (key, block) in &children {
            check.that(geo.valid_fsb(*block), || format!("key {key} points to block {block}"))?;
        }
        Ok(Root { level, children })
    }

    /// Writes the root to `fork`, all bytes of the fork; bytes that hold nothing are zeroed.
    ///
    /// # Errors
    ///
    /// An error is returned if the root does not fit.
    pub fn encode(&self, fork: &mut [u8]) -> Result<()> {
        let check = Check::new(ROOT_NAME, At::Byte(0));
        let (count, max) = (self.children.len(), root_max_records(fork.len()));
        check.that(count <= max, || format!("{count} records, {max} fit"))?;
        fork.fill(0);
        let header: &mut RootHeader = overlay_mut(fork, ROOT_NAME, At::Byte(0))?;
        header.level.set(self.level);
        header.numrecs.set(count as u16);
        let (_, body) = fork.split_at_mut(size_of::<RootHeader>());
        let (keys, ptrs) = body.split_at_mut(max * KEY);
        let slots = keys.chunks_exact_mut(KEY).zip(ptrs.chunks_exact_mut(PTR));
        for ((key, ptr), (offset, block)) in slots.zip(&self.children) {
            key.copy_from_slice(&offset.to_be_bytes());
            ptr.copy_from_slice(&block.0.to_be_bytes());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bit positions as the comment at `xfs_bmbt_rec` in xfs_format.h gives them.
    #[test]
    fn fields_are_where_linux_has_them() {
        let only = |l0: u64, l1: u64| Extent::decode(&DiskExtent { l0: l0.into(), l1: l1.into() });
        assert!(only(1 << 63, 0).unwritten);
        assert_eq!(only(1 << 9, 0).offset, 1);
        assert_eq!(only(1 << 62, 0).offset, 1 << 53);
        assert_eq!(only(1, 0).start, FsBlock(1 << 43));
        assert_eq!(only(0, 1 << 21).start, FsBlock(1));
        assert_eq!(only(0, (1 << 21) - 1).len, u64::from(MAX_LEN));
    }

    proptest! {
        #[test]
        fn records_survive(
            offset in 0..=MAX_OFFSET, start in 0u64..1 << 52, len in 0..=u64::from(MAX_LEN),
            unwritten: bool,
        ) {
            let extent = Extent { offset, start: FsBlock(start), len, unwritten };
            prop_assert_eq!(Extent::decode(&extent.encode()), extent);
        }

        #[test]
        fn every_record_survives(l0: u64, l1: u64) {
            let disk = DiskExtent { l0: l0.into(), l1: l1.into() };
            prop_assert_eq!(Extent::decode(&disk).encode(), disk);
        }
    }

    #[test]
    fn root_must_fit() {
        let root = Root { level: 1, children: vec![(0, FsBlock(9)), (5, FsBlock(7))] };
        assert!(root.encode(&mut [0; root_space(2) - 1]).is_err());
        let mut fork = [0xff; root_space(3)];
        root.encode(&mut fork).unwrap();
        assert_eq!(fork[..4], [0, 1, 0, 2]);
        assert_eq!(fork[4 + 8..][..8], 5u64.to_be_bytes());
        assert_eq!(fork[4 + 3 * 8..][..8], 9u64.to_be_bytes());
        assert_eq!(fork[4 + 5 * 8..], [0; 8]);
    }
}
