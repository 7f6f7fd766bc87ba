//! One B+tree for everything that XFS keeps in one: the six trees of an allocation group
//! and the extent tree of an inode fork.
//!
//! A [`Tree`] says what the records look like and where the root and new blocks come from;
//! a [`Cursor`] walks and changes it. Trees of an allocation group have a root block that
//! the AGF or AGI names; a fork's tree has its root inside the inode.
//!
//! Invariants, which [`check`] verifies for a whole tree:
//! * records ascend strictly, within a block and from block to block;
//! * the key of each pointer is the key of the first record below; in a tree of
//!   overlapping records its high key is the greatest high key of all records below;
//! * blocks of one level form a doubly linked list in key order;
//! * a block other than the root is at least half full, except where its neighbours are
//!   too full to merge with and a fork's tree is small.
//!
//! What is read from disk is not trusted: levels, counts, pointers, owners and the order
//! from block to block are checked before use, and no walk follows links without a bound.

mod block;
pub mod check;
mod cursor;
mod delete;
mod insert;
mod keys;
mod query;
#[cfg(test)]
mod tests;

pub use cursor::Cursor;

use std::fmt::Debug;

use crate::buffer::BufferKind;
use crate::format::btree_block::BtreeKind;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// More levels than any tree can have: the deepest is a fork's tree of 2^48 extents in
/// blocks of 1024 bytes.
pub const MAX_HEIGHT: usize = 16;

/// Where a tree begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Root {
    /// The root block; `None` if the root is in an inode.
    pub block: Option<u64>,
    /// Number of levels, the root's included.
    pub height: u32,
}

/// What distinguishes one tree from another.
///
/// Pointers are widened to 64 bits: blocks of the allocation group in short form trees,
/// filesystem blocks in the long form.
pub trait Tree {
    /// A record, decoded.
    type Record: Copy + Debug;
    /// A key, decoded; its order is the tree's order.
    type Key: Copy + Debug + Ord;

    /// Magic, header form and entry sizes.
    const KIND: BtreeKind;
    /// What the buffer cache calls the blocks.
    const BUFFER: BufferKind;
    /// Whether records may overlap, so that inner blocks keep low and high keys.
    const OVERLAPPING: bool = false;

    /// Decodes a record; `bytes` has exactly the length of one.
    fn decode_record(&self, bytes: &[u8]) -> Self::Record;
    /// Encodes a record into `bytes`, which has exactly the length of one.
    fn encode_record(&self, record: &Self::Record, bytes: &mut [u8]);
    /// Decodes one key (half of an entry's keys in overlapping trees).
    fn decode_key(bytes: &[u8]) -> Self::Key;
    /// Encodes one key.
    fn encode_key(key: &Self::Key, bytes: &mut [u8]);
    /// The record's key.
    fn low_key(record: &Self::Record) -> Self::Key;
    /// The greatest key the record covers; only asked for in overlapping trees.
    fn high_key(record: &Self::Record) -> Self::Key {
        Self::low_key(record)
    }

    /// A number that ascends with the low key of an encoded record, quick to compute: only
    /// where two have the same are the keys decoded to compare them.
    fn order_record(_bytes: &[u8]) -> u64 {
        0
    }
    /// The same of an encoded key.
    fn order_key(_bytes: &[u8]) -> u64 {
        0
    }
    /// The same of a key.
    fn order(_key: &Self::Key) -> u64 {
        0
    }

    /// A number that ascends with the high key of an encoded record, quick to compute: only
    /// records with the greatest are decoded to find the greatest high key.
    fn rank_record(_bytes: &[u8]) -> u64 {
        0
    }
    /// The same of an encoded key.
    fn rank_key(_bytes: &[u8]) -> u64 {
        0
    }
    /// The same of a key.
    fn rank(_key: &Self::Key) -> u64 {
        0
    }

    /// Checks a record that was read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the record is impossible.
    fn verify_record(&self, mount: &Mount, record: &Self::Record) -> Result<()>;

    /// Allocation group number or inode number, as block headers have it.
    fn owner(&self) -> u64;
    /// The disk address of a block of the tree, if the tree can have that block at all.
    fn daddr(&self, mount: &Mount, block: u64) -> Option<u64>;
    /// Greatest number of levels.
    fn max_height(&self, mount: &Mount) -> u32;

    /// Where the tree begins now.
    fn root(&self, mount: &Mount) -> Root;
    /// Records a new root block and height, logged. Never called for inode roots.
    ///
    /// # Errors
    /// As those of logging the header that names the root.
    fn set_root(&mut self, tp: &mut Transaction<'_>, block: u64, height: u32) -> Result<()>;
    /// Takes a free block for the tree, near `near`.
    ///
    /// # Errors
    /// ENOSPC when there is none.
    fn alloc_block(&mut self, tp: &mut Transaction<'_>, near: u64) -> Result<u64>;
    /// Gives a block back. Its buffer was invalidated already.
    ///
    /// # Errors
    /// As those of freeing an extent.
    fn free_block(&mut self, tp: &mut Transaction<'_>, block: u64) -> Result<()>;

    /// The root in the inode, for trees that have one.
    fn inode_root<'m>(&self, _mount: &'m Mount) -> Option<&'m dyn InodeRoot<Self::Key>> {
        None
    }
    /// The same to be changed. The tree logs the root, in whole: every call is followed by
    /// a change.
    fn inode_root_mut<'m>(
        &mut self,
        _tp: &'m mut Transaction<'_>,
    ) -> Option<&'m mut dyn InodeRoot<Self::Key>> {
        None
    }
    /// Most entries of a root in the inode.
    fn inode_root_capacity(&self, _mount: &Mount) -> usize {
        0
    }
}

/// An inner block that lives in an inode's fork. Indices count from 0.
pub trait InodeRoot<K> {
    /// Number of entries.
    fn len(&self) -> usize;
    /// Whether it has no entries.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The entry at `index`: key and pointer.
    fn entry(&self, index: usize) -> Option<(K, u64)>;
    /// Adds an entry before the one at `index`, or at the end.
    fn insert(&mut self, index: usize, key: K, block: u64);
    /// Removes the entry at `index`.
    fn remove(&mut self, index: usize);
    /// Changes the key at `index`.
    fn set_key(&mut self, index: usize, key: K);
    /// Replaces everything: a root one level higher or lower. `level` counts the leaves as 0.
    fn replace(&mut self, level: u32, entries: &[(K, u64)]);
}

/// The error for something impossible in a block of the tree.
pub(crate) fn corrupt<T: Tree>(tree: &T, block: Option<u64>, why: impl Into<String>) -> Error {
    let at = match block {
        Some(block) if T::KIND.is_long() => {
            return Error::corrupt(
                T::BUFFER.name(),
                At::Inode(tree.owner()),
                format!("block {block}: {}", why.into()),
            );
        }
        Some(block) => At::AgBlock(tree.owner() as u32, u32::try_from(block).unwrap_or(u32::MAX)),
        None => At::Inode(tree.owner()),
    };
    Error::corrupt(T::BUFFER.name(), at, why)
}
