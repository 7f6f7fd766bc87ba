//! Index of a directory by hash of names: leaf blocks. The only leaf of a directory also
//! holds, at its end, the largest hole of each block of entries.

use super::DataPtr;
use crate::format::da::{BlockInfo, DIR_LEAF1_MAGIC, DIR_LEAFN_MAGIC};
use crate::format::geometry::Geometry;
use crate::format::{Check, assert_layout, overlay, overlay_mut, slice_of, slice_of_mut};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const NAME: &str = "directory leaf block";

/// In a list of largest holes: the block does not exist.
pub const NULL_BEST: u16 = 0xffff;

/// Header of a leaf (`xfs_dir3_leaf_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LeafHeader {
    /// Common part.
    pub info: BlockInfo,
    /// Entries, stale ones included.
    pub count: U16,
    /// Stale entries.
    pub stale: U16,
    /// Zero.
    pub pad: U32,
}

assert_layout!(LeafHeader, 64, count @ 56, stale @ 58);

/// Entry of a leaf (`xfs_dir2_leaf_entry`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LeafEntry {
    /// Hash of the name.
    pub hashval: U32,
    /// [`DataPtr`] of the entry, 0 if stale.
    pub address: U32,
}

assert_layout!(LeafEntry, 8);

impl LeafEntry {
    /// Whether the entry is left over from a removed name.
    pub fn is_stale(&self) -> bool {
        self.data_ptr() == DataPtr::NULL
    }

    /// Where the name is.
    pub fn data_ptr(&self) -> DataPtr {
        DataPtr(self.address.get())
    }
}

/// A leaf block.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// The header.
    pub header: &'a LeafHeader,
    /// Entries in use, by hash; fewer than the count says if the block is too short for it.
    pub entries: &'a [LeafEntry],
    /// Largest hole of each block of entries, if this is the directory's only leaf.
    pub bests: &'a [U16],
}

impl<'a> Leaf<'a> {
    /// The leaf in `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short for the header.
    pub fn view(block: &'a [u8], at: At) -> Result<Self> {
        let header: &LeafHeader = overlay(block, NAME, at)?;
        let all: &[LeafEntry] = slice_of(block.get(size_of::<LeafHeader>()..).unwrap_or(&[]));
        let entries = all.get(..header.count.get().into()).unwrap_or(all);
        let single = header.info.magic.get() == DIR_LEAF1_MAGIC;
        let bests = if single { bests_of(block).unwrap_or(&[]) } else { &[] };
        Ok(Leaf { header, entries, bests })
    }

    /// Most entries in a leaf among several, for directory blocks of `block_size` bytes.
    pub const fn max_entries(block_size: usize) -> usize {
        block_size.saturating_sub(size_of::<LeafHeader>()) / size_of::<LeafEntry>()
    }

    /// Whether this is the directory's only leaf.
    pub fn is_single(&self) -> bool {
        self.header.info.magic.get() == DIR_LEAF1_MAGIC
    }

    /// Checks the leaf at `daddr`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, daddr: u64, block: &[u8]) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        let magic = if self.is_single() { DIR_LEAF1_MAGIC } else { DIR_LEAFN_MAGIC };
        self.header.info.verify(&check, geo, magic, daddr)?;
        let size = geo.dir.block_size as usize;
        check.equal("block size", block.len(), size)?;
        let count = usize::from(self.header.count.get());
        let tail = if self.is_single() { single_tail_size(block) } else { Some(0) };
        let tail = tail.ok_or_else(|| check.fail("bestcount is too large"))?;
        let room = size.saturating_sub(size_of::<LeafHeader>() + tail);
        let max = room / size_of::<LeafEntry>();
        check.that(count <= max, || format!("{count} entries, {max} fit"))?;
        let sorted = self.entries.is_sorted_by_key(|entry| entry.hashval.get());
        check.that(sorted, || "hashes are not in order".into())?;
        let stale = self.entries.iter().filter(|entry| entry.is_stale()).count();
        check.equal("stale", usize::from(self.header.stale.get()), stale)
    }
}

/// All entry slots of a leaf, to be changed in place. In the only leaf of a directory the
/// last ones overlap the list of largest holes.
///
/// # Errors
///
/// An error is returned if `block` is too short for the header.
pub fn leaf_entries_mut(block: &mut [u8]) -> Result<&mut [LeafEntry]> {
    overlay_mut::<LeafHeader>(block, NAME, At::Byte(0))?;
    Ok(slice_of_mut(block, size_of::<LeafHeader>()))
}

/// The list of largest holes at the end of a directory's only leaf, to be changed in place.
///
/// # Errors
///
/// An error is returned if the count at the end of the block does not fit.
pub fn leaf_bests_mut(block: &mut [u8]) -> Result<&mut [U16]> {
    let wrong = || Check::new(NAME, At::Byte(0)).fail("bestcount is too large");
    let tail = single_tail_size(block).ok_or_else(wrong)?;
    let start = block.len() - tail;
    let end = block.len() - size_of::<U32>();
    let bytes = block.get_mut(start..end).ok_or_else(wrong)?;
    Ok(slice_of_mut(bytes, 0))
}

/// Bytes at the end of a directory's only leaf that are not entries: the largest holes and
/// their count. `None` if they would not fit the block.
fn single_tail_size(block: &[u8]) -> Option<usize> {
    let count = u32::from_be_bytes(*block.last_chunk::<4>()?) as usize;
    let size = count.checked_mul(size_of::<U16>())?.checked_add(size_of::<U32>())?;
    (size.checked_add(size_of::<LeafHeader>())? <= block.len()).then_some(size)
}

fn bests_of(block: &[u8]) -> Option<&[U16]> {
    let start = block.len() - single_tail_size(block)?;
    Some(slice_of(block.get(start..block.len() - size_of::<U32>())?))
}
