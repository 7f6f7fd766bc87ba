//! What directories and attributes need of the fork they live in.
//!
//! The code for both works on whole blocks: it decodes one into a model, changes that and
//! hands back the block encoded anew. A [`Store`] compares it with what was there and logs
//! what differs, so nobody has to keep account of changed ranges. The same code runs on
//! an inode in a transaction ([`super::fork`]) and, in tests, on plain memory.

use crate::buffer::BufferKind;
use crate::format::geometry::Geometry;
use crate::{At, Error, Result};

/// Sizes and places that directory and attribute code depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Params {
    /// Bytes in a block of this fork: a directory block, or a filesystem block for attributes.
    pub(crate) block_size: usize,
    /// log2 of `block_size`.
    pub(crate) block_log: u32,
    /// Filesystem blocks in a block of this fork.
    pub(crate) fs_blocks: u64,
    /// File block of the root of the hash tree.
    pub(crate) tree_root: u64,
    /// File block where the free index of a directory starts.
    pub(crate) free_start: u64,
    /// Directory entries carry a file type.
    pub(crate) ftype: bool,
    /// Names in directories compare without regard to case.
    pub(crate) ignore_case: bool,
}

impl Params {
    /// For the data fork of a directory.
    pub(crate) fn directory(geo: &Geometry) -> Self {
        Params {
            block_size: geo.dir.block_size as usize,
            block_log: geo.dir.block_log,
            fs_blocks: geo.dir.fs_blocks.into(),
            tree_root: geo.dir.leaf_block,
            free_start: geo.dir.free_block,
            ftype: geo.features.ftype,
            ignore_case: geo.features.ascii_ci,
        }
    }

    /// For an attribute fork.
    pub(crate) fn attributes(geo: &Geometry) -> Self {
        Params {
            block_size: geo.block_size as usize,
            block_log: geo.block_log,
            fs_blocks: 1,
            tree_root: 0,
            free_start: u64::MAX,
            ftype: false,
            ignore_case: geo.features.ascii_ci,
        }
    }
}

/// A fork as directories and attributes read it. Blocks are named by file block number.
pub(crate) trait Store {
    /// Sizes and places.
    fn params(&self) -> Params;

    /// The inode, for messages.
    fn owner(&self) -> u64;

    /// The contents, if they are inline in the inode.
    fn inline(&self) -> Option<&[u8]>;

    /// The file's size in bytes.
    fn size(&self) -> u64;

    /// The file block after the last one mapped, 0 if there are none.
    fn mapped_end(&mut self) -> Result<u64> {
        self.mapped_end_before(u64::MAX)
    }

    /// The file block after the last one mapped below file block `limit`, 0 if there are none.
    fn mapped_end_before(&mut self, limit: u64) -> Result<u64>;

    /// The first block of this fork at or after file block `from` that is mapped.
    fn next_mapped(&mut self, from: u64) -> Result<Option<u64>>;

    /// The block at file block `bno`, read and verified.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if it is not mapped or not what `kind` says.
    fn read(&mut self, bno: u64, kind: BufferKind) -> Result<&[u8]>;

    /// A damaged-directory error for this inode.
    fn corrupt(&self, why: impl Into<String>) -> Error
    where
        Self: Sized,
    {
        Error::corrupt("directory or attribute fork", At::Inode(self.owner()), why)
    }
}

/// A fork as directories and attributes change it.
pub(crate) trait StoreMut: Store {
    /// Whether `len` bytes fit inline.
    fn fits_inline(&self, len: usize) -> bool;

    /// Replaces the inline contents; a fork in blocks, none of which may be left, becomes
    /// inline.
    fn set_inline(&mut self, contents: &[u8]) -> Result<()>;

    /// Makes an inline fork one of blocks, without any so far.
    fn leave_inline(&mut self) -> Result<()>;

    /// Sets the file's size in bytes.
    fn set_size(&mut self, size: u64) -> Result<()>;

    /// Changes the block at `bno`, which becomes one of `kind`, to `content`; its identity
    /// (address, owner, checksum) stays.
    fn write(&mut self, bno: u64, kind: BufferKind, content: &[u8]) -> Result<()>;

    /// Allocates the block at `bno` and fills it with `content` and its identity.
    ///
    /// # Errors
    /// `ENOSPC` if there is no space.
    fn create(&mut self, bno: u64, kind: BufferKind, content: &[u8]) -> Result<()>;

    /// Whether the block at `bno` can be freed: without any reserved, taking one out of the
    /// middle of an extent may not be possible, as it can need one more for the extent tree.
    fn can_free(&mut self, bno: u64) -> Result<bool>;

    /// Frees the block at `bno`.
    fn free(&mut self, bno: u64, kind: BufferKind) -> Result<()>;

    /// The first unmapped place for a block at or after file block `from`.
    fn first_unused(&mut self, from: u64) -> Result<u64> {
        let step = self.params().fs_blocks;
        let mut at = from;
        while self.next_mapped(at)? == Some(at) {
            at += step;
        }
        Ok(at)
    }
}

/// The bytes of a block that say where it is and whose, which the store looks after.
pub(crate) fn identity(kind: BufferKind) -> std::ops::Range<usize> {
    match kind {
        BufferKind::DirBlock | BufferKind::DirData | BufferKind::DirFree => 4..48,
        _ => 12..56,
    }
}

/// Writes a block's identity: its disk address, filesystem and owner.
pub(crate) fn stamp_identity(
    block: &mut [u8],
    kind: BufferKind,
    daddr: u64,
    uuid: &[u8; 16],
    owner: u64,
) {
    // Checksum (4 bytes), address, log sequence number, UUID, owner; both headers agree.
    let start = identity(kind).start;
    super::bytes::put64(block, start + 4, daddr);
    super::bytes::put(block, start + 20, uuid);
    super::bytes::put64(block, start + 36, owner);
}

#[cfg(test)]
pub(crate) mod memory {
    use super::*;
    use std::collections::BTreeMap;

    /// A fork in plain memory.
    pub(crate) struct MemoryStore {
        pub(crate) params: Params,
        pub(crate) inline: Option<Vec<u8>>,
        pub(crate) capacity: usize,
        pub(crate) size: u64,
        pub(crate) blocks: BTreeMap<u64, (BufferKind, Vec<u8>)>,
        /// The blocks were tampered with: what is impossible otherwise is an error.
        pub(crate) damaged: bool,
        /// Only some blocks can be freed.
        pub(crate) full: bool,
    }

    impl MemoryStore {
        pub(crate) fn directory(block_size: usize, dir_block_size: usize, capacity: usize) -> Self {
            let space = 1u64 << 35;
            let params = Params {
                block_size: dir_block_size,
                block_log: dir_block_size.ilog2(),
                fs_blocks: (dir_block_size / block_size) as u64,
                tree_root: space / block_size as u64,
                free_start: 2 * space / block_size as u64,
                ftype: true,
                ignore_case: false,
            };
            Self {
                params,
                inline: Some(vec![]),
                capacity,
                size: 0,
                blocks: BTreeMap::new(),
                damaged: false,
                full: false,
            }
        }

        pub(crate) fn attributes(block_size: usize, capacity: usize) -> Self {
            let mut store = Self::directory(block_size, block_size, capacity);
            store.params.tree_root = 0;
            store
        }
    }

    impl Store for MemoryStore {
        fn params(&self) -> Params {
            self.params
        }

        fn owner(&self) -> u64 {
            128
        }

        fn inline(&self) -> Option<&[u8]> {
            self.inline.as_deref()
        }

        fn size(&self) -> u64 {
            self.size
        }

        fn mapped_end_before(&mut self, limit: u64) -> Result<u64> {
            let last = self.blocks.range(..limit).next_back();
            Ok(last.map_or(0, |(bno, _)| bno + self.params.fs_blocks))
        }

        fn next_mapped(&mut self, from: u64) -> Result<Option<u64>> {
            Ok(self.blocks.range(from..).next().map(|(bno, _)| *bno))
        }

        fn read(&mut self, bno: u64, kind: BufferKind) -> Result<&[u8]> {
            let Some((found, bytes)) = self.blocks.get(&bno) else {
                assert!(self.damaged, "block {bno} is not mapped");
                return Err(self.corrupt("not mapped"));
            };
            let tree = [BufferKind::DaNode, BufferKind::DirLeafN, BufferKind::AttrLeaf];
            let as_wanted = *found == kind || kind == BufferKind::DaNode && tree.contains(found);
            assert!(as_wanted || self.damaged, "block {bno} is of another kind");
            if !as_wanted {
                return Err(self.corrupt("of another kind"));
            }
            Ok(bytes)
        }
    }

    impl StoreMut for MemoryStore {
        fn fits_inline(&self, len: usize) -> bool {
            len <= self.capacity
        }

        fn set_inline(&mut self, contents: &[u8]) -> Result<()> {
            assert!(contents.len() <= self.capacity && (self.blocks.is_empty() || self.damaged));
            self.inline = Some(contents.to_vec());
            Ok(())
        }

        fn leave_inline(&mut self) -> Result<()> {
            self.inline = None;
            Ok(())
        }

        fn set_size(&mut self, size: u64) -> Result<()> {
            self.size = size;
            Ok(())
        }

        fn write(&mut self, bno: u64, kind: BufferKind, content: &[u8]) -> Result<()> {
            assert_eq!(content.len(), self.params.block_size);
            let Some(block) = self.blocks.get_mut(&bno) else {
                assert!(self.damaged, "block {bno} is not mapped");
                return Err(self.corrupt("not mapped"));
            };
            *block = (kind, content.to_vec());
            Ok(())
        }

        fn create(&mut self, bno: u64, kind: BufferKind, content: &[u8]) -> Result<()> {
            assert_eq!(content.len(), self.params.block_size);
            let before = self.blocks.insert(bno, (kind, content.to_vec()));
            assert!(before.is_none() || self.damaged, "block {bno} is mapped already");
            Ok(())
        }

        fn can_free(&mut self, bno: u64) -> Result<bool> {
            Ok(!self.full || bno.is_multiple_of(3))
        }

        fn free(&mut self, bno: u64, _kind: BufferKind) -> Result<()> {
            assert!(self.blocks.remove(&bno).is_some() || self.damaged);
            Ok(())
        }
    }
}
