//! The end of an inode: what happens when nothing names or holds it any more.
//!
//! The inode is on its unlinked list from the moment its last name went until it is free,
//! so a crash anywhere in between leaves it where recovery finds it and begins again.

use super::bmap::{self, alloc as mappings};
use super::extent_map::Extent;
use super::fork::{InodeFork, WhichFork};
use super::{DiFlags, InodeCore, InodeLogFlags, InodeRef, create, unlinked};
use crate::Result;
use crate::buffer::BufferKind;
use crate::file::allocate::free_behind_end;
use crate::file::cow;
use crate::format::attr::leaf::{FreeRun, LeafHeader};
use crate::format::da::{ATTR_LEAF_MAGIC, BlockInfo};
use crate::format::geometry::Geometry;
use crate::mount::Mount;
use crate::space::inode_alloc;
use crate::transaction::Transaction;
use zerocopy::IntoBytes;

/// Blocks of metadata that one transaction invalidates, and mappings that it removes.
const STEP: u64 = 32;

impl Mount {
    /// Counts one more open file on an inode.
    pub fn hold_inode(&mut self, inode: InodeRef) {
        self.inode_mut(inode).opens += 1;
    }

    /// Counts one open file less, and frees the inode if nothing names it either.
    ///
    /// # Errors
    ///
    /// As [`inactivate`].
    pub fn release_inode(&mut self, inode: InodeRef) -> Result<()> {
        let opens = &mut self.inode_mut(inode).opens;
        *opens = opens.saturating_sub(1);
        if *opens == 0 && self.log.is_some() && self.shutdown.is_none() {
            cow::cancel_all(self, inode)?;
            free_behind_end(self, inode)?;
        }
        self.free_if_unused(inode)
    }

    /// Frees an inode that nothing names or holds. To be called after the transaction that
    /// took its last name.
    ///
    /// # Errors
    ///
    /// As [`inactivate`].
    pub fn free_if_unused(&mut self, inode: InodeRef) -> Result<()> {
        let found = self.inode(inode);
        if found.opens == 0 && found.core.nlink == 0 && !found.is_free() {
            return inactivate(self, inode);
        }
        Ok(())
    }
}

/// Frees everything an inode without names has, and then the inode.
///
/// # Errors
///
/// [`crate::Error::Corrupt`] if a fork or a btree is damaged; errors of the device.
pub fn inactivate(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    cow::cancel_all(mount, inode)?;
    let core = mount.inode(inode).core;
    if mount.inode(inode).data.nextents() > 0 {
        if core.is_regular() {
            truncate(mount, inode)?;
        } else {
            let unit = if core.is_dir() { mount.geo.dir.fs_blocks.into() } else { u64::MAX };
            empty_metadata(mount, inode, WhichFork::Data, unit)?;
        }
    }
    if mount.inode(inode).attr.is_some() {
        remove_attributes(mount, inode)?;
    }
    let reservation = mount.reservations.ifree;
    let wanted = inode_alloc::blocks_to_free(&mount.geo);
    // On a full filesystem the group's own reservation is there for the btree; giving up
    // would only keep the space of the inode as well.
    let enough = mount.counters.available(&mount.geo) >= wanted;
    let blocks = if enough { wanted } else { 0 };
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    free(&mut tp, inode)?;
    tp.commit()
}

/// Frees an inode that has nothing any more: takes it off the unlinked list and gives its
/// number back.
fn free(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    unlinked::remove(tp, inode)?;
    let flags2 = create::new_flags2(&tp.geo);
    let found = tp.inode_mut(inode);
    found.core = InodeCore {
        mode: 0,
        size: 0,
        forkoff: 0,
        flags: DiFlags::empty(),
        flags2,
        // Whoever still has a handle of the old file must not mistake the next for it.
        generation: found.core.generation.wrapping_add(1),
        ..found.core
    };
    found.data = InodeFork::default();
    found.attr = None;
    found.log.fields -= InodeLogFlags::DOWNER | InodeLogFlags::AOWNER;
    let ino = found.ino;
    tp.log_inode(inode, InodeLogFlags::CORE);
    inode_alloc::free(tp, ino)?;
    Ok(())
}

/// Cuts a regular file off at 0.
fn truncate(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    let reservation = mount.reservations.itruncate;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    tp.inode_mut(inode).core.size = 0;
    tp.log_inode(inode, InodeLogFlags::CORE);
    mappings::unmap_all(&mut tp, inode, WhichFork::Data, 0, u64::MAX)?;
    tp.commit()
}

/// Frees the blocks of a fork that holds metadata, last first. Recovery must not write them
/// from older log records once they may belong to another file, so each is invalidated in
/// the transaction that unmaps it.
///
/// `unit` is the number of blocks that are one buffer, as far as they lie together.
fn empty_metadata(mount: &mut Mount, inode: InodeRef, which: WhichFork, unit: u64) -> Result<()> {
    let reservation = mount.reservations.itruncate;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    if which == WhichFork::Attr {
        clear_attribute_root(&mut tp, inode)?;
    }
    bmap::load(&mut tp, inode, which)?;
    let kind = if which == WhichFork::Attr { BufferKind::DaNode } else { BufferKind::Symlink };
    while let Some(last) = bmap::extents(&tp, inode, which)?.last() {
        let piece = last_piece(last, unit);
        invalidate(&mut tp, &piece, unit, kind);
        mappings::unmap_step(&mut tp, inode, which, (piece.offset, piece.end()), 1)?;
        tp.finish_deferred()?;
        tp.roll()?;
    }
    tp.commit()
}

/// The end of `last` that one step removes: up to [`STEP`] blocks, but whole buffers.
fn last_piece(last: Extent, unit: u64) -> Extent {
    let step = unit.max(STEP);
    let start = last.end().saturating_sub(1) / step * step;
    last.clip(start, last.end()).unwrap_or(last)
}

/// Invalidates the buffers of a piece of a metadata fork.
fn invalidate(tp: &mut Transaction<'_>, piece: &Extent, unit: u64, kind: BufferKind) {
    let mut at = piece.offset;
    while at < piece.end() {
        let end = (at / unit).saturating_add(1).saturating_mul(unit).min(piece.end());
        let daddr = tp.geo.fsblock_daddr(piece.block_at(at));
        let len = (end - at) << tp.geo.block_log;
        let id = tp.get_buffer(daddr, len as u32, kind);
        tp.invalidate(id);
        at = end;
    }
}

/// Removes the attribute fork with everything in it.
fn remove_attributes(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    if mount.inode(inode).attr.as_ref().is_some_and(|fork| fork.nextents() > 0) {
        empty_metadata(mount, inode, WhichFork::Attr, 1)?;
    }
    let reservation = mount.reservations.attrinval;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    let found = tp.inode_mut(inode);
    found.core.forkoff = 0;
    found.attr = None;
    tp.log_inode(inode, InodeLogFlags::CORE);
    tp.commit()
}

/// Turns the root of a tree of attributes into a leaf without entries, so that nothing
/// leads to the blocks that go first: Linux walks the tree if it recovers in the middle.
fn clear_attribute_root(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    bmap::load(tp, inode, WhichFork::Attr)?;
    let map = bmap::extents(tp, inode, WhichFork::Attr)?;
    let blocks: u64 = map.iter().map(|extent| extent.len).sum();
    let Some(root) = map.containing(0).filter(|_| blocks > 1) else { return Ok(()) };
    let daddr = tp.geo.fsblock_daddr(root.block_at(0));
    let header = empty_leaf(&tp.geo, daddr, tp.inode(inode).ino);
    let len = tp.geo.block_size;
    let id = tp.get_buffer(daddr, len, BufferKind::AttrLeaf);
    let bytes = header.as_bytes();
    tp.buffer_mut(id, 0..bytes.len()).copy_from_slice(bytes);
    tp.roll()
}

fn empty_leaf(geo: &Geometry, daddr: u64, ino: u64) -> LeafHeader {
    let header = size_of::<LeafHeader>() as u16;
    let none = FreeRun { base: 0.into(), size: 0.into() };
    let all =
        FreeRun { base: header.into(), size: ((geo.block_size - u32::from(header)) as u16).into() };
    LeafHeader {
        info: BlockInfo {
            forw: 0.into(),
            back: 0.into(),
            magic: ATTR_LEAF_MAGIC.into(),
            pad: 0.into(),
            crc: 0.into(),
            blkno: daddr.into(),
            lsn: 0.into(),
            uuid: geo.meta_uuid,
            owner: ino.into(),
        },
        count: 0.into(),
        usedbytes: 0.into(),
        firstused: (geo.block_size as u16).into(),
        holes: 0,
        pad1: 0,
        freemap: [all, none, none],
        pad2: 0.into(),
    }
}
