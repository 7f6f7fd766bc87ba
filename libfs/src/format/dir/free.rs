//! Index of the room in a large directory: the largest hole of each block of entries.

use super::BlockHeader;
use super::leaf::NULL_BEST;
use crate::format::geometry::Geometry;
use crate::format::{Check, assert_layout, overlay, overlay_mut, slice_of, slice_of_mut};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XDF3".
pub const MAGIC: u32 = 0x5844_4633;

const NAME: &str = "directory free block";

/// Header of a free block (`xfs_dir3_free_hdr`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct FreeHeader {
    /// Common part.
    pub hdr: BlockHeader,
    /// Directory block that the first entry is about.
    pub firstdb: U32,
    /// Entries.
    pub nvalid: U32,
    /// Entries about blocks that exist.
    pub nused: U32,
    /// Zero.
    pub pad: U32,
}

assert_layout!(FreeHeader, 64, firstdb @ 48, nvalid @ 52, nused @ 56);

/// A free block.
#[derive(Debug, Clone, Copy)]
pub struct Free<'a> {
    /// The header.
    pub header: &'a FreeHeader,
    /// Largest hole of each block, [`NULL_BEST`] if the block does not exist.
    pub bests: &'a [U16],
}

impl<'a> Free<'a> {
    /// The free block in `block`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `block` is too short for the header.
    pub fn view(block: &'a [u8], at: At) -> Result<Self> {
        let header: &FreeHeader = overlay(block, NAME, at)?;
        let all: &[U16] = slice_of(block.get(size_of::<FreeHeader>()..).unwrap_or(&[]));
        let bests = all.get(..header.nvalid.get() as usize).unwrap_or(all);
        Ok(Free { header, bests })
    }

    /// Entries in a free block of `block_size` bytes.
    pub const fn max_entries(block_size: usize) -> usize {
        block_size.saturating_sub(size_of::<FreeHeader>()) / size_of::<U16>()
    }

    /// Checks the free block at `daddr`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        self.header.hdr.verify(&check, geo, MAGIC, daddr)?;
        let max = Self::max_entries(geo.dir.block_size as usize);
        let (first, valid) = (self.header.firstdb.get(), self.header.nvalid.get() as usize);
        check.that((first as usize).is_multiple_of(max), || format!("firstdb is {first}"))?;
        check.that(valid <= max, || format!("nvalid is {valid}, {max} fit"))?;
        let used = self.bests.iter().filter(|best| best.get() != NULL_BEST).count();
        check.equal("nused", self.header.nused.get() as usize, used)
    }
}

/// All entry slots of a free block, to be changed in place.
///
/// # Errors
///
/// An error is returned if `block` is too short for the header.
pub fn free_bests_mut(block: &mut [u8]) -> Result<&mut [U16]> {
    overlay_mut::<FreeHeader>(block, NAME, At::Byte(0))?;
    Ok(slice_of_mut(block, size_of::<FreeHeader>()))
}
