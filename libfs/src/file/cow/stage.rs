//! Allocating blocks for data that will replace what a file has.

use super::{add, staged_at};
use crate::format::inode::DiFlags2;
use crate::inode::bmap::{self, Target, alloc, blocks};
use crate::inode::extent_map::{Extent, MAX_EXTENT_BLOCKS};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::refcount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Blocks that are staged at a time where the file has no hint of its own
/// (`XFS_DEFAULT_COWEXTSZ_HINT` of Linux).
const DEFAULT_HINT: u64 = 32;

/// Makes sure that blocks are staged for all of file blocks `range`, whatever the file has
/// there. What is staged already stays.
///
/// # Errors
///
/// ENOSPC, with part of the range staged; errors of the trees and the device.
pub(crate) fn stage(mount: &mut Mount, inode: InodeRef, range: (u64, u64)) -> Result<()> {
    let (mut at, end) = range;
    while at < end {
        let found = staged_at(mount, inode, at, end);
        at = match found.target {
            Target::Hole => stage_hole(mount, inode, (at, found.end()), range)?,
            _ => found.end(),
        };
    }
    Ok(())
}

/// Stages one run of blocks for the first of `range` and as many behind it as there are, where
/// none are staged yet; returns the block behind the last of them.
///
/// # Errors
///
/// ENOSPC if there is not even one; errors of the trees and the device.
pub(crate) fn stage_some(mount: &mut Mount, inode: InodeRef, range: (u64, u64)) -> Result<u64> {
    stage_hole(mount, inode, range, range)
}

/// As [`stage_some`]; what is staged in `keep` is needed and not given back when space is short.
fn stage_hole(
    mount: &mut Mount,
    inode: InodeRef,
    range: (u64, u64),
    keep: (u64, u64),
) -> Result<u64> {
    let wide = widen(mount, inode, range);
    match try_stage(mount, inode, wide) {
        Ok(Some(new)) if new.contains(range.0) => return Ok(new.end()),
        Ok(_) => {}
        Err(error) if is_full(mount, &error) => {}
        Err(error) => return Err(error),
    }
    // Little space: what other files have staged in advance comes first, then what was freed
    // since the last checkpoint, and then shorter runs.
    super::cancel_others(mount, inode, keep)?;
    mount.checkpoint()?;
    let mut len = (range.1 - range.0).min(MAX_EXTENT_BLOCKS);
    loop {
        match try_stage(mount, inode, (range.0, range.0 + len)) {
            Ok(Some(new)) => return Ok(new.end()),
            Ok(None) => break,
            Err(error) if is_full(mount, &error) && len > 1 => len /= 2,
            Err(error) => return Err(error),
        }
    }
    Err(Error::os(Errno::ENOSPC, "allocating blocks for a copy on write"))
}

fn is_full(mount: &Mount, error: &Error) -> bool {
    error.errno() == Errno::ENOSPC && mount.shutdown.is_none()
}

/// The range widened to multiples of the file's hint, as far as nothing is staged there.
fn widen(mount: &Mount, inode: InodeRef, range: (u64, u64)) -> (u64, u64) {
    let hint = hint(mount, inode);
    if hint <= 1 {
        return range;
    }
    let map = super::staged(mount, inode);
    let before = map.and_then(|map| map.before(range.0)).map_or(0, |left| left.end());
    let behind = map.and_then(|map| map.at_or_after(range.0)).map_or(u64::MAX, |next| next.offset);
    alloc::widen(range, (before, behind), hint)
}

/// The larger of the file's two hints, in blocks.
fn hint(mount: &Mount, inode: InodeRef) -> u64 {
    let core = &mount.inode(inode).core;
    let own = core.flags2.contains(DiFlags2::COWEXTSIZE);
    let own = if own { u64::from(core.cowextsize) } else { 0 };
    match own.max(alloc::extent_size_hint(core)) {
        0 => DEFAULT_HINT,
        hint => hint,
    }
}

/// Stages up to all of `range` in one run of blocks; `None` if there is no free run.
fn try_stage(mount: &mut Mount, inode: InodeRef, range: (u64, u64)) -> Result<Option<Extent>> {
    let len = (range.1 - range.0).min(MAX_EXTENT_BLOCKS);
    let reservation = mount.reservations.write;
    let spare = alloc::btree_blocks(&mount.geo, WhichFork::Data);
    bmap::load(mount, inode, WhichFork::Data)?;
    if mount.counters.available(&mount.geo) < len + spare {
        // The transaction would give back everything staged, this file's too.
        return Err(Error::os(Errno::ENOSPC, format!("staging {len} blocks")));
    }
    let mut tp = Transaction::begin(mount, reservation, len + spare)?;
    let near = alloc::target(&tp, inode, WhichFork::Data, range.0)?;
    let Some((start, len)) = blocks::alloc_file_blocks(&mut tp, near, 1, len, false)? else {
        tp.commit()?;
        return Ok(None);
    };
    refcount::alloc_cow(&mut tp, start, len as u32);
    let new = Extent { offset: range.0, start, len, unwritten: true };
    add(&mut tp, inode, new);
    tp.commit()?;
    Ok(Some(new))
}
