//! The btrees of allocation groups. Levels go down by one with each block, so walks end; what
//! a block says of itself is compared, but the walk goes by where the block was found.

use super::Count;
use super::blocks::Kind;
use super::claim::Space;
use super::groups::{Sums, alternate_hex};
use libfs::At;
use libfs::format::btree_block::{BtreeKind, Header};
use libfs::format::btree_record::{
    DiskFreeExtent, DiskInodeChunk, DiskRefcount, FreeExtent, InodeChunk, Refcount, RefcountDomain,
};
use libfs::format::geometry::INODES_PER_CHUNK;
use libfs::format::overlay;
use std::collections::HashSet;

/// A tree that is walked.
struct Tree<'s> {
    agno: u32,
    kind: BtreeKind,
    /// Where the last record of the leaf before ended.
    last: u64,
    seen: HashSet<u32>,
    sums: &'s mut Sums,
}

/// Name of a tree and use of its blocks.
fn names(kind: BtreeKind) -> (&'static str, Kind) {
    match kind {
        BtreeKind::Bno => ("btbno", Kind::Btbno),
        BtreeKind::Cnt => ("btcnt", Kind::Btcnt),
        BtreeKind::Rmap => ("rmapbt", Kind::Btrmap),
        BtreeKind::Refcount => ("refcntbt", Kind::Btrefcnt),
        BtreeKind::Fino => ("finobt", Kind::Btfino),
        _ => ("inobt", Kind::Btino),
    }
}

impl Count<'_> {
    /// Counts a tree of group `agno`, and what its records speak of.
    pub(super) fn tree(
        &mut self,
        agno: u32,
        kind: BtreeKind,
        root: u32,
        levels: u32,
        sums: &mut Sums,
    ) {
        let Some(level) = levels.checked_sub(1).filter(|&level| level < 16) else {
            let (name, _) = names(kind);
            let line = format_args!("bad level {levels} of {name} root {root} in ag {agno}");
            return self.report.complain(line);
        };
        let mut tree = Tree { agno, kind, last: 0, seen: HashSet::new(), sums };
        let before = tree.sums.tree_blocks;
        self.tree_block(&mut tree, root, level);
        if kind == BtreeKind::Rmap && tree.sums.tree_blocks > before {
            tree.sums.tree_blocks -= 1;
        }
    }

    fn tree_block(&mut self, tree: &mut Tree<'_>, agbno: u32, level: u32) {
        let (agno, kind) = (tree.agno, tree.kind);
        let mut bytes = vec![0; self.geo.block_size as usize];
        let daddr = self.geo.agblock_daddr(agno, agbno);
        if self.scanner.read(daddr, &mut bytes).is_err() {
            let line = format_args!("can't read btree block {agno}/{agbno}");
            return self.report.complain(line);
        }
        let Ok(header) = Header::read(&bytes, kind, At::Daddr(daddr)) else { return };
        let (name, used) = names(kind);
        if header.magic != kind.magic() {
            let magic = alternate_hex(header.magic);
            let line = format_args!("bad magic # {magic} in {name} block {agno}/{agbno}");
            return self.report.complain_seriously(line);
        }
        if matches!(kind, BtreeKind::Bno | BtreeKind::Cnt | BtreeKind::Rmap) {
            tree.sums.tree_blocks += 1;
        }
        if u32::from(header.level) != level {
            let found = header.level;
            self.report.complain(format_args!(
                "expected level {level} got {found} in {name} block {agno}/{agbno}"
            ));
        }
        self.claim(Space::Group(agno), agbno.into(), 1, (Kind::Unknown, used), None);
        // A block that was reached before was complained of; its records were counted.
        if !tree.seen.insert(agbno) {
            return;
        }
        let (max, min) =
            (self.geo.max_records(kind, level == 0), self.geo.min_records(kind, level == 0));
        let count = u32::from(header.numrecs);
        let is_root = header.left.is_none() && header.right.is_none();
        if count > max || !is_root && count < min {
            return self.report.complain_seriously(format_args!(
                "bad btree nrecs ({count}, min={min}, max={max}) in {name} block {agno}/{agbno}"
            ));
        }
        let Some(below) = level.checked_sub(1) else {
            return self.leaf(tree, agbno, &bytes, count as usize);
        };
        for index in 0..count as usize {
            let rest = bytes.get(kind.ptr_offset(index, max as usize)..);
            if let Some(child) = rest.and_then(|rest| rest.first_chunk()) {
                self.tree_block(tree, u32::from_be_bytes(*child), below);
            }
        }
    }

    fn leaf(&mut self, tree: &mut Tree<'_>, agbno: u32, bytes: &[u8], count: usize) {
        for index in 0..count {
            let record = bytes.get(tree.kind.record_offset(index)..).unwrap_or(&[]);
            match tree.kind {
                BtreeKind::Bno | BtreeKind::Cnt => self.free_record(tree, agbno, index, record),
                BtreeKind::Refcount => self.refcount_record(tree.agno, record),
                BtreeKind::Ino => self.chunk_record(tree, record),
                BtreeKind::Fino => self.free_chunk_record(tree.agno, record),
                _ => {}
            }
        }
    }

    fn free_record(&mut self, tree: &mut Tree<'_>, agbno: u32, index: usize, record: &[u8]) {
        let Ok(disk) = overlay::<DiskFreeExtent>(record, "record", At::Byte(0)) else { return };
        let extent = FreeExtent::from(disk);
        let (start, len) = (u64::from(extent.start), u64::from(extent.len));
        let agno = tree.agno;
        let by_block = tree.kind == BtreeKind::Bno;
        let uses = if by_block {
            (Kind::Unknown, Kind::Free1)
        } else {
            tree.sums.free_blocks += len;
            tree.sums.longest = tree.sums.longest.max(len);
            (Kind::Free1, Kind::Free2)
        };
        if start + len > u64::from(self.geo.ag_blocks) {
            let last = (start + len).saturating_sub(1);
            self.report.complain(format_args!("blocks {agno}/{start}..{last} out of range"));
            self.report.complain(format_args!(
                "blocks {agno}/{start}..{last} claimed by block {agno}/{agbno}"
            ));
        } else {
            self.claim(Space::Group(agno), start, len, uses, None);
        }
        let order = if by_block { start } else { len };
        if order < tree.last {
            let (name, _) = names(tree.kind);
            self.report.complain(format_args!(
                "out-of-order {} btree record {index} ({start} {len}) block {agno}/{agbno}",
                &name[2..]
            ));
        } else {
            tree.last = if by_block { start + len } else { len };
        }
    }

    fn refcount_record(&mut self, agno: u32, record: &[u8]) {
        let Ok(disk) = overlay::<DiskRefcount>(record, "record", At::Byte(0)) else { return };
        let refcount = Refcount::decode(disk);
        let (start, len) = (refcount.startblock, refcount.len);
        let staged = refcount.domain == RefcountDomain::Cow;
        if u64::from(start) + u64::from(len) > u64::from(self.geo.ag_blocks) {
            return self.report.complain(format_args!("block {agno}/{start} out of range"));
        }
        let kind = if staged { Kind::Cowdata } else { Kind::Rldata };
        let uses = (Kind::Unknown, kind);
        self.claim(Space::Group(agno), start.into(), len.into(), uses, None);
        if staged {
            self.report.complain(format_args!("leftover CoW extent ({agno}/{start}) len {len}"));
        }
    }

    /// A chunk of inodes: its blocks and all its inodes, one buffer after the other.
    fn chunk_record(&mut self, tree: &mut Tree<'_>, record: &[u8]) {
        let Ok(disk) = overlay::<DiskInodeChunk>(record, "record", At::Byte(0)) else { return };
        let chunk = InodeChunk::decode(disk, self.geo.features.sparse_inodes);
        let agno = tree.agno;
        let first = chunk.startino;
        if self.geo.agino_agbno(first) >= self.geo.ag_blocks {
            let ino = self.geo.ino(agno, first);
            return self.report.complain(format_args!(
                "bad starting inode # ({ino} ({agno:#x} {first:#x})) in ino rec, skipping rec"
            ));
        }
        let per_buffer = self.inodes_at_once();
        for start in (0..INODES_PER_CHUNK).step_by(per_buffer as usize) {
            if chunk.allocated_mask() >> start & 1 == 0 {
                continue;
            }
            // Chunks that are smaller than a block share it.
            let first = first.wrapping_add(start);
            if self.geo.agino_offset(first) == 0 {
                self.claim_inodes(agno, first, per_buffer, Kind::Unknown);
            }
            self.inode_buffer(agno, &chunk, start, per_buffer);
        }
        let free = chunk.free_mask().count_ones();
        if u32::from(chunk.freecount) != free {
            self.report.complain(format_args!(
                "ir_freecount/free mismatch, inode chunk {agno}/{first}, freecount {} nfree {free}",
                chunk.freecount
            ));
        }
        tree.sums.inodes += u64::from(chunk.count);
        tree.sums.free_inodes += u64::from(chunk.freecount);
    }

    /// Inodes that are looked at together: a buffer if chunks may have holes, else a chunk.
    fn inodes_at_once(&self) -> u32 {
        if self.geo.features.sparse_inodes {
            return self.geo.inode.inodes_per_cluster.clamp(1, INODES_PER_CHUNK);
        }
        INODES_PER_CHUNK
    }

    /// The blocks of inodes.
    fn claim_inodes(&mut self, agno: u32, first: u32, count: u32, from: Kind) {
        let block = self.geo.agino_agbno(first);
        let len = count.div_ceil(self.geo.inode.per_block.max(1));
        let uses = (from, Kind::Inode);
        self.claim(Space::Group(agno), block.into(), len.into(), uses, None);
    }

    /// Chunks with free inodes: their blocks are known from the other tree.
    fn free_chunk_record(&mut self, agno: u32, record: &[u8]) {
        let Ok(disk) = overlay::<DiskInodeChunk>(record, "record", At::Byte(0)) else { return };
        let chunk = InodeChunk::decode(disk, self.geo.features.sparse_inodes);
        let per_buffer = self.inodes_at_once();
        for start in (0..INODES_PER_CHUNK).step_by(per_buffer as usize) {
            if chunk.allocated_mask() >> start & 1 != 0 {
                let first = chunk.startino.wrapping_add(start);
                self.claim_inodes(agno, first, per_buffer, Kind::Inode);
            }
        }
    }
}
