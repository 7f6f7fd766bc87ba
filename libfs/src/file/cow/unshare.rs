//! Giving a file blocks of its own where it shares them (`FALLOC_FL_UNSHARE_RANGE`).

use super::{cancel_all, overwrite};
use crate::file::{read, write};
use crate::format::inode::DiFlags2;
use crate::inode::bmap::{self, mapping_at};
use crate::inode::extent_map::Extent;
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Error, Result};

/// Bytes copied in one go.
const STEP: u64 = 1 << 20;

/// Copies what is shared in bytes `offset..offset + len` of a file, or, if there is nothing to
/// copy, takes note if the file shares nothing any more. Size and times stay.
///
/// # Errors
///
/// ENOSPC, with part of the range copied; errors of the trees and the device.
pub(crate) fn unshare(mount: &mut Mount, inode: InodeRef, offset: u64, len: u64) -> Result<()> {
    bmap::load(mount, inode, WhichFork::Data)?;
    let size = mount.inode(inode).core.size.next_multiple_of(u64::from(mount.geo.block_size));
    let end = mount.geo.blocks_for(offset.saturating_add(len).min(size));
    let mut at = offset >> mount.geo.block_log;
    while at < end {
        let found = mapping_at(bmap::extents(mount, inode, WhichFork::Data)?, at, end);
        at = match found.extent() {
            Some(extent) => unshare_extent(mount, inode, extent)?,
            None => found.end(),
        };
    }
    clear_flag_if_unshared(mount, inode)
}

/// Copies the first of the extent if it is shared; returns the block to go on with.
fn unshare_extent(mount: &mut Mount, inode: InodeRef, extent: Extent) -> Result<u64> {
    let (len, shared) = write::sharing(mount, inode, &extent)?;
    if !shared {
        return Ok(extent.offset + len.max(1));
    }
    let len = len.min(STEP.div_ceil(u64::from(mount.geo.block_size)));
    let part = extent.clip(extent.offset, extent.offset + len).unwrap_or(extent);
    let at = part.offset << mount.geo.block_log;
    let mut data = vec![0; usize::try_from(len << mount.geo.block_log).unwrap_or(0)];
    read::read_mapped(mount, inode, at, &mut data)?;
    mount.inode_mut(inode).written = true;
    let range = (part.offset, part.end());
    let copied = overwrite(mount, inode, range, at, &data, false)? as u64;
    if copied == 0 {
        return Err(Error::os(crate::Errno::ENOSPC, "copying shared blocks"));
    }
    Ok(part.offset + (copied >> mount.geo.block_log).max(1))
}

/// Takes the flag from a file none of whose blocks are shared, so that nobody has to look
/// at reference counts for it again; like Linux, not from one that was written to just now
/// ([`crate::inode::Inode::written`]), and so not in the call that copied the last of them.
fn clear_flag_if_unshared(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    let found = mount.inode(inode);
    if !found.core.flags2.contains(DiFlags2::REFLINK) || found.written {
        return Ok(());
    }
    let extents: Vec<Extent> = bmap::extents(mount, inode, WhichFork::Data)?.iter().collect();
    for extent in extents.iter().filter(|extent| !extent.unwritten) {
        let (len, shared) = write::sharing(mount, inode, extent)?;
        if shared || len < extent.len {
            return Ok(());
        }
    }
    cancel_all(mount, inode)?;
    let reservation = mount.reservations.write;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    tp.inode_mut(inode).core.flags2 -= DiFlags2::REFLINK;
    tp.log_inode(inode, InodeLogFlags::CORE);
    tp.commit()
}
