//! Blocks of directory entries. Entries and holes fill the block after its header; each
//! ends with its own offset. A block that is the whole directory also holds its index: leaf
//! entries and a tail at the end.

use super::leaf::LeafEntry;
use super::{ALIGN, BlockHeader, FileType, entry_size, hash_entry};
use crate::format::geometry::{Geometry, Ino};
use crate::format::{Check, assert_layout, overlay, slice_of};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XDD3": a block of entries.
pub const DATA_MAGIC: u32 = 0x5844_4433;
/// "XDB3": a block of entries with its own index.
pub const BLOCK_MAGIC: u32 = 0x5844_4233;
/// What a hole has in place of the upper half of an inode number's upper half.
pub const FREE_TAG: u16 = 0xffff;
/// Holes that the header lists.
pub const BEST_FREE: usize = 3;

const NAME: &str = "directory data block";
/// Least bytes of an entry or a hole.
const MIN_ITEM: usize = 8;

/// One of the largest holes (`xfs_dir2_data_free`).
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
pub struct BestFree {
    /// Byte offset in the block, 0 if there is none.
    pub offset: U16,
    /// Bytes.
    pub length: U16,
}

/// Header of a block of entries (`xfs_dir3_data_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct DataHeader {
    /// Common part.
    pub hdr: BlockHeader,
    /// The largest holes, largest first.
    pub bestfree: [BestFree; BEST_FREE],
    /// Zero.
    pub pad: U32,
}

assert_layout!(DataHeader, 64, bestfree @ 48, pad @ 60);

/// End of a block with its own index (`xfs_dir2_block_tail`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BlockTail {
    /// Leaf entries, which end where the tail starts.
    pub count: U32,
    /// Stale ones among them.
    pub stale: U32,
}

assert_layout!(BlockTail, 8);

/// What is at one place of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A name.
    Entry(Entry<'a>),
    /// Room.
    Hole(Hole),
}

/// A name in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Byte offset in the block.
    pub offset: usize,
    /// The inode.
    pub ino: Ino,
    /// The name.
    pub name: &'a [u8],
    /// Type number, 0 if the filesystem records none.
    pub ftype: u8,
    /// Offset that the entry itself records; must equal `offset`.
    pub tag: u16,
}

/// Room in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hole {
    /// Byte offset in the block.
    pub offset: usize,
    /// Bytes.
    pub length: usize,
    /// Offset that the hole itself records; must equal `offset`.
    pub tag: u16,
}

impl Item<'_> {
    /// Byte offset in the block.
    pub fn offset(&self) -> usize {
        match self {
            Item::Entry(entry) => entry.offset,
            Item::Hole(hole) => hole.offset,
        }
    }

    /// Bytes, padding included.
    pub fn size(&self, ftype: bool) -> usize {
        match self {
            Item::Entry(entry) => entry_size(entry.name.len(), ftype),
            Item::Hole(hole) => hole.length,
        }
    }
}

/// A block of entries, with or without an index of its own.
#[derive(Debug, Clone, Copy)]
pub struct DataBlock<'a> {
    /// The header.
    pub header: &'a DataHeader,
    block: &'a [u8],
    /// Byte offset of what follows entries and holes: the index, or the end.
    end: usize,
    at: At,
    ftype: bool,
}

impl<'a> DataBlock<'a> {
    /// The block of entries in `block`, unchecked. `ftype` says whether entries have a type.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short, or its index does not fit.
    pub fn view(block: &'a [u8], ftype: bool, at: At) -> Result<Self> {
        let header: &DataHeader = overlay(block, NAME, at)?;
        let mut view = DataBlock { header, block, end: block.len(), at, ftype };
        if header.hdr.magic.get() == BLOCK_MAGIC {
            view.end = view.index_start()?;
        }
        Ok(view)
    }

    /// The tail, if the block has an index of its own.
    pub fn tail(&self) -> Option<&'a BlockTail> {
        if self.header.hdr.magic.get() != BLOCK_MAGIC {
            return None;
        }
        BlockTail::ref_from_suffix(self.block).ok().map(|(_, tail)| tail)
    }

    /// The leaf entries of a block with an index of its own; none otherwise.
    pub fn leaf_entries(&self) -> &'a [LeafEntry] {
        let end = self.block.len().saturating_sub(size_of::<BlockTail>());
        slice_of(self.block.get(self.end..end).unwrap_or(&[]))
    }

    /// Byte offset where entries and holes end.
    pub fn data_end(&self) -> usize {
        self.end
    }

    fn index_start(&self) -> Result<usize> {
        let count = self.tail().map_or(0, |tail| tail.count.get() as usize);
        let end = self.block.len().checked_sub(size_of::<BlockTail>());
        let bytes = count.checked_mul(size_of::<LeafEntry>());
        end.zip(bytes)
            .and_then(|(end, bytes)| end.checked_sub(bytes))
            .filter(|&start| start >= size_of::<DataHeader>())
            .ok_or_else(|| {
                Check::new(NAME, self.at).fail(format!("{count} leaf entries do not fit"))
            })
    }

    /// What is in the block, in order. Stops after the first error.
    pub fn items(&self) -> Items<'a> {
        Items { block: *self, next: size_of::<DataHeader>() }
    }

    /// The entry or hole at byte `offset`.
    ///
    /// # Errors
    ///
    /// An error is returned if what is there reaches beyond the end.
    pub fn item(&self, offset: usize) -> Result<Item<'a>> {
        self.try_item(offset).ok_or_else(|| {
            Check::new(NAME, self.at).fail(format!("entry at byte {offset} is impossible"))
        })
    }

    fn try_item(&self, offset: usize) -> Option<Item<'a>> {
        let rest = self.block.get(offset..self.end)?;
        let head = rest.first_chunk::<MIN_ITEM>()?;
        if u16::from_be_bytes([head[0], head[1]]) == FREE_TAG {
            let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
            if length < MIN_ITEM || !length.is_multiple_of(ALIGN) {
                return None;
            }
            let tag = tag_at_end(rest.get(..length)?)?;
            return Some(Item::Hole(Hole { offset, length, tag }));
        }
        let name_len = usize::from(*rest.get(8)?);
        let bytes = rest.get(..entry_size(name_len, self.ftype))?;
        let name = bytes.get(9..9 + name_len).filter(|name| !name.is_empty())?;
        let ftype = if self.ftype { *bytes.get(9 + name_len)? } else { 0 };
        let ino = Ino(u64::from_be_bytes(*head));
        Some(Item::Entry(Entry { offset, ino, name, ftype, tag: tag_at_end(bytes)? }))
    }

    /// Checks the whole block at `daddr`: header, every entry and hole, the list of the
    /// largest holes, and the index if there is one.
    ///
    /// # Errors
    ///
    /// An error naming the first thing wrong is returned.
    pub fn verify(&self, geo: &Geometry, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        let magic = self.header.hdr.magic.get();
        let expected = if magic == BLOCK_MAGIC { BLOCK_MAGIC } else { DATA_MAGIC };
        self.header.hdr.verify(&check, geo, expected, daddr)?;
        check.equal("block size", self.block.len(), geo.dir.block_size as usize)?;
        let holes = self.verify_items(&check, geo)?;
        self.verify_best_free(&check, &holes)?;
        if magic == BLOCK_MAGIC { self.verify_index(&check, geo) } else { Ok(()) }
    }

    fn verify_items(&self, check: &Check, geo: &Geometry) -> Result<Vec<Hole>> {
        let mut holes: Vec<Hole> = Vec::new();
        for item in self.items() {
            let item = item?;
            let offset = item.offset();
            let tag = match item {
                Item::Entry(entry) => {
                    let sound =
                        geo.valid_dir_ino(entry.ino) && FileType::from_disk(entry.ftype).is_some();
                    check.that(sound, || format!("entry at byte {offset} is {entry:?}"))?;
                    entry.tag
                }
                Item::Hole(hole) => {
                    let before = holes.last().map(|last| last.offset + last.length);
                    check.that(before != Some(offset), || {
                        format!("two holes meet at byte {offset}")
                    })?;
                    holes.push(hole);
                    hole.tag
                }
            };
            check.equal("tag", usize::from(tag), offset)?;
        }
        Ok(holes)
    }

    /// The listed holes must be real, in order of size, and as large as any hole not listed.
    fn verify_best_free(&self, check: &Check, holes: &[Hole]) -> Result<()> {
        let listed = &self.header.bestfree;
        let wrong = || check.fail("list of the largest holes is wrong");
        let used: Vec<_> = listed.iter().take_while(|best| best.offset.get() != 0).collect();
        let empty_after = listed.iter().skip(used.len()).all(|best| *best == BestFree::default());
        let sorted = listed.is_sorted_by(|a, b| a.length.get() >= b.length.get());
        if !empty_after || !sorted || used.len() != holes.len().min(BEST_FREE) {
            return Err(wrong());
        }
        let is_listed = |hole: &Hole| {
            used.iter().any(|best| {
                usize::from(best.offset.get()) == hole.offset
                    && usize::from(best.length.get()) == hole.length
            })
        };
        let least = listed.last().map_or(0, |best| usize::from(best.length.get()));
        let (named, rest): (Vec<&Hole>, Vec<&Hole>) = holes.iter().partition(|h| is_listed(h));
        let sound = named.len() == used.len() && rest.iter().all(|hole| hole.length <= least);
        if sound { Ok(()) } else { Err(wrong()) }
    }

    /// Each name must be in the index under its hash and place, and nothing else.
    fn verify_index(&self, check: &Check, geo: &Geometry) -> Result<()> {
        let leaves = self.leaf_entries();
        let sorted = leaves.is_sorted_by_key(|leaf| leaf.hashval.get());
        check.that(sorted, || "hashes are not in order".into())?;
        let stale = leaves.iter().filter(|leaf| leaf.is_stale()).count();
        let recorded = self.tail().map_or(0, |tail| tail.stale.get() as usize);
        check.equal("stale", recorded, stale)?;
        let mut indexed: Vec<(u32, u32)> = leaves
            .iter()
            .filter(|leaf| !leaf.is_stale())
            .map(|leaf| (leaf.hashval.get(), leaf.address.get()))
            .collect();
        let mut named = Vec::with_capacity(indexed.len());
        for item in self.items() {
            if let Item::Entry(entry) = item? {
                named.push((hash_entry(entry.name, geo), (entry.offset / ALIGN) as u32));
            }
        }
        indexed.sort_unstable();
        named.sort_unstable();
        check.that(indexed == named, || "index and entries disagree".into())
    }
}

fn tag_at_end(bytes: &[u8]) -> Option<u16> {
    bytes.last_chunk::<2>().map(|tag| u16::from_be_bytes(*tag))
}

/// Iterator over entries and holes of a block.
#[derive(Debug, Clone)]
pub struct Items<'a> {
    block: DataBlock<'a>,
    next: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.block.end {
            return None;
        }
        let item = self.block.item(self.next);
        // Items are at least 8 bytes long, so this ends.
        self.next = match &item {
            Ok(item) => self.next + item.size(self.block.ftype),
            Err(_) => self.block.end,
        };
        Some(item)
    }
}
