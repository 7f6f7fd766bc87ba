//! Mapping the source's extents into the target, one after the other.

use super::RemapRequest;
use crate::file::MAX_SIZE;
use crate::inode::bmap::edit::reserve_count;
use crate::inode::bmap::{
    self, BmapIntent, BmapOperation, Mapping, Target, alloc, blocks, mapping_at,
};
use crate::inode::extent_map::Extent;
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::ag_reservation;
use crate::space::refcount::{RefcountIntent, RefcountOperation};
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// Reads the extents of both files.
pub(super) fn load(mount: &mut Mount, request: &RemapRequest) -> Result<()> {
    for inode in [request.source, request.target] {
        bmap::load(mount, inode, WhichFork::Data)?;
        bmap::extents(mount, inode, WhichFork::Data)?;
    }
    Ok(())
}

/// Maps the whole range; returns how many blocks of it are done, even after an error.
pub(super) fn remap_all(mount: &mut Mount, request: &RemapRequest) -> (u64, Result<()>) {
    let shift = mount.geo.block_log;
    let (source, target) = (request.source_offset >> shift, request.target_offset >> shift);
    let blocks = mount.geo.blocks_for(request.length);
    let size = request.target_offset.saturating_add(request.length).min(MAX_SIZE);
    let mut done = 0;
    while done < blocks {
        let extent = bmap::extents(mount, request.source, WhichFork::Data)
            .map(|map| mapping_at(map, source + done, source + blocks));
        let moved = extent.map(|extent| Mapping { offset: target + done, ..extent });
        match moved.and_then(|new| remap_extent(mount, request.target, new, size)) {
            Ok(len) => done += len.max(1),
            Err(error) => return (done, Err(error)),
        }
    }
    (done, Ok(()))
}

/// Puts the first of `new`, as far as the file has one thing there now, in the place of
/// that; returns how many blocks those are. Unwritten blocks are not shared: they become
/// holes, or stay if the file's are unwritten too. The size grows up to `size`.
fn remap_extent(mount: &mut Mount, inode: InodeRef, new: Mapping, size: u64) -> Result<u64> {
    let which = WhichFork::Data;
    let old = mapping_at(bmap::extents(mount, inode, which)?, new.offset, new.end());
    let new = Mapping { len: new.len.min(old.len), ..new };
    if is_same(mount, inode, &old, &new)? {
        return Ok(new.len);
    }
    let shared = new.extent().filter(|extent| !extent.unwritten);
    if let Some(extent) = shared {
        ag_reservation::check_not_critical(mount, mount.geo.fsblock_agno(extent.start))?;
    }
    let reservation = mount.reservations.write;
    let spare = alloc::btree_blocks(&mount.geo, which);
    let mut tp = Transaction::begin(mount, reservation, spare)?;
    let changes = u64::from(old.extent().is_some()) + u64::from(shared.is_some());
    reserve_count(&mut tp, inode, which, changes)?;
    if let Some(old) = old.extent() {
        tp.defer(BmapIntent::new(&tp, inode, which, BmapOperation::Unmap, old));
        blocks::defer_free_file_blocks(&mut tp, inode, which, old);
    }
    if let Some(extent) = shared {
        share(&mut tp, inode, extent);
    }
    let end = (new.end() << tp.geo.block_log).min(size);
    if end > tp.inode(inode).core.size {
        tp.inode_mut(inode).core.size = end;
        tp.log_inode(inode, InodeLogFlags::CORE);
    }
    tp.commit()?;
    Ok(new.len)
}

/// Queues that one more file uses the blocks, and that it maps them.
fn share(tp: &mut Transaction<'_>, inode: InodeRef, extent: Extent) {
    let (start, len) = (extent.start, extent.len as u32);
    RefcountIntent { operation: RefcountOperation::Increase, start, len }.defer(tp);
    tp.defer(BmapIntent::new(tp, inode, WhichFork::Data, BmapOperation::Map, extent));
}

/// Whether the file has nothing to change there: both are holes, both unwritten, or the same
/// blocks already.
fn is_same(mount: &Mount, inode: InodeRef, old: &Mapping, new: &Mapping) -> Result<bool> {
    Ok(match (old.target, new.target) {
        (Target::Hole, Target::Hole) | (Target::Unwritten(_), Target::Unwritten(_)) => true,
        (Target::Written(a), Target::Written(b)) => a == b,
        (Target::Written(a), Target::Unwritten(b)) | (Target::Unwritten(a), Target::Written(b))
            if a == b =>
        {
            let why = format!("block {a} is written in one file and unwritten in another");
            return Err(Error::corrupt("extent", At::Inode(mount.inode(inode).ino), why));
        }
        _ => false,
    })
}
