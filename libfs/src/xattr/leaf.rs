//! Attribute leaf blocks as a list that can be changed and written anew.
//!
//! Entries are ordered by hash from the top; names and values lie at the bottom, each kept
//! where it is as long as there is room above the lowest of them. Free space is always
//! described as the one run between both, which Linux takes as it is: what lies among the
//! names counts as holes, to be gained by packing the block.

use crate::buffer::BufferKind;
use crate::dir::bytes::{get8, get16, get32, put, put16, put32};
use crate::dir::hash_tree::{Links, TreeLeaf};
use crate::format::attr::AttrFlags;
use crate::format::attr::leaf::{LeafEntry, LeafHeader, local_size, remote_size};
use crate::format::da::{ATTR_LEAF_MAGIC, BlockInfo};
use std::mem::offset_of;

/// Bytes of the header.
const HEADER_LEN: usize = size_of::<LeafHeader>();
/// Bytes of an entry.
const ENTRY_LEN: usize = size_of::<LeafEntry>();
/// Offsets of the header's fields.
const MAGIC: usize = offset_of!(BlockInfo, magic);
const COUNT: usize = offset_of!(LeafHeader, count);
const USED_BYTES: usize = offset_of!(LeafHeader, usedbytes);
const FIRST_USED: usize = offset_of!(LeafHeader, firstused);
const HOLES: usize = offset_of!(LeafHeader, holes);
const FREE_MAP: usize = offset_of!(LeafHeader, freemap);

/// Where the value of an attribute is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// In the leaf.
    Local(Vec<u8>),
    /// In blocks of the attribute fork from `block` on, 0 as long as it is not written.
    Remote { block: u32, len: u32 },
}

/// An attribute in a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) hash: u32,
    /// Namespace, and whether it is incomplete; [`AttrFlags::LOCAL`] follows from the value.
    pub(crate) flags: AttrFlags,
    pub(crate) name: Vec<u8>,
    pub(crate) value: Value,
    /// Where its name is in the block, 0 if it has no place yet.
    at: usize,
}

impl Entry {
    pub(crate) fn new(hash: u32, flags: AttrFlags, name: &[u8], value: Value) -> Self {
        Entry { hash, flags, name: name.to_vec(), value, at: 0 }
    }

    pub(crate) fn is_incomplete(&self) -> bool {
        self.flags.contains(AttrFlags::INCOMPLETE)
    }

    /// Bytes of name and value in the leaf.
    fn name_size(&self) -> usize {
        match &self.value {
            Value::Local(value) => local_size(self.name.len(), value.len()),
            Value::Remote { .. } => remote_size(self.name.len()),
        }
    }

    /// Bytes in the leaf in all.
    fn size(&self) -> usize {
        ENTRY_LEN + self.name_size()
    }

    fn decode(bytes: &[u8], entry: usize) -> Option<Self> {
        let flags = AttrFlags::from_bits_retain(get8(bytes, entry + 6)?);
        let at = usize::from(get16(bytes, entry + 4)?);
        let (name, value) = if flags.contains(AttrFlags::LOCAL) {
            let value_len = usize::from(get16(bytes, at)?);
            let value_at = at + 3 + usize::from(get8(bytes, at + 2)?);
            let value = bytes.get(value_at..value_at + value_len)?;
            (bytes.get(at + 3..value_at)?, Value::Local(value.to_vec()))
        } else {
            let name = bytes.get(at + 9..at + 9 + usize::from(get8(bytes, at + 8)?))?;
            let (block, len) = (get32(bytes, at)?, get32(bytes, at + 4)?);
            (name, Value::Remote { block, len })
        };
        let flags = flags - AttrFlags::LOCAL;
        Some(Entry { hash: get32(bytes, entry)?, flags, name: name.to_vec(), value, at })
    }

    /// Writes the entry at `entry`, its name and value at `at`.
    fn encode(&self, bytes: &mut [u8], entry: usize, at: usize) {
        let mut flags = self.flags;
        flags.set(AttrFlags::LOCAL, matches!(self.value, Value::Local(_)));
        put32(bytes, entry, self.hash);
        put16(bytes, entry + 4, at as u16);
        put(bytes, entry + 6, &[flags.bits()]);
        let name_len = self.name.len() as u8;
        match &self.value {
            Value::Local(value) => {
                put16(bytes, at, value.len() as u16);
                put(bytes, at + 2, &[name_len]);
                put(bytes, at + 3, &self.name);
                put(bytes, at + 3 + self.name.len(), value);
            }
            Value::Remote { block, len } => {
                put32(bytes, at, *block);
                put32(bytes, at + 4, *len);
                put(bytes, at + 8, &[name_len]);
                put(bytes, at + 9, &self.name);
            }
        }
    }
}

/// An attribute leaf block.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Leaf {
    pub(crate) links: Links,
    /// By ascending hash.
    pub(crate) entries: Vec<Entry>,
}

impl Leaf {
    /// Adds an entry in hash order.
    pub(crate) fn insert(&mut self, entry: Entry) {
        let at = self.entries.partition_point(|other| other.hash < entry.hash);
        self.entries.insert(at, entry);
    }

    /// Bytes of all names and values.
    fn name_bytes(&self) -> usize {
        self.entries.iter().map(Entry::name_size).sum()
    }

    /// Where each name goes, and the lowest place: where it is, or below the others; all
    /// anew from the end of the block if that does not fit.
    fn places(&self, block_size: usize) -> (Vec<usize>, usize) {
        let table_end = HEADER_LEN + self.entries.len() * ENTRY_LEN;
        let kept = self.entries.iter().map(|entry| entry.at).filter(|&at| at != 0);
        let mut lowest = kept.min().unwrap_or(block_size);
        let new: usize =
            self.entries.iter().filter(|entry| entry.at == 0).map(Entry::name_size).sum();
        let pack = lowest < table_end + new;
        if pack {
            lowest = block_size;
        }
        let mut place = |entry: &Entry| {
            if entry.at != 0 && !pack {
                return entry.at;
            }
            lowest = lowest.saturating_sub(entry.name_size());
            lowest
        };
        let places = self.entries.iter().map(&mut place).collect();
        (places, lowest)
    }
}

impl TreeLeaf for Leaf {
    const KIND: BufferKind = BufferKind::AttrLeaf;
    const MAGIC: u16 = ATTR_LEAF_MAGIC;

    fn decode(bytes: &[u8]) -> Option<Self> {
        let count = usize::from(get16(bytes, COUNT)?);
        let entry = |i| Entry::decode(bytes, HEADER_LEN + i * ENTRY_LEN);
        let entries = (0..count).map(entry).collect::<Option<_>>()?;
        Some(Leaf { links: Links::decode(bytes)?, entries })
    }

    fn encode(&self, block_size: usize) -> Vec<u8> {
        let mut bytes = vec![0; block_size];
        let (places, lowest) = self.places(block_size);
        let table_end = HEADER_LEN + self.entries.len() * ENTRY_LEN;
        let used = self.name_bytes();
        self.links.encode(&mut bytes);
        put16(&mut bytes, MAGIC, ATTR_LEAF_MAGIC);
        put16(&mut bytes, COUNT, self.entries.len() as u16);
        put16(&mut bytes, USED_BYTES, used as u16);
        // 65536 does not fit and is stored as 0.
        put16(&mut bytes, FIRST_USED, lowest as u16);
        put(&mut bytes, HOLES, &[u8::from(lowest + used != block_size)]);
        put16(&mut bytes, FREE_MAP, table_end as u16);
        put16(&mut bytes, FREE_MAP + 2, lowest.saturating_sub(table_end) as u16);
        for (i, (entry, place)) in self.entries.iter().zip(places).enumerate() {
            entry.encode(&mut bytes, HEADER_LEN + i * ENTRY_LEN, place);
        }
        bytes
    }

    fn links(&mut self) -> &mut Links {
        &mut self.links
    }

    fn last_hash(&self) -> Option<u32> {
        self.entries.last().map(|entry| entry.hash)
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn used(&self) -> usize {
        HEADER_LEN + self.entries.iter().map(Entry::size).sum::<usize>()
    }

    fn fits(&self, block_size: usize) -> bool {
        self.used() <= block_size
    }

    fn split(mut self, block_size: usize) -> Vec<Self> {
        let capacity = block_size - HEADER_LEN;
        let sizes: Vec<usize> = self.entries.iter().map(Entry::size).collect();
        let total: usize = sizes.iter().sum();
        // The most even cut of which both parts fit.
        let mut left = 0;
        let cuts = sizes.iter().enumerate().map(|(i, size)| {
            left += size;
            (i + 1, left.max(total - left))
        });
        let best = cuts.min_by_key(|&(_, larger)| larger).filter(|&(_, larger)| larger <= capacity);
        let cuts = match best {
            Some((cut, _)) => vec![cut],
            // One entry, of up to three quarters of a block, is too large for either side.
            None => {
                let large = sizes.iter().enumerate().max_by_key(|&(_, size)| *size);
                let large = large.map_or(0, |(i, _)| i);
                vec![large + 1, large]
            }
        };
        let mut parts = Vec::with_capacity(3);
        for cut in cuts {
            let entries = self.entries.split_off(cut.min(self.entries.len()));
            parts.push(Leaf { links: Links::default(), entries: without_places(entries) });
        }
        parts.push(self);
        parts.reverse();
        parts.retain(|part| !part.entries.is_empty());
        parts
    }

    fn append(&mut self, other: Self) {
        self.entries.extend(without_places(other.entries));
    }
}

/// Entries that come from another block.
fn without_places(mut entries: Vec<Entry>) -> Vec<Entry> {
    entries.iter_mut().for_each(|entry| entry.at = 0);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(hash: u32, size: usize) -> Entry {
        Entry::new(hash, AttrFlags::empty(), b"name", Value::Local(vec![7; size]))
    }

    #[test]
    fn names_stay_where_they_are() {
        let mut leaf = Leaf::default();
        leaf.insert(entry(5, 100));
        leaf.insert(entry(3, 100));
        let bytes = leaf.encode(1024);
        let mut leaf = Leaf::decode(&bytes).unwrap();
        let places: Vec<_> = leaf.entries.iter().map(|entry| entry.at).collect();
        assert_eq!(places, [1024 - 108, 1024 - 216]);
        leaf.entries.remove(0);
        leaf.insert(entry(9, 50));
        let bytes = leaf.encode(1024);
        let leaf = Leaf::decode(&bytes).unwrap();
        let places: Vec<_> = leaf.entries.iter().map(|entry| entry.at).collect();
        assert_eq!(places, [1024 - 216, 1024 - 216 - 60]);
        assert_eq!(get8(&bytes, HOLES), Some(1));
        assert_eq!(get16(&bytes, USED_BYTES), Some(108 + 60));
        assert_eq!((get16(&bytes, 64), get16(&bytes, 66)), (Some(96), Some(1024 - 276 - 96)));
    }

    #[test]
    fn a_full_block_is_packed() {
        let mut leaf = Leaf::default();
        for hash in 0..8 {
            leaf.insert(entry(hash, 100));
        }
        let mut leaf = Leaf::decode(&leaf.encode(1024)).unwrap();
        leaf.entries.remove(0);
        leaf.insert(entry(9, 101));
        assert!(leaf.fits(1024));
        let bytes = leaf.encode(1024);
        assert_eq!(get8(&bytes, HOLES), Some(0));
        let mut again = Leaf::decode(&bytes).unwrap();
        again.entries.iter_mut().for_each(|entry| entry.at = 0);
        leaf.entries.iter_mut().for_each(|entry| entry.at = 0);
        assert_eq!(again, leaf);
    }

    #[test]
    fn a_large_entry_between_others_takes_a_block_of_its_own() {
        let mut leaf = Leaf::default();
        for (hash, size) in [(1, 300), (2, 300), (5, 700), (8, 250)] {
            leaf.insert(entry(hash, size));
        }
        let parts = leaf.split(1024);
        assert!(parts.iter().all(|part| part.fits(1024)));
        let hashes: Vec<Vec<u32>> =
            parts.iter().map(|part| part.entries.iter().map(|e| e.hash).collect()).collect();
        assert_eq!(hashes, [vec![1, 2], vec![5], vec![8]]);
    }
}
