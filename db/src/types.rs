//! What the bytes at the cursor are taken for.

use crate::fields::{Field, ag, attr, btree, dir, dquot, inode, realtime, superblock, symlink};
use libfs::format::btree_block::BtreeKind;
use libfs::format::geometry::Geometry;
use libfs::format::{self, ag as ag_format, attr::remote, da};

/// A type of structure, as the `type` command names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Free space header of a group.
    Agf,
    /// Free list of a group.
    Agfl,
    /// Inode header of a group.
    Agi,
    /// Block of an attribute fork.
    Attr3,
    /// Btree block of an attribute fork.
    Bmapbta,
    /// Btree block of a data fork.
    Bmapbtd,
    /// Free space by block.
    Bnobt,
    /// Free space by size.
    Cntbt,
    /// Reverse mappings.
    Rmapbt,
    /// Reverse mappings of a realtime group.
    Rtrmapbt,
    /// Reference counts.
    Refcntbt,
    /// Reference counts of a realtime group.
    Rtrefcntbt,
    /// Anything; printed in hexadecimal.
    Data,
    /// Block of a directory.
    Dir3,
    /// Quota record.
    Dqblk,
    /// Inode chunks.
    Inobt,
    /// Contents of a file; never printed.
    Inodata,
    /// An inode.
    Inode,
    /// Part of the log.
    Log,
    /// Block of a realtime bitmap without header; printed in hexadecimal and as text.
    Rtbitmap,
    /// Block of a realtime summary without header; printed in hexadecimal and as text.
    Rtsummary,
    /// Superblock of the realtime section.
    Rtsb,
    /// Superblock.
    Sb,
    /// Block of a symbolic link.
    Symlink,
    /// Anything; printed in hexadecimal and as text.
    Text,
    /// Inode chunks with free inodes.
    Finobt,
    /// Block of the bitmap of a realtime group.
    Rgbitmap,
    /// Block of the summary of a realtime group.
    Rgsummary,
}

impl Type {
    /// Every type, in the order xfs_db 7.2 lists them.
    pub const ALL: [Self; 28] = [
        Self::Agf,
        Self::Agfl,
        Self::Agi,
        Self::Attr3,
        Self::Bmapbta,
        Self::Bmapbtd,
        Self::Bnobt,
        Self::Cntbt,
        Self::Rmapbt,
        Self::Rtrmapbt,
        Self::Refcntbt,
        Self::Rtrefcntbt,
        Self::Data,
        Self::Dir3,
        Self::Dqblk,
        Self::Inobt,
        Self::Inodata,
        Self::Inode,
        Self::Log,
        Self::Rtbitmap,
        Self::Rtsummary,
        Self::Rtsb,
        Self::Sb,
        Self::Symlink,
        Self::Text,
        Self::Finobt,
        Self::Rgbitmap,
        Self::Rgsummary,
    ];

    /// The type's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Agf => "agf",
            Self::Agfl => "agfl",
            Self::Agi => "agi",
            Self::Attr3 => "attr3",
            Self::Bmapbta => "bmapbta",
            Self::Bmapbtd => "bmapbtd",
            Self::Bnobt => "bnobt",
            Self::Cntbt => "cntbt",
            Self::Rmapbt => "rmapbt",
            Self::Rtrmapbt => "rtrmapbt",
            Self::Refcntbt => "refcntbt",
            Self::Rtrefcntbt => "rtrefcntbt",
            Self::Data => "data",
            Self::Dir3 => "dir3",
            Self::Dqblk => "dqblk",
            Self::Inobt => "inobt",
            Self::Inodata => "inodata",
            Self::Inode => "inode",
            Self::Log => "log",
            Self::Rtbitmap => "rtbitmap",
            Self::Rtsummary => "rtsummary",
            Self::Rtsb => "rtsb",
            Self::Sb => "sb",
            Self::Symlink => "symlink",
            Self::Text => "text",
            Self::Finobt => "finobt",
            Self::Rgbitmap => "rgbitmap",
            Self::Rgsummary => "rgsummary",
        }
    }

    /// The type with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The type's fields; `None` for data, which is printed in hexadecimal.
    pub fn fields(self, geo: &Geometry) -> Option<&'static [Field]> {
        let sparse = geo.features.sparse_inodes;
        Some(match self {
            Self::Agf => ag::AGF,
            Self::Agfl => ag::AGFL,
            Self::Agi => ag::AGI,
            Self::Attr3 => attr::FIELDS,
            Self::Bmapbta => btree::BMAPBTA,
            Self::Bmapbtd => btree::BMAPBTD,
            Self::Bnobt => btree::BNOBT,
            Self::Cntbt => btree::CNTBT,
            Self::Rmapbt => btree::RMAPBT,
            Self::Rtrmapbt => btree::RTRMAPBT,
            Self::Refcntbt => btree::REFCNTBT,
            Self::Rtrefcntbt => btree::RTREFCNTBT,
            Self::Dir3 => dir::FIELDS,
            Self::Dqblk => dquot::FIELDS,
            Self::Inobt if sparse => btree::INOBT,
            Self::Inobt => btree::INOBT_FULL,
            Self::Finobt if sparse => btree::FINOBT,
            Self::Finobt => btree::FINOBT_FULL,
            Self::Inode => inode::FIELDS,
            Self::Sb => superblock::FIELDS,
            Self::Symlink => symlink::FIELDS,
            Self::Rtsb => realtime::RTSB,
            Self::Rgbitmap => realtime::RGBITMAP,
            Self::Rgsummary => realtime::RGSUMMARY,
            Self::Data | Self::Inodata | Self::Log => return None,
            Self::Text | Self::Rtbitmap | Self::Rtsummary => return None,
        })
    }

    /// Bytes of an object of this type, where the type says how many.
    pub fn size(self, geo: &Geometry) -> Option<u32> {
        Some(match self {
            Self::Agf | Self::Agi | Self::Agfl | Self::Sb => geo.sector_size,
            Self::Dir3 => geo.dir.block_size,
            Self::Dqblk => 512,
            Self::Inode => geo.inode.size,
            _ if self.fields(geo).is_some() => geo.block_size,
            _ => return None,
        })
    }

    /// Whether the bytes are printed as letters beside their numbers.
    pub fn is_text(self) -> bool {
        matches!(self, Self::Text | Self::Rtbitmap | Self::Rtsummary)
    }

    /// Byte offset of the checksum in a structure of this type with these bytes.
    pub fn crc_offset(self, data: &[u8]) -> Option<usize> {
        let tree = |kind: BtreeKind| Some(kind.crc_offset());
        match self {
            Self::Agf => Some(ag_format::AGF_CRC_OFFSET),
            Self::Agfl => Some(ag_format::AGFL_CRC_OFFSET),
            Self::Agi => Some(ag_format::AGI_CRC_OFFSET),
            Self::Sb => Some(format::superblock::CRC_OFFSET),
            Self::Inode => Some(format::inode::CRC_OFFSET),
            Self::Symlink => Some(format::symlink::CRC_OFFSET),
            Self::Dqblk => Some(format::dquot::CRC_OFFSET),
            Self::Bnobt | Self::Cntbt | Self::Inobt | Self::Finobt => tree(BtreeKind::Bno),
            Self::Rmapbt | Self::Refcntbt => tree(BtreeKind::Rmap),
            Self::Bmapbta | Self::Bmapbtd => tree(BtreeKind::Bmap),
            Self::Rtrmapbt | Self::Rtrefcntbt => tree(BtreeKind::RtRmap),
            Self::Rtsb => Some(format::realtime::RTSB_CRC_OFFSET),
            Self::Rgbitmap | Self::Rgsummary => Some(format::realtime::RTBUF_CRC_OFFSET),
            Self::Dir3 | Self::Attr3 => by_magic(data),
            Self::Data | Self::Inodata | Self::Log => None,
            Self::Text | Self::Rtbitmap | Self::Rtsummary => None,
        }
    }

    /// Whether structures of this type have a checksum.
    pub fn has_crc(self) -> bool {
        // Those that are told by their magic numbers have one whatever the bytes are now.
        matches!(self, Self::Dir3 | Self::Attr3) || self.crc_offset(&[]).is_some()
    }

    /// XFS's name of the structure, as Linux and xfsprogs name it in their complaints.
    pub fn complaint_name(self) -> &'static str {
        match self {
            Self::Agf => "xfs_agf",
            Self::Agfl => "xfs_agfl",
            Self::Agi => "xfs_agi",
            Self::Attr3 => "xfs_attr3",
            Self::Bmapbta | Self::Bmapbtd => "xfs_bmbt",
            Self::Bnobt => "xfs_bnobt",
            Self::Cntbt => "xfs_cntbt",
            Self::Rmapbt => "xfs_rmapbt",
            Self::Rtrmapbt => "xfs_rtrmapbt",
            Self::Refcntbt => "xfs_refcountbt",
            Self::Rtrefcntbt => "xfs_rtrefcountbt",
            Self::Dir3 => "xfs_dir3",
            Self::Dqblk => "xfs_dquot",
            Self::Inobt => "xfs_inobt",
            Self::Finobt => "xfs_finobt",
            Self::Inode => "xfs_inode",
            Self::Sb => "xfs_sb",
            Self::Symlink => "xfs_symlink",
            Self::Rtsb => "xfs_rtsb",
            Self::Rgbitmap => "xfs_rtbitmap",
            Self::Rgsummary => "xfs_rtsummary",
            Self::Data | Self::Inodata | Self::Log => "data",
            Self::Text | Self::Rtbitmap | Self::Rtsummary => "data",
        }
    }
}

/// Blocks of directories and attribute forks say by their magic number what they are.
fn by_magic(data: &[u8]) -> Option<usize> {
    use libfs::format::dir::{self, data, free};
    let magic = u32::from_be_bytes(*data.first_chunk()?);
    if [data::BLOCK_MAGIC, data::DATA_MAGIC, free::MAGIC].contains(&magic) {
        return Some(dir::CRC_OFFSET);
    }
    if magic == remote::MAGIC {
        return Some(remote::CRC_OFFSET);
    }
    let magic = u16::from_be_bytes(*data.get(8..)?.first_chunk()?);
    let known = [da::NODE_MAGIC, da::ATTR_LEAF_MAGIC, da::DIR_LEAF1_MAGIC, da::DIR_LEAFN_MAGIC];
    known.contains(&magic).then_some(da::CRC_OFFSET)
}
