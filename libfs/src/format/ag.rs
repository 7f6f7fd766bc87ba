//! Headers of an allocation group: free space (AGF), inodes (AGI) and free list (AGFL),
//! in the three sectors after the group's superblock.

use super::geometry::Geometry;
use super::{
    Check, NULL_AGBLOCK, NULL_AGINO, assert_layout, overlay, overlay_mut, slice_of, slice_of_mut,
};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XAGF".
pub const AGF_MAGIC: u32 = 0x5841_4746;
/// "XAGI".
pub const AGI_MAGIC: u32 = 0x5841_4749;
/// "XAFL".
pub const AGFL_MAGIC: u32 = 0x5841_464c;
/// The only version of AGF and AGI.
pub const VERSION: u32 = 1;
/// Lists of unlinked inodes in an AGI; an inode is in list `agino % 64`.
pub const UNLINKED_BUCKETS: usize = 64;

/// Byte offset of the AGF's checksum.
pub const AGF_CRC_OFFSET: usize = std::mem::offset_of!(Agf, crc);
/// Byte offset of the AGI's checksum.
pub const AGI_CRC_OFFSET: usize = std::mem::offset_of!(Agi, crc);
/// Byte offset of the AGFL's checksum.
pub const AGFL_CRC_OFFSET: usize = std::mem::offset_of!(AgflHeader, crc);

/// Free space header (`struct xfs_agf`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Agf {
    /// [`AGF_MAGIC`].
    pub magicnum: U32,
    /// [`VERSION`].
    pub versionnum: U32,
    /// Number of this group.
    pub seqno: U32,
    /// Blocks in this group.
    pub length: U32,

    /// Root block of the free space tree by block.
    pub bnoroot: U32,
    /// Root block of the free space tree by size.
    pub cntroot: U32,
    /// Root block of the reverse mapping tree.
    pub rmaproot: U32,
    /// Height of the tree by block.
    pub bnolevel: U32,

    /// Height of the tree by size.
    pub cntlevel: U32,
    /// Height of the reverse mapping tree.
    pub rmaplevel: U32,
    /// Index in the AGFL of the first block of the free list.
    pub flfirst: U32,
    /// Index in the AGFL of the last block.
    pub fllast: U32,

    /// Blocks in the free list.
    pub flcount: U32,
    /// Free blocks, without the free list.
    pub freeblks: U32,
    /// Length of the longest free extent.
    pub longest: U32,
    /// Blocks of the free space and reverse mapping trees, without their roots.
    pub btreeblks: U32,

    /// Metadata UUID.
    pub uuid: [u8; 16],

    /// Blocks of the reverse mapping tree.
    pub rmapblocks: U32,
    /// Blocks of the reference count tree.
    pub refcntblocks: U32,
    /// Root block of the reference count tree.
    pub refcntroot: U32,
    /// Height of the reference count tree.
    pub refcntlevel: U32,

    /// Zero.
    pub spare64: [U64; 14],

    /// LSN of the last write.
    pub lsn: U64,
    /// Checksum of the sector.
    pub crc: LeU32,
    /// Zero.
    pub spare2: U32,
}

assert_layout!(Agf, 224, bnoroot @ 16, flfirst @ 40, longest @ 56, uuid @ 64, rmapblocks @ 80,
    spare64 @ 96, lsn @ 208, crc @ 216);

/// Inode header (`struct xfs_agi`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Agi {
    /// [`AGI_MAGIC`].
    pub magicnum: U32,
    /// [`VERSION`].
    pub versionnum: U32,
    /// Number of this group.
    pub seqno: U32,
    /// Blocks in this group.
    pub length: U32,

    /// Allocated inodes.
    pub count: U32,
    /// Root block of the inode tree.
    pub root: U32,
    /// Height of the inode tree.
    pub level: U32,
    /// Free inodes.
    pub freecount: U32,

    /// Last inode chunk allocated.
    pub newino: U32,
    /// Unused.
    pub dirino: U32,
    /// Heads of the lists of inodes that have no name any more but are not yet freed.
    pub unlinked: [U32; UNLINKED_BUCKETS],

    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Checksum of the sector.
    pub crc: LeU32,
    /// Zero.
    pub pad32: U32,
    /// LSN of the last write.
    pub lsn: U64,

    /// Root block of the free inode tree.
    pub free_root: U32,
    /// Height of the free inode tree.
    pub free_level: U32,

    /// Blocks of the inode tree.
    pub iblocks: U32,
    /// Blocks of the free inode tree.
    pub fblocks: U32,
}

assert_layout!(Agi, 344, count @ 16, newino @ 32, unlinked @ 40, uuid @ 296, crc @ 312,
    lsn @ 320, free_root @ 328, iblocks @ 336);

/// Header of a free list (`struct xfs_agfl`); the list's entries fill the sector.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct AgflHeader {
    /// [`AGFL_MAGIC`].
    pub magicnum: U32,
    /// Number of this group.
    pub seqno: U32,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// LSN of the last write.
    pub lsn: U64,
    /// Checksum of the sector.
    pub crc: LeU32,
}

assert_layout!(AgflHeader, 36, uuid @ 8, lsn @ 24, crc @ 32);

impl Agf {
    /// Checks the header of group `agno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let check = Check::new("AGF", At::Daddr(geo.agf_daddr(agno)));
        check.magic(self.magicnum.get(), AGF_MAGIC)?;
        check.equal("versionnum", self.versionnum.get(), VERSION)?;
        check.uuid(&self.uuid, geo)?;
        verify_group(&check, geo, agno, self.seqno.get(), self.length.get())?;
        let entries = geo.agfl_size();
        let at_most = |name, value: U32, most: u32| {
            check.that(value.get() <= most, || format!("{name} is {value}, more than {most}"))
        };
        at_most("flfirst", self.flfirst, entries - 1)?;
        at_most("fllast", self.fllast, entries - 1)?;
        at_most("flcount", self.flcount, entries)?;
        let length = self.length.get();
        at_most("freeblks", self.freeblks, length)?;
        at_most("longest", self.longest, self.freeblks.get())?;
        at_most("btreeblks", self.btreeblks, length)?;
        let levels = &geo.max_levels;
        verify_level(&check, "bnolevel", self.bnolevel, levels.alloc)?;
        verify_level(&check, "cntlevel", self.cntlevel, levels.alloc)?;
        if geo.features.rmapbt {
            at_most("rmapblocks", self.rmapblocks, length)?;
            verify_level(&check, "rmaplevel", self.rmaplevel, levels.rmap)?;
        }
        if geo.features.reflink {
            at_most("refcntblocks", self.refcntblocks, length)?;
            verify_level(&check, "refcntlevel", self.refcntlevel, levels.refcount)?;
        }
        Ok(())
    }
}

impl Agi {
    /// The header in `sector`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `sector` is too short.
    pub fn view(sector: &[u8]) -> Result<&Self> {
        overlay(sector, "AGI", At::Byte(0))
    }

    /// Checks the header of group `agno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let check = Check::new("AGI", At::Daddr(geo.agi_daddr(agno)));
        check.magic(self.magicnum.get(), AGI_MAGIC)?;
        check.equal("versionnum", self.versionnum.get(), VERSION)?;
        check.uuid(&self.uuid, geo)?;
        verify_group(&check, geo, agno, self.seqno.get(), self.length.get())?;
        verify_level(&check, "level", self.level, geo.max_levels.inobt)?;
        if geo.features.finobt {
            verify_level(&check, "free_level", self.free_level, geo.max_levels.inobt)?;
        }
        for (bucket, head) in self.unlinked.iter().enumerate() {
            let agino = head.get();
            let valid = agino == NULL_AGINO || geo.valid_agino(agno, agino);
            check.that(valid, || format!("unlinked[{bucket}] is {agino}"))?;
        }
        Ok(())
    }
}

fn verify_group(check: &Check, geo: &Geometry, agno: u32, seqno: u32, length: u32) -> Result<()> {
    check.equal("seqno", seqno, agno)?;
    check.equal("length", length, geo.ag_size(agno))
}

fn verify_level(check: &Check, name: &str, level: U32, max: u32) -> Result<()> {
    let level = level.get();
    check.that((1..=max).contains(&level), || format!("{name} is {level}, not 1 to {max}"))
}

/// A free list sector: header and entries.
#[derive(Debug, Clone, Copy)]
pub struct Agfl<'a> {
    /// The header.
    pub header: &'a AgflHeader,
    /// Blocks; only those from `agf.flfirst` to `agf.fllast` (wrapping) mean anything.
    pub bno: &'a [U32],
}

impl<'a> Agfl<'a> {
    /// The free list in `sector`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `sector` is too short for the header.
    pub fn view(sector: &'a [u8]) -> Result<Self> {
        let header = overlay(sector, "AGFL", At::Byte(0))?;
        let rest = sector.get(size_of::<AgflHeader>()..).unwrap_or(&[]);
        Ok(Agfl { header, bno: slice_of(rest) })
    }

    /// Checks the free list of group `agno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let check = Check::new("AGFL", At::Daddr(geo.agfl_daddr(agno)));
        check.magic(self.header.magicnum.get(), AGFL_MAGIC)?;
        check.uuid(&self.header.uuid, geo)?;
        check.equal("seqno", self.header.seqno.get(), agno)?;
        for (index, block) in self.bno.iter().enumerate() {
            let block = block.get();
            let valid = block == NULL_AGBLOCK || block < geo.ag_size(agno);
            check.that(valid, || format!("bno[{index}] is {block}"))?;
        }
        Ok(())
    }
}

/// The entries of the free list in `sector`, to be changed in place.
///
/// # Errors
///
/// An error is returned if `sector` is too short for the header.
pub fn agfl_entries_mut(sector: &mut [u8]) -> Result<&mut [U32]> {
    overlay_mut::<AgflHeader>(sector, "AGFL", At::Byte(0))?;
    Ok(slice_of_mut(sector, size_of::<AgflHeader>()))
}
