//! Giving back staged blocks that are not needed after all.

use super::{remove, staged_in};
use crate::Result;
use crate::inode::bmap;
use crate::inode::extent_map::Extent;
use crate::inode::{DiFlags2, InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::refcount;
use crate::transaction::Transaction;

/// Gives back everything staged for file blocks `start..end`.
///
/// # Errors
///
/// Errors of the trees and the device; the filesystem is then shut down.
pub(crate) fn cancel(mount: &mut Mount, inode: InodeRef, range: (u64, u64)) -> Result<()> {
    for part in staged_in(mount, inode, range) {
        give_back(mount, inode, part)?;
    }
    Ok(())
}

/// Gives back everything staged for a file.
///
/// # Errors
///
/// As [`cancel`].
pub(crate) fn cancel_all(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    cancel(mount, inode, (0, u64::MAX))
}

/// Gives back everything staged for any file: between operations, all of it was staged in
/// advance only.
///
/// # Errors
///
/// As [`cancel`].
pub(crate) fn cancel_everywhere(mount: &mut Mount) -> Result<()> {
    for inode in mount.inodes.all() {
        if mount.inode(inode).cow.is_some() {
            cancel_all(mount, inode)?;
        }
    }
    Ok(())
}

/// As [`cancel_everywhere`], but what is staged for file blocks `keep` of `inode` stays.
///
/// # Errors
///
/// As [`cancel`].
pub(super) fn cancel_others(mount: &mut Mount, inode: InodeRef, keep: (u64, u64)) -> Result<()> {
    for other in mount.inodes.all() {
        if other == inode {
            cancel(mount, inode, (0, keep.0))?;
            cancel(mount, inode, (keep.1, u64::MAX))?;
        } else if mount.inode(other).cow.is_some() {
            cancel_all(mount, other)?;
        }
    }
    Ok(())
}

/// A file without extents, of which none are staged either, shares nothing any more.
///
/// # Errors
///
/// [`crate::Error::Corrupt`] if the file's data is not in extents.
pub(crate) fn clear_flag_of_empty(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    let empty = bmap::extents(tp, inode, WhichFork::Data)?.is_empty();
    let found = tp.inode(inode);
    if empty && found.cow.is_none() && found.core.flags2.contains(DiFlags2::REFLINK) {
        tp.inode_mut(inode).core.flags2 -= DiFlags2::REFLINK;
        tp.log_inode(inode, InodeLogFlags::CORE);
    }
    Ok(())
}

fn give_back(mount: &mut Mount, inode: InodeRef, part: Extent) -> Result<()> {
    let reservation = mount.reservations.write;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    refcount::give_back_cow(&mut tp, part.start, part.len as u32);
    remove(&mut tp, inode, part);
    tp.commit()
}
