//! Values too large for a leaf: blocks with a header each.

use crate::format::geometry::Geometry;
use crate::format::{Check, assert_layout, overlay};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XARM".
pub const MAGIC: u32 = 0x5841_524d;
/// Byte offset of the checksum, which covers one filesystem block.
pub const CRC_OFFSET: usize = std::mem::offset_of!(RemoteHeader, crc);

const NAME: &str = "remote attribute block";

/// Header of each block with part of a value (`xfs_attr3_rmt_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RemoteHeader {
    /// [`MAGIC`].
    pub magic: U32,
    /// Offset of this part in the value, in bytes.
    pub offset: U32,
    /// Bytes of the value in this block.
    pub bytes: U32,
    /// Checksum of the block.
    pub crc: LeU32,
    /// Metadata UUID.
    pub uuid: [u8; 16],
    /// Inode that has the attribute.
    pub owner: U64,
    /// Disk address of the block in 512-byte units.
    pub blkno: U64,
    /// LSN of the last write. Always all ones: values are written before the log.
    pub lsn: U64,
}

assert_layout!(RemoteHeader, 56, crc @ 12, uuid @ 16, owner @ 32, blkno @ 40, lsn @ 48);

impl RemoteHeader {
    /// The header at the start of `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short.
    pub fn view(block: &[u8], at: At) -> Result<&Self> {
        overlay(block, NAME, at)
    }

    /// Bytes of a value in each block.
    pub const fn capacity(block_size: u32) -> u32 {
        block_size - size_of::<Self>() as u32
    }

    /// Blocks for a value of `len` bytes.
    pub const fn blocks_for(len: u32, block_size: u32) -> u32 {
        len.div_ceil(Self::capacity(block_size))
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
        let fits = bytes <= Self::capacity(geo.block_size) && end <= super::MAX_VALUE as u64;
        check.that(fits, || format!("{bytes} bytes at offset {offset}"))?;
        check.that(self.owner.get() != 0, || "owner is 0".into())
    }
}
