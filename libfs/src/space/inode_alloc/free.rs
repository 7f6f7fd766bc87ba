//! Giving inodes back.

use super::super::header;
use super::super::inobt;
use super::super::trees::{Finobt, Inobt};
use crate::Result;
use crate::buffer::{BufferId, BufferKind};
use crate::format::ag::Agi;
use crate::format::btree_record::InodeChunk;
use crate::format::geometry::{Geometry, INODES_PER_CHUNK, Ino};
use crate::transaction::Transaction;
use std::mem::offset_of;

/// A chunk whose last inode was freed: its blocks are free as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreedChunk {
    /// Its allocation group.
    pub agno: u32,
    /// What the inode btree said of it.
    pub chunk: InodeChunk,
}

/// Gives inode `ino` back to its group. With the last inode of a chunk the chunk goes:
/// the blocks are freed by deferred operations, the cluster buffers are invalidated, and
/// the inodes in memory become stale.
///
/// # Errors
///
/// [`crate::Error::Corrupt`] if the inode is free or has no blocks, or if the btrees
/// disagree; [`crate::Error::Io`].
pub fn free(tp: &mut Transaction<'_>, ino: u64) -> Result<Option<FreedChunk>> {
    let (agno, agino) = tp.geo.ino_parts(Ino(ino));
    let agi = tp.read_agi(agno)?;
    let mut all = Inobt::cursor(tp, agno, agi);
    let found = match all.lookup_le(tp, &agino)? {
        true => all.get(tp)?,
        false => None,
    };
    let place = found.and_then(|chunk| Some((chunk, inobt::bit(&chunk, agino)?)));
    let Some((mut chunk, bit)) = place else {
        return Err(inobt::inconsistent(tp, agno, agino, "the inode to free is in no chunk"));
    };
    if chunk.allocated_mask() & bit == 0 || chunk.free & bit != 0 {
        return Err(inobt::inconsistent(tp, agno, agino, "the inode to free is free already"));
    }
    chunk.free |= bit;
    chunk.freecount += 1;
    let whole = can_go(&tp.geo, &chunk);
    if whole {
        all.delete(tp)?;
    } else {
        all.update(tp, &chunk)?;
    }
    if tp.geo.features.finobt {
        list_free(tp, agno, agi, &chunk, whole)?;
    }
    count(tp, agi, &chunk, whole)?;
    if !whole {
        return Ok(None);
    }
    let freed = FreedChunk { agno, chunk };
    free_blocks(tp, &freed);
    invalidate(tp, &freed);
    Ok(Some(freed))
}

/// Whether all inodes of the chunk are free and it has its blocks for itself.
fn can_go(geo: &Geometry, chunk: &InodeChunk) -> bool {
    chunk.free == u64::MAX && geo.inode.per_block <= INODES_PER_CHUNK
}

/// Brings the free inode btree up to date with `chunk`, which the inode btree has now.
fn list_free(
    tp: &mut Transaction<'_>,
    agno: u32,
    agi: BufferId,
    chunk: &InodeChunk,
    whole: bool,
) -> Result<()> {
    let mut listed = Finobt::cursor(tp, agno, agi);
    let found = listed.lookup_eq(tp, &chunk.startino)?;
    if found != (chunk.freecount > 1) {
        let why = "the free inode btree lists the chunk wrongly";
        return Err(inobt::inconsistent(tp, agno, chunk.startino, why));
    }
    match (found, whole) {
        (true, true) => listed.delete(tp),
        (true, false) => listed.update(tp, chunk),
        (false, true) => Ok(()),
        (false, false) => listed.insert(tp, chunk),
    }
}

fn count(tp: &mut Transaction<'_>, agi: BufferId, chunk: &InodeChunk, whole: bool) -> Result<()> {
    if !whole {
        header::add_to_field(tp, agi, offset_of!(Agi, freecount), 1)?;
        tp.mod_ifree(1);
        return Ok(());
    }
    // One of the chunk's inodes was not counted as free until now.
    let gone = i64::from(chunk.freecount);
    header::add_to_field(tp, agi, offset_of!(Agi, count), -gone)?;
    header::add_to_field(tp, agi, offset_of!(Agi, freecount), 1 - gone)?;
    tp.mod_icount(-gone);
    tp.mod_ifree(1 - gone);
    Ok(())
}

/// Defers freeing the blocks of a chunk, each piece of a sparse one separately.
fn free_blocks(tp: &mut Transaction<'_>, freed: &FreedChunk) {
    let first = tp.geo.agino_agbno(freed.chunk.startino);
    for (start, len) in block_runs(tp.geo.inode.per_block, &freed.chunk) {
        super::blocks::free(tp, freed.agno, first + start, len);
    }
}

/// Runs of blocks that a chunk has, as first block within the chunk and length.
fn block_runs(per_block: u32, chunk: &InodeChunk) -> Vec<(u32, u32)> {
    let mask = chunk.allocated_mask();
    let mut runs: Vec<(u32, u32)> = Vec::new();
    for block in 0..INODES_PER_CHUNK / per_block {
        if mask >> (block * per_block) & 1 == 0 {
            continue;
        }
        match runs.last_mut() {
            Some((start, len)) if *start + *len == block => *len += 1,
            _ => runs.push((block, 1)),
        }
    }
    runs
}

/// Makes sure that no cluster of a freed chunk is written any more, and that recovery does
/// not bring one back.
fn invalidate(tp: &mut Transaction<'_>, freed: &FreedChunk) {
    let geo = tp.geo.clone();
    let first = geo.ino(freed.agno, freed.chunk.startino).0;
    for inode in tp.inodes.find_range(first..first + u64::from(INODES_PER_CHUNK)) {
        tp.inodes.get_mut(inode).make_stale();
    }
    let agbno = geo.agino_agbno(freed.chunk.startino);
    let (blocks, inodes) = (geo.inode.blocks_per_cluster, geo.inode.inodes_per_cluster);
    for cluster in 0..INODES_PER_CHUNK / inodes.min(INODES_PER_CHUNK) {
        if freed.chunk.allocated_mask() >> (cluster * inodes) & 1 == 0 {
            continue;
        }
        let daddr = geo.agblock_daddr(freed.agno, agbno + cluster * blocks);
        let id = tp.get_buffer(daddr, blocks << geo.block_log, BufferKind::InodeCluster);
        tp.invalidate(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sparse_chunks_are_freed_in_pieces() {
        let chunk =
            InodeChunk { startino: 64, holemask: 0xf00f, count: 32, freecount: 32, free: !0 };
        assert_eq!(block_runs(8, &chunk), [(2, 4)]);
        assert_eq!(block_runs(2, &chunk), [(8, 16)]);
        let split = InodeChunk { holemask: 0x0ff0, ..chunk };
        assert_eq!(block_runs(8, &split), [(0, 2), (6, 2)]);
    }
}
