//! Searches in trees whose records may overlap.

use super::Tree;
use super::cursor::Cursor;
use crate::Result;
use crate::mount::Mount;

impl<T: Tree> Cursor<T> {
    /// Shows every record that overlaps the keys `low..=high` to `visit`, in order, until
    /// it returns something; the cursor then stands on that record.
    ///
    /// A record overlaps if its low key is at most `high` and its high key at least `low`.
    ///
    /// # Errors
    /// [`crate::Error::Corrupt`] or [`crate::Error::Io`] from a block on the way.
    pub fn find_overlapping<R>(
        &mut self,
        mount: &mut Mount,
        low: &T::Key,
        high: &T::Key,
        mut visit: impl FnMut(&T::Record) -> Option<R>,
    ) -> Result<Option<R>> {
        self.enter(mount)?;
        let mut level = self.height - 1;
        self.step_mut(level).slot = 0;
        // A sound tree has fewer blocks than this, and each is entered once.
        let mut budget = u64::from(mount.geo.ag_blocks);
        while level < self.height {
            let count = self.numrecs(mount, level);
            let step = self.step_mut(level);
            step.slot += 1;
            let slot = step.slot;
            if slot > count {
                level += 1;
                continue;
            }
            if self.low_key_at(mount, level, slot).is_none_or(|key| key > *high) {
                // Nothing further right can overlap: leave this block.
                self.step_mut(level).slot = count;
                continue;
            }
            let bytes = mount.buffer(self.buffer(level)?);
            if self.high_key_in(bytes, level, slot).is_none_or(|key| key < *low) {
                continue;
            }
            if level > 0 {
                budget = budget
                    .checked_sub(1)
                    .ok_or_else(|| self.bad(level, "the tree has more blocks than the group"))?;
                self.descend(mount, level)?;
                level -= 1;
                continue;
            }
            let record = self.expect(mount)?;
            if let Some(found) = visit(&record) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}
