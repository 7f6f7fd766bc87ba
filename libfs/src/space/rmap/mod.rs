//! The reverse mapping: who owns each block.
//!
//! Blocks that only the allocation group's own structures use are recorded at once
//! ([`add_owner`], [`remove_owner`]); for file data an intent is deferred ([`RmapIntent`]).
//! Records are as long as they can be: neighbours that one record could describe are merged.
//! Where files share blocks, records of different owners overlap.

mod edit;
mod shared;

use edit::Change;

use super::trees::Rmapbt;
use super::{Owner, alloc, fork_flag};
use crate::btree::Cursor;
use crate::buffer::BufferId;
use crate::format::btree_record::{Rmap, RmapFlags, owner};
use crate::format::geometry::{Fork, FsBlock, Geometry, Ino};
use crate::format::log::intent::rmap_flags;
use crate::format::log::{DoneItem, IntentItem, IntentKind, MapExtent};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{At, Error, Result};

/// Most changes in one intent, as Linux logs them.
const MAX_CHANGES: usize = 16;

/// Records that `len` blocks belong to `owner`. Nothing happens without the feature.
///
/// # Errors
/// [`Error::Corrupt`] when the blocks have an owner, or from the tree; [`Error::Io`].
pub(crate) fn add_owner(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    agbno: u32,
    len: u32,
    owner: &Owner,
) -> Result<()> {
    if !tp.geo.features.rmapbt {
        return Ok(());
    }
    let mut cursor = Rmapbt::cursor(tp, agno, agf);
    edit::map(tp, &mut cursor, &Change::new(agbno, len, owner, false))
}

/// Forgets that `len` blocks belong to `owner`. Nothing happens without the feature.
///
/// # Errors
/// [`Error::Corrupt`] when they do not, or from the tree; [`Error::Io`].
pub(crate) fn remove_owner(
    tp: &mut Transaction<'_>,
    agno: u32,
    agf: BufferId,
    agbno: u32,
    len: u32,
    owner: &Owner,
) -> Result<()> {
    if !tp.geo.features.rmapbt {
        return Ok(());
    }
    let mut cursor = Rmapbt::cursor(tp, agno, agf);
    edit::unmap(tp, &mut cursor, &Change::new(agbno, len, owner, false))
}

/// What a deferred change of the reverse mapping does. "Shared" ones are for files that may
/// share blocks (`XFS_DIFLAG2_REFLINK`), whose records may overlap others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RmapOperation {
    /// Add a mapping.
    Map,
    /// Add a mapping that may overlap others.
    MapShared,
    /// Remove a mapping.
    Unmap,
    /// Remove a mapping that may overlap others.
    UnmapShared,
    /// Change between written and unwritten.
    Convert,
    /// Change between written and unwritten where others may overlap.
    ConvertShared,
    /// Add an owner that is not an inode.
    Alloc,
    /// Remove an owner that is not an inode.
    Free,
}

impl RmapOperation {
    const NUMBERS: [(Self, u32); 8] = [
        (Self::Map, rmap_flags::MAP),
        (Self::MapShared, rmap_flags::MAP_SHARED),
        (Self::Unmap, rmap_flags::UNMAP),
        (Self::UnmapShared, rmap_flags::UNMAP_SHARED),
        (Self::Convert, rmap_flags::CONVERT),
        (Self::ConvertShared, rmap_flags::CONVERT_SHARED),
        (Self::Alloc, rmap_flags::ALLOC),
        (Self::Free, rmap_flags::FREE),
    ];

    fn number(self) -> u32 {
        Self::NUMBERS.iter().find(|(op, _)| *op == self).map_or(0, |(_, number)| *number)
    }

    fn from_number(number: u32) -> Option<Self> {
        Self::NUMBERS.iter().find(|(_, n)| *n == number).map(|(op, _)| *op)
    }
}

/// A change of the reverse mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RmapIntent {
    /// What to do.
    pub operation: RmapOperation,
    /// First block.
    pub start: FsBlock,
    /// Number of blocks.
    pub len: u32,
    /// Whose mapping, with its offset in the fork.
    pub owner: Owner,
    /// Whether the blocks are unwritten: for conversions, afterwards.
    pub unwritten: bool,
    /// Whether the fork is known to map nothing that continues a new mapping, so that there
    /// is no record to merge it with. Not logged: recovery looks for such records.
    pub alone: bool,
}

impl RmapIntent {
    /// Blocks that a file of inode `ino` maps (or used to map) at `offset` of a fork.
    pub fn file(
        operation: RmapOperation,
        ino: u64,
        fork: Fork,
        offset: u64,
        (start, len): (FsBlock, u32),
        unwritten: bool,
    ) -> Self {
        let owner = Owner { owner: ino, offset, flags: fork_flag(fork) };
        Self { operation, start, len, owner, unwritten, alone: false }
    }

    /// Defers the change; does nothing on a filesystem without reverse mappings.
    pub fn defer(self, tp: &mut Transaction<'_>) {
        if tp.geo.features.rmapbt {
            tp.defer(self);
        }
    }

    fn apply(&self, tp: &mut Transaction<'_>) -> Result<()> {
        let (agno, agbno) = tp.geo.fsblock_parts(self.start);
        let agf = tp.read_agf(agno)?;
        // The tree takes its blocks from the free list.
        alloc::fix_free_list(tp, agno, agf, true)?;
        let mut cursor: Cursor<Rmapbt> = Rmapbt::cursor(tp, agno, agf);
        let change = Change::new(agbno, self.len, &self.owner, self.unwritten);
        match self.operation {
            RmapOperation::Map | RmapOperation::Alloc => edit::map(tp, &mut cursor, &change),
            RmapOperation::Unmap | RmapOperation::Free => edit::unmap(tp, &mut cursor, &change),
            RmapOperation::MapShared => shared::map(tp, &mut cursor, &change, self.alone),
            RmapOperation::UnmapShared => shared::unmap(tp, &mut cursor, &change),
            RmapOperation::Convert | RmapOperation::ConvertShared => {
                shared::convert(tp, &mut cursor, &change)
            }
        }
    }

    fn to_log(self) -> MapExtent {
        let mut flags = self.operation.number();
        for (ours, bit) in [
            (RmapFlags::ATTR_FORK, rmap_flags::ATTR_FORK),
            (RmapFlags::BMBT_BLOCK, rmap_flags::BMBT_BLOCK),
        ] {
            if self.owner.flags.contains(ours) {
                flags |= bit;
            }
        }
        if self.unwritten {
            flags |= rmap_flags::UNWRITTEN;
        }
        MapExtent {
            me_owner: self.owner.owner,
            me_startblock: self.start.0,
            me_startoff: self.owner.offset,
            me_len: self.len,
            me_flags: flags,
        }
    }

    fn from_log(geo: &Geometry, logged: &MapExtent) -> Result<Self> {
        let bad = |what: &str| Error::corrupt("RUI log item", At::Byte(0), what.to_string());
        let bits = logged.me_flags;
        if bits & !rmap_flags::ALL != 0 {
            return Err(bad("unknown flags"));
        }
        let operation = RmapOperation::from_number(bits & rmap_flags::TYPE_MASK)
            .ok_or_else(|| bad("unknown operation"))?;
        let known = if owner::is_special(logged.me_owner) {
            (owner::COW..=owner::FS).contains(&logged.me_owner)
        } else {
            geo.valid_ino(Ino(logged.me_owner))
        };
        if !known {
            return Err(bad("impossible owner"));
        }
        let start = FsBlock(logged.me_startblock);
        if !geo.valid_fsb_extent(start, logged.me_len.into())
            || !geo.valid_file_range(logged.me_startoff, logged.me_len.into())
        {
            return Err(bad("impossible extent"));
        }
        let mut flags = RmapFlags::empty();
        flags.set(RmapFlags::ATTR_FORK, bits & rmap_flags::ATTR_FORK != 0);
        flags.set(RmapFlags::BMBT_BLOCK, bits & rmap_flags::BMBT_BLOCK != 0);
        let mut owner = Owner { owner: logged.me_owner, offset: logged.me_startoff, flags };
        if !owner.has_offset() {
            owner.offset = 0;
        }
        let unwritten = bits & rmap_flags::UNWRITTEN != 0;
        Ok(Self { operation, start, len: logged.me_len, owner, unwritten, alone: false })
    }
}

impl Deferred for RmapIntent {
    const MAX_ITEMS: usize = MAX_CHANGES;

    fn intent(ops: &[Self], id: u64) -> IntentItem {
        let extents = ops.iter().map(|op| op.to_log()).collect();
        IntentItem::Rmap { realtime: false, id, extents }
    }

    fn done(_ops: &[Self], id: u64) -> DoneItem {
        DoneItem { kind: IntentKind::Rmap, id, extents: Vec::new() }
    }

    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        if tp.geo.features.rmapbt {
            self.apply(tp)?;
        }
        Ok(Step::Done)
    }

    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        let IntentItem::Rmap { realtime: false, extents, .. } = intent else {
            return Err(Error::corrupt("log intent item", At::Byte(0), "not an RUI"));
        };
        if !mount.geo.features.rmapbt {
            let why = "the filesystem has no reverse mapping";
            return Err(Error::corrupt("RUI log item", At::Byte(0), why));
        }
        extents.iter().map(|extent| Self::from_log(&mount.geo, extent)).collect()
    }
}

/// Every reverse mapping of group `agno`, in order, shown to `visit`.
///
/// # Errors
/// [`Error::Corrupt`] or [`Error::Io`] from the tree, and whatever `visit` returns.
pub fn for_each(
    mount: &mut Mount,
    agno: u32,
    mut visit: impl FnMut(&Rmap) -> Result<()>,
) -> Result<()> {
    let agf = mount.read_agf(agno)?;
    let mut cursor = Rmapbt::cursor(mount, agno, agf);
    let mut more = cursor.first(mount)?;
    while more {
        visit(&cursor.expect(mount)?)?;
        more = cursor.increment(mount)?;
    }
    Ok(())
}
