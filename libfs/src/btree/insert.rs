//! Insertion: make room in the leaf by shifting to a neighbour or splitting, and repeat one
//! level up for the new block.

use super::block::{self, Side};
use super::cursor::{Cursor, Step};
use super::{MAX_HEIGHT, Tree};
use crate::Result;
use crate::mount::Mount;
use crate::transaction::Transaction;

/// What goes into a block: a record into a leaf, a child with its keys elsewhere.
enum Entry<R, K> {
    Record(R),
    Child { low: K, high: K, block: u64 },
}

impl<T: Tree> Cursor<T> {
    /// Inserts `record` where the cursor stands, which a lookup for its key must have set,
    /// and stands on it.
    ///
    /// # Errors
    /// ENOSPC when the tree cannot get a block; [`crate::Error::Corrupt`] or
    /// [`crate::Error::Io`] from a block on the way.
    pub fn insert(&mut self, tp: &mut Transaction<'_>, record: &T::Record) -> Result<()> {
        if self.height == 0 {
            return Err(self.bad(0, "nothing was looked up before an insertion"));
        }
        self.insert_entry(tp, 0, &Entry::Record(*record))
    }

    fn insert_entry(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        entry: &Entry<T::Record, T::Key>,
    ) -> Result<()> {
        // Before the first means: as the first.
        let step = self.step_mut(level);
        step.slot = step.slot.max(1);
        self.make_room(tp, level)?;
        let slot = self.step(level).slot;
        let added = match entry {
            Entry::Record(record) => T::high_key(record),
            Entry::Child { high, .. } => *high,
        };
        if self.is_inode_root(level) {
            let Entry::Child { low, block, .. } = entry else {
                return Err(self.bad(level, "a record cannot go into a root in an inode"));
            };
            match self.tree.inode_root_mut(tp) {
                Some(root) => root.insert(slot - 1, *low, *block),
                None => return Err(self.bad(level, "no root")),
            }
            return Ok(());
        }
        let (id, count) = (self.buffer(level)?, self.numrecs(tp, level));
        if slot > count + 1 {
            return Err(self.bad(level, format!("insertion at {slot} of {count}")));
        }
        let moved = (slot, slot + 1, count + 1 - slot);
        block::move_within(tp, &self.layout, level, id, moved);
        match entry {
            Entry::Record(record) => {
                let bytes = tp.buffer_mut(id, self.layout.records(slot, 1));
                self.tree.encode_record(record, bytes);
            }
            Entry::Child { low, high, block } => {
                T::encode_key(low, tp.buffer_mut(id, self.layout.low_key(slot)));
                if T::OVERLAPPING {
                    T::encode_key(high, tp.buffer_mut(id, self.layout.high_key(slot)));
                }
                block::write_ptr(tp.buffer_mut(id, self.layout.ptrs(slot, 1)), *block);
            }
        }
        block::set_numrecs(tp, id, count + 1);
        self.update_keys_after(tp, level, slot, (None, Some(added)))
    }

    /// Makes sure that one more entry fits where the cursor stands at `level`; the cursor
    /// may end up in another block.
    fn make_room(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        if self.numrecs(tp, level) < self.capacity(tp, level) {
            return Ok(());
        }
        if self.is_inode_root(level) {
            self.push_inode_root(tp, level)?;
            if self.numrecs(tp, level) < self.capacity(tp, level) {
                return Ok(());
            }
            return self.split(tp, level);
        }
        if self.shift_right(tp, level)? || self.shift_left(tp, level)? {
            return Ok(());
        }
        self.split(tp, level)
    }

    /// Moves the last entries to the right neighbour if that has room: half as many as fit
    /// there, so that the next insertions find room too. The entry before which the new one
    /// goes stays.
    fn shift_right(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<bool> {
        let (slot, count) = (self.step(level).slot, self.numrecs(tp, level));
        if slot >= count {
            return Ok(false);
        }
        let Some(mut right) = self.neighbour(tp, level, Side::Right)? else { return Ok(false) };
        let room = self.layout.capacity(level).saturating_sub(right.numrecs(tp, level));
        if room == 0 {
            return Ok(false);
        }
        let moved = room.div_ceil(2).min(count - slot);
        move_to_right(self, &mut right, tp, level, moved)?;
        Ok(true)
    }

    /// Moves the first entries to the left neighbour if that has room, as many as above.
    fn shift_left(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<bool> {
        let slot = self.step(level).slot;
        if slot <= 1 {
            return Ok(false);
        }
        let Some(mut left) = self.neighbour(tp, level, Side::Left)? else { return Ok(false) };
        let room = self.layout.capacity(level).saturating_sub(left.numrecs(tp, level));
        if room == 0 {
            return Ok(false);
        }
        let moved = room.div_ceil(2).min(slot - 1);
        move_to_left(&mut left, self, tp, level, moved)?;
        self.step_mut(level).slot -= moved;
        Ok(true)
    }

    /// A cursor at the block on `side` of this one at `level`, right from `level` upwards.
    pub(super) fn neighbour(
        &mut self,
        mount: &mut Mount,
        level: u32,
        side: Side,
    ) -> Result<Option<Path>> {
        if self.is_inode_root(level) || level + 1 >= self.height {
            return Ok(None);
        }
        let mut path = Path::of(self);
        self.swap(&mut path);
        let found = self.cross(mount, level, side);
        self.swap(&mut path);
        Ok(found?.then_some(path))
    }

    fn swap(&mut self, other: &mut Path) {
        std::mem::swap(&mut self.path, &mut other.path);
        std::mem::swap(&mut self.height, &mut other.height);
    }

    /// Does something with the cursor standing on another path.
    pub(super) fn at<R>(&mut self, other: &mut Path, action: impl FnOnce(&mut Self) -> R) -> R {
        self.swap(other);
        let result = action(self);
        self.swap(other);
        result
    }

    /// Splits the block at `level` in two and puts the new one into the level above. The
    /// cursor stays with its slot, in whichever half that is now.
    fn split(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        let left = *self.step(level);
        let left_id = self.buffer(level)?;
        let count = self.numrecs(tp, level);
        let old_right = self.sibling(tp, level, Side::Right);
        let new = self.tree.alloc_block(tp, left.block)?;
        let new_id = block::new_block(tp, &self.tree, new, level, (Some(left.block), old_right))?;

        // With an odd count the half that gets the new entry gets the smaller share.
        let mut moved = count / 2;
        if count % 2 == 1 && left.slot <= moved + 1 {
            moved += 1;
        }
        let kept = count - moved;
        block::copy_between(tp, &self.layout, level, (left_id, kept + 1), (new_id, 1), moved);
        block::set_numrecs(tp, left_id, kept);
        block::set_numrecs(tp, new_id, moved);
        block::set_sibling(tp, T::KIND, left_id, Side::Right, Some(new));
        if let Some(beyond) = old_right {
            let id = self.read(tp, level, beyond)?;
            block::set_sibling(tp, T::KIND, id, Side::Left, Some(new));
        }
        if T::OVERLAPPING {
            self.update_keys(tp, level)?;
        }

        let right = Step { block: new, buffer: Some(new_id), slot: 0 };
        self.add_to_parent(tp, level, left, right)?;
        if left.slot > kept {
            *self.step_mut(level) = Step { slot: left.slot - kept, ..right };
        } else {
            *self.step_mut(level) = left;
            self.advance(tp, level + 1, Side::Left)?;
        }
        Ok(())
    }

    /// Puts the new block `right` behind `left` into the level above, and stands on it there.
    fn add_to_parent(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        left: Step,
        right: Step,
    ) -> Result<()> {
        if level + 1 == self.height {
            return self.new_root(tp, level, left, right);
        }
        *self.step_mut(level) = right;
        let (low, high) = self.keys_of(tp, level)?;
        *self.step_mut(level) = left;
        self.step_mut(level + 1).slot += 1;
        self.insert_entry(tp, level + 1, &Entry::Child { low, high, block: right.block })
    }

    /// Low key, and greatest high key, of the block at `level`.
    fn keys_of(&self, mount: &Mount, level: u32) -> Result<(T::Key, T::Key)> {
        let low = self.low_key_at(mount, level, 1);
        let high = if T::OVERLAPPING { self.greatest_high_key(mount, level) } else { low };
        low.zip(high).ok_or_else(|| self.bad(level, "it has no keys"))
    }

    /// Puts a new root above the former one, which was split into `left` and `right`.
    fn new_root(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        left: Step,
        right: Step,
    ) -> Result<()> {
        let top = level + 1;
        if self.height >= self.tree.max_height(tp).min(MAX_HEIGHT as u32) {
            return Err(self.bad(level, format!("a tree of {} levels cannot grow", self.height)));
        }
        let root = self.tree.alloc_block(tp, left.block)?;
        let id = block::new_block(tp, &self.tree, root, top, (None, None))?;
        for (slot, child) in [(1, left), (2, right)] {
            *self.step_mut(level) = child;
            let (low, high) = self.keys_of(tp, level)?;
            T::encode_key(&low, tp.buffer_mut(id, self.layout.low_key(slot)));
            if T::OVERLAPPING {
                T::encode_key(&high, tp.buffer_mut(id, self.layout.high_key(slot)));
            }
            block::write_ptr(tp.buffer_mut(id, self.layout.ptrs(slot, 1)), child.block);
        }
        block::set_numrecs(tp, id, 2);
        self.tree.set_root(tp, root, top + 1)?;
        self.height = top + 1;
        *self.step_mut(top) = Step { block: root, buffer: Some(id), slot: 2 };
        Ok(())
    }

    /// Moves what the root in an inode lists into a block of its own: for when the inode gets
    /// less room for it. The cursor stands nowhere afterwards.
    ///
    /// # Errors
    ///
    /// ENOSPC if there is no block; [`crate::Error::Corrupt`] or [`crate::Error::Io`] from
    /// the tree.
    pub fn empty_inode_root(&mut self, tp: &mut Transaction<'_>) -> Result<()> {
        self.first(tp)?;
        let top = self.height.saturating_sub(1);
        self.push_inode_root(tp, top)
    }

    /// Moves the full root in the inode into a block of its own and leaves one entry.
    fn push_inode_root(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        if self.height >= self.tree.max_height(tp).min(MAX_HEIGHT as u32) {
            return Err(self.bad(level, format!("a tree of {} levels cannot grow", self.height)));
        }
        let entries = self.inode_root_entries(tp);
        let near = entries.first().map_or(0, |entry| entry.1);
        if entries.is_empty() || entries.len() > self.layout.capacity(level) {
            return Err(self.bad(level, format!("a root with {} entries", entries.len())));
        }
        let new = self.tree.alloc_block(tp, near)?;
        let id = block::new_block(tp, &self.tree, new, level, (None, None))?;
        for (index, (key, child)) in entries.iter().enumerate() {
            T::encode_key(key, tp.buffer_mut(id, self.layout.low_key(index + 1)));
            block::write_ptr(tp.buffer_mut(id, self.layout.ptrs(index + 1, 1)), *child);
        }
        block::set_numrecs(tp, id, entries.len());
        match self.tree.inode_root_mut(tp) {
            Some(root) => root.replace(level + 1, &[(entries[0].0, new)]),
            None => return Err(self.bad(level, "no root")),
        }
        self.height += 1;
        let slot = self.step(level).slot;
        *self.step_mut(level) = Step { block: new, buffer: Some(id), slot };
        *self.step_mut(level + 1) = Step { slot: 1, ..Step::default() };
        Ok(())
    }

    /// All entries of the root in the inode.
    pub(super) fn inode_root_entries(&self, mount: &Mount) -> Vec<(T::Key, u64)> {
        self.tree
            .inode_root(mount)
            .map(|root| (0..root.len()).filter_map(|i| root.entry(i)).collect())
            .unwrap_or_default()
    }
}

/// Another place in the same tree.
#[derive(Debug, Clone, Copy)]
pub(super) struct Path {
    pub(super) path: [Step; MAX_HEIGHT],
    height: u32,
}

impl Path {
    pub(super) fn of<T: Tree>(cursor: &Cursor<T>) -> Self {
        Path { path: cursor.path, height: cursor.height }
    }

    pub(super) fn step(&self, level: u32) -> &Step {
        &self.path[level as usize]
    }

    pub(super) fn numrecs(&self, mount: &Mount, level: u32) -> usize {
        self.step(level).buffer.map_or(0, |id| block::numrecs_of(mount.buffer(id)))
    }
}

/// Moves the last `count` entries of `left` to the front of `right` and makes the keys
/// above both right. Slots are left alone.
pub(super) fn move_to_right<T: Tree>(
    left: &mut Cursor<T>,
    right: &mut Path,
    tp: &mut Transaction<'_>,
    level: u32,
    count: usize,
) -> Result<()> {
    let (Some(from), Some(to)) = (left.step(level).buffer, right.step(level).buffer) else {
        return Err(left.bad(level, "no block"));
    };
    let (have, there) = (left.numrecs(tp, level), right.numrecs(tp, level));
    shift_between(left, tp, level, (from, have), (to, there), count, Side::Right);
    left.at(right, |cursor| cursor.update_keys(tp, level))?;
    if T::OVERLAPPING { left.update_keys(tp, level) } else { Ok(()) }
}

/// Moves the first `count` entries of `right` to the end of `left` and makes the keys
/// above both right. Slots are left alone.
pub(super) fn move_to_left<T: Tree>(
    left: &mut Path,
    right: &mut Cursor<T>,
    tp: &mut Transaction<'_>,
    level: u32,
    count: usize,
) -> Result<()> {
    let (Some(to), Some(from)) = (left.step(level).buffer, right.step(level).buffer) else {
        return Err(right.bad(level, "no block"));
    };
    let (there, have) = (left.numrecs(tp, level), right.numrecs(tp, level));
    shift_between(right, tp, level, (from, have), (to, there), count, Side::Left);
    right.update_keys(tp, level)?;
    if T::OVERLAPPING {
        right.at(left, |cursor| cursor.update_keys(tp, level))?;
    }
    Ok(())
}

/// Moves `count` entries from one block to its neighbour on `side`; both blocks are given
/// with their numbers of entries.
pub(super) fn shift_between<T: Tree>(
    cursor: &Cursor<T>,
    tp: &mut Transaction<'_>,
    level: u32,
    (from, have): (crate::buffer::BufferId, usize),
    (to, there): (crate::buffer::BufferId, usize),
    count: usize,
    side: Side,
) {
    let layout = &cursor.layout;
    match side {
        Side::Right => {
            block::move_within(tp, layout, level, to, (1, 1 + count, there));
            block::copy_between(tp, layout, level, (from, have - count + 1), (to, 1), count);
        }
        Side::Left => {
            block::copy_between(tp, layout, level, (from, 1), (to, there + 1), count);
            block::move_within(tp, layout, level, from, (count + 1, 1, have - count));
        }
    }
    block::set_numrecs(tp, from, have - count);
    block::set_numrecs(tp, to, there + count);
}
