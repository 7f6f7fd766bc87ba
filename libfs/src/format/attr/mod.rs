//! Extended attributes: names with values, in namespaces.
//!
//! A few small ones are a list in the inode ([`shortform`]). More are in leaf blocks of
//! the attribute fork ([`leaf`]), under inner blocks ([`super::da`]) if there are several;
//! values too large for a leaf are in blocks of their own ([`remote`]). Parent pointers are
//! attributes too ([`parent`]).

pub mod leaf;
pub mod parent;
pub mod remote;
pub mod shortform;

use super::Check;
use super::dir::hash_name;
use crate::Result;
use bitflags::bitflags;

/// Longest name in bytes.
pub const MAX_NAME: usize = 255;
/// Longest value in bytes.
pub const MAX_VALUE: usize = 1 << 16;

bitflags! {
    /// Where a value is and which namespace a name is in.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
    pub struct AttrFlags: u8 {
        /// The value is beside the name (leaf blocks only).
        const LOCAL = 1 << 0;
        /// Namespace `trusted`.
        const ROOT = 1 << 1;
        /// Namespace `security`.
        const SECURE = 1 << 2;
        /// A parent pointer.
        const PARENT = 1 << 3;
        /// In the middle of being made or removed; nobody must see it.
        const INCOMPLETE = 1 << 7;
        const _ = !0;
    }
}

impl AttrFlags {
    /// The bits that tell namespaces apart; none of them is namespace `user`.
    pub const NAMESPACE: Self = Self::ROOT.union(Self::SECURE).union(Self::PARENT);
    /// The bits that mean something on disk.
    pub const KNOWN: Self = Self::NAMESPACE.union(Self::LOCAL).union(Self::INCOMPLETE);

    /// Fails unless all bits are known and at most one namespace is set.
    pub(crate) fn verify(self, check: &Check) -> Result<()> {
        let one = self.intersection(Self::NAMESPACE).bits().count_ones() <= 1;
        check.that(one && Self::KNOWN.contains(self), || format!("flags {:#x}", self.bits()))
    }
}

/// Hash of an attribute's name, for all namespaces but parent pointers
/// ([`parent::hash`]).
pub fn hash(name: &[u8]) -> u32 {
    hash_name(name)
}
