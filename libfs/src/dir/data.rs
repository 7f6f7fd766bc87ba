//! Directory data: entries and the free space between them.
//!
//! Behind the header a data block is a row of records, each a multiple of 8 bytes long and
//! ending in its own offset: entries (inode, name length, name, file type) and free space
//! (0xffff, length). The header names the three longest pieces of free space.

use super::bytes::{get8, get16, get64, put, put16, put32, put64};
pub(crate) use crate::format::dir::ALIGN;
use crate::format::dir::data::{BEST_FREE as BEST_COUNT, DataHeader, FREE_TAG};
pub(crate) use crate::format::dir::data::{BLOCK_MAGIC, DATA_MAGIC};
use crate::format::dir::{BlockHeader, entry_size};

/// Bytes of the header of a data block.
pub(crate) const HEADER_LEN: usize = size_of::<DataHeader>();
/// Where the header keeps its list of free space: pairs of offset and length.
const BEST_FREE: usize = size_of::<BlockHeader>();

/// What the places of entries depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    /// Bytes in a directory block.
    pub(crate) block_size: usize,
    /// Entries carry a file type.
    pub(crate) ftype: bool,
}

impl Layout {
    /// Bytes of an entry whose name has `name_len` bytes.
    pub(crate) fn entry_len(self, name_len: usize) -> usize {
        entry_size(name_len, self.ftype)
    }

    /// Offset of the first entry behind "." and "..".
    pub(crate) fn first_offset(self) -> usize {
        HEADER_LEN + self.entry_len(1) + self.entry_len(2)
    }
}

/// A directory entry in a data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// Where it begins in the block, in bytes.
    pub(crate) offset: usize,
    pub(crate) ino: u64,
    pub(crate) name: &'a [u8],
    pub(crate) ftype: u8,
}

/// Free space in a data block, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Free {
    pub(crate) offset: usize,
    pub(crate) len: usize,
}

/// One record of a data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Record<'a> {
    Entry(Entry<'a>),
    Free(Free),
}

/// The records of a block's data area, which ends at `end`. The iterator gives `None` as its
/// last item if the rest is damaged.
pub(crate) fn records(bytes: &[u8], layout: Layout, end: usize) -> Records<'_> {
    Records { bytes: bytes.get(..end).unwrap_or(bytes), layout, at: HEADER_LEN }
}

/// See [`records`].
pub(crate) struct Records<'a> {
    bytes: &'a [u8],
    layout: Layout,
    at: usize,
}

impl<'a> Iterator for Records<'a> {
    type Item = Option<Record<'a>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let record = record_at(self.bytes, self.layout, self.at);
        self.at = match &record {
            Some((_, len)) => self.at + len,
            None => self.bytes.len(),
        };
        Some(record.map(|(record, _)| record))
    }
}

fn record_at(bytes: &[u8], layout: Layout, at: usize) -> Option<(Record<'_>, usize)> {
    let (record, len) = if get16(bytes, at)? == FREE_TAG {
        let len = usize::from(get16(bytes, at + 2)?);
        (Record::Free(Free { offset: at, len }), len)
    } else {
        let entry = entry_at(bytes, layout, at)?;
        (Record::Entry(entry), layout.entry_len(entry.name.len()))
    };
    let tag = at.checked_add(len)?.checked_sub(2)?;
    let sound = len >= ALIGN && len % ALIGN == 0 && usize::from(get16(bytes, tag)?) == at;
    sound.then_some((record, len))
}

/// The entry at `offset`; `None` if there can be none.
pub(crate) fn entry_at(bytes: &[u8], layout: Layout, offset: usize) -> Option<Entry<'_>> {
    let len = usize::from(get8(bytes, offset.checked_add(8)?)?);
    let name = bytes.get(offset + 9..offset + 9 + len).filter(|name| !name.is_empty())?;
    let ftype = if layout.ftype { get8(bytes, offset + 9 + len)? } else { 0 };
    Some(Entry { offset, ino: get64(bytes, offset)?, name, ftype })
}

/// An empty block of the given magic number whose data area ends at `end`.
pub(crate) fn new_block(magic: u32, layout: Layout, end: usize) -> Vec<u8> {
    let mut bytes = vec![0; layout.block_size];
    put32(&mut bytes, 0, magic);
    write_free(&mut bytes, Free { offset: HEADER_LEN, len: end.saturating_sub(HEADER_LEN) });
    put16(&mut bytes, BEST_FREE, HEADER_LEN as u16);
    put16(&mut bytes, BEST_FREE + 2, (end.saturating_sub(HEADER_LEN)) as u16);
    bytes
}

/// The pieces of free space in order; `None` if the block is damaged.
pub(crate) fn free_space(bytes: &[u8], layout: Layout, end: usize) -> Option<Vec<Free>> {
    let mut free = Vec::new();
    for record in records(bytes, layout, end) {
        if let Record::Free(piece) = record? {
            free.push(piece);
        }
    }
    Some(free)
}

/// Length of the longest free space according to the header.
pub(crate) fn best_free(bytes: &[u8]) -> u16 {
    get16(bytes, BEST_FREE + 2).unwrap_or(0)
}

/// Whether a data block holds no entry.
pub(crate) fn is_empty(bytes: &[u8], layout: Layout) -> bool {
    usize::from(best_free(bytes)) == layout.block_size - HEADER_LEN
}

/// Writes an entry at the beginning of the free space `at`, which must be long enough.
pub(crate) fn write_entry(
    bytes: &mut [u8],
    layout: Layout,
    at: Free,
    ino: u64,
    name: &[u8],
    ftype: u8,
) {
    let len = layout.entry_len(name.len());
    put64(bytes, at.offset, ino);
    put(bytes, at.offset + 8, &[name.len() as u8]);
    put(bytes, at.offset + 9, name);
    if layout.ftype {
        put(bytes, at.offset + 9 + name.len(), &[ftype]);
    }
    put16(bytes, at.offset + len - 2, at.offset as u16);
    if at.len > len {
        write_free(bytes, Free { offset: at.offset + len, len: at.len - len });
    }
}

/// Changes what the entry at `offset` points to.
pub(crate) fn set_target(bytes: &mut [u8], layout: Layout, offset: usize, ino: u64, ftype: u8) {
    let len = usize::from(get8(bytes, offset + 8).unwrap_or(0));
    put64(bytes, offset, ino);
    if layout.ftype {
        put(bytes, offset + 9 + len, &[ftype]);
    }
}

/// Turns `piece` into free space, joined with its neighbours, and brings the header up to
/// date; `None` if the block is damaged.
pub(crate) fn release(bytes: &mut [u8], layout: Layout, end: usize, piece: Free) -> Option<()> {
    // As free space of its own it is walked over; then it can be joined.
    write_free(bytes, piece);
    let free = free_space(bytes, layout, end)?;
    let index = free.iter().position(|other| other.offset == piece.offset)?;
    let mut joined = piece;
    if let Some(before) = index.checked_sub(1).and_then(|i| free.get(i))
        && before.offset + before.len == joined.offset
    {
        joined = Free { offset: before.offset, len: before.len + joined.len };
    }
    if let Some(after) = free.get(index + 1)
        && joined.offset + joined.len == after.offset
    {
        joined.len += after.len;
    }
    write_free(bytes, joined);
    update_best(bytes, layout, end)
}

/// Writes free space; none if `piece` is empty.
pub(crate) fn write_free(bytes: &mut [u8], piece: Free) {
    if piece.len < ALIGN {
        return;
    }
    put16(bytes, piece.offset, FREE_TAG);
    put16(bytes, piece.offset + 2, piece.len as u16);
    put16(bytes, piece.offset + piece.len - 2, piece.offset as u16);
}

/// Brings the header's list of free space up to date; `None` if the block is damaged.
pub(crate) fn update_best(bytes: &mut [u8], layout: Layout, end: usize) -> Option<()> {
    let mut free = free_space(bytes, layout, end)?;
    // Stable: of pieces of one length, the first in the block comes first.
    free.sort_by_key(|piece| std::cmp::Reverse(piece.len));
    free.resize(BEST_COUNT.max(free.len()), Free { offset: 0, len: 0 });
    for (i, piece) in free.iter().take(BEST_COUNT).enumerate() {
        put16(bytes, BEST_FREE + 4 * i, piece.offset as u16);
        put16(bytes, BEST_FREE + 4 * i + 2, piece.len as u16);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { block_size: 4096, ftype: true };

    fn best(bytes: &[u8]) -> Vec<(u16, u16)> {
        (0..3)
            .map(|i| (get16(bytes, 48 + 4 * i).unwrap(), get16(bytes, 50 + 4 * i).unwrap()))
            .collect()
    }

    #[test]
    fn entries_come_and_go() {
        let mut block = new_block(DATA_MAGIC, LAYOUT, 4096);
        assert!(is_empty(&block, LAYOUT));
        let mut at = Free { offset: 64, len: 4032 };
        for (i, name) in ["one", "two", "three", "four"].iter().enumerate() {
            write_entry(&mut block, LAYOUT, at, 100 + i as u64, name.as_bytes(), 1);
            let len = LAYOUT.entry_len(name.len());
            at = Free { offset: at.offset + len, len: at.len - len };
        }
        update_best(&mut block, LAYOUT, 4096).unwrap();
        assert_eq!(best(&block), [(64 + 16 + 16 + 24 + 16, 4032 - 72), (0, 0), (0, 0)]);
        release(&mut block, LAYOUT, 4096, Free { offset: 64, len: 16 }).unwrap();
        release(&mut block, LAYOUT, 4096, Free { offset: 96, len: 24 }).unwrap();
        assert_eq!(best(&block)[1..], [(96, 24), (64, 16)]);
        let names: Vec<_> = records(&block, LAYOUT, 4096)
            .filter_map(|r| match r.unwrap() {
                Record::Entry(entry) => Some(entry.name.to_vec()),
                Record::Free(_) => None,
            })
            .collect();
        assert_eq!(names, [b"two".to_vec(), b"four".to_vec()]);
        release(&mut block, LAYOUT, 4096, Free { offset: 80, len: 16 }).unwrap();
        assert_eq!(best(&block)[1..], [(64, 56), (0, 0)]);
        release(&mut block, LAYOUT, 4096, Free { offset: 120, len: 16 }).unwrap();
        assert!(is_empty(&block, LAYOUT));
    }

    #[test]
    fn damage_ends_the_walk() {
        let mut block = new_block(DATA_MAGIC, LAYOUT, 4096);
        put16(&mut block, 66, 13);
        assert_eq!(free_space(&block, LAYOUT, 4096), None);
        let mut block = new_block(DATA_MAGIC, LAYOUT, 4096);
        put16(&mut block, 4094, 65);
        assert_eq!(free_space(&block, LAYOUT, 4096), None);
        assert_eq!(free_space(&[0; 100], LAYOUT, 4096), None);
    }
}
