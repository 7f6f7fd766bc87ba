//! Quota records: one for each user, group or project, packed in blocks of the quota
//! inodes.

use super::geometry::Geometry;
use super::{Check, assert_layout, overlay};
use crate::{At, Result};
use bitflags::bitflags;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "DQ".
pub const MAGIC: u16 = 0x4451;
/// The only version.
pub const VERSION: u8 = 1;
/// Byte offset of a record's checksum, which covers that record alone.
pub const CRC_OFFSET: usize = std::mem::offset_of!(DiskDquot, crc);

const NAME: &str = "quota record";

bitflags! {
    /// `d_type`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DquotType: u8 {
        /// Of a user.
        const USER = 1 << 0;
        /// Of a project.
        const PROJECT = 1 << 1;
        /// Of a group.
        const GROUP = 1 << 2;
        /// Timers are in units of four seconds.
        const BIGTIME = 1 << 7;
        const _ = !0;
    }
}

/// A quota record (`xfs_dqblk`, with `xfs_disk_dquot` inside).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct DiskDquot {
    /// [`MAGIC`].
    pub magic: U16,
    /// [`VERSION`].
    pub version: u8,
    /// [`DquotType`].
    pub type_: u8,
    /// User, group or project.
    pub id: U32,
    /// Most blocks.
    pub blk_hardlimit: U64,

    /// Most blocks for long.
    pub blk_softlimit: U64,
    /// Most inodes.
    pub ino_hardlimit: U64,

    /// Most inodes for long.
    pub ino_softlimit: U64,
    /// Blocks in use.
    pub bcount: U64,

    /// Inodes in use.
    pub icount: U64,
    /// When the soft limit on inodes becomes hard.
    pub itimer: U32,
    /// When the soft limit on blocks becomes hard.
    pub btimer: U32,

    /// Warnings about inodes.
    pub iwarns: U16,
    /// Warnings about blocks.
    pub bwarns: U16,
    /// Zero.
    pub pad0: U32,
    /// Most realtime blocks.
    pub rtb_hardlimit: U64,

    /// Most realtime blocks for long.
    pub rtb_softlimit: U64,
    /// Realtime blocks in use.
    pub rtbcount: U64,

    /// When the soft limit on realtime blocks becomes hard.
    pub rtbtimer: U32,
    /// Warnings about realtime blocks.
    pub rtbwarns: U16,
    /// Zero.
    pub pad: U16,
    /// Zero.
    pub fill: [u8; 4],
    /// Checksum of the record.
    pub crc: LeU32,
    /// LSN of the last write.
    pub lsn: U64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
}

assert_layout!(DiskDquot, 136, id @ 4, bcount @ 40, itimer @ 56, rtb_hardlimit @ 72,
    rtbtimer @ 96, crc @ 108, lsn @ 112, uuid @ 120);

impl DiskDquot {
    /// Records in a block.
    pub const fn per_block(block_size: u32) -> u32 {
        block_size / size_of::<Self>() as u32
    }

    /// The record at the start of `bytes`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `bytes` is too short.
    pub fn view(bytes: &[u8], at: At) -> Result<&Self> {
        overlay(bytes, NAME, at)
    }

    /// Checks the record in a block at `daddr`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        check.magic(self.magic.get(), MAGIC)?;
        check.equal("version", self.version, VERSION)?;
        check.uuid(&self.uuid, geo)?;
        let kind = DquotType::from_bits_retain(self.type_);
        let known = DquotType::USER | DquotType::PROJECT | DquotType::GROUP | DquotType::BIGTIME;
        let one = (kind - DquotType::BIGTIME).bits().count_ones() == 1 && known.contains(kind);
        check.that(one, || format!("type is {:#x}", self.type_))?;
        let default_limits = self.id.get() == 0;
        let big = kind.contains(DquotType::BIGTIME);
        check.that(!big || (geo.features.bigtime && !default_limits), || {
            "bigtime where it cannot be".into()
        })
    }
}
