//! Parent pointers: for each name of a file an attribute whose name is the entry's name and
//! whose value says which directory it is in.

use crate::format::dir::hash_entry;
use crate::format::geometry::{Geometry, Ino};
use crate::format::{assert_layout, overlay};
use crate::{At, Result};
use zerocopy::byteorder::big_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Value of a parent pointer (`xfs_parent_rec`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct ParentRecord {
    /// Inode of the directory.
    pub ino: U64,
    /// Generation of the directory.
    pub gen_: U32,
}

assert_layout!(ParentRecord, 12, gen_ @ 8);

impl ParentRecord {
    /// The parent pointer for an entry of directory `ino` with generation `generation`.
    pub fn new(ino: Ino, generation: u32) -> Self {
        ParentRecord { ino: ino.0.into(), gen_: generation.into() }
    }

    /// The parent pointer in an attribute's value.
    ///
    /// # Errors
    ///
    /// An error is returned if the value is too short.
    pub fn view(value: &[u8]) -> Result<&Self> {
        overlay(value, "parent pointer", At::Byte(0))
    }
}

/// Hash of a parent pointer: of the entry's name, mixed with both halves of the directory's
/// inode number.
pub fn hash(name: &[u8], directory: Ino, geo: &Geometry) -> u32 {
    hash_entry(name, geo) ^ (directory.0 >> 32) as u32 ^ directory.0 as u32
}
