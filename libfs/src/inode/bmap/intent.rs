//! Mapping and unmapping as a deferred operation (BUI and BUD items).
//!
//! The blocks stay as they are: whoever queues an unmapping has another use for them, such
//! as mapping them elsewhere. Reverse mappings follow, deferred in turn.

use super::edit::{self, ReverseMapping};
use crate::format::geometry::{FsBlock, Ino};
use crate::format::log::intent::bmap_flags;
use crate::format::log::{DoneItem, IntentItem, IntentKind, MapExtent};
use crate::inode::extent_map::Extent;
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{At, Error, Result};

/// What to do with an extent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BmapOperation {
    /// Map it, where nothing is mapped.
    Map,
    /// Unmap whatever is mapped at its file blocks.
    Unmap,
}

/// One extent of one fork to map or unmap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BmapIntent {
    /// The inode in memory.
    pub inode: InodeRef,
    /// Its number.
    pub ino: u64,
    /// Which fork.
    pub which: WhichFork,
    /// What to do.
    pub operation: BmapOperation,
    /// The extent.
    pub extent: Extent,
}

impl BmapIntent {
    /// An operation on a fork of `inode`.
    pub fn new(
        mount: &Mount,
        inode: InodeRef,
        which: WhichFork,
        operation: BmapOperation,
        extent: Extent,
    ) -> Self {
        BmapIntent { inode, ino: mount.inode(inode).ino, which, operation, extent }
    }

    fn to_log(self) -> MapExtent {
        let operation = match self.operation {
            BmapOperation::Map => bmap_flags::MAP,
            BmapOperation::Unmap => bmap_flags::UNMAP,
        };
        let attr = if self.which == WhichFork::Attr { bmap_flags::ATTR_FORK } else { 0 };
        let unwritten = if self.extent.unwritten { bmap_flags::UNWRITTEN } else { 0 };
        MapExtent {
            me_owner: self.ino,
            me_startblock: self.extent.start.0,
            me_startoff: self.extent.offset,
            me_len: self.extent.len as u32,
            me_flags: operation | attr | unwritten,
        }
    }

    fn from_log(mount: &mut Mount, map: &MapExtent) -> Result<Self> {
        let bad = |why: String| Error::corrupt("bmap intent item", At::Inode(map.me_owner), why);
        if map.me_flags & bmap_flags::REALTIME != 0 {
            return Err(Error::Incompatible("the log maps extents of a realtime file".into()));
        }
        let operation = match map.me_flags & bmap_flags::TYPE_MASK {
            bmap_flags::MAP => BmapOperation::Map,
            bmap_flags::UNMAP => BmapOperation::Unmap,
            other => return Err(bad(format!("operation {other}"))),
        };
        if map.me_flags & !bmap_flags::ALL != 0 {
            return Err(bad(format!("flags {:#x}", map.me_flags)));
        }
        let attr = map.me_flags & bmap_flags::ATTR_FORK != 0;
        let which = if attr { WhichFork::Attr } else { WhichFork::Data };
        let extent = Extent {
            offset: map.me_startoff,
            start: FsBlock(map.me_startblock),
            len: map.me_len.into(),
            unwritten: map.me_flags & bmap_flags::UNWRITTEN != 0,
        };
        if !mount.geo.valid_ino(Ino(map.me_owner)) {
            return Err(bad("there can be no such inode".into()));
        }
        extent.verify(&mount.geo, Ino(map.me_owner), which, false)?;
        let inode = mount.iget(map.me_owner)?;
        super::load(mount, inode, which)?;
        super::extents(mount, inode, which)?;
        Ok(BmapIntent { inode, ino: map.me_owner, which, operation, extent })
    }

    /// Unmaps the last extent, or part of one, in the range; the rest stays in `self`.
    fn unmap_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        super::load(tp, self.inode, self.which)?;
        let (start, end) = (self.extent.offset, self.extent.end());
        let map = super::extents(tp, self.inode, self.which)?;
        let found = map.overlapping(start, end).next_back();
        let Some(part) = found.and_then(|found| found.clip(start, end)) else {
            return Ok(Step::Done);
        };
        edit::remove(tp, self.inode, self.which, part, ReverseMapping::Deferred)?;
        change_block_count(tp, self.inode, -(part.len as i64));
        self.extent.len = part.offset.saturating_sub(start);
        Ok(if self.extent.len == 0 { Step::Done } else { Step::Again })
    }
}

/// Changes an inode's count of blocks.
pub fn change_block_count(tp: &mut Transaction<'_>, inode: InodeRef, delta: i64) {
    let core = &mut tp.inode_mut(inode).core;
    core.nblocks = core.nblocks.saturating_add_signed(delta);
    tp.log_inode(inode, InodeLogFlags::CORE);
}

impl Deferred for BmapIntent {
    // Linux refuses to recover an item with more than one.
    const MAX_ITEMS: usize = 1;

    fn intent(ops: &[Self], id: u64) -> IntentItem {
        IntentItem::Bmap { id, extents: ops.iter().map(|op| op.to_log()).collect() }
    }

    fn done(_ops: &[Self], id: u64) -> DoneItem {
        DoneItem { kind: IntentKind::Bmap, id, extents: Vec::new() }
    }

    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        match self.operation {
            BmapOperation::Map => {
                edit::add(tp, self.inode, self.which, self.extent, ReverseMapping::Deferred)?;
                change_block_count(tp, self.inode, self.extent.len as i64);
                Ok(Step::Done)
            }
            BmapOperation::Unmap => self.unmap_one(tp),
        }
    }

    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        let IntentItem::Bmap { extents, .. } = intent else { return Ok(Vec::new()) };
        extents.iter().map(|map| Self::from_log(mount, map)).collect()
    }
}
