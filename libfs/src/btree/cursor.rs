//! A place in a tree: one block and slot per level.

use std::cmp::Ordering;

use super::block::{self, Layout, Side};
use super::{MAX_HEIGHT, Tree, corrupt};
use crate::buffer::BufferId;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Error, Result};

/// One level of a cursor's path.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Step {
    /// The block; meaningless for a root in an inode.
    pub(super) block: u64,
    /// Its buffer; `None` for a root in an inode.
    pub(super) buffer: Option<BufferId>,
    /// Where in the block, from 1; 0 is before the first entry, and one more than there
    /// are entries is behind the last.
    pub(super) slot: usize,
}

/// Which record a lookup wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    LessOrEqual,
    Equal,
    GreaterOrEqual,
}

/// A place in a tree.
///
/// The cursor does not hold the transaction: each method takes it, so that the tree's own
/// block allocation can use it too. A cursor stays right over its own changes; after
/// changes through another cursor it must look up again.
#[derive(Debug, Clone)]
pub struct Cursor<T> {
    /// The tree.
    pub tree: T,
    pub(super) layout: Layout,
    pub(super) path: [Step; MAX_HEIGHT],
    pub(super) height: u32,
}

impl<T: Tree> Cursor<T> {
    /// A cursor that stands nowhere.
    pub fn new(mount: &Mount, tree: T) -> Self {
        let layout = Layout::new::<T>(mount);
        Cursor { tree, layout, path: [Step::default(); MAX_HEIGHT], height: 0 }
    }

    // ---- Raw access to the path ----

    pub(super) fn step(&self, level: u32) -> &Step {
        &self.path[level as usize]
    }

    pub(super) fn step_mut(&mut self, level: u32) -> &mut Step {
        &mut self.path[level as usize]
    }

    pub(super) fn is_inode_root(&self, level: u32) -> bool {
        self.step(level).buffer.is_none()
    }

    /// The block number at `level`, if it is a block.
    pub(super) fn block(&self, level: u32) -> Option<u64> {
        self.step(level).buffer.map(|_| self.step(level).block)
    }

    /// The buffer at `level`; an error for a root in an inode, where callers never ask.
    pub(super) fn buffer(&self, level: u32) -> Result<BufferId> {
        self.step(level).buffer.ok_or_else(|| self.bad(level, "the root in the inode is no block"))
    }

    pub(super) fn bad(&self, level: u32, why: impl Into<String>) -> Error {
        corrupt(&self.tree, self.block(level), why)
    }

    pub(super) fn numrecs(&self, mount: &Mount, level: u32) -> usize {
        match self.step(level).buffer {
            Some(id) => block::numrecs_of(mount.buffer(id)),
            None => self.tree.inode_root(mount).map_or(0, |root| root.len()),
        }
    }

    pub(super) fn capacity(&self, mount: &Mount, level: u32) -> usize {
        match self.step(level).buffer {
            Some(_) => self.layout.capacity(level),
            None => self.tree.inode_root_capacity(mount),
        }
    }

    pub(super) fn sibling(&self, mount: &Mount, level: u32, side: Side) -> Option<u64> {
        let id = self.step(level).buffer?;
        block::sibling_of(mount.buffer(id), T::KIND, side)
    }

    /// The record in `slot` of the leaf; `slot` must be one of the leaf's.
    pub(super) fn record_at(&self, mount: &Mount, slot: usize) -> Option<T::Record> {
        let id = self.step(0).buffer?;
        let bytes = mount.buffer(id).get(self.layout.records(slot, 1))?;
        Some(self.tree.decode_record(bytes))
    }

    /// The low key in `slot` at `level`: of the record in a leaf.
    pub(super) fn low_key_at(&self, mount: &Mount, level: u32, slot: usize) -> Option<T::Key> {
        match self.step(level).buffer {
            Some(id) => self.low_key_in(mount.buffer(id), level, slot),
            None => self.tree.inode_root(mount)?.entry(slot.checked_sub(1)?).map(|entry| entry.0),
        }
    }

    pub(super) fn low_key_in(&self, bytes: &[u8], level: u32, slot: usize) -> Option<T::Key> {
        if level == 0 {
            let record = self.tree.decode_record(bytes.get(self.layout.records(slot, 1))?);
            return Some(T::low_key(&record));
        }
        Some(T::decode_key(bytes.get(self.layout.low_key(slot))?))
    }

    /// The child that `slot` of the inner block at `level` points to.
    pub(super) fn child_at(&self, mount: &Mount, level: u32, slot: usize) -> Result<u64> {
        let found = match self.step(level).buffer {
            Some(id) => mount.buffer(id).get(self.layout.ptrs(slot, 1)).map(block::read_ptr),
            None => self
                .tree
                .inode_root(mount)
                .and_then(|root| root.entry(slot.checked_sub(1)?))
                .map(|entry| entry.1),
        };
        found.ok_or_else(|| self.bad(level, format!("no entry {slot}")))
    }

    /// Reads `block`, checks that it belongs at `level` of this tree, and puts it there.
    pub(super) fn load(&mut self, mount: &mut Mount, level: u32, block: u64) -> Result<BufferId> {
        let id = self.read(mount, level, block)?;
        *self.step_mut(level) = Step { block, buffer: Some(id), slot: 0 };
        Ok(id)
    }

    /// Reads `block` and checks that it belongs at `level` of this tree.
    pub(super) fn read(&self, mount: &mut Mount, level: u32, block: u64) -> Result<BufferId> {
        let fail = |why: String| corrupt(&self.tree, Some(block), why);
        let daddr = self
            .tree
            .daddr(mount, block)
            .ok_or_else(|| fail("a pointer leads here, outside of what the tree can use".into()))?;
        let len = mount.geo.block_size;
        let id = mount.read_buffer(daddr, len, T::BUFFER)?;
        let bytes = mount.buffer(id);
        let (found, count) = (block::level_of(bytes), block::numrecs_of(bytes));
        if found != level {
            return Err(fail(format!("level {found}, expected {level}")));
        }
        let (least, most) = (usize::from(level > 0), self.layout.capacity(level));
        if !(least..=most).contains(&count) {
            return Err(fail(format!("{count} entries, expected {least} to {most}")));
        }
        let owner = block::owner_of(bytes, T::KIND);
        if owner != self.tree.owner() {
            return Err(fail(format!("owner {owner}, expected {}", self.tree.owner())));
        }
        Ok(id)
    }

    /// Starts at the root: sets the height and the topmost step.
    pub(super) fn enter(&mut self, mount: &mut Mount) -> Result<()> {
        let root = self.tree.root(mount);
        let most = self.tree.max_height(mount).min(MAX_HEIGHT as u32);
        if !(1..=most).contains(&root.height) {
            let why = format!("height {}, expected 1 to {most}", root.height);
            return Err(corrupt(&self.tree, root.block, why));
        }
        self.height = root.height;
        let top = root.height - 1;
        match root.block {
            Some(block) => {
                self.load(mount, top, block)?;
            }
            None => *self.step_mut(top) = Step::default(),
        }
        Ok(())
    }

    // ---- Lookup ----

    /// Stands on the last record whose key is at most `key`, or before the first; returns
    /// whether there is such a record.
    ///
    /// # Errors
    /// [`Error::Corrupt`] or [`Error::Io`] from a block on the way; so for every method
    /// that moves a cursor.
    pub fn lookup_le(&mut self, mount: &mut Mount, key: &T::Key) -> Result<bool> {
        self.lookup(mount, key, Want::LessOrEqual)
    }

    /// Stands on the record with `key`, or where it would have to be inserted; returns
    /// whether it exists.
    ///
    /// # Errors
    /// See [`Cursor::lookup_le`].
    pub fn lookup_eq(&mut self, mount: &mut Mount, key: &T::Key) -> Result<bool> {
        self.lookup(mount, key, Want::Equal)
    }

    /// Stands on the first record whose key is at least `key`, or behind the last; returns
    /// whether there is such a record.
    ///
    /// # Errors
    /// See [`Cursor::lookup_le`].
    pub fn lookup_ge(&mut self, mount: &mut Mount, key: &T::Key) -> Result<bool> {
        self.lookup(mount, key, Want::GreaterOrEqual)
    }

    fn lookup(&mut self, mount: &mut Mount, key: &T::Key, want: Want) -> Result<bool> {
        self.enter(mount)?;
        for level in (1..self.height).rev() {
            // The last entry that may cover the key; the first when all are greater.
            let slot = self.count_while(mount, level, key, |found| found <= key).max(1);
            self.step_mut(level).slot = slot;
            self.descend(mount, level)?;
        }
        let count = self.numrecs(mount, 0);
        let before = match want {
            Want::LessOrEqual => self.count_while(mount, 0, key, |found| found <= key),
            Want::Equal | Want::GreaterOrEqual => {
                self.count_while(mount, 0, key, |found| found < key)
            }
        };
        match want {
            Want::LessOrEqual => {
                self.step_mut(0).slot = before;
                Ok(before > 0)
            }
            Want::Equal => {
                self.step_mut(0).slot = before + 1;
                Ok(before < count && self.low_key_at(mount, 0, before + 1) == Some(*key))
            }
            Want::GreaterOrEqual if before < count || count == 0 => {
                self.step_mut(0).slot = before + 1;
                Ok(before < count)
            }
            Want::GreaterOrEqual => {
                self.step_mut(0).slot = before;
                self.increment(mount)
            }
        }
    }

    /// Goes from the entry the cursor stands on at `level` to its child, whose first key
    /// must be the entry's.
    pub(super) fn descend(&mut self, mount: &mut Mount, level: u32) -> Result<()> {
        let slot = self.step(level).slot;
        let child = self.child_at(mount, level, slot)?;
        self.load(mount, level - 1, child)?;
        let expected = self.low_key_at(mount, level, slot);
        let found = self.low_key_at(mount, level - 1, 1);
        if self.numrecs(mount, level - 1) > 0 && found != expected {
            let why = format!("first key {found:?}, but the block above says {expected:?}");
            return Err(self.bad(level - 1, why));
        }
        Ok(())
    }

    /// How many entries at `level`, from the first on, have a key that `holds` accepts; it
    /// must accept all keys less than `key`, none that are greater, and say for the same.
    pub(super) fn count_while(
        &self,
        mount: &Mount,
        level: u32,
        key: &T::Key,
        holds: impl Fn(&T::Key) -> bool,
    ) -> usize {
        let (mut low, mut high) = (0, self.numrecs(mount, level));
        let Some(id) = self.step(level).buffer else {
            return (0..high)
                .take_while(|&i| self.low_key_at(mount, level, i + 1).is_some_and(|k| holds(&k)))
                .count();
        };
        let bytes = mount.buffer(id);
        let wanted = T::order(key);
        while low < high {
            let middle = (low + high) / 2;
            let before = match self.order_in(bytes, level, middle + 1).cmp(&wanted) {
                Ordering::Less => true,
                Ordering::Greater => false,
                Ordering::Equal => {
                    self.low_key_in(bytes, level, middle + 1).is_some_and(|found| holds(&found))
                }
            };
            if before {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// What ascends with the low key in `slot` at `level`.
    fn order_in(&self, bytes: &[u8], level: u32, slot: usize) -> u64 {
        if level == 0 {
            return bytes.get(self.layout.records(slot, 1)).map_or(0, T::order_record);
        }
        bytes.get(self.layout.low_key(slot)).map_or(0, T::order_key)
    }

    /// Stands on the first record; returns whether there is one.
    ///
    /// # Errors
    /// See [`Cursor::lookup_le`].
    pub fn first(&mut self, mount: &mut Mount) -> Result<bool> {
        self.edge(mount, Side::Left)
    }

    /// Stands on the last record; returns whether there is one.
    ///
    /// # Errors
    /// See [`Cursor::lookup_le`].
    pub fn last(&mut self, mount: &mut Mount) -> Result<bool> {
        self.edge(mount, Side::Right)
    }

    fn edge(&mut self, mount: &mut Mount, side: Side) -> Result<bool> {
        self.enter(mount)?;
        for level in (0..self.height).rev() {
            let count = self.numrecs(mount, level);
            self.step_mut(level).slot = if side == Side::Left { 1 } else { count };
            if level > 0 {
                self.descend(mount, level)?;
            }
        }
        Ok(self.numrecs(mount, 0) > 0)
    }

    // ---- Movement ----

    /// Goes to the next record; returns whether there is one.
    ///
    /// # Errors
    /// See [`Cursor::lookup_le`].
    pub fn increment(&mut self, mount: &mut Mount) -> Result<bool> {
        self.advance(mount, 0, Side::Right)
    }

    /// Goes to the previous record; returns whether there is one.
    ///
    /// # Errors
    /// See [`Cursor::lookup_le`].
    pub fn decrement(&mut self, mount: &mut Mount) -> Result<bool> {
        self.advance(mount, 0, Side::Left)
    }

    /// Moves one entry to `side` at `level`; the path above follows, the path below does not.
    pub(super) fn advance(&mut self, mount: &mut Mount, level: u32, side: Side) -> Result<bool> {
        if self.move_in_block(mount, level, side) {
            return Ok(true);
        }
        self.cross(mount, level, side)
    }

    /// Moves to `side` within the block at `level`; false when that leaves the block.
    fn move_in_block(&mut self, mount: &Mount, level: u32, side: Side) -> bool {
        let count = self.numrecs(mount, level);
        let slot = &mut self.step_mut(level).slot;
        *slot = match side {
            Side::Right => (*slot + 1).min(count + 1),
            Side::Left => slot.saturating_sub(1),
        };
        (1..=count).contains(slot)
    }

    /// Goes to the near end of the block on `side` at `level`; false, with the path
    /// unchanged, when there is none.
    pub(super) fn cross(&mut self, mount: &mut Mount, level: u32, side: Side) -> Result<bool> {
        let Some(expected) = self.sibling(mount, level, side) else { return Ok(false) };
        let edge = self.edge_key(mount, level, side);
        let mut up = level + 1;
        while up < self.height && !self.move_in_block(mount, up, side) {
            up += 1;
        }
        if up >= self.height {
            return Err(self.bad(level, format!("sibling {expected} is not in the tree")));
        }
        for below in (level..up).rev() {
            let slot = self.step(below + 1).slot;
            let child = self.child_at(mount, below + 1, slot)?;
            self.load(mount, below, child)?;
            let count = self.numrecs(mount, below);
            self.step_mut(below).slot = if side == Side::Left { count } else { 1 };
        }
        if self.block(level) != Some(expected) {
            return Err(self.bad(level, format!("the block next to it names {expected} instead")));
        }
        let opposite = if side == Side::Left { Side::Right } else { Side::Left };
        let next = self.edge_key(mount, level, opposite);
        let ordered = match (edge, next, side) {
            (Some(from), Some(to), Side::Right) => from < to,
            (Some(from), Some(to), Side::Left) => to < from,
            _ => true,
        };
        if !ordered {
            return Err(self.bad(level, format!("{next:?} is next to {edge:?}, out of order")));
        }
        Ok(self.numrecs(mount, level) > 0)
    }

    /// The first or last key of the block at `level`.
    fn edge_key(&self, mount: &Mount, level: u32, side: Side) -> Option<T::Key> {
        let count = self.numrecs(mount, level);
        if count == 0 {
            return None;
        }
        self.low_key_at(mount, level, if side == Side::Left { 1 } else { count })
    }

    // ---- Records ----

    /// The record the cursor stands on, verified; `None` before the first and behind the last.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the record is impossible.
    pub fn get(&self, mount: &Mount) -> Result<Option<T::Record>> {
        let slot = self.step(0).slot;
        if self.height == 0 || slot == 0 || slot > self.numrecs(mount, 0) {
            return Ok(None);
        }
        let Some(record) = self.record_at(mount, slot) else { return Ok(None) };
        self.tree.verify_record(mount, &record)?;
        Ok(Some(record))
    }

    /// The record the cursor stands on, where there must be one.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when there is none or it is impossible.
    pub fn expect(&self, mount: &Mount) -> Result<T::Record> {
        self.get(mount)?.ok_or_else(|| self.bad(0, "a record that must exist is missing"))
    }

    /// Replaces the record the cursor stands on. Its place in the order must not change.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the cursor stands on no record.
    pub fn update(&mut self, tp: &mut Transaction<'_>, record: &T::Record) -> Result<()> {
        let slot = self.step(0).slot;
        if self.height == 0 || slot == 0 || slot > self.numrecs(tp, 0) {
            return Err(self.bad(0, "no record to update"));
        }
        let id = self.buffer(0)?;
        let range = self.layout.records(slot, 1);
        let old = self.tree.decode_record(&tp.buffer(id)[range.clone()]);
        self.tree.encode_record(record, tp.buffer_mut(id, range));
        let highs = (Some(T::high_key(&old)), Some(T::high_key(record)));
        self.update_keys_after(tp, 0, slot, highs)
    }
}
