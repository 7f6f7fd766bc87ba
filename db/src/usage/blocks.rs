//! What each block is used for, as runs of blocks of the same use, so that memory goes with
//! the number of extents and not with the size of the device.

use libfs::format::geometry::Ino;
use std::collections::BTreeMap;

/// What a block is used for; names as xfs_db 7.2 prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unknown,
    Agf,
    Agfl,
    Agi,
    Attr,
    Btbno,
    Btcnt,
    Btfino,
    Btino,
    Btrefcnt,
    Btrmap,
    Cowdata,
    Data,
    Dir,
    /// Free by the tree by block.
    Free1,
    /// Free by the tree by size, too.
    Free2,
    Freelist,
    Inode,
    Log,
    /// Behind the end of the group.
    Missing,
    Quota,
    Rldata,
    Rtbitmap,
    Rtdata,
    Rtfree,
    Rtsum,
    Sb,
    Symlink,
}

impl Kind {
    /// The kind's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Agf => "agf",
            Self::Agfl => "agfl",
            Self::Agi => "agi",
            Self::Attr => "attr",
            Self::Btbno => "btbno",
            Self::Btcnt => "btcnt",
            Self::Btfino => "btfino",
            Self::Btino => "btino",
            Self::Btrefcnt => "btrefcnt",
            Self::Btrmap => "btrmap",
            Self::Cowdata => "cowdata",
            Self::Data => "data",
            Self::Dir => "dir",
            Self::Free1 => "free1",
            Self::Free2 => "free2",
            Self::Freelist => "freelist",
            Self::Inode => "inode",
            Self::Log => "log",
            Self::Missing => "missing",
            Self::Quota => "quota",
            Self::Rldata => "rldata",
            Self::Rtbitmap => "rtbitmap",
            Self::Rtdata => "rtdata",
            Self::Rtfree => "rtfree",
            Self::Rtsum => "rtsum",
            Self::Sb => "sb",
            Self::Symlink => "symlink",
        }
    }
}

/// What is known of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Use {
    /// What it is used for.
    pub kind: Kind,
    /// The inode that has it, 0 for none.
    pub owner: u64,
}

impl Use {
    /// What is known before anything claimed the block.
    const NONE: Self = Use { kind: Kind::Unknown, owner: 0 };

    /// The inode that has the block.
    pub fn ino(self) -> Option<Ino> {
        (self.owner != 0).then_some(Ino(self.owner))
    }
}

/// A run of blocks of the same use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// First block.
    pub start: u64,
    /// Number of blocks.
    pub len: u64,
    /// What they are used for.
    pub is: Use,
}

/// The blocks of one address space.
#[derive(Debug, Default)]
pub struct Blocks {
    /// Length and use of each run, by its first block; runs do not overlap.
    runs: BTreeMap<u64, (u64, Use)>,
}

impl Blocks {
    /// The use of a block.
    pub fn at(&self, block: u64) -> Use {
        let before = self.runs.range(..=block).next_back();
        let holds = before.filter(|(start, run)| block - *start < run.0);
        holds.map_or(Use::NONE, |(_, run)| run.1)
    }

    /// The runs that `len` blocks from `start` on are made of, cut to them; blocks that
    /// nothing claimed are runs, too.
    pub fn runs(&self, start: u64, len: u64) -> Vec<Run> {
        let end = start.saturating_add(len);
        let from = self.runs.range(..=start).next_back().map_or(start, |(first, _)| *first);
        let mut found = Vec::new();
        let mut at = start;
        for (&first, &(len, is)) in self.runs.range(from..end) {
            let last = first.saturating_add(len).min(end);
            let first = first.max(at);
            if last <= first {
                continue;
            }
            if first > at {
                found.push(Run { start: at, len: first - at, is: Use::NONE });
            }
            found.push(Run { start: first, len: last - first, is });
            at = last;
        }
        if at < end {
            found.push(Run { start: at, len: end - at, is: Use::NONE });
        }
        found
    }

    /// Every run that something claimed, in order.
    pub fn all(&self) -> impl Iterator<Item = Run> + '_ {
        self.runs.iter().map(|(&start, &(len, is))| Run { start, len, is })
    }

    /// Whether nothing claimed any of the blocks.
    pub fn is_free_of_use(&self, start: u64, len: u64) -> bool {
        let before = self.runs.range(..start.saturating_add(len)).next_back();
        before.is_none_or(|(first, run)| first.saturating_add(run.0) <= start)
    }

    /// Notes the use of a run, whatever it was before.
    pub fn set(&mut self, run: Run) {
        let end = run.start.saturating_add(run.len);
        if !self.is_free_of_use(run.start, run.len) {
            self.cut(run.start, end);
        }
        let before = self.runs.range_mut(..run.start).next_back();
        if let Some((first, (len, is))) = before
            && *is == run.is
            && first.saturating_add(*len) == run.start
        {
            *len = len.saturating_add(run.len);
            return;
        }
        self.runs.insert(run.start, (run.len, run.is));
    }

    /// Takes away all blocks from `start` to `end`.
    fn cut(&mut self, start: u64, end: u64) {
        let before = self.runs.range(..start).next_back().map(|(&first, &run)| (first, run));
        if let Some((first, (len, is))) = before {
            let last = first.saturating_add(len);
            if last > start {
                self.runs.insert(first, (start - first, is));
            }
            if last > end {
                self.runs.insert(end, (last - end, is));
                return;
            }
        }
        let inside: Vec<u64> = self.runs.range(start..end).map(|(&first, _)| first).collect();
        for first in inside {
            if let Some((len, is)) = self.runs.remove(&first) {
                let last = first.saturating_add(len);
                if last > end {
                    self.runs.insert(end, (last - end, is));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Data, Dir, Unknown};

    /// The runs say the same as one entry for each block would.
    #[test]
    fn runs_are_as_good_as_blocks() {
        const SIZE: u64 = 200;
        let mut blocks = Blocks::default();
        let mut each = vec![Use::NONE; SIZE as usize];
        let mut random = 0x2545_f491_4f6c_dd1d_u64;
        for _ in 0..2000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (start, len) = ((random >> 33) % SIZE, 1 + (random >> 45) % 20);
            let len = len.min(SIZE - start);
            let kind = [Unknown, Data, Dir][(random >> 60) as usize % 3];
            let is = Use { kind, owner: (random >> 50) % 2 };
            blocks.set(Run { start, len, is });
            each[start as usize..(start + len) as usize].fill(is);
            let whole = blocks.runs(0, SIZE);
            assert_eq!(whole.iter().map(|run| run.len).sum::<u64>(), SIZE);
            for run in whole {
                for block in run.start..run.start + run.len {
                    assert_eq!(run.is, each[block as usize]);
                    assert_eq!(blocks.at(block), each[block as usize]);
                }
            }
        }
    }
}
