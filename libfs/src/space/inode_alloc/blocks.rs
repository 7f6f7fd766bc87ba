//! Blocks for inodes.

use super::super::Owner;
use super::super::ag_reservation::Pool;
use super::super::alloc::{AllocArgs, Target, allocate};
use super::super::extent_free::FreeExtent;
use crate::Result;
use crate::transaction::Transaction;

/// Blocks wanted for a chunk, or for part of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// Allocation group.
    pub(super) agno: u32,
    /// How many; not one less will do.
    pub(super) blocks: u32,
    /// The first block is a multiple of this.
    pub(super) align: u32,
    /// First and last block that it may be; `None` for any.
    pub(super) range: Option<(u32, u32)>,
}

/// Takes blocks for inodes beginning exactly at `agbno`; the first of them is returned.
pub(super) fn exact(tp: &mut Transaction<'_>, wanted: Wanted, agbno: u32) -> Result<Option<u32>> {
    let target = Target::Exact(tp.geo.fsblock(wanted.agno, agbno));
    take(tp, wanted, target)
}

/// Takes blocks for inodes near `agbno`; the first of them is returned.
pub(super) fn near(tp: &mut Transaction<'_>, wanted: Wanted, agbno: u32) -> Result<Option<u32>> {
    let target = Target::InGroupNear(tp.geo.fsblock(wanted.agno, agbno));
    take(tp, wanted, target)
}

fn take(tp: &mut Transaction<'_>, wanted: Wanted, target: Target) -> Result<Option<u32>> {
    let args = AllocArgs {
        alignment: wanted.align,
        // Both inode btrees may have to split afterwards.
        min_left: tp.geo.max_levels.inobt,
        owner: Owner::INODES,
        // Inode clusters are not logged, and the inodes that were in blocks freed since the
        // last checkpoint may still be in memory.
        data: true,
        range: wanted.range,
        ..AllocArgs::new(wanted.blocks, wanted.blocks, target)
    };
    let found = allocate(tp, &args)?;
    Ok(found.map(|found| tp.geo.fsblock_agbno(found.block)))
}

/// Frees blocks of inodes when the transaction finishes its deferred operations.
pub(super) fn free(tp: &mut Transaction<'_>, agno: u32, agbno: u32, blocks: u32) {
    let block = tp.geo.fsblock(agno, agbno);
    tp.defer(FreeExtent::new(block, blocks, Owner::INODES, Pool::None));
}
