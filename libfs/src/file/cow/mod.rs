//! The copy-on-write fork: blocks staged for data that will replace what a file has.
//!
//! Staged blocks belong to nobody yet. The reference count tree lists them (in a domain of
//! its own), so that a crash does not lose them: recovery gives all of them back. Which
//! file block each is meant for is known in memory only ([`crate::inode::Inode::cow`]).
//!
//! 1. [`stage`] allocates, in units of the file's copy-on-write extent size hint;
//! 2. [`write_staged`] writes the data, which nobody sees yet;
//! 3. [`remap`] lets the blocks take the place of the old ones, in transactions that
//!    recovery finishes, and gives up the old ones;
//! 4. [`cancel`] gives back what is not needed after all.
//!
//! An extent of the fork is unwritten until data is in all of its blocks, and only what is
//! written is ever remapped.
//!
//! Units of the hint are larger than most writes, so some blocks are staged in advance. They
//! serve the next write to their place, whether or not what it replaces is shared, as on
//! Linux: neighbours of a block that was copied are copied to the place next to it. They
//! are given back when the last user closes the file, when the file loses that range, and
//! when space is short.

mod cancel;
mod remap;
mod stage;
#[cfg(test)]
mod tests;
mod unshare;
mod write;

use cancel::cancel_others;
pub(crate) use cancel::{cancel, cancel_all, cancel_everywhere, clear_flag_of_empty};
pub(crate) use remap::{Remap, remap};
pub(crate) use stage::{stage, stage_some};
pub(crate) use unshare::unshare;
pub(crate) use write::{overwrite, write_staged};

use crate::inode::bmap::{Mapping, Target, mapping_at};
use crate::inode::extent_map::{Extent, ExtentMap};
use crate::inode::{InodeFork, InodeRef};
use crate::mount::Mount;

/// The staged extents of a file, if there are any.
pub(crate) fn staged(mount: &Mount, inode: InodeRef) -> Option<&ExtentMap> {
    mount.inode(inode).cow.as_ref().and_then(InodeFork::extents)
}

/// What is staged for file block `block`, cut at `end`: a hole where nothing is.
pub(crate) fn staged_at(mount: &Mount, inode: InodeRef, block: u64, end: u64) -> Mapping {
    let nothing = Mapping { offset: block, len: end.saturating_sub(block), target: Target::Hole };
    staged(mount, inode).map_or(nothing, |map| mapping_at(map, block, end))
}

/// The staged extents inside file blocks `start..end`, cut to the range.
pub(crate) fn staged_in(mount: &Mount, inode: InodeRef, (start, end): (u64, u64)) -> Vec<Extent> {
    let Some(map) = staged(mount, inode) else { return Vec::new() };
    map.overlapping(start, end).filter_map(|extent| extent.clip(start, end)).collect()
}

/// Puts `new` into the fork, where nothing may be staged yet.
fn add(mount: &mut Mount, inode: InodeRef, new: Extent) {
    let fork = mount.inode_mut(inode).cow.get_or_insert_default();
    let Some(map) = fork.extents_mut() else { return };
    let mut new = new;
    if let Some(left) = map.before(new.offset).filter(|left| left.joins(&new)) {
        map.remove(left.offset);
        new = Extent { len: left.len + new.len, ..left };
    }
    if let Some(right) = map.at_or_after(new.end()).filter(|right| new.joins(right)) {
        map.remove(right.offset);
        new.len += right.len;
    }
    map.insert(new);
}

/// Takes `part`, which must lie inside one extent, out of the fork.
fn remove(mount: &mut Mount, inode: InodeRef, part: Extent) {
    let Some(fork) = &mut mount.inode_mut(inode).cow else { return };
    let Some(map) = fork.extents_mut() else { return };
    let Some(record) = map.containing(part.offset) else { return };
    map.remove(record.offset);
    let around = [record.clip(record.offset, part.offset), record.clip(part.end(), record.end())];
    for rest in around.into_iter().flatten() {
        map.insert(rest);
    }
    if map.is_empty() {
        mount.inode_mut(inode).cow = None;
    }
}
