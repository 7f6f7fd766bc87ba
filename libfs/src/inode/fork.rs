//! The two forks of an inode in memory.
//!
//! A fork is what follows the inode core on disk: inline bytes, a list of extent records,
//! the root of a btree of extent records, or a device number. Large forks keep all their
//! extents in an [`ExtentMap`] as well; the map of a btree fork is read on first use.

use super::extent_map::{Extent, ExtentMap, RECORD_BYTES};
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::extent::{records, root_space};
use crate::format::geometry::{Geometry, Ino};
use crate::{At, Error, Result};

pub use crate::format::extent::Root as BtreeRoot;
pub use crate::format::geometry::Fork as WhichFork;
pub use crate::format::inode::ForkFormat;

/// Bytes of a key, and of a pointer.
const WORD: usize = 8;

const NAME: &str = "inode fork";

impl BtreeRoot {
    /// The root as Linux logs it: a whole btree block, header and all, with room for
    /// exactly its children.
    pub fn to_log(&self, geo: &Geometry, ino: u64) -> Vec<u8> {
        let kind = BtreeKind::Bmap;
        let mut out = vec![0; kind.header_len() + 2 * self.children.len() * WORD];
        let header = Header {
            magic: kind.magic(),
            level: self.level,
            numrecs: self.children.len() as u16,
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
        let (keys, ptrs) = out[kind.header_len()..].split_at_mut(self.children.len() * WORD);
        let slots = keys.chunks_exact_mut(WORD).zip(ptrs.chunks_exact_mut(WORD));
        for ((key, ptr), (offset, block)) in slots.zip(&self.children) {
            key.copy_from_slice(&offset.to_be_bytes());
            ptr.copy_from_slice(&block.0.to_be_bytes());
        }
        out
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
                for record in records(bytes).iter().take(nextents as usize) {
                    push_checked(geo, ino, which, &mut map, Extent::decode(record))?;
                }
                Ok(InodeFork::Extents(map))
            }
            ForkFormat::Btree => {
                let root = BtreeRoot::decode(bytes, geo, Ino(ino), which)?;
                Ok(InodeFork::Btree { root, map: None, count: nextents })
            }
            ForkFormat::Uuid | ForkFormat::MetaBtree => Err(bad(format!("format {format:?}"))),
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
            InodeFork::Btree { root, .. } => root_space(root.children.len()),
        }
    }

    /// The contents as they lie in a disk inode that has `fork_bytes` of space for them.
    /// Not padded to that space.
    pub fn to_disk(&self, fork_bytes: usize) -> Vec<u8> {
        match self {
            InodeFork::Dev(dev) => dev.to_be_bytes().to_vec(),
            InodeFork::Local(bytes) => bytes.clone(),
            InodeFork::Extents(map) => map.to_bytes(),
            InodeFork::Btree { root, .. } => {
                let mut bytes = vec![0; fork_bytes.max(root_space(root.children.len()))];
                // Cannot fail: there is room.
                let encoded = root.encode(&mut bytes);
                debug_assert!(encoded.is_ok());
                bytes
            }
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
    new.verify(geo, Ino(ino), which, false)?;
    if map.push(new) {
        return Ok(());
    }
    let why = format!("extent at file block {} is not behind the one before", new.offset);
    Err(Error::corrupt(NAME, At::Inode(ino), why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::geometry::FsBlock;

    #[test]
    fn root_places_pointers_behind_room_for_all_keys() {
        let root = BtreeRoot { level: 1, children: vec![(0, FsBlock(20)), (7, FsBlock(30))] };
        let fork = InodeFork::Btree { root, map: None, count: 9 };
        let disk = fork.to_disk(336);
        assert_eq!(disk.len(), 336);
        assert_eq!(&disk[..4], &[0, 1, 0, 2]);
        assert_eq!(&disk[12..20], &7u64.to_be_bytes());
        assert_eq!(&disk[4 + 160..4 + 168], &20u64.to_be_bytes());
    }
}
