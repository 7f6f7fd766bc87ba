//! Directories of a single block: data from the front, leaf entries from the back.

use super::bytes::{get32, put32};
use super::data::{self, ALIGN, Free, Layout};
use super::leaf::{self, ENTRY_LEN, LeafEntry};

/// Bytes behind the leaf entries: how many there are, and how many are stale.
pub(crate) const TAIL_LEN: usize = 8;

/// The leaf entries of a single-block directory; `None` if they do not fit the block.
pub(crate) fn decode_leaf(bytes: &[u8]) -> Option<Vec<LeafEntry>> {
    let tail = bytes.len().checked_sub(TAIL_LEN)?;
    let count = get32(bytes, tail)? as usize;
    let start = tail.checked_sub(count.checked_mul(ENTRY_LEN)?)?;
    if start < data::HEADER_LEN {
        return None;
    }
    leaf::decode_entries(bytes, start, count)
}

/// Writes the leaf entries at the end of the block.
pub(crate) fn encode_leaf(bytes: &mut [u8], entries: &[LeafEntry]) {
    let tail = bytes.len() - TAIL_LEN;
    leaf::encode_entries(bytes, data_end(bytes.len(), entries.len()), entries);
    put32(bytes, tail, entries.len() as u32);
    put32(bytes, tail + 4, leaf::stale_count(entries) as u32);
}

/// Where the data area ends with so many leaf entries.
pub(crate) fn data_end(block_size: usize, entries: usize) -> usize {
    block_size.saturating_sub(TAIL_LEN + entries * ENTRY_LEN)
}

/// Adds an entry. `Some(false)` if it does not fit; `None` if the block is damaged.
pub(crate) fn add(
    bytes: &mut [u8],
    layout: Layout,
    hash: u32,
    ino: u64,
    name: &[u8],
    ftype: u8,
) -> Option<bool> {
    let mut entries = decode_leaf(bytes)?;
    let need = layout.entry_len(name.len());
    let has_stale = leaf::stale_count(&entries) != 0;
    let mut place = find_place(bytes, layout, entries.len(), need, has_stale)?;
    if place.is_none() && has_stale {
        compact(bytes, layout, &mut entries)?;
        place = find_place(bytes, layout, entries.len(), need, false)?;
    }
    let Some(place) = place else { return Some(false) };
    leaf::insert_entry(&mut entries, LeafEntry { hash, address: (place.offset / ALIGN) as u32 });
    data::write_entry(bytes, layout, place, ino, name, ftype);
    let end = data_end(bytes.len(), entries.len());
    encode_leaf(bytes, &entries);
    data::update_best(bytes, layout, end)?;
    Some(true)
}

/// The free space to use for an entry of `need` bytes: the longest. A leaf entry that has no
/// stale one to take the place of needs room, too: the last bytes of the data area, which
/// are already taken off the piece that is returned. The outer `None` is damage.
#[allow(clippy::option_option)]
fn find_place(
    bytes: &mut [u8],
    layout: Layout,
    leaf_entries: usize,
    need: usize,
    has_stale: bool,
) -> Option<Option<Free>> {
    let end = data_end(bytes.len(), leaf_entries);
    let mut free = data::free_space(bytes, layout, end)?;
    let mut shortened = None;
    if !has_stale {
        let Some(last) = free.last_mut().filter(|last| last.offset + last.len == end) else {
            return Some(None);
        };
        last.len -= ENTRY_LEN;
        shortened = Some(*last);
    }
    let best = free.iter().rev().max_by_key(|piece| piece.len).copied();
    let Some(best) = best.filter(|best| best.len >= need) else { return Some(None) };
    if let Some(last) = shortened {
        data::write_free(bytes, last);
    }
    Some(Some(best))
}

/// Drops stale leaf entries; the data area gets their room.
fn compact(bytes: &mut [u8], layout: Layout, entries: &mut Vec<LeafEntry>) -> Option<()> {
    let old_end = data_end(bytes.len(), entries.len());
    entries.retain(|entry| !entry.is_stale());
    let end = data_end(bytes.len(), entries.len());
    encode_leaf(bytes, entries);
    data::release(bytes, layout, end, Free { offset: old_end, len: end - old_end })
}

/// Removes the entry at `offset`, whose hash is `hash`; `None` if the block is damaged.
pub(crate) fn remove(bytes: &mut [u8], layout: Layout, hash: u32, offset: usize) -> Option<()> {
    let mut entries = decode_leaf(bytes)?;
    let end = data_end(bytes.len(), entries.len());
    let address = (offset / ALIGN) as u32;
    let range = leaf::range_of(&entries, hash);
    let entry = entries[range].iter_mut().find(|entry| entry.address == address)?;
    entry.address = 0;
    encode_leaf(bytes, &entries);
    let len = layout.entry_len(data::entry_at(bytes, layout, offset)?.name.len());
    data::release(bytes, layout, end, Free { offset, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::dir::hash_name;

    const LAYOUT: Layout = Layout { block_size: 1024, ftype: true };

    #[test]
    fn fills_up_empties_and_fills_again() {
        let mut block = data::new_block(data::BLOCK_MAGIC, LAYOUT, data_end(1024, 0));
        let name = |i: u32| format!("file {i}").into_bytes();
        let fill = |block: &mut [u8], from: u32| {
            let mut i = from;
            while add(block, LAYOUT, hash_name(&name(i)), 1000 + u64::from(i), &name(i), 1).unwrap()
            {
                i += 1;
            }
            i
        };
        let first = fill(&mut block, 0);
        // 64 header, 8 tail; 24 + 8 an entry.
        assert_eq!(first, (1024 - 64 - 8) / 32);
        for i in (0..first).step_by(2) {
            let hash = hash_name(&name(i));
            let entries = decode_leaf(&block).unwrap();
            let address = entries[leaf::range_of(&entries, hash)][0].address;
            remove(&mut block, LAYOUT, hash, address as usize * 8).unwrap();
        }
        assert_eq!(leaf::stale_count(&decode_leaf(&block).unwrap()), 15);
        let second = fill(&mut block, 100);
        assert_eq!(second - 100, 15);
        let long = [b'x'; 60];
        assert!(!add(&mut block, LAYOUT, 1, 1, &long, 1).unwrap());
    }

    #[test]
    fn stale_entries_give_way_to_data() {
        let mut block = data::new_block(data::BLOCK_MAGIC, LAYOUT, data_end(1024, 0));
        let mut count = 0u64;
        while add(&mut block, LAYOUT, count as u32, 1, b"12345", 1).unwrap() {
            count += 1;
        }
        for hash in 10..count as u32 {
            let entries = decode_leaf(&block).unwrap();
            let address = entries[leaf::range_of(&entries, hash)][0].address;
            remove(&mut block, LAYOUT, hash, address as usize * 8).unwrap();
        }
        let long = [b'x'; 255];
        assert!(add(&mut block, LAYOUT, 77, 1, &long, 1).unwrap());
        assert!(add(&mut block, LAYOUT, 78, 1, &long, 1).unwrap());
        assert_eq!(
            data::free_space(&block, LAYOUT, data_end(1024, decode_leaf(&block).unwrap().len()))
                .unwrap()
                .len(),
            1
        );
    }
}
