//! Deletion: take the entry out, and if its block becomes too empty, borrow from a
//! neighbour or merge with it and repeat one level up.

use super::Tree;
use super::block::{self, Side};
use super::cursor::{Cursor, Step};
use super::insert::{Path, move_to_left, move_to_right, shift_between};
use crate::Result;
use crate::transaction::Transaction;

impl<T: Tree> Cursor<T> {
    /// Deletes the record the cursor stands on. Afterwards the cursor stands on the record
    /// that followed in the same block, or behind the block's last: [`Cursor::decrement`]
    /// goes to the record before the deleted one, and after [`Cursor::get`] gave `None`,
    /// [`Cursor::increment`] goes to the one after it.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] when there is no record or a block on the way is wrong.
    pub fn delete(&mut self, tp: &mut Transaction<'_>) -> Result<()> {
        let slot = self.step(0).slot;
        if self.height == 0 || slot == 0 || slot > self.numrecs(tp, 0) {
            return Err(self.bad(0, "no record to delete"));
        }
        self.delete_entry(tp, 0)
    }

    fn delete_entry(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        let (slot, count) = (self.step(level).slot, self.numrecs(tp, level));
        if self.is_inode_root(level) {
            match self.tree.inode_root_mut(tp) {
                Some(root) => root.remove(slot - 1),
                None => return Err(self.bad(level, "no root")),
            }
            return self.collapse_inode_root(tp);
        }
        let id = self.buffer(level)?;
        let gone = if T::OVERLAPPING { self.high_key_in(tp.buffer(id), level, slot) } else { None };
        block::move_within(tp, &self.layout, level, id, (slot + 1, slot, count - slot));
        block::set_numrecs(tp, id, count - 1);
        if level + 1 == self.height {
            return self.collapse_root(tp, level);
        }
        if count > 1 {
            self.update_keys_after(tp, level, slot, (gone, None))?;
        }
        if count > self.layout.minimum(level) {
            return Ok(());
        }
        self.rebalance(tp, level)
    }

    /// Fills up the block at `level`, which has less than the least number of entries.
    fn rebalance(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        let only_child = self.sibling(tp, level, Side::Left).is_none()
            && self.sibling(tp, level, Side::Right).is_none();
        if only_child {
            if level + 2 == self.height && self.is_inode_root(level + 1) {
                return self.collapse_inode_root(tp);
            }
            return Ok(());
        }
        let minimum = self.layout.minimum(level);
        let right = self.neighbour(tp, level, Side::Right)?;
        if let Some(mut right) = right
            && right.numrecs(tp, level) > minimum
        {
            // The neighbour is the cursor for once: entries leave it.
            let mut left = Path::of(self);
            return self.at(&mut right, |cursor| move_to_left(&mut left, cursor, tp, level, 1));
        }
        let left = self.neighbour(tp, level, Side::Left)?;
        if let Some(mut left) = left
            && left.numrecs(tp, level) > minimum
        {
            let mut right = Path::of(self);
            self.at(&mut left, |cursor| move_to_right(cursor, &mut right, tp, level, 1))?;
            self.step_mut(level).slot += 1;
            return Ok(());
        }
        let count = self.numrecs(tp, level);
        let fits = |other: &Path, tp: &Transaction<'_>| {
            other.numrecs(tp, level) + count <= self.layout.capacity(level)
        };
        if let Some(left) = left.filter(|left| fits(left, tp)) {
            return self.merge_into_left(tp, level, &left);
        }
        if let Some(right) = right.filter(|right| fits(right, tp)) {
            return self.merge_with_right(tp, level, &right);
        }
        Ok(())
    }

    fn merge_into_left(&mut self, tp: &mut Transaction<'_>, level: u32, left: &Path) -> Result<()> {
        let (dying, kept) = (*self.step(level), *left.step(level));
        let there = left.numrecs(tp, level);
        self.merge(tp, level, kept, dying)?;
        *self.step_mut(level) = Step { slot: dying.slot + there, ..kept };
        self.remove_from_parent(tp, level)
    }

    fn merge_with_right(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        right: &Path,
    ) -> Result<()> {
        let kept = *self.step(level);
        // The path above must name the entry that goes, so look before the merge.
        let above = right.path;
        self.merge(tp, level, kept, *right.step(level))?;
        for up in level + 1..self.height {
            *self.step_mut(up) = above[up as usize];
        }
        self.remove_from_parent(tp, level)
    }

    /// Removes the entry above of a block that was merged into its left neighbour, which
    /// the cursor stands in at `level`, and goes to that neighbour's entry.
    fn remove_from_parent(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        self.delete_entry(tp, level + 1)?;
        // The root may have gone, or the level above may now be in the inode.
        if level + 1 < self.height {
            self.advance(tp, level + 1, Side::Left)?;
            if T::OVERLAPPING {
                self.update_keys(tp, level)?;
            }
        }
        Ok(())
    }

    /// Moves all entries of `dying` to the end of its left neighbour and frees it.
    fn merge(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        kept: Step,
        dying: Step,
    ) -> Result<()> {
        let (Some(to), Some(from)) = (kept.buffer, dying.buffer) else {
            return Err(self.bad(level, "no block"));
        };
        let there = block::numrecs_of(tp.buffer(to));
        let have = block::numrecs_of(tp.buffer(from));
        shift_between(self, tp, level, (from, have), (to, there), have, Side::Left);
        let beyond = block::sibling_of(tp.buffer(from), T::KIND, Side::Right);
        block::set_sibling(tp, T::KIND, to, Side::Right, beyond);
        if let Some(beyond) = beyond {
            let id = self.read(tp, level, beyond)?;
            block::set_sibling(tp, T::KIND, id, Side::Left, Some(kept.block));
        }
        tp.invalidate(from);
        self.tree.free_block(tp, dying.block)
    }

    /// Drops a root block that has only one child.
    fn collapse_root(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        if level == 0 || self.numrecs(tp, level) != 1 {
            return Ok(());
        }
        let old = *self.step(level);
        let child = self.child_at(tp, level, 1)?;
        self.tree.set_root(tp, child, level)?;
        self.height = level;
        tp.invalidate(self.buffer(level)?);
        self.tree.free_block(tp, old.block)
    }

    /// Moves the only child of the root in the inode into the root if it fits there and is
    /// no leaf; a tree whose leaf would fit becomes a list of extents, which is not done here.
    fn collapse_inode_root(&mut self, tp: &mut Transaction<'_>) -> Result<()> {
        let top = self.height - 1;
        if top < 2 || self.numrecs(tp, top) != 1 {
            return Ok(());
        }
        let child = self.child_at(tp, top, 1)?;
        let level = top - 1;
        let id = self.read(tp, level, child)?;
        let count = block::numrecs_of(tp.buffer(id));
        if count > self.tree.inode_root_capacity(tp) {
            return Ok(());
        }
        let bytes = tp.buffer(id);
        let entries: Vec<_> = (1..=count)
            .filter_map(|slot| {
                let key = T::decode_key(bytes.get(self.layout.low_key(slot))?);
                Some((key, block::read_ptr(bytes.get(self.layout.ptrs(slot, 1))?)))
            })
            .collect();
        match self.tree.inode_root_mut(tp) {
            Some(root) => root.replace(level, &entries),
            None => return Err(self.bad(top, "no root")),
        }
        self.height = top;
        *self.step_mut(level) = Step { slot: self.step(level).slot, ..Step::default() };
        tp.invalidate(id);
        self.tree.free_block(tp, child)
    }
}
