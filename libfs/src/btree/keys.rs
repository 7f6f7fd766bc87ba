//! Upkeep of the keys in inner blocks.

use std::slice::ChunksExact;

use super::Tree;
use super::cursor::Cursor;
use crate::Result;
use crate::mount::Mount;
use crate::transaction::Transaction;

/// The high keys of what left a block and of what came; by them most updates know the new
/// greatest high key without looking at every record.
pub(super) type HighChange<K> = (Option<K>, Option<K>);

impl<T: Tree> Cursor<T> {
    /// Makes the keys above the block at `level` right after its entries changed.
    pub(super) fn update_keys(&mut self, tp: &mut Transaction<'_>, level: u32) -> Result<()> {
        if T::OVERLAPPING {
            return self.update_both_keys(tp, level, None);
        }
        let Some(key) = self.low_key_at(tp, level, 1) else { return Ok(()) };
        if self.numrecs(tp, level) == 0 {
            return Ok(());
        }
        for up in level + 1..self.height {
            let slot = self.step(up).slot;
            self.set_low_key(tp, up, slot, &key)?;
            if slot != 1 {
                break;
            }
        }
        Ok(())
    }

    /// The same after one record of the leaf came, went or changed.
    pub(super) fn update_keys_after(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        slot: usize,
        change: HighChange<T::Key>,
    ) -> Result<()> {
        if T::OVERLAPPING {
            return self.update_both_keys(tp, level, Some(change));
        }
        if slot == 1 { self.update_keys(tp, level) } else { Ok(()) }
    }

    fn set_low_key(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        slot: usize,
        key: &T::Key,
    ) -> Result<()> {
        if let Some(id) = self.step(level).buffer {
            T::encode_key(key, tp.buffer_mut(id, self.layout.low_key(slot)));
            return Ok(());
        }
        match self.tree.inode_root_mut(tp) {
            Some(root) => root.set_key(slot - 1, *key),
            None => return Err(self.bad(level, "no root")),
        }
        Ok(())
    }

    fn update_both_keys(
        &mut self,
        tp: &mut Transaction<'_>,
        level: u32,
        mut change: Option<HighChange<T::Key>>,
    ) -> Result<()> {
        for up in level + 1..self.height {
            let (id, slot) = (self.buffer(up)?, self.step(up).slot);
            let bytes = tp.buffer(id);
            let old_low = T::decode_key(&bytes[self.layout.low_key(slot)]);
            let old_high = T::decode_key(&bytes[self.layout.high_key(slot)]);
            let Some(low) = self.low_key_at(tp, up - 1, 1) else { return Ok(()) };
            let known = change.and_then(|change| changed_high(old_high, change));
            let Some(high) = known.or_else(|| self.greatest_high_key(tp, up - 1)) else {
                return Ok(());
            };
            if (low, high) == (old_low, old_high) {
                return Ok(());
            }
            T::encode_key(&low, tp.buffer_mut(id, self.layout.low_key(slot)));
            T::encode_key(&high, tp.buffer_mut(id, self.layout.high_key(slot)));
            change = Some((Some(old_high), Some(high)));
        }
        Ok(())
    }

    /// The greatest high key in the block at `level`, by looking at all of them.
    pub(super) fn greatest_high_key(&self, mount: &Mount, level: u32) -> Option<T::Key> {
        let bytes = mount.buffer(self.step(level).buffer?);
        let count = self.numrecs(mount, level);
        if count == 0 {
            return None;
        }
        // From the end: mostly the last record reaches furthest, and the rest need no look.
        let mut best: Option<(u64, T::Key)> = None;
        for (index, entry) in self.entries_in(bytes, level, (1, count)).enumerate().rev() {
            let rank = self.rank_of(level, entry);
            if best.is_none_or(|(highest, _)| rank >= highest) {
                let key = self.high_key_in(bytes, level, index + 1)?;
                best = best.max(Some((rank, key)));
            }
        }
        best.map(|(_, key)| key)
    }

    /// The records of a leaf, or the key pairs of an inner block, in slots `from..=to`.
    pub(super) fn entries_in<'b>(
        &self,
        bytes: &'b [u8],
        level: u32,
        (from, to): (usize, usize),
    ) -> ChunksExact<'b, u8> {
        let count = (to + 1).saturating_sub(from);
        let (range, len) = if level == 0 {
            (self.layout.records(from, count), T::KIND.record_len())
        } else {
            (self.layout.keys(from, count), T::KIND.key_len())
        };
        bytes.get(range).unwrap_or_default().chunks_exact(len)
    }

    /// What ascends with the high key of such an entry.
    pub(super) fn rank_of(&self, level: u32, entry: &[u8]) -> u64 {
        if level == 0 {
            return T::rank_record(entry);
        }
        entry.get(self.layout.second_key()).map_or(0, T::rank_key)
    }

    pub(super) fn high_key_in(&self, bytes: &[u8], level: u32, slot: usize) -> Option<T::Key> {
        if level == 0 {
            let record = self.tree.decode_record(bytes.get(self.layout.records(slot, 1))?);
            return Some(T::high_key(&record));
        }
        let range =
            if T::OVERLAPPING { self.layout.high_key(slot) } else { self.layout.low_key(slot) };
        Some(T::decode_key(bytes.get(range)?))
    }
}

/// The greatest high key after `change` if it was `old` before; `None` if only a look at
/// all of them can tell, because the greatest may have gone.
fn changed_high<K: Copy + Ord>(old: K, (gone, come): HighChange<K>) -> Option<K> {
    match (gone, come) {
        (_, Some(come)) if come >= old => Some(come),
        (Some(gone), _) if gone >= old => None,
        _ => Some(old),
    }
}
