//! Directories: names and the inodes they stand for.
//!
//! A small directory is a list in its inode ([`shortform`]). A larger one is a file whose
//! address space has three sections, 32 GiB apart: blocks of entries ([`data`]), blocks
//! that find entries by the hash of their name ([`leaf`] and [`super::da`]), and blocks
//! that find room for new entries ([`free`]). One block of entries can hold its own index
//! at its end; two or more have one leaf with the room index at its end; more have leaves
//! under inner blocks and separate free blocks.

pub mod data;
pub mod free;
pub mod leaf;
pub mod shortform;

use super::geometry::{DIR_SPACE, DirGeometry};
use super::inode::mode;
use super::{Check, assert_layout, geometry::Geometry};
use crate::Result;
use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Byte offset in the directory of the first block of entries.
pub const DATA_OFFSET: u64 = 0;
/// Byte offset in the directory of the hash index.
pub const LEAF_OFFSET: u64 = DIR_SPACE;
/// Byte offset in the directory of the room index.
pub const FREE_OFFSET: u64 = 2 * DIR_SPACE;

/// Longest name in bytes.
pub const MAX_NAME: usize = 255;
/// Entries start at multiples of this many bytes.
pub const ALIGN: usize = 8;
/// Byte offset of the checksum in every block that starts with [`BlockHeader`].
pub const CRC_OFFSET: usize = std::mem::offset_of!(BlockHeader, crc);

/// Start of entry and free blocks (`xfs_dir3_blk_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct BlockHeader {
    /// Kind of block.
    pub magic: U32,
    /// Checksum of the block.
    pub crc: LeU32,
    /// Disk address of the block in 512-byte units.
    pub blkno: U64,
    /// LSN of the last write.
    pub lsn: U64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Inode of the directory.
    pub owner: U64,
}

assert_layout!(BlockHeader, 48, crc @ 4, blkno @ 8, uuid @ 24, owner @ 40);

impl BlockHeader {
    pub(crate) fn verify(
        &self,
        check: &Check,
        geo: &Geometry,
        magic: u32,
        daddr: u64,
    ) -> Result<()> {
        check.magic(self.magic.get(), magic)?;
        check.uuid(&self.uuid, geo)?;
        check.equal("blkno", self.blkno.get(), daddr)
    }
}

/// What kind of file an entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// Not recorded.
    Unknown,
    /// Regular file.
    Regular,
    /// Directory.
    Directory,
    /// Character device.
    CharDevice,
    /// Block device.
    BlockDevice,
    /// Pipe.
    Fifo,
    /// Socket.
    Socket,
    /// Symbolic link.
    Symlink,
    /// Whiteout of an overlay.
    Whiteout,
}

impl FileType {
    const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Regular,
        Self::Directory,
        Self::CharDevice,
        Self::BlockDevice,
        Self::Fifo,
        Self::Socket,
        Self::Symlink,
        Self::Whiteout,
    ];

    /// The type with this number on disk.
    pub fn from_disk(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The number on disk.
    pub fn to_disk(self) -> u8 {
        self as u8
    }

    /// The type of a file with this mode.
    pub fn from_mode(file_mode: u16) -> Self {
        match file_mode & mode::TYPE {
            mode::REGULAR => Self::Regular,
            mode::DIR => Self::Directory,
            mode::CHAR => Self::CharDevice,
            mode::BLOCK => Self::BlockDevice,
            mode::FIFO => Self::Fifo,
            mode::SOCKET => Self::Socket,
            mode::SYMLINK => Self::Symlink,
            _ => Self::Unknown,
        }
    }
}

/// Hash of a name, as the index of directories and attributes is sorted by.
pub fn hash_name(name: &[u8]) -> u32 {
    name.iter().fold(0u32, |hash, &byte| hash.rotate_left(7) ^ u32::from(byte))
}

/// Hash of a name in a directory of a filesystem that ignores ASCII case: as
/// [`hash_name`] of the name with capital letters of ISO 8859-1 made small.
pub fn hash_name_ignoring_case(name: &[u8]) -> u32 {
    name.iter().fold(0u32, |hash, &byte| hash.rotate_left(7) ^ u32::from(fold_case(byte)))
}

/// Hash of a directory entry's name in this filesystem. "." and ".." hash the same way.
pub fn hash_entry(name: &[u8], geo: &Geometry) -> u32 {
    if geo.features.ascii_ci { hash_name_ignoring_case(name) } else { hash_name(name) }
}

pub(crate) fn fold_case(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | 0xc0..=0xd6 | 0xd8..=0xde => byte + 32,
        _ => byte,
    }
}

/// Bytes of an entry in a block of entries, for a name of `name_len` bytes.
pub const fn entry_size(name_len: usize, ftype: bool) -> usize {
    (8 + 1 + name_len + ftype as usize + 2).next_multiple_of(ALIGN)
}

/// A place in the section of entries: what leaf entries point with. It is the byte offset
/// in the directory divided by 8; 0 marks a stale leaf entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataPtr(pub u32);

impl DataPtr {
    /// No entry.
    pub const NULL: Self = DataPtr(0);

    /// The place `offset` bytes into directory block `block`.
    pub fn new(block: u32, offset: u16, dir: &DirGeometry) -> Self {
        let byte = u64::from(block) << dir.block_log | u64::from(offset);
        DataPtr((byte / ALIGN as u64) as u32)
    }

    /// Byte offset in the directory.
    pub fn byte(self) -> u64 {
        u64::from(self.0) * ALIGN as u64
    }

    /// Directory block (in units of directory blocks) and byte offset in it.
    pub fn parts(self, dir: &DirGeometry) -> (u32, u16) {
        let byte = self.byte();
        ((byte >> dir.block_log) as u32, (byte & (u64::from(dir.block_size) - 1)) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values printed by `xfs_db -c 'hash NAME'` of xfsprogs 7.2.
    #[test]
    fn hashes_as_xfs_db_prints_them() {
        for (name, hash) in HASHES {
            assert_eq!(hash_name(name.as_bytes()), *hash, "{name}");
        }
    }

    const HASHES: &[(&str, u32)] = &[
        (".", 0x2e),
        ("..", 0x172e),
        ("a", 0x61),
        ("ab", 0x30e2),
        ("abc", 0x187163),
        ("abcd", 0xc38b1e4),
        ("hello", 0x8cbb3669),
        ("a-longer-name.txt", 0x68d19d0),
        ("lost+found", 0x21aa60c),
        ("README.md", 0x8a20b0c0),
    ];

    #[test]
    fn case_is_ignored() {
        assert_eq!(hash_name_ignoring_case(b"Makefile"), hash_name(b"makefile"));
        assert_eq!(hash_name_ignoring_case(&[0xc4, 0xd7]), hash_name(&[0xe4, 0xd7]));
    }
}
