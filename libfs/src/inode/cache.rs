//! The inodes in memory, found by number or by handle.

use super::{Inode, InodeLogFlags};
use std::collections::BTreeMap;

/// Handle of an inode in the [`InodeCache`]; valid for the whole public operation that
/// got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeRef(u32);

/// Every inode in memory.
///
/// Inodes stay until [`InodeCache::trim`] drops the clean ones, which happens only between
/// operations, so handles need no counting.
#[derive(Debug, Default)]
pub struct InodeCache {
    slots: Vec<Option<Box<Inode>>>,
    free: Vec<u32>,
    by_number: BTreeMap<u64, InodeRef>,
    directory_rotor: u32,
    transaction: u64,
}

impl InodeCache {
    /// The handle of inode `ino`, if it is in memory.
    pub fn find(&self, ino: u64) -> Option<InodeRef> {
        self.by_number.get(&ino).copied()
    }

    /// Handles of the inodes in memory with numbers in `range`.
    pub fn find_range(&self, range: std::ops::Range<u64>) -> Vec<InodeRef> {
        self.by_number.range(range).map(|(_, &handle)| handle).collect()
    }

    /// Adds `inode`, in place of one with the same number if there is one: then the
    /// handle stays the same.
    pub fn insert(&mut self, inode: Inode) -> InodeRef {
        let ino = inode.ino;
        let handle = self.find(ino).unwrap_or_else(|| {
            let index = self.free.pop().unwrap_or_else(|| {
                self.slots.push(None);
                self.slots.len() as u32 - 1
            });
            InodeRef(index)
        });
        self.by_number.insert(ino, handle);
        self.slots[handle.0 as usize] = Some(Box::new(inode));
        handle
    }

    /// The inode behind a handle.
    ///
    /// # Panics
    ///
    /// If the handle is older than a [`InodeCache::trim`] that dropped the inode.
    pub fn get(&self, handle: InodeRef) -> &Inode {
        self.slots[handle.0 as usize].as_deref().expect("handles are not kept across operations")
    }

    /// The inode behind a handle, to be changed.
    ///
    /// # Panics
    ///
    /// As [`InodeCache::get`].
    pub fn get_mut(&mut self, handle: InodeRef) -> &mut Inode {
        self.slots[handle.0 as usize]
            .as_deref_mut()
            .expect("handles are not kept across operations")
    }

    /// Handles of all inodes in memory, by number.
    pub fn all(&self) -> Vec<InodeRef> {
        self.by_number.values().copied().collect()
    }

    /// How many inodes are in memory.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether no inode is in memory.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    /// Drops inodes without unwritten changes, unless someone holds them open, until at
    /// most `keep` are left. To be called between operations only: handles of dropped
    /// inodes become invalid.
    pub fn trim(&mut self, keep: usize) {
        if self.len() <= keep {
            return;
        }
        let mut excess = self.len() - keep;
        let slots = &mut self.slots;
        let free = &mut self.free;
        self.by_number.retain(|_, handle| {
            let slot = &mut slots[handle.0 as usize];
            let drop = excess > 0 && slot.as_ref().is_none_or(|inode| inode.is_droppable());
            if drop {
                *slot = None;
                free.push(handle.0);
                excess -= 1;
            }
            !drop
        });
    }

    /// The allocation group for the next new directory, counted up without end.
    pub(crate) fn next_directory_group(&mut self) -> u32 {
        let group = self.directory_rotor;
        self.directory_rotor = group.wrapping_add(1);
        group
    }

    /// A transaction began, or was rolled.
    pub(crate) fn next_transaction(&mut self) {
        self.transaction += 1;
    }

    /// Raises the change count of an inode whose core is being logged, once in each
    /// transaction.
    pub(crate) fn count_change(&mut self, handle: InodeRef, fields: InodeLogFlags) {
        let transaction = self.transaction;
        let inode = self.get_mut(handle);
        if fields.contains(InodeLogFlags::CORE) && inode.log.counted_in != transaction {
            inode.log.counted_in = transaction;
            inode.core.changecount = inode.core.changecount.wrapping_add(1);
        }
    }

    /// Forgets one inode, changed or not.
    pub fn remove(&mut self, handle: InodeRef) {
        if let Some(inode) = self.slots[handle.0 as usize].take() {
            self.by_number.remove(&inode.ino);
            self.free.push(handle.0);
        }
    }
}
