//! A directory that fits in its inode: the parent's number and the entries in the order
//! they were made, inode numbers of four bytes if all of them fit, else of eight.

use super::{DirGeometry, FileType, entry_size};
use crate::format::Check;
use crate::format::geometry::{Geometry, Ino};
use crate::{At, Result};

const NAME: &str = "shortform directory";
/// Count of entries, count of entries with large inode numbers.
const COUNTS: usize = 2;
/// Name length and offset, before each name.
const ENTRY_HEAD: usize = 3;
/// Bytes of the header of a block of entries.
const DATA_HEADER: usize = size_of::<super::data::DataHeader>();

/// One name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name, without "/" or zero byte.
    pub name: Vec<u8>,
    /// Where the entry would be in a block of entries; keeps `readdir` positions stable.
    pub offset: u16,
    /// Type number, if the filesystem records types.
    pub ftype: u8,
    /// The inode.
    pub ino: Ino,
}

/// The contents of a shortform directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShortForm {
    /// The parent directory.
    pub parent: Ino,
    /// Names in order of offset.
    pub entries: Vec<Entry>,
}

impl ShortForm {
    /// Decodes the first `size` bytes (the inode's size) of the data fork of directory
    /// `ino`. `ftype` says whether entries have a type.
    ///
    /// # Errors
    ///
    /// An error is returned if the entries do not fill exactly `size` bytes.
    pub fn decode(fork: &[u8], size: u64, ftype: bool, ino: Ino) -> Result<Self> {
        let check = Check::new(NAME, At::Inode(ino.0));
        let bytes = usize::try_from(size).ok().and_then(|size| fork.get(..size));
        let bytes = bytes.ok_or_else(|| {
            check.fail(format!("size {size} is more than the fork's {} bytes", fork.len()))
        })?;
        let mut cursor = Cursor { bytes, check };
        let [count, large] = cursor.array()?;
        let wide = large != 0;
        let parent = cursor.ino(wide)?;
        let mut entries = Vec::with_capacity(count.into());
        for _ in 0..count {
            let [name_len, high, low] = cursor.array()?;
            let name = cursor.take(name_len.into())?.to_vec();
            let kind = if ftype { cursor.array::<1>()?[0] } else { 0 };
            let offset = u16::from_be_bytes([high, low]);
            entries.push(Entry { name, offset, ftype: kind, ino: cursor.ino(wide)? });
        }
        check.that(cursor.bytes.is_empty(), || {
            format!("{} bytes after the last entry", cursor.bytes.len())
        })?;
        let decoded = ShortForm { parent, entries };
        check.equal("i8count", usize::from(large), decoded.large_count())?;
        Ok(decoded)
    }

    /// As it lies on disk.
    pub fn encode(&self, ftype: bool) -> Vec<u8> {
        let large = self.large_count();
        let mut bytes = vec![self.entries.len() as u8, large as u8];
        put_ino(&mut bytes, self.parent, large != 0);
        for entry in &self.entries {
            bytes.push(entry.name.len() as u8);
            bytes.extend_from_slice(&entry.offset.to_be_bytes());
            bytes.extend_from_slice(&entry.name);
            if ftype {
                bytes.push(entry.ftype);
            }
            put_ino(&mut bytes, entry.ino, large != 0);
        }
        bytes
    }

    /// Bytes that [`ShortForm::encode`] gives.
    pub fn encoded_size(&self, ftype: bool) -> usize {
        let ino = if self.large_count() != 0 { 8 } else { 4 };
        let entry = |entry: &Entry| ENTRY_HEAD + entry.name.len() + usize::from(ftype) + ino;
        COUNTS + ino + self.entries.iter().map(entry).sum::<usize>()
    }

    /// Inode numbers, the parent's included, that need more than 32 bits.
    fn large_count(&self) -> usize {
        let all = self.entries.iter().map(|entry| entry.ino).chain([self.parent]);
        all.filter(|ino| ino.0 > u32::MAX.into()).count()
    }

    /// Checks the entries of directory `ino` as Linux does.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong entry is returned.
    pub fn verify(&self, geo: &Geometry, ino: Ino) -> Result<()> {
        let check = Check::new(NAME, At::Inode(ino.0));
        let parent = self.parent;
        check.that(geo.valid_dir_ino(parent), || format!("parent is {parent}"))?;
        let mut next = first_offset(geo.features.ftype);
        for (index, entry) in self.entries.iter().enumerate() {
            let named = !entry.name.is_empty() && !entry.name.contains(&b'/');
            let typed = FileType::from_disk(entry.ftype).is_some();
            let placed = usize::from(entry.offset) >= next;
            let sound = named && typed && placed && geo.valid_dir_ino(entry.ino);
            check.that(sound, || format!("entry {index} is {entry:?}"))?;
            next = usize::from(entry.offset) + entry_size(entry.name.len(), geo.features.ftype);
        }
        let block = next + block_index_size(self.entries.len());
        check.that(block <= geo.dir.block_size as usize, || {
            "the entries would not fit a directory block".into()
        })
    }
}

/// Offset that the first entry after "." and ".." has in a block of entries.
pub const fn first_offset(ftype: bool) -> usize {
    DATA_HEADER + entry_size(1, ftype) + entry_size(2, ftype)
}

/// Bytes of the index at the end of a block with `entries` entries besides "." and "..".
const fn block_index_size(entries: usize) -> usize {
    (entries + 2) * size_of::<super::leaf::LeafEntry>() + size_of::<super::data::BlockTail>()
}

/// Whether a shortform directory with entries up to byte `end` of a would-be block, and
/// `entries` of them, could be converted to a block.
pub const fn fits_block(end: usize, entries: usize, dir: &DirGeometry) -> bool {
    end + block_index_size(entries) <= dir.block_size as usize
}

fn put_ino(bytes: &mut Vec<u8>, ino: Ino, wide: bool) {
    let all = ino.0.to_be_bytes();
    bytes.extend_from_slice(if wide { &all } else { &all[4..] });
}

struct Cursor<'a> {
    bytes: &'a [u8],
    check: Check,
}

impl<'a> Cursor<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self
            .bytes
            .split_at_checked(len)
            .ok_or_else(|| self.check.fail("an entry reaches beyond the end"))?;
        self.bytes = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let taken = self.take(N)?;
        Ok(taken.first_chunk::<N>().copied().unwrap_or([0; N]))
    }

    fn ino(&mut self, wide: bool) -> Result<Ino> {
        if wide {
            return Ok(Ino(u64::from_be_bytes(self.array()?)));
        }
        Ok(Ino(u32::from_be_bytes(self.array()?).into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry() -> impl Strategy<Value = Entry> {
        let ino = prop_oneof![0u64..=u32::MAX.into(), any::<u64>()];
        (prop::collection::vec(any::<u8>(), 1..20), any::<u16>(), 0u8..9, ino)
            .prop_map(|(name, offset, ftype, ino)| Entry { name, offset, ftype, ino: Ino(ino) })
    }

    proptest! {
        #[test]
        fn survives(entries in prop::collection::vec(entry(), 0..20), parent: u64) {
            let form = ShortForm { parent: Ino(parent), entries };
            let bytes = form.encode(true);
            prop_assert_eq!(bytes.len(), form.encoded_size(true));
            let decoded = ShortForm::decode(&bytes, bytes.len() as u64, true, Ino(1)).unwrap();
            prop_assert_eq!(decoded, form);
        }

        #[test]
        fn garbage_is_an_error_or_a_directory(bytes: Vec<u8>, size in 0u64..300) {
            let _ = ShortForm::decode(&bytes, size, true, Ino(1));
        }
    }
}
