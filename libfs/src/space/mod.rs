//! Allocation groups: free space, reverse mapping, reference counts.
//!
//! * [`alloc`] takes extents out of free space, [`extent_free`] gives them back; both keep
//!   the free list ([`agfl`]) long enough for the btrees to split.
//! * [`rmap`] and [`refcount`] record who uses each block, and how many do.
//! * [`busy`] remembers what was freed since the last checkpoint, so that file data never
//!   overwrites what recovery would bring back.
//! * [`ag_reservation`] keeps blocks back for the btrees that must be able to grow when
//!   the filesystem is full.

pub mod ag_reservation;
pub mod agfl;
pub mod alloc;
pub mod busy;
#[cfg(test)]
mod damage_tests;
pub mod extent_free;
pub mod free_space;
pub(crate) mod header;
pub mod inobt;
pub mod inode_alloc;
pub mod refcount;
pub mod rmap;
pub mod startup;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod trees;

use crate::format::btree_record::{RmapFlags, owner};
use crate::format::geometry::Fork;

/// State of one allocation group in memory.
#[derive(Debug)]
pub struct PerAg {
    /// Its number.
    pub agno: u32,
    /// Extents freed since the last checkpoint.
    pub busy: busy::BusyExtents,
    /// Blocks kept back for btrees.
    pub reservations: ag_reservation::Reservations,
}

impl PerAg {
    /// The state before anything was read.
    pub fn new(agno: u32) -> Self {
        Self { agno, busy: Default::default(), reservations: Default::default() }
    }

    /// A checkpoint is durable: what was freed before it may be used again.
    pub(crate) fn checkpoint_done(&mut self) {
        self.busy.clear();
    }
}

/// Who an extent belongs to, as the reverse mapping records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// Inode number or one of the special owners.
    pub owner: u64,
    /// Offset in the fork in blocks; 0 for special owners and btree blocks.
    pub offset: u64,
    /// Fork, btree block.
    pub flags: RmapFlags,
}

impl Owner {
    /// The reverse mapping is changed separately, by an intent of its own: file data.
    pub const ELSEWHERE: Self = Self::special(owner::NULL);
    /// Whoever owns it, if anybody: intents of freeing in the log do not say.
    pub const ANYBODY: Self = Self::special(owner::UNKNOWN);
    /// The free list, and the blocks of the free space and reverse mapping trees.
    pub const AG: Self = Self::special(owner::AG);
    /// Blocks of the inode trees.
    pub const INOBT: Self = Self::special(owner::INOBT);
    /// Inode chunks.
    pub const INODES: Self = Self::special(owner::INODES);
    /// Blocks of the reference count tree.
    pub const REFCOUNT: Self = Self::special(owner::REFC);
    /// Blocks staged for copy on write.
    pub const COW: Self = Self::special(owner::COW);

    /// An owner that is not an inode.
    pub const fn special(owner: u64) -> Self {
        Self { owner, offset: 0, flags: RmapFlags::empty() }
    }

    /// Blocks of a fork's extent btree.
    pub fn extent_btree(ino: u64, fork: Fork) -> Self {
        let flags = RmapFlags::BMBT_BLOCK | fork_flag(fork);
        Self { owner: ino, offset: 0, flags }
    }

    /// Blocks of a file that start at block `offset` of the fork.
    pub fn file(ino: u64, fork: Fork, offset: u64) -> Self {
        Self { owner: ino, offset, flags: fork_flag(fork) }
    }

    /// Whether offsets advance with blocks.
    pub(crate) fn has_offset(&self) -> bool {
        !owner::is_special(self.owner) && !self.flags.contains(RmapFlags::BMBT_BLOCK)
    }
}

fn fork_flag(fork: Fork) -> RmapFlags {
    match fork {
        Fork::Data => RmapFlags::empty(),
        Fork::Attr => RmapFlags::ATTR_FORK,
    }
}
