//! Blocks kept back in each allocation group for btrees that must be able to grow when
//! users have filled everything else: the free inode and reference count trees (one pool),
//! and the reverse mapping tree (another).
//!
//! Only the counters know of the reservations: the blocks are free on disk. Users see
//! `fdblocks` less what is reserved, so that a full filesystem fails where it does on Linux.

use super::header;
use crate::format::btree_block::BtreeKind;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Which reservation an allocation may draw on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pool {
    /// None: ordinary allocations.
    #[default]
    None,
    /// Blocks of the free inode and reference count trees.
    Metadata,
    /// Blocks of the reverse mapping tree, which come out of the free list.
    Rmapbt,
    /// The free list itself: its blocks count as free.
    FreeList,
}

/// One pool of one group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reservation {
    /// Blocks asked for when the filesystem was opened, those in use included.
    pub asked: u32,
    /// Blocks still kept back.
    pub reserved: u32,
    /// Blocks hidden from users when the filesystem was opened.
    hidden: u32,
}

/// The pools of one group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reservations {
    /// See [`Pool::Metadata`].
    pub metadata: Reservation,
    /// See [`Pool::Rmapbt`].
    pub rmapbt: Reservation,
}

impl Reservations {
    fn pool(&mut self, pool: Pool) -> Option<&mut Reservation> {
        match pool {
            Pool::Metadata => Some(&mut self.metadata),
            Pool::Rmapbt => Some(&mut self.rmapbt),
            Pool::None | Pool::FreeList => None,
        }
    }

    /// Blocks that an allocation for `pool` must leave free for the others.
    pub fn needed_by_others(&self, pool: Pool) -> u32 {
        match pool {
            Pool::Metadata => self.rmapbt.reserved,
            Pool::Rmapbt => self.metadata.reserved,
            Pool::None | Pool::FreeList => {
                self.metadata.reserved.saturating_add(self.rmapbt.reserved)
            }
        }
    }
}

/// Sizes of the trees of one group, in blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TreeSizes {
    /// Free inode tree.
    pub finobt: u32,
    /// Reference count tree.
    pub refcount: u32,
    /// Reverse mapping tree.
    pub rmapbt: u32,
}

/// Sets up the reservations of group `agno`, whose trees have these sizes now. What does
/// not fit in the free blocks is kept back as far as it does: Linux warns and goes on too.
pub fn init(mount: &mut Mount, agno: u32, sizes: TreeSizes) {
    release(mount, agno);
    let reservations = calculate(mount, agno, sizes);
    let hidden = reservations.metadata.hidden + reservations.rmapbt.hidden;
    mount.counters.reserved += u64::from(hidden);
    mount.ags[agno as usize].reservations = reservations;
}

/// What group `agno`, whose trees have these sizes now, is to keep back.
pub fn calculate(mount: &Mount, agno: u32, sizes: TreeSizes) -> Reservations {
    let geo = &mount.geo;
    let features = geo.features;
    let mut blocks = u64::from(geo.ag_size(agno));
    // The log never shares a group's blocks with anybody.
    if geo.log.start.is_some_and(|start| geo.fsblock_agno(start) == agno) {
        blocks = blocks.saturating_sub(geo.log.blocks.into());
    }
    let mut metadata = (0, 0);
    if features.reflink {
        metadata.0 += geo.btree_worst_size(BtreeKind::Refcount, blocks);
        metadata.1 += u64::from(sizes.refcount);
    }
    if features.finobt {
        let chunks = blocks * u64::from(geo.inode.per_block) / 64;
        metadata.0 += geo.btree_worst_size(BtreeKind::Fino, chunks);
        metadata.1 += u64::from(sizes.finobt);
    }
    let mut rmapbt = (0, 0);
    if features.rmapbt {
        // One record per block, or a hundredth of the group.
        rmapbt.0 = (blocks / 100).max(geo.btree_worst_size(BtreeKind::Rmap, blocks));
        rmapbt.1 = u64::from(sizes.rmapbt);
    }
    Reservations {
        metadata: reservation(metadata, false),
        // Blocks of this tree count as free, so all of the request is hidden.
        rmapbt: reservation(rmapbt, true),
    }
}

fn reservation((asked, used): (u64, u64), hide_used: bool) -> Reservation {
    let narrow = |blocks: u64| u32::try_from(blocks).unwrap_or(u32::MAX);
    let asked = asked.max(used);
    let hidden = if hide_used { asked } else { asked - used };
    Reservation { asked: narrow(asked), reserved: narrow(asked - used), hidden: narrow(hidden) }
}

/// Gives up the reservations of group `agno`.
pub fn release(mount: &mut Mount, agno: u32) {
    let old = std::mem::take(&mut mount.ags[agno as usize].reservations);
    let blocks = u64::from(old.metadata.reserved) + u64::from(old.rmapbt.hidden);
    mount.counters.reserved = mount.counters.reserved.saturating_sub(blocks);
}

/// Fails if group `agno` is so full that its trees of owners and reference counts might not
/// be able to take what more sharing puts into them: if less than a tenth of what is kept
/// back for one of them, or not even one path through the highest tree, is left for it.
///
/// # Errors
/// ENOSPC if so; [`crate::Error::Corrupt`] or [`crate::Error::Io`] from the AGF.
pub(crate) fn check_not_critical(mount: &mut Mount, agno: u32) -> Result<()> {
    if !mount.geo.features.rmapbt {
        return Ok(());
    }
    let agf = mount.read_agf(agno)?;
    let agf = header::agf(mount, agf)?;
    let (free, listed) = (agf.freeblks.get(), agf.flcount.get());
    let levels = mount.geo.max_levels;
    let highest = levels.alloc.max(levels.inobt).max(levels.rmap).max(levels.refcount);
    let Reservations { metadata, rmapbt } = mount.ags[agno as usize].reservations;
    let left = [
        (metadata, free.saturating_sub(rmapbt.reserved)),
        (rmapbt, free.saturating_add(listed).saturating_sub(metadata.reserved)),
    ];
    if left.iter().any(|(pool, left)| *left < pool.asked / 10 || *left < highest) {
        return Err(Error::os(Errno::ENOSPC, format!("sharing blocks of allocation group {agno}")));
    }
    Ok(())
}

/// An allocation for `pool` took `len` blocks out of free space: updates reservation and
/// counters.
pub(crate) fn took(tp: &mut Transaction<'_>, agno: u32, pool: Pool, len: u32) {
    let Some(reservation) = tp.ags[agno as usize].reservations.pool(pool) else {
        if pool == Pool::None {
            tp.mod_fdblocks(-i64::from(len));
        }
        return;
    };
    let kept = len.min(reservation.reserved);
    reservation.reserved -= kept;
    if pool == Pool::Rmapbt {
        return;
    }
    // These blocks were hidden already: users see no change.
    let counters = &mut tp.counters;
    counters.fdblocks = counters.fdblocks.saturating_sub(kept.into());
    counters.reserved = counters.reserved.saturating_sub(kept.into());
    if len > kept {
        tp.mod_fdblocks(-i64::from(len - kept));
    }
}

/// A block of `pool` went back to free space: the opposite of [`took`].
pub(crate) fn gave(tp: &mut Transaction<'_>, agno: u32, pool: Pool, len: u32) {
    let Some(reservation) = tp.ags[agno as usize].reservations.pool(pool) else {
        if pool == Pool::None {
            tp.mod_fdblocks(len.into());
        }
        return;
    };
    let kept = len.min(reservation.asked - reservation.reserved);
    reservation.reserved += kept;
    if pool == Pool::Rmapbt {
        return;
    }
    tp.counters.reserved += u64::from(kept);
    tp.mod_fdblocks(len.into());
}
