//! The two forks of an inode in memory.
//!
//! A fork is what follows the inode core on disk: inline bytes, a list of extent records,
//! the root of a btree of extent records, or a device number. Large forks keep all their
//! extents in an [`ExtentMap`] as well; the map of a btree fork is read on first use.

use super::extent_map::{Extent, ExtentMap, RECORD_BYTES};
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::geometry::{FsBlock, Geometry};
use crate::{At, Error, Result};

pub use crate::format::geometry::Fork as WhichFork;

/// Bytes of an inode core on disk; forks begin behind it.
pub const CORE_BYTES: usize = 176;
/// Bytes of the header of a btree root inside an inode (`xfs_bmdr_block`).
const DISK_ROOT_HEADER: usize = 4;
/// Bytes of a key, and of a pointer.
const WORD: usize = 8;

const NAME: &str = "inode fork";

/// Where a fork keeps its contents; the numbers are those of `di_format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ForkFormat {
    /// Device number.
    Dev = 0,
    /// Bytes inside the inode.
    Local = 1,
    /// Extent records inside the inode.
    Extents = 2,
    /// Root of a btree of extent records.
    Btree = 3,
}

impl ForkFormat {
    /// The format with this number, if forks of files on the data device can have it.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Dev, Self::Local, Self::Extents, Self::Btree]
            .into_iter()
            .find(|&format| format as u8 == number)
    }
}

/// Root of a fork's extent btree: an inner block that lives in the inode.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BtreeRoot {
    /// Height above the leaves, at least 1.
    pub level: u16,
    /// Lowest file block below each pointer.
    pub keys: Vec<u64>,
    /// Child blocks, as many as keys.
    pub ptrs: Vec<FsBlock>,
}

impl BtreeRoot {
    /// Most children that fit a root in a fork of `fork_bytes`.
    pub fn max_records(fork_bytes: usize) -> usize {
        fork_bytes.saturating_sub(DISK_ROOT_HEADER) / (2 * WORD)
    }

    /// Decodes the root from a fork as it lies in a disk inode.
    ///
    /// # Errors
    ///
    /// An error is returned if level, count or a pointer is impossible.
    pub fn decode(geo: &Geometry, ino: u64, which: WhichFork, fork: &[u8]) -> Result<Self> {
        let bad = |why: String| Error::corrupt("extent btree root", At::Inode(ino), why);
        let word16 = |at: usize| fork.get(at..)?.first_chunk().map(|b| u16::from_be_bytes(*b));
        let word64 = |at: usize| fork.get(at..)?.first_chunk().map(|b| u64::from_be_bytes(*b));
        let (Some(level), Some(count)) = (word16(0), word16(2)) else {
            return Err(bad(format!("the fork has {} bytes", fork.len())));
        };
        let highest = match which {
            WhichFork::Data => geo.max_levels.bmap_data,
            WhichFork::Attr => geo.max_levels.bmap_attr,
        };
        if level == 0 || u32::from(level) > highest {
            return Err(bad(format!("level {level}, expected 1 to {highest}")));
        }
        let max = Self::max_records(fork.len());
        if count == 0 || usize::from(count) > max {
            return Err(bad(format!("{count} children, expected 1 to {max}")));
        }
        let mut root = BtreeRoot { level, keys: Vec::new(), ptrs: Vec::new() };
        for index in 0..usize::from(count) {
            let key = word64(DISK_ROOT_HEADER + index * WORD).unwrap_or_default();
            let ptr = word64(DISK_ROOT_HEADER + (max + index) * WORD).unwrap_or_default();
            if !geo.valid_fsb(FsBlock(ptr)) {
                return Err(bad(format!("child {index} is block {ptr}")));
            }
            root.keys.push(key);
            root.ptrs.push(FsBlock(ptr));
        }
        Ok(root)
    }

    /// The root as it lies in a disk inode with a fork of `fork_bytes`.
    pub fn to_disk(&self, fork_bytes: usize) -> Vec<u8> {
        let max = Self::max_records(fork_bytes).max(self.keys.len());
        let mut out = vec![0; DISK_ROOT_HEADER + 2 * max * WORD];
        out[..2].copy_from_slice(&self.level.to_be_bytes());
        out[2..4].copy_from_slice(&(self.keys.len() as u16).to_be_bytes());
        self.write_words(&mut out, DISK_ROOT_HEADER, max);
        out
    }

    /// The root as Linux logs it: a whole btree block, header and all, with room for
    /// exactly its children.
    pub fn to_log(&self, geo: &Geometry, ino: u64) -> Vec<u8> {
        let kind = BtreeKind::Bmap;
        let mut out = vec![0; kind.header_len() + 2 * self.keys.len() * WORD];
        let header = Header {
            magic: kind.magic(),
            level: self.level,
            numrecs: self.keys.len() as u16,
            left: None,
            right: None,
            blkno: u64::MAX,
            lsn: 0,
            uuid: geo.meta_uuid,
            owner: ino,
        };
        // The buffer was made long enough and the long form takes any owner.
        let written = header.write(&mut out, kind);
        debug_assert!(written.is_ok());
        self.write_words(&mut out, kind.header_len(), self.keys.len());
        out
    }

    fn write_words(&self, out: &mut [u8], start: usize, max: usize) {
        for (index, key) in self.keys.iter().enumerate() {
            let at = start + index * WORD;
            out[at..at + WORD].copy_from_slice(&key.to_be_bytes());
        }
        for (index, ptr) in self.ptrs.iter().enumerate() {
            let at = start + (max + index) * WORD;
            out[at..at + WORD].copy_from_slice(&ptr.0.to_be_bytes());
        }
    }
}

/// Contents of a fork.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InodeFork {
    /// Device number of a special file, as on disk.
    Dev(u32),
    /// Bytes inside the inode.
    Local(Vec<u8>),
    /// Extent records inside the inode.
    Extents(ExtentMap),
    /// Extent records in a btree.
    Btree {
        /// Root of the btree.
        root: BtreeRoot,
        /// All extents; `None` until [`super::bmap::load`] has read them.
        map: Option<ExtentMap>,
        /// Number of extents as the inode core has it, for as long as `map` is `None`.
        count: u64,
    },
}

impl Default for InodeFork {
    fn default() -> Self {
        InodeFork::Extents(ExtentMap::new())
    }
}

impl InodeFork {
    /// Decodes a fork of inode `ino` from `bytes`, all its space in the disk inode.
    /// `nextents` and, for inline contents of the data fork, `size` come from the core.
    ///
    /// # Errors
    ///
    /// An error is returned if the contents do not fit, or if an extent or the btree root
    /// is impossible.
    pub fn decode(
        geo: &Geometry,
        ino: u64,
        which: WhichFork,
        format: ForkFormat,
        nextents: u64,
        size: u64,
        bytes: &[u8],
    ) -> Result<Self> {
        let bad = |why: String| Error::corrupt(NAME, At::Inode(ino), why);
        match format {
            ForkFormat::Dev => {
                let dev = bytes.first_chunk().ok_or_else(|| bad("no room for a device".into()))?;
                Ok(InodeFork::Dev(u32::from_be_bytes(*dev)))
            }
            ForkFormat::Local => {
                let len = match which {
                    WhichFork::Data => size,
                    // The header of inline attributes begins with their length.
                    WhichFork::Attr => {
                        bytes.first_chunk().map_or(0, |total| u64::from(u16::from_be_bytes(*total)))
                    }
                };
                let inline = usize::try_from(len).ok().and_then(|len| bytes.get(..len));
                let inline = inline
                    .ok_or_else(|| bad(format!("{len} bytes in a space of {}", bytes.len())))?;
                Ok(InodeFork::Local(inline.to_vec()))
            }
            ForkFormat::Extents => {
                let room = (bytes.len() / RECORD_BYTES) as u64;
                if nextents > room {
                    return Err(bad(format!("{nextents} extents in a space for {room}")));
                }
                let mut map = ExtentMap::new();
                for record in bytes.chunks_exact(RECORD_BYTES).take(nextents as usize) {
                    let record = record.first_chunk().copied().unwrap_or_default();
                    push_checked(geo, ino, which, &mut map, Extent::from_bytes(record))?;
                }
                Ok(InodeFork::Extents(map))
            }
            ForkFormat::Btree => {
                let root = BtreeRoot::decode(geo, ino, which, bytes)?;
                Ok(InodeFork::Btree { root, map: None, count: nextents })
            }
        }
    }

    /// Where the contents are.
    pub fn format(&self) -> ForkFormat {
        match self {
            InodeFork::Dev(_) => ForkFormat::Dev,
            InodeFork::Local(_) => ForkFormat::Local,
            InodeFork::Extents(_) => ForkFormat::Extents,
            InodeFork::Btree { .. } => ForkFormat::Btree,
        }
    }

    /// Number of extents, for `di_nextents`.
    pub fn nextents(&self) -> u64 {
        match self {
            InodeFork::Dev(_) | InodeFork::Local(_) => 0,
            InodeFork::Extents(map) => map.len() as u64,
            InodeFork::Btree { map, count, .. } => map.as_ref().map_or(*count, |m| m.len() as u64),
        }
    }

    /// The extents; `None` if the fork has none by its format, or if they are those of a
    /// btree that was not read yet.
    pub fn extents(&self) -> Option<&ExtentMap> {
        match self {
            InodeFork::Extents(map) => Some(map),
            InodeFork::Btree { map, .. } => map.as_ref(),
            InodeFork::Dev(_) | InodeFork::Local(_) => None,
        }
    }

    /// As [`InodeFork::extents`], to be changed.
    pub fn extents_mut(&mut self) -> Option<&mut ExtentMap> {
        match self {
            InodeFork::Extents(map) => Some(map),
            InodeFork::Btree { map, .. } => map.as_mut(),
            InodeFork::Dev(_) | InodeFork::Local(_) => None,
        }
    }

    /// The inline contents, if they are inline.
    pub fn local(&self) -> Option<&[u8]> {
        match self {
            InodeFork::Local(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The btree root, if there is one.
    pub fn root(&self) -> Option<&BtreeRoot> {
        match self {
            InodeFork::Btree { root, .. } => Some(root),
            _ => None,
        }
    }

    /// The btree root, to be changed.
    pub fn root_mut(&mut self) -> Option<&mut BtreeRoot> {
        match self {
            InodeFork::Btree { root, .. } => Some(root),
            _ => None,
        }
    }

    /// Bytes the contents take in a disk inode; a btree root takes what it needs at least.
    pub fn disk_bytes(&self) -> usize {
        match self {
            InodeFork::Dev(_) => 4,
            InodeFork::Local(bytes) => bytes.len(),
            InodeFork::Extents(map) => map.len() * RECORD_BYTES,
            InodeFork::Btree { root, .. } => DISK_ROOT_HEADER + 2 * WORD * root.keys.len(),
        }
    }

    /// The contents as they lie in a disk inode that has `fork_bytes` of space for them.
    /// Not padded to that space.
    pub fn to_disk(&self, fork_bytes: usize) -> Vec<u8> {
        match self {
            InodeFork::Dev(dev) => dev.to_be_bytes().to_vec(),
            InodeFork::Local(bytes) => bytes.clone(),
            InodeFork::Extents(map) => map.to_bytes(),
            InodeFork::Btree { root, .. } => root.to_disk(fork_bytes),
        }
    }

    /// The contents as an inode log item has them: as on disk, but a btree root as a whole
    /// block. The device number is not logged as contents but in the item's format.
    pub fn to_log(&self, geo: &Geometry, ino: u64) -> Vec<u8> {
        match self {
            InodeFork::Btree { root, .. } => root.to_log(geo, ino),
            _ => self.to_disk(0),
        }
    }
}

/// Adds an extent read from disk to `map`, behind all others.
///
/// # Errors
///
/// An error is returned if the extent is outside the device or the largest file, is not
/// behind the others, or is unwritten in an attribute fork.
pub fn push_checked(
    geo: &Geometry,
    ino: u64,
    which: WhichFork,
    map: &mut ExtentMap,
    new: Extent,
) -> Result<()> {
    let ok = geo.valid_fsb_extent(new.block, new.count)
        && geo.valid_file_range(new.offset, new.count)
        && !(new.unwritten && which == WhichFork::Attr)
        && map.push(new);
    if ok {
        return Ok(());
    }
    let Extent { offset, block, count, unwritten } = new;
    let state = if unwritten { ", unwritten" } else { "" };
    let why = format!("extent of {count} blocks at file block {offset}, block {block}{state}");
    Err(Error::corrupt(NAME, At::Inode(ino), why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_places_pointers_behind_room_for_all_keys() {
        let root = BtreeRoot { level: 1, keys: vec![0, 7], ptrs: vec![FsBlock(20), FsBlock(30)] };
        let disk = root.to_disk(336);
        assert_eq!(BtreeRoot::max_records(336), 20);
        assert_eq!(disk.len(), 4 + 320);
        assert_eq!(&disk[..4], &[0, 1, 0, 2]);
        assert_eq!(&disk[12..20], &7u64.to_be_bytes());
        assert_eq!(&disk[4 + 160..4 + 168], &20u64.to_be_bytes());
    }
}
