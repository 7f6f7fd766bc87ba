//! Giving blocks back to free space.

use super::ag_reservation::{self, Pool};
use super::{Owner, alloc, free_space, rmap};
use crate::format::btree_record::FreeExtent as FreeRecord;
use crate::format::geometry::FsBlock;
use crate::format::log::{self, DoneItem, IntentItem, IntentKind};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{At, Error, Result};

/// Most extents in one intent, as Linux logs them.
const MAX_EXTENTS: usize = 16;

/// An extent to be freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeExtent {
    /// First block.
    pub start: FsBlock,
    /// Number of blocks.
    pub len: u32,
    /// Whose reverse mapping goes with it; [`Owner::ELSEWHERE`] if an intent of its own
    /// removes that.
    pub owner: Owner,
    /// Reservation that gets the blocks back.
    pub pool: Pool,
}

impl FreeExtent {
    /// `len` blocks from `start` on.
    pub fn new(start: FsBlock, len: u32, owner: Owner, pool: Pool) -> Self {
        Self { start, len, owner, pool }
    }

    /// Blocks of file data, whose reverse mapping goes by an intent of its own.
    pub fn data(start: FsBlock, len: u32) -> Self {
        Self::new(start, len, Owner::ELSEWHERE, Pool::None)
    }

    /// Frees the extent in this transaction.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the blocks are not allocated or not the owner's, or from the
    /// trees; [`Error::Io`].
    pub fn free_now(&self, tp: &mut Transaction<'_>) -> Result<()> {
        let (agno, agbno) = tp.geo.fsblock_parts(self.start);
        if !tp.geo.valid_ag_extent(agno, agbno, self.len) {
            let why = format!("{} blocks to be freed are not all in the group", self.len);
            return Err(Error::corrupt("extent", At::AgBlock(agno, agbno), why));
        }
        let agf = tp.read_agf(agno)?;
        // Blocks that leave the free list must not bring others in.
        if self.pool != Pool::FreeList {
            alloc::fix_free_list(tp, agno, agf, true)?;
        }
        if self.owner != Owner::ELSEWHERE {
            rmap::remove_owner(tp, agno, agf, agbno, self.len, &self.owner)?;
        }
        free_space::give(tp, agno, agf, FreeRecord { start: agbno, len: self.len })?;
        ag_reservation::gave(tp, agno, self.pool, self.len);
        tp.ags[agno as usize].busy.insert(agbno, self.len);
        Ok(())
    }
}

fn logged(ops: &[FreeExtent]) -> Vec<log::FreeExtent> {
    ops.iter().map(|op| log::FreeExtent { start: op.start.0, len: op.len }).collect()
}

impl Deferred for FreeExtent {
    const MAX_ITEMS: usize = MAX_EXTENTS;

    fn intent(ops: &[Self], id: u64) -> IntentItem {
        IntentItem::ExtentFree { realtime: false, id, extents: logged(ops) }
    }

    fn done(ops: &[Self], id: u64) -> DoneItem {
        DoneItem { kind: IntentKind::ExtentFree, id, extents: logged(ops) }
    }

    fn finish_one(&mut self, tp: &mut Transaction<'_>) -> Result<Step> {
        self.free_now(tp)?;
        Ok(Step::Done)
    }

    fn recover(mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        let IntentItem::ExtentFree { realtime: false, extents, .. } = intent else {
            return Err(Error::corrupt("log intent item", At::Byte(0), "not an EFI"));
        };
        let op = |extent: &log::FreeExtent| {
            let start = FsBlock(extent.start);
            if !mount.geo.valid_fsb_extent(start, extent.len.into()) {
                let why = format!("{} blocks from {} on", extent.len, extent.start);
                return Err(Error::corrupt("EFI log item", At::Byte(0), why));
            }
            Ok(Self::new(start, extent.len, Owner::ANYBODY, Pool::None))
        };
        extents.iter().map(op).collect()
    }
}
