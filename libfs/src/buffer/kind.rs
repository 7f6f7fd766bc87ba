//! What a metadata buffer holds, and where that kind keeps its log position and checksum.

use crate::format::checksum;
use crate::format::geometry::Geometry;
use crate::{At, Error, Result};

/// The kinds of metadata block, each with its own verifier and log type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BufferKind {
    /// Superblock sector.
    Superblock,
    /// AG free space header sector.
    Agf,
    /// AG inode header sector.
    Agi,
    /// AG free list sector.
    Agfl,
    /// Free space btree by block number.
    Bnobt,
    /// Free space btree by size.
    Cntbt,
    /// Inode btree.
    Inobt,
    /// Free inode btree.
    Finobt,
    /// Reverse mapping btree.
    Rmapbt,
    /// Reference count btree.
    Refcountbt,
    /// Extent map btree of an inode fork.
    Bmbt,
    /// Inodes.
    InodeCluster,
    /// Directory with data and leaf in one block.
    DirBlock,
    /// Directory data block.
    DirData,
    /// Single directory leaf block.
    DirLeaf1,
    /// Directory leaf block under a node.
    DirLeafN,
    /// Directory free index block.
    DirFree,
    /// Interior node of a directory or attribute tree, or (when reading) a leaf of one.
    DaNode,
    /// Attribute leaf block.
    AttrLeaf,
    /// Remote attribute value block.
    AttrRemote,
    /// Remote symbolic link target block.
    Symlink,
    /// Quota records.
    Dquot,
}

/// Where a kind of block keeps its checksum and log sequence number, in bytes.
#[derive(Debug, Clone, Copy)]
struct Stamp {
    crc: usize,
    lsn: usize,
}

impl BufferKind {
    /// The buffer log item's type number, `XFS_BLFT_*` in xfs_log_format.h, unshifted.
    pub fn blf_type(self) -> u16 {
        match self {
            BufferKind::Dquot => 1,
            BufferKind::Bnobt
            | BufferKind::Cntbt
            | BufferKind::Inobt
            | BufferKind::Finobt
            | BufferKind::Rmapbt
            | BufferKind::Refcountbt
            | BufferKind::Bmbt => 4,
            BufferKind::Agf => 5,
            BufferKind::Agfl => 6,
            BufferKind::Agi => 7,
            BufferKind::InodeCluster => 8,
            BufferKind::Symlink => 9,
            BufferKind::DirBlock => 10,
            BufferKind::DirData => 11,
            BufferKind::DirFree => 12,
            BufferKind::DirLeaf1 => 13,
            BufferKind::DirLeafN => 14,
            BufferKind::DaNode => 15,
            BufferKind::AttrLeaf => 16,
            BufferKind::AttrRemote => 17,
            BufferKind::Superblock => 18,
        }
    }

    /// The name used in messages.
    pub fn name(self) -> &'static str {
        match self {
            BufferKind::Superblock => "superblock",
            BufferKind::Agf => "AGF",
            BufferKind::Agi => "AGI",
            BufferKind::Agfl => "AGFL",
            BufferKind::Bnobt => "free space btree block (by block)",
            BufferKind::Cntbt => "free space btree block (by size)",
            BufferKind::Inobt => "inode btree block",
            BufferKind::Finobt => "free inode btree block",
            BufferKind::Rmapbt => "reverse mapping btree block",
            BufferKind::Refcountbt => "reference count btree block",
            BufferKind::Bmbt => "extent map btree block",
            BufferKind::InodeCluster => "inode cluster",
            BufferKind::DirBlock => "directory block",
            BufferKind::DirData => "directory data block",
            BufferKind::DirLeaf1 | BufferKind::DirLeafN => "directory leaf block",
            BufferKind::DirFree => "directory free index block",
            BufferKind::DaNode => "directory or attribute node block",
            BufferKind::AttrLeaf => "attribute leaf block",
            BufferKind::AttrRemote => "remote attribute value block",
            BufferKind::Symlink => "symbolic link block",
            BufferKind::Dquot => "quota block",
        }
    }

    /// `None` where each record in the block carries its own checksum.
    fn stamp(self) -> Option<Stamp> {
        Some(match self {
            BufferKind::Superblock => Stamp { crc: 224, lsn: 240 },
            BufferKind::Agf => Stamp { crc: 216, lsn: 208 },
            BufferKind::Agi => Stamp { crc: 312, lsn: 320 },
            BufferKind::Agfl => Stamp { crc: 32, lsn: 24 },
            BufferKind::Bnobt
            | BufferKind::Cntbt
            | BufferKind::Inobt
            | BufferKind::Finobt
            | BufferKind::Rmapbt
            | BufferKind::Refcountbt => Stamp { crc: 52, lsn: 24 },
            BufferKind::Bmbt => Stamp { crc: 64, lsn: 32 },
            BufferKind::DirBlock | BufferKind::DirData | BufferKind::DirFree => {
                Stamp { crc: 4, lsn: 16 }
            }
            BufferKind::DirLeaf1
            | BufferKind::DirLeafN
            | BufferKind::DaNode
            | BufferKind::AttrLeaf => Stamp { crc: 12, lsn: 24 },
            BufferKind::AttrRemote | BufferKind::Symlink => Stamp { crc: 12, lsn: 48 },
            BufferKind::InodeCluster | BufferKind::Dquot => return None,
        })
    }

    /// Bytes that one checksum covers in a buffer of `len` bytes: remote attribute values
    /// carry a header in every filesystem block, everything else one in all.
    fn checksum_unit(self, geo: &Geometry, len: usize) -> usize {
        if self == BufferKind::AttrRemote { (geo.block_size as usize).min(len) } else { len }
    }

    /// Writes `lsn` (where it is not zero) and a fresh checksum into a block about to be
    /// written. Remote attribute values are not logged and keep LSN -1 as Linux leaves it.
    pub(crate) fn stamp_block(self, geo: &Geometry, data: &mut [u8], lsn: u64) {
        let Some(stamp) = self.stamp() else { return };
        let unit = self.checksum_unit(geo, data.len());
        for block in data.chunks_mut(unit) {
            if lsn != 0 && self != BufferKind::AttrRemote {
                block[stamp.lsn..stamp.lsn + 8].copy_from_slice(&lsn.to_be_bytes());
            }
            checksum::stamp(block, stamp.crc);
        }
    }

    /// Checks the checksum of a block that was just read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the block's kind and address.
    pub(crate) fn verify_checksum(self, geo: &Geometry, data: &[u8], daddr: u64) -> Result<()> {
        let Some(stamp) = self.stamp() else { return Ok(()) };
        let unit = self.checksum_unit(geo, data.len());
        for (i, block) in data.chunks(unit).enumerate() {
            if !checksum::verify(block, stamp.crc) {
                let at = At::Daddr(daddr + (i * unit / 512) as u64);
                return Err(Error::corrupt(self.name(), at, "its checksum does not match"));
            }
        }
        Ok(())
    }
}
