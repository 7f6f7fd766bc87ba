//! Every on-disk structure, as data: layout, constants, checksums, verifiers and
//! geometry arithmetic. Nothing here does I/O, and nothing here panics on any input.
//!
//! Each structure has a `verify` that checks what Linux checks when it reads the same
//! structure, apart from the checksum, which [`checksum::check`] tests on its own: a
//! caller that only wants to look (xfs_db) can skip either.

pub mod ag;
pub mod attr;
pub mod btree_block;
pub mod btree_record;
pub mod checksum;
pub mod da;
pub mod dir;
pub mod dquot;
pub mod extent;
pub mod features;
pub mod geometry;
pub mod inode;
pub mod log;
pub mod log_reservation;
pub mod realtime;
mod realtime_geometry;
pub mod superblock;
pub mod symlink;

#[cfg(test)]
mod verifier_tests;

use crate::{At, Error, Result};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Nanoseconds in a second.
pub const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// "No block" in a 32-bit field that holds a block of an allocation group.
pub const NULL_AGBLOCK: u32 = u32::MAX;
/// "No inode" in a 32-bit field that holds an inode of an allocation group.
pub const NULL_AGINO: u32 = u32::MAX;
/// "No block" in a 64-bit field.
pub const NULL_FSBLOCK: u64 = u64::MAX;
/// "No inode" in a 64-bit field.
pub const NULL_INO: u64 = u64::MAX;

/// The structure `T` at the start of `bytes`.
///
/// # Errors
///
/// An error is returned if `bytes` is shorter than `T`; it names `structure` and `at`.
pub fn overlay<'a, T>(bytes: &'a [u8], structure: &'static str, at: At) -> Result<&'a T>
where
    T: FromBytes + KnownLayout + Immutable + Unaligned,
{
    T::ref_from_prefix(bytes).map(|(value, _)| value).map_err(|_| too_short(bytes, structure, at))
}

/// The structure `T` at the start of `bytes`, to be changed in place.
///
/// # Errors
///
/// An error is returned if `bytes` is shorter than `T`; it names `structure` and `at`.
pub fn overlay_mut<'a, T>(bytes: &'a mut [u8], structure: &'static str, at: At) -> Result<&'a mut T>
where
    T: FromBytes + IntoBytes + KnownLayout + Immutable + Unaligned,
{
    if bytes.len() < size_of::<T>() {
        return Err(too_short(bytes, structure, at));
    }
    T::mut_from_prefix(bytes)
        .map(|(value, _)| value)
        .map_err(|_| Error::corrupt(structure, at, "unreadable"))
}

fn too_short(bytes: &[u8], structure: &'static str, at: At) -> Error {
    Error::corrupt(structure, at, format!("only {} bytes are there", bytes.len()))
}

/// Collects the first thing found wrong with one structure.
///
/// Verifiers read as a list of expectations: `check.that(a == b, || format!(...))?`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Check {
    pub(crate) structure: &'static str,
    pub(crate) at: At,
}

impl Check {
    pub(crate) fn new(structure: &'static str, at: At) -> Self {
        Check { structure, at }
    }

    /// Fails with the text of `why` unless `holds`.
    pub(crate) fn that(&self, holds: bool, why: impl FnOnce() -> String) -> Result<()> {
        if holds { Ok(()) } else { Err(self.fail(why())) }
    }

    /// Fails unless `found` equals `expected`; both are printed in hexadecimal.
    pub(crate) fn magic(&self, found: impl Into<u64>, expected: impl Into<u64>) -> Result<()> {
        let (found, expected) = (found.into(), expected.into());
        self.that(found == expected, || format!("magic {found:#x}, expected {expected:#x}"))
    }

    /// Fails unless `found` equals `expected`.
    pub(crate) fn equal<T: PartialEq + std::fmt::Display>(
        &self,
        name: &str,
        found: T,
        expected: T,
    ) -> Result<()> {
        self.that(found == expected, || format!("{name} is {found}, expected {expected}"))
    }

    /// Fails unless `uuid` is the filesystem's metadata UUID.
    pub(crate) fn uuid(&self, found: &[u8; 16], geo: &geometry::Geometry) -> Result<()> {
        self.that(*found == geo.meta_uuid, || {
            let (found, own) =
                (uuid::Uuid::from_bytes(*found), uuid::Uuid::from_bytes(geo.meta_uuid));
            format!("uuid {found} is not the filesystem's ({own})")
        })
    }

    pub(crate) fn fail(&self, why: impl Into<String>) -> Error {
        Error::corrupt(self.structure, self.at, why)
    }
}

/// Asserts the size of a structure and the offsets of some of its fields at compile time.
macro_rules! assert_layout {
    ($type:ty, $size:expr $(, $field:ident @ $offset:expr)* $(,)?) => {
        const _: () = {
            assert!(size_of::<$type>() == $size);
            $(assert!(std::mem::offset_of!($type, $field) == $offset);)*
        };
    };
}
pub(crate) use assert_layout;

/// As many `T` as fit in `bytes` from `offset` on, to be changed in place.
pub(crate) fn slice_of_mut<T>(bytes: &mut [u8], offset: usize) -> &mut [T]
where
    T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned,
{
    let rest = bytes.get_mut(offset..).unwrap_or_default();
    let count = rest.len().checked_div(size_of::<T>()).unwrap_or(0);
    match <[T]>::mut_from_prefix_with_elems(rest, count) {
        Ok((slice, _)) => slice,
        Err(_) => &mut [],
    }
}

/// As many `T` as fit in `bytes`.
pub(crate) fn slice_of<T: FromBytes + Immutable + KnownLayout + Unaligned>(bytes: &[u8]) -> &[T] {
    let count = bytes.len().checked_div(size_of::<T>()).unwrap_or(0);
    <[T]>::ref_from_prefix_with_elems(bytes, count).map_or(&[], |(slice, _)| slice)
}
