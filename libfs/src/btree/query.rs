//! Searches in trees whose records may overlap.

use super::cursor::Cursor;
use super::{MAX_HEIGHT, Tree};
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
        let mut last = [0; MAX_HEIGHT];
        last[level as usize] = self.count_while(mount, level, high, |found| found <= high);
        // A sound tree has fewer blocks than this, and each is entered once.
        let mut budget = u64::from(mount.geo.ag_blocks);
        while level < self.height {
            let from = self.step(level).slot + 1;
            let Some(slot) = self.reaching(mount, level, (from, last[level as usize]), low)? else {
                level += 1;
                continue;
            };
            self.step_mut(level).slot = slot;
            if level > 0 {
                budget = budget
                    .checked_sub(1)
                    .ok_or_else(|| self.bad(level, "the tree has more blocks than the group"))?;
                self.descend(mount, level)?;
                level -= 1;
                last[level as usize] = self.count_while(mount, level, high, |found| found <= high);
                continue;
            }
            let record = self.expect(mount)?;
            if let Some(found) = visit(&record) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The first of the slots `from..=to` at `level` whose high key is at least `low`.
    fn reaching(
        &self,
        mount: &Mount,
        level: u32,
        (from, to): (usize, usize),
        low: &T::Key,
    ) -> Result<Option<usize>> {
        if from > to {
            return Ok(None);
        }
        let bytes = mount.buffer(self.buffer(level)?);
        let least = T::rank(low);
        let entries = self.entries_in(bytes, level, (from, to));
        let reaches = |(index, entry): (usize, &[u8])| {
            let (rank, slot) = (self.rank_of(level, entry), from + index);
            let far = rank > least
                || (rank == least
                    && self.high_key_in(bytes, level, slot).is_some_and(|key| key >= *low));
            far.then_some(slot)
        };
        Ok(entries.enumerate().find_map(reaches))
    }
}
