//! Where each kind of metadata block keeps its LSN, UUID and checksum.
//!
//! Blocks are recognised by their magic numbers, as what lies on disk when replay begins
//! may be of another kind than what the log has for that place.

use crate::error::{At, Error, Result};
use crate::format::ag::{AGF_MAGIC, AGFL_MAGIC, AGI_MAGIC, Agf, Agi};
use crate::format::btree_block::{self, BtreeKind};
use crate::format::geometry::Geometry;
use crate::format::log::{BufferFormat, Lsn, blft};
use crate::format::realtime::{RTBITMAP_MAGIC, RTSUMMARY_MAGIC};
use crate::format::{checksum, overlay, superblock};

/// Byte offsets in a block's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lsn: usize,
    pub(super) uuid: usize,
    pub(super) crc: usize,
}

/// Magic numbers of kinds that only this module tells apart.
const SYMLINK_MAGIC: u32 = 0x5853_4c4d;
const DIR_BLOCK_MAGIC: u32 = 0x5844_4233;
const DIR_DATA_MAGIC: u32 = 0x5844_4433;
const DIR_FREE_MAGIC: u32 = 0x5844_4633;
const ATTR_REMOTE_MAGIC: u32 = 0x5841_524d;
const DIR_LEAF1_MAGIC: u16 = 0x3df1;
const DIR_LEAFN_MAGIC: u16 = 0x3dff;
const ATTR_LEAF_MAGIC: u16 = 0x3bee;
const DA_NODE_MAGIC: u16 = 0x3ebe;

/// What a block is, by its magic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Btree(BtreeKind),
    Agf,
    Agfl,
    Agi,
    Superblock,
    Symlink,
    /// A block, data or free block of a directory.
    Dir(u32),
    /// A leaf or node of a directory or attribute tree.
    Da(u16),
    /// A block of a realtime bitmap or summary file.
    RtFile(u32),
    RemoteAttr,
    /// Anything else: inodes, dquots, old realtime files, no metadata at all.
    Other,
}

impl Kind {
    /// What the block that begins with `bytes` is.
    pub(super) fn of(bytes: &[u8]) -> Kind {
        let magic = bytes.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
        if let Some(kind) = BtreeKind::from_magic(magic) {
            return Kind::Btree(kind);
        }
        match magic {
            AGF_MAGIC => Kind::Agf,
            AGFL_MAGIC => Kind::Agfl,
            AGI_MAGIC => Kind::Agi,
            superblock::MAGIC => Kind::Superblock,
            SYMLINK_MAGIC => Kind::Symlink,
            DIR_BLOCK_MAGIC | DIR_DATA_MAGIC | DIR_FREE_MAGIC => Kind::Dir(magic),
            ATTR_REMOTE_MAGIC => Kind::RemoteAttr,
            RTBITMAP_MAGIC | RTSUMMARY_MAGIC => Kind::RtFile(magic),
            _ => match bytes.get(8..10).map_or(0, |b| u16::from_be_bytes([b[0], b[1]])) {
                magic @ (DIR_LEAF1_MAGIC | DIR_LEAFN_MAGIC | ATTR_LEAF_MAGIC | DA_NODE_MAGIC) => {
                    Kind::Da(magic)
                }
                _ => Kind::Other,
            },
        }
    }

    /// Where its header keeps things; `None` for blocks with no such header.
    pub(super) fn place(self) -> Option<Place> {
        let place = |lsn, uuid, crc| Some(Place { lsn, uuid, crc });
        match self {
            Kind::Btree(kind) if kind.is_long() => place(32, 40, 64),
            Kind::Btree(_) => place(24, 32, 52),
            Kind::Agf => place(208, 64, 216),
            Kind::Agfl => place(24, 8, 32),
            Kind::Agi => place(320, 296, 312),
            Kind::Superblock => place(240, 32, 224),
            Kind::Symlink | Kind::RemoteAttr => place(48, 16, 12),
            Kind::Dir(_) => place(16, 24, 4),
            Kind::Da(_) => place(24, 32, 12),
            Kind::RtFile(_) => place(24, 32, 4),
            Kind::Other => None,
        }
    }

    /// Whether a log item that says it logged a `blft` may have this kind of block.
    pub(super) fn fits(self, kind: u8) -> bool {
        match kind {
            blft::BTREE => matches!(self, Kind::Btree(_)),
            blft::AGF => self == Kind::Agf,
            blft::AGFL => self == Kind::Agfl,
            blft::AGI => self == Kind::Agi,
            blft::SYMLINK => self == Kind::Symlink,
            blft::DIR_BLOCK => self == Kind::Dir(DIR_BLOCK_MAGIC),
            blft::DIR_DATA => self == Kind::Dir(DIR_DATA_MAGIC),
            blft::DIR_FREE => self == Kind::Dir(DIR_FREE_MAGIC),
            blft::DIR_LEAF1 => self == Kind::Da(DIR_LEAF1_MAGIC),
            blft::DIR_LEAFN => self == Kind::Da(DIR_LEAFN_MAGIC),
            blft::DA_NODE => self == Kind::Da(DA_NODE_MAGIC),
            blft::ATTR_LEAF => self == Kind::Da(ATTR_LEAF_MAGIC),
            blft::ATTR_REMOTE => self == Kind::RemoteAttr,
            blft::SUPERBLOCK => self == Kind::Superblock,
            blft::RTBITMAP => self == Kind::RtFile(RTBITMAP_MAGIC),
            blft::RTSUMMARY => self == Kind::RtFile(RTSUMMARY_MAGIC),
            _ => false,
        }
    }
}

/// The LSN of the block that lies at the place of a logged buffer, if it is a block of
/// this filesystem that has one: then what the log has may be older.
///
/// Inode clusters and dquot blocks have LSNs in each inode and dquot; remote attribute
/// values are not written in order with the log.
pub(super) fn block_lsn(block: &[u8], format: &BufferFormat, geo: &Geometry) -> Option<Lsn> {
    let realtime = matches!(format.kind(), blft::RTBITMAP | blft::RTSUMMARY);
    if realtime && !geo.features.metadir {
        return None; // such blocks have no header, so anything may look like one
    }
    let kind = Kind::of(block);
    if kind == Kind::RemoteAttr {
        return None;
    }
    let mut place = kind.place()?;
    if kind == Kind::Superblock && geo.features.meta_uuid {
        place.uuid = std::mem::offset_of!(superblock::Dsb, meta_uuid);
    }
    if block.get(place.uuid..place.uuid + 16)? != geo.meta_uuid {
        return None;
    }
    let lsn = block.get(place.lsn..)?.first_chunk().map(|b| Lsn(u64::from_be_bytes(*b)))?;
    (lsn != Lsn(0) && lsn != Lsn::NULL).then_some(lsn)
}

/// Whether the write that left the block as it is was torn: its header names a kind, but the
/// checksum does not hold. Its LSN then says nothing about the rest of it. The log has all
/// that changed since the write before, so replaying every item makes the block whole.
pub(super) fn is_torn(block: &[u8]) -> bool {
    let kind = Kind::of(block);
    kind != Kind::RemoteAttr
        && kind.place().is_some_and(|place| !checksum::verify(block, place.crc))
}

/// Checks a block about to be written, and puts `lsn` and the checksum into its header. A
/// block that was torn is not checked: it may make sense only after further items.
///
/// # Errors
///
/// An error is returned if the block is not what its magic number says.
pub(super) fn stamp(
    block: &mut [u8],
    daddr: u64,
    lsn: Option<Lsn>,
    geo: &Geometry,
    torn: bool,
) -> Result<()> {
    let kind = Kind::of(block);
    if !torn {
        verify(kind, block, daddr, geo)?;
    }
    let Some(place) = kind.place() else { return Ok(()) };
    if kind == Kind::RemoteAttr {
        for block in block.chunks_mut(geo.block_size as usize) {
            checksum::stamp(block, place.crc);
        }
        return Ok(());
    }
    if let (Some(lsn), Some(field)) = (lsn, block.get_mut(place.lsn..place.lsn + 8)) {
        field.copy_from_slice(&lsn.0.to_be_bytes());
    }
    checksum::stamp(block, place.crc);
    Ok(())
}

/// What Linux checks in a block before it writes it, as far as the format layer knows.
pub(super) fn verify(kind: Kind, block: &[u8], daddr: u64, geo: &Geometry) -> Result<()> {
    let (agno, _) = geo.daddr_agblock(daddr);
    match kind {
        Kind::Btree(kind) => btree_block::verify(block, geo, kind, daddr).map(|_| ()),
        Kind::Agf => overlay::<Agf>(block, "AGF", At::Daddr(daddr))?.verify(geo, agno),
        Kind::Agi => overlay::<Agi>(block, "AGI", At::Daddr(daddr))?.verify(geo, agno),
        _ => match kind.place() {
            Some(place) if block.len() < place.uuid.max(place.lsn).max(place.crc) + 16 => {
                Err(Error::corrupt("logged buffer", At::Daddr(daddr), "too short for its kind"))
            }
            _ => Ok(()),
        },
    }
}
