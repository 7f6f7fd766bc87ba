//! Targets of symbolic links too long for the inode: blocks with a header each.

use super::geometry::Geometry;
use super::{Check, assert_layout, overlay};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XSLM".
pub const MAGIC: u32 = 0x5853_4c4d;
/// Byte offset of the checksum.
pub const CRC_OFFSET: usize = std::mem::offset_of!(SymlinkHeader, crc);
/// Longest target in bytes.
pub const MAX_LEN: usize = 1024;

const NAME: &str = "symlink block";

/// Header of a block with part of a target (`xfs_dsymlink_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct SymlinkHeader {
    /// [`MAGIC`].
    pub magic: U32,
    /// Offset of this part in the target, in bytes.
    pub offset: U32,
    /// Bytes of the target in this block.
    pub bytes: U32,
    /// Checksum of the block.
    pub crc: LeU32,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Inode of the link.
    pub owner: U64,
    /// Disk address of the block in 512-byte units.
    pub blkno: U64,
    /// LSN of the last write. Always all ones: recovery orders these blocks otherwise.
    pub lsn: U64,
}

assert_layout!(SymlinkHeader, 56, crc @ 12, uuid @ 16, owner @ 32, blkno @ 40, lsn @ 48);

impl SymlinkHeader {
    /// The header at the start of `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short.
    pub fn view(block: &[u8], at: At) -> Result<&Self> {
        overlay(block, NAME, at)
    }

    /// Bytes of a target that fit in `space` bytes of one extent.
    pub const fn capacity(space: usize) -> usize {
        space.saturating_sub(size_of::<Self>())
    }

    /// Checks the header of a block at `daddr`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        check.magic(self.magic.get(), MAGIC)?;
        check.uuid(&self.uuid, geo)?;
        check.equal("blkno", self.blkno.get(), daddr)?;
        let (offset, bytes) = (self.offset.get(), self.bytes.get());
        let end = u64::from(offset) + u64::from(bytes);
        check.that(end <= MAX_LEN as u64, || format!("{bytes} bytes at offset {offset}"))?;
        check.that(self.owner.get() != 0, || "owner is 0".into())
    }
}
