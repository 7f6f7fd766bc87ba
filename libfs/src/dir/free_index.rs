//! The free index of a large directory: the longest free space of every data block.

use super::bytes::{get32, put16, put32};
use super::leaf::NO_BLOCK;
use crate::format::dir::free::{FreeHeader, MAGIC};
use std::mem::offset_of;

/// Bytes of the header of a free index block.
const HEADER_LEN: usize = size_of::<FreeHeader>();
/// Offsets of the header's fields: first data block listed, blocks listed, blocks that exist.
const FIRST: usize = offset_of!(FreeHeader, firstdb);
const VALID: usize = offset_of!(FreeHeader, nvalid);
const USED: usize = offset_of!(FreeHeader, nused);

/// A free index block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FreeIndex {
    /// Number of the first data block that it lists.
    pub(crate) first: u32,
    /// Longest free space of that block and those behind it; [`NO_BLOCK`] where there is
    /// no data block.
    pub(crate) bests: Vec<u16>,
}

impl FreeIndex {
    /// Most data blocks that one block can list.
    pub(crate) fn capacity(block_size: usize) -> usize {
        (block_size - HEADER_LEN) / 2
    }

    /// Reads a block; `None` if it is damaged.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let count = get32(bytes, VALID)? as usize;
        if get32(bytes, 0)? != MAGIC || count > Self::capacity(bytes.len()) {
            return None;
        }
        let bests = decode_bests(bytes, HEADER_LEN, count)?;
        Some(FreeIndex { first: get32(bytes, FIRST)?, bests })
    }

    /// The block, without its identity.
    pub(crate) fn encode(&self, block_size: usize) -> Vec<u8> {
        let mut bytes = vec![0; block_size];
        put32(&mut bytes, 0, MAGIC);
        put32(&mut bytes, FIRST, self.first);
        put32(&mut bytes, VALID, self.bests.len() as u32);
        put32(&mut bytes, USED, self.used() as u32);
        for (i, best) in self.bests.iter().enumerate() {
            put16(&mut bytes, HEADER_LEN + 2 * i, *best);
        }
        bytes
    }

    /// How many of the data blocks listed exist.
    pub(crate) fn used(&self) -> usize {
        self.bests.iter().filter(|&&best| best != NO_BLOCK).count()
    }
}

/// Reads `count` lengths of free space at `at`.
pub(crate) fn decode_bests(bytes: &[u8], at: usize, count: usize) -> Option<Vec<u16>> {
    let list = bytes.get(at..at.checked_add(count.checked_mul(2)?)?)?;
    Some(list.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]])).collect())
}

/// Enters `best` for data block `index`, which may be new; [`NO_BLOCK`] when it was freed.
pub(crate) fn set_best(bests: &mut Vec<u16>, index: usize, best: u16) {
    if index >= bests.len() {
        bests.resize(index + 1, NO_BLOCK);
    }
    bests[index] = best;
    while bests.last() == Some(&NO_BLOCK) {
        bests.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bests_grow_and_are_trimmed() {
        let mut bests = vec![];
        set_best(&mut bests, 2, 16);
        assert_eq!(bests, [NO_BLOCK, NO_BLOCK, 16]);
        set_best(&mut bests, 0, 8);
        set_best(&mut bests, 2, NO_BLOCK);
        assert_eq!(bests, [8]);
    }

    #[test]
    fn blocks_survive_encoding() {
        let free = FreeIndex { first: 2016, bests: vec![16, NO_BLOCK, 8] };
        assert_eq!(FreeIndex::decode(&free.encode(4096)).unwrap(), free);
        assert_eq!(free.used(), 2);
        assert_eq!(FreeIndex::capacity(4096), 2016);
        assert_eq!(FreeIndex::decode(&[0; 4096]), None);
    }
}
