//! What has to be known about the allocation groups before anything is changed.

use super::ag_reservation::{self, TreeSizes};
use super::header;
use super::trees::Finobt;
use crate::Result;
use crate::btree::check;
use crate::mount::{Counters, Mount};

/// Sets up every group's reservations. To be called when the filesystem was opened and its
/// log replayed.
///
/// # Errors
/// [`crate::Error::Corrupt`] or [`crate::Error::Io`] from the group headers, or from the
/// free inode tree if only a walk can tell its size.
pub fn init_reservations(mount: &mut Mount) -> Result<()> {
    for agno in 0..mount.geo.ag_count {
        let sizes = tree_sizes(mount, agno)?;
        ag_reservation::init(mount, agno, sizes);
    }
    Ok(())
}

/// Gives up every group's reservations: the counters are then what the superblock holds.
pub fn release_reservations(mount: &mut Mount) {
    for agno in 0..mount.geo.ag_count {
        ag_reservation::release(mount, agno);
    }
}

/// What one group keeps back for its btrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reserved {
    /// Blocks of the group, by its AGF.
    pub length: u32,
    /// Free blocks, those on the free list included, by its AGF.
    pub free: u32,
    /// Blocks that the btrees may have in all.
    pub asked: u64,
    /// Blocks that they have.
    pub used: u64,
}

/// What group `agno` keeps back. Only its headers are read, nothing is kept back by this.
///
/// # Errors
/// As [`init_reservations`].
pub fn reserved(mount: &mut Mount, agno: u32) -> Result<Reserved> {
    let sizes = tree_sizes(mount, agno)?;
    let agf = mount.read_agf(agno)?;
    let agf = header::agf(mount, agf)?;
    let free = agf.freeblks.get().saturating_add(agf.flcount.get());
    let length = agf.length.get();
    let pools = ag_reservation::calculate(mount, agno, sizes);
    let pools = [pools.metadata, pools.rmapbt];
    let asked = pools.iter().map(|pool| u64::from(pool.asked)).sum();
    let kept: u64 = pools.iter().map(|pool| u64::from(pool.reserved)).sum();
    Ok(Reserved { length, free, asked, used: asked - kept })
}

fn tree_sizes(mount: &mut Mount, agno: u32) -> Result<TreeSizes> {
    let features = mount.geo.features;
    let agf = mount.read_agf(agno)?;
    let agf = header::agf(mount, agf)?;
    let mut sizes = TreeSizes::default();
    if features.rmapbt {
        sizes.rmapbt = agf.rmapblocks.get();
    }
    if features.reflink {
        sizes.refcount = agf.refcntblocks.get();
    }
    if features.finobt {
        let agi = mount.read_agi(agno)?;
        sizes.finobt = if features.inobtcount {
            header::agi(mount, agi)?.fblocks.get()
        } else {
            let tree = Finobt::new(mount, agno, agi);
            let blocks = check::walk(mount, tree, |_, _| Ok(()))?.blocks;
            u32::try_from(blocks).unwrap_or(u32::MAX)
        };
    }
    Ok(sizes)
}

/// Sums the superblock's counters up from the group headers, which hold the truth after a
/// crash. `reserved` keeps its value.
///
/// # Errors
/// [`crate::Error::Corrupt`] or [`crate::Error::Io`] from the group headers.
pub fn sum_counters(mount: &mut Mount) -> Result<()> {
    let mut sum = Counters { reserved: mount.counters.reserved, ..Counters::default() };
    for agno in 0..mount.geo.ag_count {
        let id = mount.read_agf(agno)?;
        let agf = header::agf(mount, id)?;
        sum.fdblocks += u64::from(agf.freeblks.get())
            + u64::from(agf.flcount.get())
            + u64::from(agf.btreeblks.get());
        let id = mount.read_agi(agno)?;
        let agi = header::agi(mount, id)?;
        sum.icount += u64::from(agi.count.get());
        sum.ifree += u64::from(agi.freecount.get());
    }
    mount.counters = sum;
    Ok(())
}
