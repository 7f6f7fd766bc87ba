//! Making new chunks of inodes.

use super::super::header;
use super::super::inobt;
use super::super::trees::{Finobt, Inobt};
use super::Pass;
use super::blocks::{self, Wanted};
use crate::Result;
use crate::buffer::{BufferId, BufferKind};
use crate::format::NULL_AGINO;
use crate::format::ag::Agi;
use crate::format::btree_record::InodeChunk;
use crate::format::checksum;
use crate::format::geometry::{Geometry, INODES_PER_CHUNK};
use crate::format::inode::{CRC_OFFSET, Dinode, mode};
use crate::format::log::InodeCreateLog;
use crate::format::log::wire::Be32;
use crate::inode::InodeCore;
use crate::mount::Mount;
use crate::transaction::Transaction;
use std::mem::offset_of;
use zerocopy::IntoBytes;

/// Blocks that a group gave for inodes.
#[derive(Debug, Clone, Copy)]
struct Space {
    agbno: u32,
    blocks: u32,
}

/// Whether `imaxpct` allows a chunk more.
pub(super) fn within_limit(mount: &Mount) -> bool {
    let limit = mount.geo.inode.max_count;
    limit == 0 || mount.counters.icount + u64::from(mount.geo.inode.alloc_inodes) <= limit
}

/// Whether a group looks as if it had space for a chunk. On the first pass there must be
/// room for its alignment as well, so that the allocation does not fail after it changed
/// the free list.
pub(super) fn may_fit(tp: &mut Transaction<'_>, agno: u32, mode: u16, pass: Pass) -> Result<bool> {
    let agf = tp.read_agf(agno)?;
    let agf = header::agf(tp, agf)?;
    let inode = &tp.geo.inode;
    let mut needed = inode.alloc_min_blocks;
    if pass == Pass::Comfortable && needed > 1 {
        needed += inode.align_mask + 1;
    }
    let longest = match agf.longest.get() {
        0 => u32::from(agf.flcount.get() > 0),
        longest => longest,
    };
    let contents = matches!(mode & mode::TYPE, mode::DIR | mode::REGULAR | mode::SYMLINK);
    Ok(agf.freeblks.get() >= needed + u32::from(contents) && longest >= needed)
}

/// Makes a chunk in a group, a sparse one if there is no space for a whole one and the
/// filesystem may have those. `false` if there is no space for either.
pub(super) fn make(tp: &mut Transaction<'_>, agno: u32, agi: BufferId) -> Result<bool> {
    if !within_limit(tp) {
        return Ok(false);
    }
    let (space, whole) = match find_whole(tp, agno, agi)? {
        Some(space) => (space, true),
        None => match find_part(tp, agno, agi)? {
            Some(space) => (space, false),
            None => return Ok(false),
        },
    };
    let inodes = space.blocks * tp.geo.inode.per_block;
    initialise(tp, agno, space);
    let newest = if whole {
        let first = tp.geo.agbno_agino(space.agbno);
        insert_whole(tp, agno, agi, first, inodes)?;
        first
    } else {
        insert_part(tp, agno, agi, space, inodes)?
    };
    header::add_to_field(tp, agi, offset_of!(Agi, count), inodes.into())?;
    header::add_to_field(tp, agi, offset_of!(Agi, freecount), inodes.into())?;
    header::set_field(tp, agi, offset_of!(Agi, newino), newest);
    tp.mod_icount(inodes.into());
    tp.mod_ifree(inodes.into());
    Ok(true)
}

/// Space for whole chunks: right behind the newest, or else aligned and near the root of
/// the inode btree.
fn find_whole(tp: &mut Transaction<'_>, agno: u32, agi: BufferId) -> Result<Option<Space>> {
    let (newest, root, length) = {
        let agi = header::agi(tp, agi)?;
        (agi.newino.get(), agi.root.get(), agi.length.get())
    };
    let geo = tp.geo.clone();
    let blocks = geo.inode.alloc_blocks;
    let align = geo.inode.align_mask + 1;
    let behind = geo.agino_agbno(newest).saturating_add(blocks);
    let wanted = |align| Wanted { agno, blocks, align, range: None };
    let found = |agbno| Space { agbno, blocks };
    let aligned = newest != NULL_AGINO && behind < length && behind.is_multiple_of(align);
    if aligned && let Some(agbno) = blocks::exact(tp, wanted(1), behind)? {
        return Ok(Some(found(agbno)));
    }
    let stripe = geo.stripe_unit;
    let striped = stripe != 0 && align > 1 && stripe.is_multiple_of(align);
    if striped && let Some(agbno) = blocks::near(tp, wanted(stripe), root)? {
        return Ok(Some(found(agbno)));
    }
    Ok(blocks::near(tp, wanted(align), root)?.map(found))
}

/// Space for part of a chunk.
fn find_part(tp: &mut Transaction<'_>, agno: u32, agi: BufferId) -> Result<Option<Space>> {
    let geo = tp.geo.clone();
    let (least, align) = (geo.inode.alloc_min_blocks, geo.inode.sparse_align);
    if !geo.features.sparse_inodes || align == 0 || least >= geo.inode.alloc_blocks {
        return Ok(None);
    }
    // The record covers a whole aligned chunk, which must neither begin at the headers nor
    // reach beyond the group.
    let chunk = geo.inode.chunk_align.max(1);
    let last = geo.ag_size(agno) / chunk * chunk;
    let Some(last) = last.checked_sub(geo.inode.alloc_blocks) else { return Ok(None) };
    let root = header::agi(tp, agi)?.root.get();
    let wanted = Wanted { agno, blocks: least, align, range: Some((chunk, last)) };
    Ok(blocks::near(tp, wanted, root)?.map(|agbno| Space { agbno, blocks: least }))
}

/// Fills the new inodes' clusters. They are not logged: an inode-create item says what
/// is in them.
fn initialise(tp: &mut Transaction<'_>, agno: u32, space: Space) {
    let geo = tp.geo.clone();
    let inodes = space.blocks * geo.inode.per_block;
    let generation = tp.random_generation(geo.ino(agno, geo.agbno_agino(space.agbno)).0);
    tp.log_inode_create(InodeCreateLog {
        icl_type: crate::format::log::LogItemType::InodeCreate as u16,
        icl_size: 1,
        icl_ag: Be32(agno),
        icl_agbno: Be32(space.agbno),
        icl_count: Be32(inodes),
        icl_isize: Be32(geo.inode.size),
        icl_length: Be32(space.blocks),
        icl_gen: Be32(generation),
    });
    let step = geo.inode.blocks_per_cluster;
    for agbno in (space.agbno..space.agbno + space.blocks).step_by(step as usize) {
        let daddr = geo.agblock_daddr(agno, agbno);
        let id = tp.get_buffer(daddr, step << geo.block_log, BufferKind::InodeCluster);
        let first = geo.ino(agno, geo.agbno_agino(agbno)).0;
        fill_cluster(&geo, first, generation, tp.buffers.data_mut(id));
        tp.set_ordered(id);
    }
}

/// Writes free inodes into a cluster of zeros, as recovery of an inode-create item does.
fn fill_cluster(geo: &Geometry, first: u64, generation: u32, cluster: &mut [u8]) {
    let inodes = cluster.chunks_exact_mut(geo.inode.size as usize);
    for (ino, bytes) in (first..).zip(inodes) {
        let core = free_inode(geo, ino, generation);
        bytes[..core.as_bytes().len()].copy_from_slice(core.as_bytes());
        checksum::stamp(bytes, CRC_OFFSET);
    }
}

/// An inode that was never used: everything zero but what identifies it.
fn free_inode(geo: &Geometry, ino: u64, generation: u32) -> Dinode {
    InodeCore::free(generation).encode(ino, geo.meta_uuid, 0)
}

fn insert_whole(
    tp: &mut Transaction<'_>,
    agno: u32,
    agi: BufferId,
    first: u32,
    inodes: u32,
) -> Result<()> {
    for startino in (first..first + inodes).step_by(INODES_PER_CHUNK as usize) {
        let full = INODES_PER_CHUNK as u8;
        let chunk =
            InodeChunk { startino, holemask: 0, count: full, freecount: full, free: u64::MAX };
        insert_new(tp, agno, agi, &chunk)?;
    }
    Ok(())
}

fn insert_new(
    tp: &mut Transaction<'_>,
    agno: u32,
    agi: BufferId,
    chunk: &InodeChunk,
) -> Result<()> {
    let mut all = Inobt::cursor(tp, agno, agi);
    let mut exists = all.lookup_eq(tp, &chunk.startino)?;
    if !exists {
        all.insert(tp, chunk)?;
    }
    if tp.geo.features.finobt {
        let mut listed = Finobt::cursor(tp, agno, agi);
        let found = listed.lookup_eq(tp, &chunk.startino)?;
        if !found {
            listed.insert(tp, chunk)?;
        }
        exists |= found;
    }
    if exists {
        let why = "free space lies where the btree has a chunk";
        return Err(inobt::inconsistent(tp, agno, chunk.startino, why));
    }
    Ok(())
}

/// Records a part of a chunk, together with the other parts the chunk may have. Returns
/// the chunk's first inode.
fn insert_part(
    tp: &mut Transaction<'_>,
    agno: u32,
    agi: BufferId,
    space: Space,
    inodes: u32,
) -> Result<u32> {
    let part = part_record(&tp.geo, space, inodes);
    let startino = part.startino;
    let mut all = Inobt::cursor(tp, agno, agi);
    let merged = if all.lookup_eq(tp, &startino)? {
        let old = all.expect(tp)?;
        let Some(merged) = merge(&old, &part) else {
            let why = "free space lies where the btree has inodes";
            return Err(inobt::inconsistent(tp, agno, startino, why));
        };
        all.update(tp, &merged)?;
        merged
    } else {
        all.insert(tp, &part)?;
        part
    };
    if tp.geo.features.finobt {
        // Whether the chunk was listed depends on whether it had free inodes.
        let mut listed = Finobt::cursor(tp, agno, agi);
        if listed.lookup_eq(tp, &startino)? {
            listed.update(tp, &merged)?;
        } else {
            listed.insert(tp, &merged)?;
        }
    }
    Ok(startino)
}

/// The record of a chunk that has only the blocks of `space`, all inodes free.
fn part_record(geo: &Geometry, space: Space, inodes: u32) -> InodeChunk {
    let within = space.agbno % geo.inode.chunk_align.max(1);
    let offset = geo.agbno_agino(within);
    let bits = |inodes: u32| inodes / InodeChunk::INODES_PER_HOLE_BIT;
    let present = ((1u32 << bits(inodes).min(16)) - 1) << bits(offset).min(16);
    InodeChunk {
        startino: geo.agbno_agino(space.agbno - within),
        holemask: !(present as u16),
        count: inodes as u8,
        freecount: inodes as u8,
        free: u64::MAX,
    }
}

/// Joins two records of the same chunk; `None` if they share inodes.
fn merge(old: &InodeChunk, new: &InodeChunk) -> Option<InodeChunk> {
    // A hole of one must not be a hole of the other unless it stays one.
    if !old.holemask & !new.holemask != 0 {
        return None;
    }
    Some(InodeChunk {
        startino: old.startino,
        holemask: old.holemask & new.holemask,
        count: old.count + new.count,
        freecount: old.freecount + new.freecount,
        free: old.free & new.free,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_chunk_join() {
        let old = InodeChunk { startino: 64, holemask: 0xff00, count: 32, freecount: 1, free: !1 };
        let new = InodeChunk { startino: 64, holemask: 0x0fff, count: 16, freecount: 16, free: !0 };
        let joined = merge(&old, &new).expect("they do not overlap");
        assert_eq!((joined.holemask, joined.count, joined.freecount), (0x0f00, 48, 17));
        assert_eq!(joined.free, !1);
        assert_eq!(merge(&joined, &new), None);
    }
}
