//! Mapping blocks where there are none.

use super::grow;
use crate::format::inode::DiFlags;
use crate::inode::bmap::{self, Target, alloc, mapping_at};
use crate::inode::extent_map::MAX_EXTENT_BLOCKS;
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Maps blocks for all of bytes `start..end`.
pub(super) fn run(
    mount: &mut Mount,
    inode: InodeRef,
    (start, end): (u64, u64),
    keep_size: bool,
) -> Result<()> {
    let blocks = (start >> mount.geo.block_log, mount.geo.blocks_for(end));
    map_range(mount, inode, blocks)?;
    if keep_size { Ok(()) } else { grow(mount, inode, end) }
}

/// Maps unwritten blocks where nothing is mapped in file blocks `start..end`.
///
/// # Errors
///
/// ENOSPC, with part of the range mapped if it takes several extents; EFBIG for too many
/// extents; errors of the device and trees.
pub(super) fn map_range(
    mount: &mut Mount,
    inode: InodeRef,
    (start, end): (u64, u64),
) -> Result<()> {
    let mut at = start;
    while at < end {
        at = map_some(mount, inode, at, end)?;
    }
    Ok(())
}

/// Maps file block `at` and some behind it; returns the block to go on with.
fn map_some(mount: &mut Mount, inode: InodeRef, at: u64, end: u64) -> Result<u64> {
    // Blocks that were freed since the last checkpoint can be had only after the next one.
    for settled in [false, true] {
        if settled {
            mount.checkpoint()?;
        }
        let reservation = mount.reservations.write;
        let blocks = blocks_for(mount, inode, at, end);
        let mut tp = Transaction::begin(mount, reservation, blocks)?;
        let found = mapping_at(bmap::extents(&tp, inode, WhichFork::Data)?, at, end);
        let next = match found.target {
            Target::Hole => allocate(&mut tp, inode, at, found.len)?,
            _ => Some(found.end()),
        };
        if next.is_some() {
            tp.inode_mut(inode).core.flags |= DiFlags::PREALLOC;
            tp.log_inode(inode, InodeLogFlags::CORE);
        }
        tp.commit()?;
        if let Some(next) = next {
            return Ok(next);
        }
    }
    Err(Error::os(Errno::ENOSPC, "allocating blocks"))
}

fn allocate(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    offset: u64,
    len: u64,
) -> Result<Option<u64>> {
    let request =
        alloc::Request { inode, which: WhichFork::Data, offset, min: 1, max: len, unwritten: true };
    let new = alloc::try_allocate(tp, &request)?;
    Ok(new.map(|new| new.end().max(offset + 1)))
}

/// What to reserve: like Linux, enough for all of the range, whether it is mapped already or
/// not, so that what cannot fit is refused before anything is taken.
fn blocks_for(mount: &Mount, inode: InodeRef, at: u64, end: u64) -> u64 {
    let hint = alloc::extent_size_hint(&mount.inode(inode).core);
    let (start, end) = match hint {
        0 | 1 => (at, end),
        // The end moves by as much as the start does before it is rounded up.
        hint => {
            let lead = at % hint;
            (at - lead, end.saturating_add(lead).next_multiple_of(hint))
        }
    };
    let data = (end - start).min(MAX_EXTENT_BLOCKS);
    data + alloc::btree_blocks(&mount.geo, WhichFork::Data)
}
