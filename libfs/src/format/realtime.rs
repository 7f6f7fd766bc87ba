//! The realtime section: its superblock, the blocks of its bitmap and summary files, and the
//! roots of the btrees that its metadata files hold.
//!
//! A realtime section is divided into *realtime extents* of `sb_rextsize` blocks. Without the
//! metadata directory (`Incompat::METADIR`) the superblock names one bitmap and one summary
//! file, which hold bare words in the byte order of the machine that wrote them. With it the
//! section is divided into *realtime groups*, each with files of its own, whose blocks start
//! with a [`RtBlockHeader`] and whose words are big-endian. A zoned section has neither file.

use super::btree_record::{Refcount, RefcountDomain, Rmap, RmapFlags, owner};
use super::geometry::{Geometry, Ino};
use super::{Check, assert_layout, checksum, overlay};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Magic of the realtime superblock, "Frog" (`XFS_RTSB_MAGIC`).
pub const RTSB_MAGIC: u32 = 0x4672_6f67;
/// Byte offset of the realtime superblock's checksum.
pub const RTSB_CRC_OFFSET: usize = std::mem::offset_of!(Drtsb, crc);
/// Magic of a block of a group's bitmap, "BMPZ" (`XFS_RTBITMAP_MAGIC`).
pub const RTBITMAP_MAGIC: u32 = 0x424d_505a;
/// Magic of a block of a group's summary, "SUMY" (`XFS_RTSUMMARY_MAGIC`).
pub const RTSUMMARY_MAGIC: u32 = 0x5355_4d59;
/// Byte offset of the checksum of a bitmap or summary block.
pub const RTBUF_CRC_OFFSET: usize = std::mem::offset_of!(RtBlockHeader, crc);
/// Most blocks in a realtime group (`XFS_MAX_RGBLOCKS`).
pub const MAX_GROUP_BLOCKS: u32 = (1 << 31) - 1;
/// Least realtime extents in a realtime group (`XFS_MIN_RGEXTENTS`).
pub const MIN_GROUP_EXTENTS: u32 = 2;
/// Largest realtime extent in bytes (`XFS_MAX_RTEXTSIZE`).
pub const MAX_EXTENT_BYTES: u64 = 1 << 30;
/// Smallest realtime extent in bytes (`XFS_MIN_RTEXTSIZE`).
pub const MIN_EXTENT_BYTES: u64 = 4 << 10;
/// Realtime extent size of a new filesystem in bytes (`XFS_DFL_RTEXTSIZE`).
pub const DEFAULT_EXTENT_BYTES: u64 = 64 << 10;
/// Bytes of a bitmap word or of a summary counter.
pub const WORD_LEN: u32 = 4;
/// Realtime extents that one bitmap word describes.
pub const WORD_BITS: u32 = 32;

const RTSB: &str = "realtime superblock";

/// The realtime superblock (`struct xfs_rtsb`): in the first block of a realtime section that
/// is divided into groups. Field names as xfs_db prints them.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Drtsb {
    /// [`RTSB_MAGIC`].
    pub magicnum: U32,
    /// Checksum of the whole block.
    pub crc: LeU32,
    /// Zero.
    pub pad: U32,
    /// Label, padded with zeros.
    pub fname: [u8; 12],
    /// UUID that users see.
    pub uuid: [u8; 16],
    /// UUID that metadata carries.
    pub meta_uuid: [u8; 16],
}

assert_layout!(Drtsb, 56, crc @ 4, fname @ 12, uuid @ 24, meta_uuid @ 40);

impl Drtsb {
    /// The realtime superblock at the start of `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short.
    pub fn view(block: &[u8]) -> Result<&Self> {
        overlay(block, RTSB, At::Daddr(0))
    }

    /// Checks `block`, the whole first block of the realtime section, checksum included.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(block: &[u8], geo: &Geometry) -> Result<()> {
        let check = Check::new(RTSB, At::Daddr(0));
        let sb = Self::view(block)?;
        check.magic(sb.magicnum.get(), RTSB_MAGIC)?;
        checksum::check(block, RTSB_CRC_OFFSET, RTSB, At::Daddr(0))?;
        check.equal("pad", sb.pad.get(), 0)?;
        check.that(sb.uuid == geo.uuid, || {
            format!("uuid {} is not the filesystem's", uuid::Uuid::from_bytes(sb.uuid))
        })?;
        check.uuid(&sb.meta_uuid, geo)
    }
}

/// What a block of a group's bitmap or summary starts with (`struct xfs_rtbuf_blkinfo`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RtBlockHeader {
    /// [`RTBITMAP_MAGIC`] or [`RTSUMMARY_MAGIC`].
    pub magic: U32,
    /// Checksum of the block.
    pub crc: LeU32,
    /// Inode of the file that the block belongs to.
    pub owner: U64,
    /// Disk address of this block in 512-byte units, on the data device.
    pub blkno: U64,
    /// LSN of the last write.
    pub lsn: U64,
    /// Metadata UUID.
    pub uuid: [u8; 16],
}

assert_layout!(RtBlockHeader, 48, crc @ 4, owner @ 8, blkno @ 16, lsn @ 24, uuid @ 32);

/// Which of the two files of words a block belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RtFile {
    /// One bit for each realtime extent, set where it is free.
    Bitmap,
    /// How many runs of free extents of each magnitude start in each block of the bitmap.
    Summary,
}

impl RtFile {
    /// Magic of the file's blocks, where they have headers.
    pub const fn magic(self) -> u32 {
        match self {
            RtFile::Bitmap => RTBITMAP_MAGIC,
            RtFile::Summary => RTSUMMARY_MAGIC,
        }
    }

    const fn structure_name(self) -> &'static str {
        match self {
            RtFile::Bitmap => "realtime bitmap block",
            RtFile::Summary => "realtime summary block",
        }
    }
}

impl RtBlockHeader {
    /// The header at the start of `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short.
    pub fn view(block: &[u8], daddr: u64) -> Result<&Self> {
        overlay(block, "realtime file block", At::Daddr(daddr))
    }

    /// Checks the header of `block`, which lies at `daddr` and belongs to a file of kind
    /// `file`; the checksum is not looked at.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(block: &[u8], geo: &Geometry, file: RtFile, daddr: u64) -> Result<()> {
        let check = Check::new(file.structure_name(), At::Daddr(daddr));
        let header = Self::view(block, daddr)?;
        check.magic(header.magic.get(), file.magic())?;
        check.uuid(&header.uuid, geo)?;
        check.equal("blkno", header.blkno.get(), daddr)?;
        let owner = Ino(header.owner.get());
        check.that(geo.valid_ino(owner), || format!("owner {owner} is no inode"))
    }
}

/// Root of a btree of realtime metadata in the data fork of a file in the metadata directory
/// (`struct xfs_rtrmap_root`, `struct xfs_rtrefcount_root`). Records follow if the level is 0,
/// else keys and pointers, the pointers behind room for as many keys as fit.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RtBtreeRoot {
    /// Height above the leaves.
    pub level: U16,
    /// Records, or key and pointer pairs.
    pub numrecs: U16,
}

assert_layout!(RtBtreeRoot, 4, numrecs @ 2);

impl RtBtreeRoot {
    /// The root at the start of a data fork, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `fork` is too short.
    pub fn view(fork: &[u8], ino: Ino) -> Result<&Self> {
        overlay(fork, "realtime btree root", At::Inode(ino.0))
    }
}

/// Magnitude of a run of `extents` free realtime extents: which line of the summary counts it.
pub fn summary_level(extents: u64) -> u32 {
    extents.checked_ilog2().unwrap_or(0)
}

impl Rmap {
    /// Checks that the record makes sense in realtime group `rgno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify_realtime(&self, geo: &Geometry, rgno: u32) -> Result<()> {
        let at = At::RtBlock(geo.rt_block(rgno, self.startblock));
        let check = Check::new("realtime reverse mapping record", at);
        let len = self.len;
        let inside = geo.realtime.valid_group_extent(rgno, self.startblock, len);
        check.that(inside, || format!("{len} blocks are not all in the group"))?;
        let known = match self.owner {
            owner::FS => self.startblock == 0,
            owner::COW => true,
            number => !owner::is_special(number) && geo.valid_ino(Ino(number)),
        };
        check.that(known, || format!("owner {} is impossible", self.owner))?;
        let others = self.flags - RmapFlags::UNWRITTEN;
        check.that(others.is_empty(), || "flags of something that is not file data".into())?;
        if owner::is_special(self.owner) {
            let bare = self.offset == 0 && self.flags.is_empty();
            return check.that(bare, || "offset or flags on a special owner".into());
        }
        check.that(geo.valid_file_range(self.offset, len.into()), || {
            format!("offset {} is beyond any file", self.offset)
        })
    }
}

impl Refcount {
    /// Checks that the record makes sense in realtime group `rgno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify_realtime(&self, geo: &Geometry, rgno: u32) -> Result<()> {
        let at = At::RtBlock(geo.rt_block(rgno, self.startblock));
        let check = Check::new("realtime reference count record", at);
        let inside = geo.realtime.valid_group_extent(rgno, self.startblock, self.len);
        check.that(inside, || format!("{} blocks are not all in the group", self.len))?;
        let count = self.refcount;
        let fits = match self.domain {
            RefcountDomain::Shared => count >= 2,
            RefcountDomain::Cow => count == 1,
        };
        check.that(fits, || format!("refcount {count} of a {:?} extent", self.domain))
    }
}
