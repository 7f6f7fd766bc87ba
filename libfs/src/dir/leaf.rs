//! Directory leaf blocks: entries by hash, each with the address of the data entry it
//! stands for.
//!
//! A directory with one leaf block keeps in it, growing from the end, the longest free
//! space of every data block ("bests"); in a larger one those are in the free index. A
//! removed entry stays as a stale one, its address 0, until its place is needed.

use super::bytes::{get16, get32, put16, put32};
use super::free_index::decode_bests;
use super::hash_tree::{Links, TreeLeaf};
use crate::buffer::BufferKind;
use crate::format::da::{BlockInfo, DIR_LEAF1_MAGIC, DIR_LEAFN_MAGIC};
use crate::format::dir::leaf as format;
use crate::format::slice_of;
use std::mem::offset_of;

/// Bytes of a leaf entry.
pub(crate) const ENTRY_LEN: usize = size_of::<format::LeafEntry>();
/// Bytes of the header of a leaf block.
pub(crate) const HEADER_LEN: usize = size_of::<format::LeafHeader>();
/// Bytes behind the list of bests: its length.
const TAIL_LEN: usize = 4;
/// Offsets of the header's fields.
const MAGIC: usize = offset_of!(BlockInfo, magic);
const COUNT: usize = offset_of!(format::LeafHeader, count);
const STALE: usize = offset_of!(format::LeafHeader, stale);
/// In a list of bests: there is no such data block.
pub(crate) use format::NULL_BEST as NO_BLOCK;

/// One entry of a leaf block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LeafEntry {
    pub(crate) hash: u32,
    /// Where the data entry is, in units of 8 bytes from the start of the directory; 0 for a
    /// stale entry.
    pub(crate) address: u32,
}

impl LeafEntry {
    pub(crate) fn is_stale(&self) -> bool {
        self.address == 0
    }
}

/// Reads `count` entries at `at`.
pub(crate) fn decode_entries(bytes: &[u8], at: usize, count: usize) -> Option<Vec<LeafEntry>> {
    let bytes = bytes.get(at..at.checked_add(count.checked_mul(ENTRY_LEN)?)?)?;
    let entry =
        |e: &format::LeafEntry| LeafEntry { hash: e.hashval.get(), address: e.address.get() };
    Some(slice_of(bytes).iter().map(entry).collect())
}

/// Writes entries at `at`.
pub(crate) fn encode_entries(bytes: &mut [u8], at: usize, entries: &[LeafEntry]) {
    for (i, entry) in entries.iter().enumerate() {
        put32(bytes, at + i * ENTRY_LEN, entry.hash);
        put32(bytes, at + i * ENTRY_LEN + 4, entry.address);
    }
}

/// Number of stale entries.
pub(crate) fn stale_count(entries: &[LeafEntry]) -> usize {
    entries.iter().filter(|entry| entry.is_stale()).count()
}

/// The range of entries with this hash, stale ones included.
pub(crate) fn range_of(entries: &[LeafEntry], hash: u32) -> std::ops::Range<usize> {
    let start = entries.partition_point(|entry| entry.hash < hash);
    let len = entries[start..].iter().take_while(|entry| entry.hash == hash).count();
    start..start + len
}

/// Inserts an entry in hash order, in place of the nearest stale one if there is any.
pub(crate) fn insert_entry(entries: &mut Vec<LeafEntry>, new: LeafEntry) {
    let at = entries.partition_point(|entry| entry.hash < new.hash);
    let before = entries[..at].iter().rposition(LeafEntry::is_stale);
    let after = entries[at..].iter().position(LeafEntry::is_stale).map(|i| at + i);
    let nearest = match (before, after) {
        (Some(before), Some(after)) if at - before <= after - at => Some(before),
        (before, after) => after.or(before),
    };
    match nearest {
        None => entries.insert(at, new),
        Some(stale) if stale < at => {
            entries[stale..at].rotate_left(1);
            entries[at - 1] = new;
        }
        Some(stale) => {
            entries[at..=stale].rotate_right(1);
            entries[at] = new;
        }
    }
}

/// A leaf block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Leaf {
    pub(crate) links: Links,
    /// By ascending hash.
    pub(crate) entries: Vec<LeafEntry>,
}

/// The leaf block of a directory with one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SingleLeaf {
    /// By ascending hash.
    pub(crate) entries: Vec<LeafEntry>,
    /// Longest free space of each data block, [`NO_BLOCK`] where there is none.
    pub(crate) bests: Vec<u16>,
}

impl SingleLeaf {
    /// Reads a block; `None` if it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let entries = decode_header(bytes, DIR_LEAF1_MAGIC)?;
        let tail = bytes.len().checked_sub(TAIL_LEN)?;
        let count = get32(bytes, tail)? as usize;
        let start = tail.checked_sub(count.checked_mul(2)?)?;
        if start < HEADER_LEN + entries.len() * ENTRY_LEN {
            return None;
        }
        let bests = decode_bests(bytes, start, count)?;
        Some(SingleLeaf { entries, bests })
    }

    /// The block, without its identity.
    pub(crate) fn encode(&self, block_size: usize) -> Vec<u8> {
        let mut bytes = encode_header(DIR_LEAF1_MAGIC, Links::default(), &self.entries, block_size);
        let tail = block_size - TAIL_LEN;
        let start = tail.saturating_sub(2 * self.bests.len());
        for (i, best) in self.bests.iter().enumerate() {
            put16(&mut bytes, start + 2 * i, *best);
        }
        put32(&mut bytes, tail, self.bests.len() as u32);
        bytes
    }

    /// Whether all fits in a block.
    pub(crate) fn fits(&self, block_size: usize) -> bool {
        Self::len(self.entries.len(), self.bests.len()) <= block_size
    }

    /// Bytes taken by so many entries and bests.
    pub(crate) fn len(entries: usize, bests: usize) -> usize {
        HEADER_LEN + entries * ENTRY_LEN + 2 * bests + TAIL_LEN
    }
}

fn decode_header(bytes: &[u8], magic: u16) -> Option<Vec<LeafEntry>> {
    if get16(bytes, MAGIC)? != magic {
        return None;
    }
    decode_entries(bytes, HEADER_LEN, get16(bytes, COUNT)?.into())
}

fn encode_header(magic: u16, links: Links, entries: &[LeafEntry], block_size: usize) -> Vec<u8> {
    let mut bytes = vec![0; block_size];
    links.encode(&mut bytes);
    put16(&mut bytes, MAGIC, magic);
    put16(&mut bytes, COUNT, entries.len() as u16);
    put16(&mut bytes, STALE, stale_count(entries) as u16);
    encode_entries(&mut bytes, HEADER_LEN, entries);
    bytes
}

impl TreeLeaf for Leaf {
    const KIND: BufferKind = BufferKind::DirLeafN;
    const MAGIC: u16 = DIR_LEAFN_MAGIC;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let entries = decode_header(bytes, DIR_LEAFN_MAGIC)?;
        Some(Leaf { links: Links::decode(bytes)?, entries })
    }

    fn encode(&self, block_size: usize) -> Vec<u8> {
        encode_header(DIR_LEAFN_MAGIC, self.links, &self.entries, block_size)
    }

    fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    fn last_hash(&self) -> Option<u32> {
        self.entries.last().map(|entry| entry.hash)
    }

    fn is_empty(&self) -> bool {
        self.entries.iter().all(LeafEntry::is_stale)
    }

    fn used(&self) -> usize {
        HEADER_LEN + ENTRY_LEN * (self.entries.len() - stale_count(&self.entries))
    }

    fn fits(&self, block_size: usize) -> bool {
        HEADER_LEN + ENTRY_LEN * self.entries.len() <= block_size
    }

    fn split(mut self, _block_size: usize) -> Vec<Self> {
        self.entries.retain(|entry| !entry.is_stale());
        let right = self.entries.split_off(self.entries.len() / 2);
        vec![self, Leaf { links: Links::default(), entries: right }]
    }

    fn append(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.entries.retain(|entry| !entry.is_stale());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(list: &[(u32, u32)]) -> Vec<LeafEntry> {
        list.iter().map(|&(hash, address)| LeafEntry { hash, address }).collect()
    }

    #[test]
    fn insertion_takes_the_nearest_stale_place() {
        let insert = |list: &[(u32, u32)], hash| {
            let mut entries = entries(list);
            insert_entry(&mut entries, LeafEntry { hash, address: 9 });
            entries.iter().map(|e| (e.hash, e.address)).collect::<Vec<_>>()
        };
        assert_eq!(insert(&[], 5), [(5, 9)]);
        assert_eq!(insert(&[(1, 1), (7, 1)], 5), [(1, 1), (5, 9), (7, 1)]);
        assert_eq!(insert(&[(1, 0), (3, 1), (7, 1)], 5), [(3, 1), (5, 9), (7, 1)]);
        assert_eq!(insert(&[(1, 1), (7, 1), (8, 0)], 5), [(1, 1), (5, 9), (7, 1)]);
        assert_eq!(insert(&[(1, 1), (7, 0), (8, 0)], 5), [(1, 1), (5, 9), (8, 0)]);
        assert_eq!(insert(&[(1, 0), (2, 1), (7, 0)], 8), [(1, 0), (2, 1), (8, 9)]);
    }

    #[test]
    fn blocks_survive_encoding() {
        let leaf = SingleLeaf { entries: entries(&[(1, 2), (3, 0)]), bests: vec![16, NO_BLOCK, 8] };
        assert_eq!(SingleLeaf::decode(&leaf.encode(4096)).unwrap(), leaf);
        let leaf = Leaf { links: Links { forw: 4, back: 5 }, entries: entries(&[(1, 2), (3, 0)]) };
        assert_eq!(Leaf::decode(&leaf.encode(4096)).unwrap(), leaf);
        assert_eq!(Leaf::decode(&[0; 4096]), None);
        let mut bytes = leaf.encode(512);
        put16(&mut bytes, COUNT, 500);
        assert_eq!(Leaf::decode(&bytes), None);
    }
}
