//! Changes to a fork's extents.
//!
//! Every change is a replacement of neighbouring records by others, worked out on the
//! records alone ([`Run`] merges what can be merged) and then applied by [`splice`] to the
//! map in memory and, for a btree fork, to the btree. Whether the fork still is in the right
//! format is looked at once, afterwards.

use super::blocks;
use crate::btree::Cursor;
use crate::buffer::BufferKind;
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::inode::{DiFlags2, max_extents};
use crate::inode::bmbt::BmapTree;
use crate::inode::extent_map::{Extent, ExtentMap, RECORD_BYTES};
use crate::inode::fork::BtreeRoot;
use crate::inode::{InodeFork, InodeLogFlags, InodeRef, WhichFork};
use crate::transaction::Transaction;
use crate::{At, Errno, Error, Result};

/// Whether a change of a mapping also changes the reverse mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReverseMapping {
    /// Yes, deferred, on filesystems that have one.
    Deferred,
    /// No: the caller does it.
    Unchanged,
}

/// Most records that one change replaces or leaves.
const RUN: usize = 5;

/// A few neighbouring records in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Run {
    items: [Extent; RUN],
    len: usize,
}

impl Run {
    pub(super) fn new() -> Self {
        let nothing = Extent {
            offset: 0,
            start: crate::format::geometry::FsBlock(0),
            len: 0,
            unwritten: false,
        };
        Run { items: [nothing; RUN], len: 0 }
    }

    /// Adds a record as it is.
    pub(super) fn push(&mut self, new: impl IntoIterator<Item = Extent>) {
        for new in new {
            if let Some(slot) = self.items.get_mut(self.len) {
                *slot = new;
                self.len += 1;
            }
        }
    }

    /// Adds a record, as part of the last one if one record can hold both.
    pub(super) fn merge(&mut self, new: impl IntoIterator<Item = Extent>) {
        for new in new {
            match self.len.checked_sub(1).and_then(|last| self.items.get_mut(last)) {
                Some(last) if last.joins(&new) => last.len += new.len,
                _ => self.push([new]),
            }
        }
    }

    fn as_slice(&self) -> &[Extent] {
        self.items.get(..self.len).unwrap_or_default()
    }
}

pub(super) fn bad(ino: u64, why: String) -> Error {
    Error::corrupt("inode fork", At::Inode(ino), why)
}

/// Makes sure that `add` more extents may be counted, if need be by giving the inode the
/// large extent counts.
///
/// # Errors
///
/// EFBIG if there would be too many.
pub fn reserve_count(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    add: u64,
) -> Result<()> {
    let in_core = tp.inode(inode);
    let wanted = in_core.fork(which).map_or(0, InodeFork::nextents).saturating_add(add);
    let large = in_core.core.has_large_extent_counts();
    if wanted <= max_extents(which, large) {
        return Ok(());
    }
    if large || !tp.geo.features.nrext64 || wanted > max_extents(which, true) {
        return Err(Error::os(Errno::EFBIG, format!("{wanted} extents in one fork")));
    }
    tp.inode_mut(inode).core.flags2 |= DiFlags2::NREXT64;
    tp.log_inode(inode, InodeLogFlags::CORE);
    Ok(())
}

/// Maps `new`, where nothing may be mapped yet. The inode's block count is the caller's.
///
/// # Errors
///
/// [`Error::Corrupt`] if part of it is mapped; EFBIG; ENOSPC if the fork needs a block and
/// the transaction has none.
pub fn add(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    new: Extent,
    reverse: ReverseMapping,
) -> Result<()> {
    super::load(tp, inode, which)?;
    let map = super::extents(tp, inode, which)?;
    // The last extent that begins before the end of the new one must end before it begins.
    let left = map.before(new.end());
    if let Some(left) = left.filter(|left| left.end() > new.offset) {
        let why = format!("file block {} is mapped already", left.offset.max(new.offset));
        return Err(bad(tp.inode(inode).ino, why));
    }
    let left = left.filter(|left| left.end() == new.offset);
    let right = map.at_or_after(new.end()).filter(|right| right.offset == new.end());
    let (mut old, mut after) = (Run::new(), Run::new());
    old.push(left.into_iter().chain(right));
    after.merge(left.into_iter().chain([new]).chain(right));
    splice(tp, inode, which, &old, &after)?;
    if reverse == ReverseMapping::Deferred {
        // Longer than one mapping may be, neighbours are one reverse mapping all the same.
        let alone = !left.is_some_and(|left| left.is_continued_by(&new))
            && !right.is_some_and(|right| new.is_continued_by(&right));
        blocks::defer_rmap_map(tp, inode, which, new, alone);
    }
    Ok(())
}

/// The record that maps all of file blocks `offset..offset + len`.
fn record_of(
    tp: &Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    part: &Extent,
) -> Result<Extent> {
    let found = super::extents(tp, inode, which)?.containing(part.offset);
    found.filter(|found| part.len > 0 && found.end() >= part.end()).ok_or_else(|| {
        let why = format!("no extent maps file blocks {} to {}", part.offset, part.end());
        bad(tp.inode(inode).ino, why)
    })
}

/// Unmaps `part`, which must lie inside one extent. The blocks and the inode's block count
/// are the caller's.
///
/// # Errors
///
/// [`Error::Corrupt`] if it does not; EFBIG; ENOSPC if the fork needs a block and the
/// transaction has none.
pub fn remove(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    part: Extent,
    reverse: ReverseMapping,
) -> Result<()> {
    super::load(tp, inode, which)?;
    let record = record_of(tp, inode, which, &part)?;
    let (mut old, mut after) = (Run::new(), Run::new());
    old.push([record]);
    after.push(record.clip(record.offset, part.offset));
    after.push(record.clip(part.end(), record.end()));
    splice(tp, inode, which, &old, &after)?;
    if reverse == ReverseMapping::Deferred {
        blocks::defer_rmap_unmap(tp, inode, which, part);
    }
    Ok(())
}

/// Changes `part`, which must lie inside one extent, between written and unwritten.
///
/// # Errors
///
/// As [`remove`].
pub fn convert(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    part: Extent,
    unwritten: bool,
) -> Result<()> {
    super::load(tp, inode, which)?;
    let record = record_of(tp, inode, which, &part)?;
    if record.unwritten == unwritten {
        return Ok(());
    }
    let map = super::extents(tp, inode, which)?;
    let left = map.before(record.offset).filter(|left| left.end() == record.offset);
    let right = map.at_or_after(record.end()).filter(|right| right.offset == record.end());
    let middle = record.clip(part.offset, part.end()).map(|m| Extent { unwritten, ..m });
    let (mut old, mut after) = (Run::new(), Run::new());
    old.push(left.into_iter().chain([record]).chain(right));
    after.merge(left);
    after.merge(record.clip(record.offset, part.offset));
    after.merge(middle);
    after.merge(record.clip(part.end(), record.end()));
    after.merge(right);
    splice(tp, inode, which, &old, &after)?;
    blocks::defer_rmap_convert(tp, inode, which, Extent { unwritten, ..part });
    Ok(())
}

/// Replaces the neighbouring records `old`, which the fork has, by `new`.
pub(super) fn splice(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    old: &Run,
    new: &Run,
) -> Result<()> {
    let (mut old, mut new) = (old.as_slice(), new.as_slice());
    while let (Some(a), Some(b)) = (old.first(), new.first())
        && a == b
    {
        (old, new) = (&old[1..], &new[1..]);
    }
    while let (Some(a), Some(b)) = (old.last(), new.last())
        && a == b
    {
        (old, new) = (&old[..old.len() - 1], &new[..new.len() - 1]);
    }
    if new.len() > old.len() {
        reserve_count(tp, inode, which, (new.len() - old.len()) as u64)?;
    }
    let ino = tp.inode(inode).ino;
    let fork = tp.inode_mut(inode).fork_mut(which);
    let Some(map) = fork.and_then(InodeFork::extents_mut) else {
        return Err(bad(ino, format!("the {which:?} fork has no extents")));
    };
    for gone in old {
        map.remove(gone.offset);
    }
    for &record in new {
        map.insert(record);
    }
    if tp.inode(inode).fork(which).and_then(InodeFork::root).is_some() {
        splice_btree(tp, inode, which, old, new)?;
        tp.log_inode(inode, InodeLogFlags::CORE);
    } else {
        tp.log_inode(inode, extents_flag(which));
    }
    adjust_format(tp, inode, which)
}

fn extents_flag(which: WhichFork) -> InodeLogFlags {
    match which {
        WhichFork::Data => InodeLogFlags::DEXT,
        WhichFork::Attr => InodeLogFlags::AEXT,
    }
}

pub(crate) fn root_flag(which: WhichFork) -> InodeLogFlags {
    match which {
        WhichFork::Data => InodeLogFlags::DBROOT,
        WhichFork::Attr => InodeLogFlags::ABROOT,
    }
}

/// Applies a replacement to the btree: records are updated in place as far as both lists
/// go, which keeps the order at every step because both cover about the same file blocks.
fn splice_btree(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    old: &[Extent],
    new: &[Extent],
) -> Result<()> {
    let mut cursor = Cursor::new(tp, BmapTree::new(tp, inode, which));
    let ino = tp.inode(inode).ino;
    let both = old.len().min(new.len());
    for (gone, record) in old.iter().zip(new) {
        find(&mut cursor, tp, ino, gone.offset)?;
        cursor.update(tp, record)?;
    }
    for gone in &old[both..] {
        find(&mut cursor, tp, ino, gone.offset)?;
        cursor.delete(tp)?;
    }
    for record in &new[both..] {
        if cursor.lookup_eq(tp, &record.offset)? {
            return Err(bad(ino, format!("the btree has file block {} already", record.offset)));
        }
        cursor.insert(tp, record)?;
    }
    Ok(())
}

fn find(
    cursor: &mut Cursor<BmapTree>,
    tp: &mut Transaction<'_>,
    ino: u64,
    offset: u64,
) -> Result<()> {
    if cursor.lookup_eq(tp, &offset)? {
        return Ok(());
    }
    Err(bad(ino, format!("the btree has no record for file block {offset}")))
}

/// Most extent records that fit in the inode itself.
fn inline_max(tp: &Transaction<'_>, inode: InodeRef, which: WhichFork) -> usize {
    tp.inode(inode).fork_size(&tp.geo, which) / RECORD_BYTES
}

/// Moves the extents into a btree when they no longer fit in the inode, and back when they
/// do: [`InodeFork`] must always be what Linux would choose. Also for a fork whose space in
/// the inode changed.
///
/// # Errors
///
/// ENOSPC if a block is needed and the transaction has none; errors of the btree.
pub fn adjust_format(tp: &mut Transaction<'_>, inode: InodeRef, which: WhichFork) -> Result<()> {
    let max = inline_max(tp, inode, which);
    match tp.inode(inode).fork(which) {
        Some(InodeFork::Extents(map)) if map.len() > max => extents_to_btree(tp, inode, which),
        Some(InodeFork::Btree { map: Some(map), .. }) if map.len() <= max => {
            btree_to_extents(tp, inode, which)
        }
        _ => Ok(()),
    }
}

/// Writes all records to one leaf block, under a root in the inode.
fn extents_to_btree(tp: &mut Transaction<'_>, inode: InodeRef, which: WhichFork) -> Result<()> {
    let ino = tp.inode(inode).ino;
    let geo = std::sync::Arc::clone(&tp.geo);
    let near = geo.ino_fsblock(crate::format::geometry::Ino(ino));
    let block = blocks::alloc_btree_block(tp, inode, which, near)?;
    let Some(fork) = tp.inode_mut(inode).fork_mut(which) else { return Ok(()) };
    let InodeFork::Extents(map) = std::mem::take(fork) else { return Ok(()) };
    let first = map.first().map_or(0, |first| first.offset);
    let records = map.to_bytes();
    let count = map.len() as u16;
    let root = BtreeRoot { level: 1, children: vec![(first, block)] };
    *fork = InodeFork::Btree { root, count: map.len() as u64, map: Some(map) };
    let kind = BtreeKind::Bmap;
    let daddr = geo.fsblock_daddr(block);
    let leaf = tp.get_buffer(daddr, geo.block_size, BufferKind::Bmbt);
    let header = Header {
        magic: kind.magic(),
        level: 0,
        numrecs: count,
        left: None,
        right: None,
        blkno: daddr,
        lsn: 0,
        uuid: geo.meta_uuid,
        owner: ino,
    };
    let end = kind.record_offset(usize::from(count));
    if end > geo.block_size as usize {
        return Err(bad(ino, format!("{count} extents do not fit a btree block")));
    }
    let bytes = tp.buffer_mut(leaf, 0..end);
    header.write(bytes, kind)?;
    bytes[kind.header_len()..].copy_from_slice(&records);
    tp.log_inode(inode, root_flag(which));
    Ok(())
}

/// Drops the single leaf below the root, after which the records are in the inode.
fn btree_to_extents(tp: &mut Transaction<'_>, inode: InodeRef, which: WhichFork) -> Result<()> {
    let ino = tp.inode(inode).ino;
    let Some(fork) = tp.inode_mut(inode).fork_mut(which) else { return Ok(()) };
    let InodeFork::Btree { root, map, .. } = fork else { return Ok(()) };
    let &[(_, block)] = root.children.as_slice() else {
        // Other writers may leave a tree that is higher than it needs to be.
        return Ok(());
    };
    if root.level != 1 {
        return Ok(());
    }
    let map = map.take().unwrap_or_else(ExtentMap::new);
    *fork = InodeFork::Extents(map);
    let leaf = tp.read_fsb(block, BufferKind::Bmbt)?;
    let header = Header::read(tp.buffer(leaf), BtreeKind::Bmap, At::Inode(ino))?;
    if header.owner != ino || header.level != 0 {
        return Err(bad(ino, format!("block {block} is not a leaf of the extent btree")));
    }
    tp.invalidate(leaf);
    blocks::free_btree_block(tp, inode, which, block);
    tp.log_inode(inode, extents_flag(which));
    Ok(())
}
