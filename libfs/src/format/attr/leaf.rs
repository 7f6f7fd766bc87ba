//! Leaf blocks of attributes: entries by hash from the top, names and values from the
//! bottom, and a list of the largest free runs between and among them.

use super::AttrFlags;
use crate::format::da::{ATTR_LEAF_MAGIC, BlockInfo};
use crate::format::geometry::Geometry;
use crate::format::{Check, assert_layout, overlay, overlay_mut, slice_of, slice_of_mut};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const NAME: &str = "attribute leaf block";
/// Names and values start at multiples of this many bytes.
const ALIGN: usize = 4;
/// Free runs that the header lists.
pub const FREE_RUNS: usize = 3;
/// Value length and name length, before a name with its value.
const LOCAL_HEAD: usize = 3;
/// Value block, value length and name length, before a name whose value is elsewhere.
const REMOTE_HEAD: usize = 9;

/// A run of free bytes (`xfs_attr_leaf_map`).
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
pub struct FreeRun {
    /// Byte offset in the block.
    pub base: U16,
    /// Bytes.
    pub size: U16,
}

/// Header of a leaf (`xfs_attr3_leaf_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LeafHeader {
    /// Common part.
    pub info: BlockInfo,
    /// Entries.
    pub count: U16,
    /// Bytes of names and values, each rounded up to 4.
    pub usedbytes: U16,
    /// Byte offset of the first name; 0 for 65536.
    pub firstused: U16,
    /// Nonzero if free bytes are missing in the list.
    pub holes: u8,
    /// Zero.
    pub pad1: u8,
    /// Free runs.
    pub freemap: [FreeRun; FREE_RUNS],
    /// Zero.
    pub pad2: U32,
}

assert_layout!(LeafHeader, 80, count @ 56, firstused @ 60, freemap @ 64, pad2 @ 76);

/// Entry of a leaf (`xfs_attr_leaf_entry`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct LeafEntry {
    /// Hash of the name.
    pub hashval: U32,
    /// Byte offset of the name in the block.
    pub nameidx: U16,
    /// [`AttrFlags`].
    pub flags: u8,
    /// Zero.
    pub pad2: u8,
}

assert_layout!(LeafEntry, 8, nameidx @ 4, flags @ 6);

impl LeafEntry {
    /// `flags` as flags.
    pub fn attr_flags(&self) -> AttrFlags {
        AttrFlags::from_bits_retain(self.flags)
    }
}

/// A name with what is known of its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameValue<'a> {
    /// The value is here.
    Local {
        /// Name without namespace.
        name: &'a [u8],
        /// Value.
        value: &'a [u8],
    },
    /// The value is in blocks of its own.
    Remote {
        /// Name without namespace.
        name: &'a [u8],
        /// First block of the value in the attribute fork; 0 while incomplete.
        block: u32,
        /// Bytes of the value.
        len: u32,
    },
}

impl<'a> NameValue<'a> {
    /// The name.
    pub fn name(&self) -> &'a [u8] {
        match self {
            NameValue::Local { name, .. } | NameValue::Remote { name, .. } => name,
        }
    }

    /// Bytes in the block.
    pub fn size(&self) -> usize {
        match self {
            NameValue::Local { name, value } => local_size(name.len(), value.len()),
            NameValue::Remote { name, .. } => remote_size(name.len()),
        }
    }
}

/// Bytes of a name and its value in a leaf.
pub const fn local_size(name_len: usize, value_len: usize) -> usize {
    (LOCAL_HEAD + name_len + value_len).next_multiple_of(ALIGN)
}

/// Bytes in a leaf of a name whose value is elsewhere. The two bytes more than needed are
/// part of the format.
pub const fn remote_size(name_len: usize) -> usize {
    (REMOTE_HEAD + 2 + name_len).next_multiple_of(ALIGN)
}

/// Largest name with value that stays in a leaf: three quarters of a block. A larger value
/// goes elsewhere.
pub const fn local_size_max(block_size: usize) -> usize {
    block_size / 2 + block_size / 4
}

/// A leaf block.
#[derive(Debug, Clone, Copy)]
pub struct Leaf<'a> {
    /// The header.
    pub header: &'a LeafHeader,
    /// Entries by hash; fewer than the count says if the block is too short for it.
    pub entries: &'a [LeafEntry],
    block: &'a [u8],
    at: At,
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
        Ok(Leaf { header, entries, block, at })
    }

    /// Byte offset of the first name.
    pub fn first_used(&self) -> usize {
        match self.header.firstused.get() {
            0 => 1 << 16,
            offset => offset.into(),
        }
    }

    /// Name and value of an entry.
    ///
    /// # Errors
    ///
    /// An error is returned if they reach beyond the end of the block.
    pub fn name_value(&self, entry: &LeafEntry) -> Result<NameValue<'a>> {
        self.try_name_value(entry).ok_or_else(|| {
            let index = entry.nameidx;
            Check::new(NAME, self.at).fail(format!("name at byte {index} is impossible"))
        })
    }

    fn try_name_value(&self, entry: &LeafEntry) -> Option<NameValue<'a>> {
        let rest = self.block.get(entry.nameidx.get().into()..)?;
        if entry.attr_flags().contains(AttrFlags::LOCAL) {
            let (&[high, low, name_len], after) = rest.split_first_chunk::<LOCAL_HEAD>()?;
            let (name, after) = after.split_at_checked(name_len.into())?;
            let value = after.get(..u16::from_be_bytes([high, low]).into())?;
            return Some(NameValue::Local { name, value });
        }
        let (head, after) = rest.split_first_chunk::<REMOTE_HEAD>()?;
        let (block, len) = head.split_first_chunk::<4>()?;
        let name = after.get(..head[8].into())?;
        let len = u32::from_be_bytes(*len.first_chunk::<4>()?);
        Some(NameValue::Remote { name, block: u32::from_be_bytes(*block), len })
    }

    /// Checks the leaf at `daddr`. A leaf without entries is sound: log recovery can leave
    /// one behind.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        self.header.info.verify(&check, geo, ATTR_LEAF_MAGIC, daddr)?;
        let size = geo.block_size as usize;
        check.equal("block size", self.block.len(), size)?;
        let count = usize::from(self.header.count.get());
        let entries_end = size_of::<LeafHeader>() + count * size_of::<LeafEntry>();
        let first = self.first_used();
        check.that(entries_end <= first && first <= size, || {
            format!("firstused is {first} with {count} entries")
        })?;
        let sorted = self.entries.is_sorted_by_key(|entry| entry.hashval.get());
        check.that(sorted, || "hashes are not in order".into())?;
        for (index, entry) in self.entries.iter().enumerate() {
            self.verify_entry(&check, index, entry)?;
        }
        for run in &self.header.freemap {
            let (base, len) = (usize::from(run.base.get()), usize::from(run.size.get()));
            let aligned = base.is_multiple_of(ALIGN) && len.is_multiple_of(ALIGN);
            check.that(aligned && base + len <= size, || {
                format!("free run of {len} bytes at {base}")
            })?;
        }
        Ok(())
    }

    fn verify_entry(&self, check: &Check, index: usize, entry: &LeafEntry) -> Result<()> {
        let placed = usize::from(entry.nameidx.get()) >= self.first_used();
        check.that(placed, || format!("entry {index} has its name at {}", entry.nameidx))?;
        entry.attr_flags().verify(check)?;
        let found = self.name_value(entry)?;
        check.that(!found.name().is_empty(), || format!("entry {index} has no name"))?;
        let incomplete = entry.attr_flags().contains(AttrFlags::INCOMPLETE);
        if let NameValue::Remote { block, .. } = found {
            check.that(incomplete || block != 0, || format!("entry {index} has no value block"))?;
        }
        Ok(())
    }
}

/// All entry slots of a leaf, to be changed in place; those beyond the count overlap free
/// bytes and names.
///
/// # Errors
///
/// An error is returned if `block` is too short for the header.
pub fn leaf_entries_mut(block: &mut [u8]) -> Result<&mut [LeafEntry]> {
    overlay_mut::<LeafHeader>(block, NAME, At::Byte(0))?;
    Ok(slice_of_mut(block, size_of::<LeafHeader>()))
}
