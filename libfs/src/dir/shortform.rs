//! Inserting into directories that are inside their inode.

use super::data::Layout;
use crate::format::dir::shortform::{Entry, ShortForm, fits_block};
use crate::format::geometry::{DirGeometry, Ino};

/// Most entries, and most with large inode numbers: their counts have one byte.
const MAX_COUNT: usize = u8::MAX as usize;

/// Whether the number of entries fits where it is stored.
pub(crate) fn countable(short: &ShortForm) -> bool {
    // The parent may be counted among the large inode numbers.
    short.entries.len() < MAX_COUNT
}

/// Adds an entry at the first offset with room, so that the directory can become a block
/// with every entry at its offset; `false` if it would not fit in that block.
pub(crate) fn insert(
    short: &mut ShortForm,
    name: &[u8],
    ino: u64,
    ftype: u8,
    layout: Layout,
    dir: &DirGeometry,
) -> bool {
    let len = layout.entry_len(name.len());
    let mut offset = layout.first_offset();
    let mut index = short.entries.len();
    for (i, entry) in short.entries.iter().enumerate() {
        if usize::from(entry.offset) >= offset + len {
            index = i;
            break;
        }
        offset = usize::from(entry.offset) + layout.entry_len(entry.name.len());
    }
    let end = match short.entries.last() {
        Some(last) if index < short.entries.len() => {
            usize::from(last.offset) + layout.entry_len(last.name.len())
        }
        _ => offset + len,
    };
    let Ok(place) = u16::try_from(offset) else { return false };
    let fits = fits_block(end, short.entries.len() + 1, dir);
    if fits {
        let entry = Entry { offset: place, name: name.to_vec(), ftype, ino: Ino(ino) };
        short.entries.insert(index, entry);
    }
    fits
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout { block_size: 4096, ftype: true };
    const DIR: DirGeometry = DirGeometry {
        block_size: 4096,
        block_log: 12,
        fs_blocks: 1,
        leaf_block: 1 << 23,
        free_block: 1 << 24,
    };

    /// A root directory with "a" (inode 131, regular) and "dir" (inode 132), as Linux
    /// writes it.
    #[test]
    fn inserts_as_linux_does() {
        let bytes = b"\x02\x00\x00\x00\x00\x80\x01\x00\x60a\x01\x00\x00\x00\x83\
                      \x03\x00\x70dir\x02\x00\x00\x00\x84";
        let mut built = ShortForm { parent: Ino(128), entries: vec![] };
        assert!(insert(&mut built, b"a", 131, 1, LAYOUT, &DIR));
        assert!(insert(&mut built, b"dir", 132, 2, LAYOUT, &DIR));
        assert_eq!(built.encode(true), bytes);
    }

    #[test]
    fn holes_in_the_offsets_are_used_again() {
        let mut dir = ShortForm { parent: Ino(128), entries: vec![] };
        for name in [&b"a"[..], b"b", b"c"] {
            assert!(insert(&mut dir, name, 5, 1, LAYOUT, &DIR));
        }
        dir.entries.remove(1);
        assert!(insert(&mut dir, b"too long for the hole", 6, 1, LAYOUT, &DIR));
        assert!(insert(&mut dir, b"d", 7, 1, LAYOUT, &DIR));
        let offsets: Vec<u16> = dir.entries.iter().map(|e| e.offset).collect();
        assert_eq!(offsets, [0x60, 0x70, 0x80, 0x90]);
        assert_eq!(dir.entries[1].name, b"d");
    }
}
