//! Blocks of the B+trees: free space, inodes, reverse mappings, reference counts (short
//! form: 32-bit pointers inside one allocation group) and file extents (long form: 64-bit
//! pointers) and realtime metadata (long form too). Version 5 headers only.
//!
//! A leaf is a header and an array of records. An inner block is a header, room for as
//! many keys as fit (low and high key each, for trees of overlapping records), and room
//! for as many pointers: the pointers' place depends on the capacity, not on the count.

use super::geometry::{FsBlock, Geometry};
use super::{Check, NULL_AGBLOCK, NULL_FSBLOCK, assert_layout, overlay, overlay_mut};
use crate::{At, Error, Result};
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

const NAME: &str = "btree block";

/// Header of a block with 32-bit pointers (`xfs_btree_block` with `shdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ShortHeader {
    /// Kind of tree.
    pub magic: U32,
    /// Height above the leaves, which are 0.
    pub level: U16,
    /// Records, or key and pointer pairs.
    pub numrecs: U16,
    /// Left neighbour on the same level, or [`NULL_AGBLOCK`].
    pub leftsib: U32,
    /// Right neighbour on the same level, or [`NULL_AGBLOCK`].
    pub rightsib: U32,
    /// Disk address of this block in 512-byte units.
    pub blkno: U64,
    /// LSN of the last write.
    pub lsn: U64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Allocation group number.
    pub owner: U32,
    /// Checksum of the block.
    pub crc: LeU32,
}

assert_layout!(ShortHeader, 56, leftsib @ 8, blkno @ 16, uuid @ 32, owner @ 48, crc @ 52);

/// Header of a block with 64-bit pointers (`xfs_btree_block` with `lhdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct LongHeader {
    /// Kind of tree.
    pub magic: U32,
    /// Height above the leaves, which are 0.
    pub level: U16,
    /// Records, or key and pointer pairs.
    pub numrecs: U16,
    /// Left neighbour on the same level, or [`NULL_FSBLOCK`].
    pub leftsib: U64,
    /// Right neighbour on the same level, or [`NULL_FSBLOCK`].
    pub rightsib: U64,
    /// Disk address of this block in 512-byte units.
    pub blkno: U64,
    /// LSN of the last write.
    pub lsn: U64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Inode number.
    pub owner: U64,
    /// Checksum of the block.
    pub crc: LeU32,
    /// Zero.
    pub pad: U32,
}

assert_layout!(LongHeader, 72, leftsib @ 8, blkno @ 24, uuid @ 40, owner @ 56, crc @ 64);

/// The kinds of B+tree on the data device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BtreeKind {
    /// Free extents by block.
    Bno,
    /// Free extents by size, then block.
    Cnt,
    /// Inode chunks.
    Ino,
    /// Inode chunks that have free inodes.
    Fino,
    /// Owners of blocks.
    Rmap,
    /// Shared extents, and extents staged for copy on write.
    Refcount,
    /// Extents of a file's fork.
    Bmap,
    /// Owners of the blocks of a realtime group; the root is in a metadata file.
    RtRmap,
    /// Shared and staged extents of a realtime group; the root is in a metadata file.
    RtRefcount,
}

impl BtreeKind {
    /// The trees an allocation group can have.
    pub const IN_AG: [Self; 6] =
        [Self::Bno, Self::Cnt, Self::Ino, Self::Fino, Self::Rmap, Self::Refcount];
    /// The trees that have their root in an inode.
    pub const IN_INODE: [Self; 3] = [Self::Bmap, Self::RtRmap, Self::RtRefcount];

    /// The magic number of the tree's blocks.
    pub const fn magic(self) -> u32 {
        match self {
            BtreeKind::Bno => 0x4142_3342,
            BtreeKind::Cnt => 0x4142_3343,
            BtreeKind::Ino => 0x4941_4233,
            BtreeKind::Fino => 0x4649_4233,
            BtreeKind::Rmap => 0x524d_4233,
            BtreeKind::Refcount => 0x5233_4643,
            BtreeKind::Bmap => 0x424d_4133,
            BtreeKind::RtRmap => 0x4d41_5052,
            BtreeKind::RtRefcount => 0x5243_4e54,
        }
    }

    /// The kind of tree that has blocks with this magic number.
    pub fn from_magic(magic: u32) -> Option<Self> {
        Self::IN_AG.into_iter().chain(Self::IN_INODE).find(|kind| kind.magic() == magic)
    }

    /// Whether blocks have the long header and 64-bit pointers.
    pub const fn is_long(self) -> bool {
        matches!(self, BtreeKind::Bmap | BtreeKind::RtRmap | BtreeKind::RtRefcount)
    }

    /// Bytes of a block's header.
    pub const fn header_len(self) -> usize {
        if self.is_long() { size_of::<LongHeader>() } else { size_of::<ShortHeader>() }
    }

    /// Byte offset of a block's checksum.
    pub const fn crc_offset(self) -> usize {
        if self.is_long() {
            std::mem::offset_of!(LongHeader, crc)
        } else {
            std::mem::offset_of!(ShortHeader, crc)
        }
    }

    /// Bytes of a leaf record.
    pub const fn record_len(self) -> usize {
        match self {
            BtreeKind::Bno | BtreeKind::Cnt => 8,
            BtreeKind::Ino | BtreeKind::Fino | BtreeKind::Bmap => 16,
            BtreeKind::Rmap | BtreeKind::RtRmap => 24,
            BtreeKind::Refcount | BtreeKind::RtRefcount => 12,
        }
    }

    /// Bytes of the key of one pointer: of low and high key together in the reverse
    /// mapping tree.
    pub const fn key_len(self) -> usize {
        match self {
            BtreeKind::Ino | BtreeKind::Fino => 4,
            BtreeKind::Refcount | BtreeKind::RtRefcount => 4,
            BtreeKind::Bno | BtreeKind::Cnt | BtreeKind::Bmap => 8,
            BtreeKind::Rmap | BtreeKind::RtRmap => 40,
        }
    }

    /// Bytes of a pointer.
    pub const fn ptr_len(self) -> usize {
        if self.is_long() { 8 } else { 4 }
    }

    /// Bytes that one entry takes: a record in a leaf, a key and a pointer elsewhere.
    pub const fn entry_len(self, leaf: bool) -> usize {
        if leaf { self.record_len() } else { self.key_len() + self.ptr_len() }
    }

    /// Byte offset in a leaf of record `index`, counted from 0.
    pub const fn record_offset(self, index: usize) -> usize {
        self.header_len() + index * self.record_len()
    }

    /// Byte offset in an inner block of key `index`, counted from 0.
    pub const fn key_offset(self, index: usize) -> usize {
        self.header_len() + index * self.key_len()
    }

    /// Byte offset in an inner block with room for `max_records` of pointer `index`,
    /// counted from 0.
    pub const fn ptr_offset(self, index: usize, max_records: usize) -> usize {
        self.key_offset(max_records) + index * self.ptr_len()
    }

    /// The name that xfs_db's `type` command uses.
    pub const fn name(self) -> &'static str {
        match self {
            BtreeKind::Bno => "bnobt",
            BtreeKind::Cnt => "cntbt",
            BtreeKind::Ino => "inobt",
            BtreeKind::Fino => "finobt",
            BtreeKind::Rmap => "rmapbt",
            BtreeKind::Refcount => "refcntbt",
            BtreeKind::Bmap => "bmapbtd",
            BtreeKind::RtRmap => "rtrmapbt",
            BtreeKind::RtRefcount => "rtrefcntbt",
        }
    }
}

/// What a block's header says, whatever its form. Siblings and owner are widened; a
/// missing sibling is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Kind of tree, as a number.
    pub magic: u32,
    /// Height above the leaves.
    pub level: u16,
    /// Records, or key and pointer pairs.
    pub numrecs: u16,
    /// Left neighbour: group block (short form) or filesystem block (long form).
    pub left: Option<u64>,
    /// Right neighbour.
    pub right: Option<u64>,
    /// Disk address of this block.
    pub blkno: u64,
    /// LSN of the last write.
    pub lsn: u64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Allocation group number or inode number.
    pub owner: u64,
}

impl Header {
    /// The header at the start of a block of a tree of this kind, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short.
    pub fn read(block: &[u8], kind: BtreeKind, at: At) -> Result<Self> {
        if kind.is_long() {
            let h: &LongHeader = overlay(block, NAME, at)?;
            return Ok(Header {
                magic: h.magic.get(),
                level: h.level.get(),
                numrecs: h.numrecs.get(),
                left: Some(h.leftsib.get()).filter(|&block| block != NULL_FSBLOCK),
                right: Some(h.rightsib.get()).filter(|&block| block != NULL_FSBLOCK),
                blkno: h.blkno.get(),
                lsn: h.lsn.get(),
                uuid: h.uuid,
                owner: h.owner.get(),
            });
        }
        let h: &ShortHeader = overlay(block, NAME, at)?;
        let sibling = |field: U32| Some(field.get()).filter(|&b| b != NULL_AGBLOCK).map(u64::from);
        Ok(Header {
            magic: h.magic.get(),
            level: h.level.get(),
            numrecs: h.numrecs.get(),
            left: sibling(h.leftsib),
            right: sibling(h.rightsib),
            blkno: h.blkno.get(),
            lsn: h.lsn.get(),
            uuid: h.uuid,
            owner: h.owner.get().into(),
        })
    }

    /// Writes the header to the start of `block`, leaving the checksum zero.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short, or if a sibling or the owner does not
    /// fit the short form.
    pub fn write(&self, block: &mut [u8], kind: BtreeKind) -> Result<()> {
        let at = At::Daddr(self.blkno);
        if kind.is_long() {
            *overlay_mut::<LongHeader>(block, NAME, at)? = LongHeader {
                magic: self.magic.into(),
                level: self.level.into(),
                numrecs: self.numrecs.into(),
                leftsib: self.left.unwrap_or(NULL_FSBLOCK).into(),
                rightsib: self.right.unwrap_or(NULL_FSBLOCK).into(),
                blkno: self.blkno.into(),
                lsn: self.lsn.into(),
                uuid: self.uuid,
                owner: self.owner.into(),
                crc: 0.into(),
                pad: 0.into(),
            };
            return Ok(());
        }
        let short = |value: Option<u64>| {
            value.map_or(Ok(NULL_AGBLOCK), |v| {
                u32::try_from(v).map_err(|_| Error::corrupt(NAME, at, format!("{v} needs 64 bits")))
            })
        };
        *overlay_mut::<ShortHeader>(block, NAME, at)? = ShortHeader {
            magic: self.magic.into(),
            level: self.level.into(),
            numrecs: self.numrecs.into(),
            leftsib: short(self.left)?.into(),
            rightsib: short(self.right)?.into(),
            blkno: self.blkno.into(),
            lsn: self.lsn.into(),
            uuid: self.uuid,
            owner: short(Some(self.owner))?.into(),
            crc: 0.into(),
        };
        Ok(())
    }
}

/// Checks the header of a block of a tree of this kind that lies at `daddr`: what can be
/// known from the block alone. Whether owner (of a long form block) and level are the
/// expected ones is the caller's to compare.
///
/// # Errors
///
/// An error naming the first wrong field is returned.
pub fn verify(block: &[u8], geo: &Geometry, kind: BtreeKind, daddr: u64) -> Result<Header> {
    let at = At::Daddr(daddr);
    let check = Check::new(structure_name(kind), at);
    let header = Header::read(block, kind, at)?;
    check.magic(header.magic, kind.magic())?;
    check.uuid(&header.uuid, geo)?;
    check.equal("blkno", header.blkno, daddr)?;
    let level = u32::from(header.level);
    let height = geo.max_levels.of(kind);
    check.that(level < height, || format!("level {level} in a tree of at most {height}"))?;
    let max = geo.max_records(kind, level == 0);
    let count = header.numrecs;
    check.that(u32::from(count) <= max, || format!("{count} records, at most {max} fit"))?;
    let (agno, _) = geo.daddr_agblock(daddr);
    if !kind.is_long() {
        check.equal("owner", header.owner, u64::from(agno))?;
    }
    for (name, sibling) in [("left", header.left), ("right", header.right)] {
        let valid = sibling.is_none_or(|block| valid_pointer(geo, kind, agno, block, daddr));
        check.that(valid, || format!("{name} sibling is {}", sibling.unwrap_or_default()))?;
    }
    Ok(header)
}

/// Whether `block` can be a block of a tree in group `agno`, other than the one at `daddr`.
fn valid_pointer(geo: &Geometry, kind: BtreeKind, agno: u32, block: u64, daddr: u64) -> bool {
    if kind.is_long() {
        let block = FsBlock(block);
        return geo.valid_fsb(block) && geo.fsblock_daddr(block) != daddr;
    }
    u32::try_from(block)
        .is_ok_and(|agbno| geo.valid_agbno(agno, agbno) && geo.agblock_daddr(agno, agbno) != daddr)
}

const fn structure_name(kind: BtreeKind) -> &'static str {
    match kind {
        BtreeKind::Bno => "free space btree block (by block)",
        BtreeKind::Cnt => "free space btree block (by size)",
        BtreeKind::Ino => "inode btree block",
        BtreeKind::Fino => "free inode btree block",
        BtreeKind::Rmap => "reverse mapping btree block",
        BtreeKind::Refcount => "reference count btree block",
        BtreeKind::Bmap => "extent btree block",
        BtreeKind::RtRmap => "realtime reverse mapping btree block",
        BtreeKind::RtRefcount => "realtime reference count btree block",
    }
}
