//! Extents freed since the last checkpoint.
//!
//! Until a checkpoint makes the freeing durable, recovery may still bring back the former
//! owner. So nothing may be written there that does not go through the log: no file data,
//! no remote attribute values. Logged metadata may use the blocks at once, since it is
//! written in place only after the checkpoint.

use std::collections::BTreeMap;

use crate::mount::Mount;

/// The busy extents of one allocation group, disjoint.
#[derive(Debug, Default, Clone)]
pub struct BusyExtents {
    /// Length by first block.
    extents: BTreeMap<u32, u32>,
    blocks: u64,
}

impl BusyExtents {
    /// Adds an extent; parts that are in already do no harm.
    pub fn insert(&mut self, start: u32, len: u32) {
        self.remove(start, len);
        let (mut start, mut end) = (start, start.saturating_add(len));
        if let Some((&before, &its_len)) = self.extents.range(..start).next_back()
            && before + its_len == start
        {
            start = before;
        }
        if let Some(more) = self.extents.remove(&end) {
            end += more;
        }
        self.extents.insert(start, end - start);
        self.blocks += u64::from(len);
    }

    /// Takes blocks out that logged metadata reuses.
    pub fn remove(&mut self, start: u32, len: u32) {
        if self.extents.is_empty() {
            return;
        }
        let end = start.saturating_add(len);
        while let Some((from, to)) = self.overlap(start, end) {
            self.extents.remove(&from);
            self.blocks -= u64::from(to - from);
            if from < start {
                self.extents.insert(from, start - from);
                self.blocks += u64::from(start - from);
            }
            if to > end {
                self.extents.insert(end, to - end);
                self.blocks += u64::from(to - end);
            }
        }
    }

    /// The first busy extent, as `(start, end)`, that has blocks in `start..end`.
    pub fn overlap(&self, start: u32, end: u32) -> Option<(u32, u32)> {
        let before = self.extents.range(..=start).next_back();
        let covering = before.filter(|&(&from, &len)| from + len > start);
        let found = covering.or_else(|| {
            // A range must not end before it starts.
            (start < end).then(|| self.extents.range(start..end).next()).flatten()
        });
        found.filter(|_| start < end).map(|(&from, &len)| (from, from + len))
    }

    /// The parts of `start..end` that are not busy, in order.
    pub fn free_parts(&self, start: u32, end: u32) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut at = start;
        std::iter::from_fn(move || {
            while at < end {
                let Some((from, to)) = self.overlap(at, end) else {
                    let part = (at, end);
                    at = end;
                    return Some(part);
                };
                let part = (at, from);
                at = to;
                if part.0 < part.1 {
                    return Some(part);
                }
            }
            None
        })
    }

    /// Whether nothing is busy.
    pub fn is_empty(&self) -> bool {
        self.extents.is_empty()
    }

    /// Number of busy blocks.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Forgets everything: a checkpoint made all freeing durable.
    pub fn clear(&mut self) {
        self.extents.clear();
        self.blocks = 0;
    }
}

impl Mount {
    /// Blocks in all groups that were freed since the last checkpoint.
    pub fn busy_blocks(&self) -> u64 {
        self.ags.iter().map(|ag| ag.busy.blocks()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(busy: &BusyExtents) -> Vec<(u32, u32)> {
        busy.extents.iter().map(|(&start, &len)| (start, len)).collect()
    }

    #[test]
    fn neighbours_merge_and_reuse_splits() {
        let mut busy = BusyExtents::default();
        busy.insert(10, 5);
        busy.insert(20, 5);
        busy.insert(15, 5);
        assert_eq!(all(&busy), [(10, 15)]);
        assert_eq!(busy.blocks(), 15);
        busy.insert(12, 2);
        assert_eq!(busy.blocks(), 15);
        busy.remove(14, 2);
        assert_eq!(all(&busy), [(10, 4), (16, 9)]);
        assert_eq!(busy.blocks(), 13);
        busy.remove(0, 100);
        assert_eq!((all(&busy).len(), busy.blocks()), (0, 0));
    }

    #[test]
    fn free_parts_leave_busy_ones_out() {
        let mut busy = BusyExtents::default();
        busy.insert(10, 5);
        busy.insert(20, 5);
        let parts = |start, end| busy.free_parts(start, end).collect::<Vec<_>>();
        assert_eq!(parts(0, 30), [(0, 10), (15, 20), (25, 30)]);
        assert_eq!(parts(12, 22), [(15, 20)]);
        assert_eq!(parts(11, 14), []);
        assert_eq!(parts(15, 20), [(15, 20)]);
    }
}
