//! Hash-ordered btrees that index large directories and attribute forks: the header all
//! their blocks share, and the inner blocks.

use super::geometry::Geometry;
use super::{Check, assert_layout, overlay, overlay_mut, slice_of, slice_of_mut};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Inner block of a directory's or attribute fork's tree.
pub const NODE_MAGIC: u16 = 0x3ebe;
/// Attribute leaf.
pub const ATTR_LEAF_MAGIC: u16 = 0x3bee;
/// The only leaf of a directory.
pub const DIR_LEAF1_MAGIC: u16 = 0x3df1;
/// One of several leaves of a directory.
pub const DIR_LEAFN_MAGIC: u16 = 0x3dff;
/// Greatest height of a tree.
pub const MAX_DEPTH: u16 = 5;
/// Byte offset of the checksum in every block that starts with [`BlockInfo`].
pub const CRC_OFFSET: usize = std::mem::offset_of!(BlockInfo, crc);

const NAME: &str = "directory or attribute btree node";

/// Start of every block of such a tree (`xfs_da3_blkinfo`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BlockInfo {
    /// File block of the next block on the same level, 0 for none.
    pub forw: U32,
    /// File block of the previous block on the same level, 0 for none.
    pub back: U32,
    /// Kind of block.
    pub magic: U16,
    /// Zero.
    pub pad: U16,
    /// Checksum of the block.
    pub crc: LeU32,
    /// Disk address of the block in 512-byte units.
    pub blkno: U64,
    /// LSN of the last write.
    pub lsn: U64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Inode that owns the block.
    pub owner: U64,
}

assert_layout!(BlockInfo, 56, magic @ 8, crc @ 12, blkno @ 16, uuid @ 32, owner @ 48);

impl BlockInfo {
    /// Checks what every such block has in common, for a block at `daddr`.
    pub(crate) fn verify(
        &self,
        check: &Check,
        geo: &Geometry,
        magic: u16,
        daddr: u64,
    ) -> Result<()> {
        check.magic(self.magic.get(), magic)?;
        check.uuid(&self.uuid, geo)?;
        check.equal("blkno", self.blkno.get(), daddr)
    }
}

/// Header of an inner block (`xfs_da3_node_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct NodeHeader {
    /// Common part.
    pub info: BlockInfo,
    /// Number of entries.
    pub count: U16,
    /// Height above the leaves.
    pub level: U16,
    /// Zero.
    pub pad: U32,
}

assert_layout!(NodeHeader, 64, count @ 56, level @ 58);

/// Entry of an inner block (`xfs_da_node_entry`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct NodeEntry {
    /// Greatest hash below.
    pub hashval: U32,
    /// File block of the child.
    pub before: U32,
}

assert_layout!(NodeEntry, 8);

/// An inner block.
#[derive(Debug, Clone, Copy)]
pub struct Node<'a> {
    /// The header.
    pub header: &'a NodeHeader,
    /// The entries in use; fewer than the count says if the block is too short for it.
    pub entries: &'a [NodeEntry],
}

impl<'a> Node<'a> {
    /// The inner block in `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short for the header.
    pub fn view(block: &'a [u8], at: At) -> Result<Self> {
        let header: &NodeHeader = overlay(block, NAME, at)?;
        let all: &[NodeEntry] = slice_of(block.get(size_of::<NodeHeader>()..).unwrap_or(&[]));
        let entries = all.get(..header.count.get().into()).unwrap_or(all);
        Ok(Node { header, entries })
    }

    /// Most entries in a block of `block_size` bytes.
    pub const fn max_entries(block_size: usize) -> usize {
        block_size.saturating_sub(size_of::<NodeHeader>()) / size_of::<NodeEntry>()
    }

    /// Checks the inner block at `daddr`, of `block_size` bytes (directory blocks and
    /// attribute blocks may differ).
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, block_size: usize, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        self.header.info.verify(&check, geo, NODE_MAGIC, daddr)?;
        let (level, count) = (self.header.level.get(), usize::from(self.header.count.get()));
        check.that((1..=MAX_DEPTH).contains(&level), || format!("level is {level}"))?;
        let max = Self::max_entries(block_size);
        check.that((1..=max).contains(&count), || format!("{count} entries, {max} fit"))?;
        let sorted = self.entries.is_sorted_by_key(|entry| entry.hashval.get());
        check.that(sorted, || "hashes are not in order".into())
    }
}

/// All entry slots of an inner block, to be changed in place.
///
/// # Errors
///
/// An error is returned if `block` is too short for the header.
pub fn node_entries_mut(block: &mut [u8]) -> Result<&mut [NodeEntry]> {
    overlay_mut::<NodeHeader>(block, NAME, At::Byte(0))?;
    Ok(slice_of_mut(block, size_of::<NodeHeader>()))
}
