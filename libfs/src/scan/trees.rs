//! The btrees of allocation groups, and what all btrees share.

use super::{AgHeaders, Scanner};
use crate::format::btree_block::{self, BtreeKind, Header};
use crate::format::btree_record::{
    DiskFreeExtent, DiskInodeChunk, DiskRefcount, DiskRmap, FreeExtent, InodeChunk, Refcount, Rmap,
};
use crate::format::geometry::FsBlock;
use crate::format::{checksum, slice_of};
use crate::{At, Error, Result};
use rustc_hash::FxHashSet;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Most bytes of neighbouring blocks that are read at once.
const RUN_BYTES: usize = 256 << 10;

/// A block of a btree, checked.
#[derive(Debug, Clone, Copy)]
pub struct TreeBlock<'b> {
    /// Kind of tree.
    pub kind: BtreeKind,
    /// Where the block is.
    pub block: FsBlock,
    /// Its header.
    pub header: Header,
    /// All its bytes.
    pub bytes: &'b [u8],
    max_records: usize,
}

impl<'b> TreeBlock<'b> {
    /// The records of a leaf, as they lie on disk.
    pub fn records<T>(&self) -> &'b [T]
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let all: &[T] = slice_of(self.bytes.get(self.kind.header_len()..).unwrap_or(&[]));
        all.get(..usize::from(self.header.numrecs)).unwrap_or(all)
    }

    /// The pointers of an inner block: group blocks, or filesystem blocks in a fork's tree.
    pub fn pointers(&self) -> impl Iterator<Item = u64> + 'b {
        let (kind, bytes, max) = (self.kind, self.bytes, self.max_records);
        (0..usize::from(self.header.numrecs).min(max)).filter_map(move |index| {
            let rest = bytes.get(kind.ptr_offset(index, max)..)?;
            if kind.is_long() {
                return rest.first_chunk().map(|b| u64::from_be_bytes(*b));
            }
            rest.first_chunk().map(|b| u32::from_be_bytes(*b).into())
        })
    }
}

/// A tree being walked.
pub(super) struct Walk<'w> {
    pub(super) kind: BtreeKind,
    /// What the blocks' owner must be: the group or the inode.
    pub(super) owner: u64,
    pub(super) seen: FxHashSet<FsBlock>,
    pub(super) visit: &'w mut dyn FnMut(&TreeBlock<'_>) -> Result<()>,
}

impl<'a> Scanner<'a> {
    /// Visits every block of a tree of group `agno`: inner blocks before those below them,
    /// otherwise from the left to the right. A tree that the filesystem does not have has no
    /// blocks.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails, `visit` returns one, or a block is damaged
    /// (see the [module](super)).
    pub fn tree_blocks(
        &self,
        headers: &AgHeaders,
        kind: BtreeKind,
        visit: &mut dyn FnMut(&TreeBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some((root, levels)) = self.root(headers, kind)? else { return Ok(()) };
        let agno = headers.agno;
        let check = |valid: bool, why: String| {
            if valid {
                Ok(())
            } else {
                Err(Error::corrupt(kind.name(), At::AgBlock(agno, root), why))
            }
        };
        let highest = self.geo.max_levels.of(kind);
        let sound = check(self.geo.valid_agbno(agno, root), "the root is impossible".into())
            .and_then(|()| {
                check((1..=highest).contains(&levels), format!("the tree has {levels} levels"))
            });
        if self.or_report(sound)?.is_none() {
            return Ok(());
        }
        let mut walk = Walk { kind, owner: agno.into(), seen: FxHashSet::default(), visit };
        let level = u16::try_from(levels - 1).unwrap_or(u16::MAX);
        self.walk_blocks(&mut walk, &[self.geo.fsblock(agno, root)], level)
    }

    /// Root and height of a tree of a group, if the filesystem has such trees.
    fn root(&self, headers: &AgHeaders, kind: BtreeKind) -> Result<Option<(u32, u32)>> {
        let features = &self.geo.features;
        let (agf, agi) = (headers.agf()?, headers.agi()?);
        let (has, root, levels) = match kind {
            BtreeKind::Bno => (true, agf.bnoroot, agf.bnolevel),
            BtreeKind::Cnt => (true, agf.cntroot, agf.cntlevel),
            BtreeKind::Rmap => (features.rmapbt, agf.rmaproot, agf.rmaplevel),
            BtreeKind::Refcount => (features.reflink, agf.refcntroot, agf.refcntlevel),
            BtreeKind::Ino => (true, agi.root, agi.level),
            BtreeKind::Fino => (features.finobt, agi.free_root, agi.free_level),
            BtreeKind::Bmap | BtreeKind::RtRmap | BtreeKind::RtRefcount => return Ok(None),
        };
        Ok(has.then(|| (root.get(), levels.get())))
    }

    /// Visits blocks of one level and all below them. Neighbours are read together.
    pub(super) fn walk_blocks(
        &self,
        walk: &mut Walk<'_>,
        blocks: &[FsBlock],
        level: u16,
    ) -> Result<()> {
        let block_size = self.geo.block_size as usize;
        let most = (RUN_BYTES / block_size).max(1);
        let mut left = blocks;
        let mut buffer = Vec::new();
        while let Some(&first) = left.first() {
            let apart = (1..left.len().min(most))
                .find(|&n| left.get(n).map(|block| block.0) != first.0.checked_add(n as u64));
            let count = apart.unwrap_or(left.len().min(most));
            let (run, rest) = left.split_at(count);
            left = rest;
            buffer.resize(count * block_size, 0);
            let daddr = self.geo.fsblock_daddr(first);
            if self.or_report(self.read(daddr, &mut buffer))?.is_none() {
                continue;
            }
            for (&block, bytes) in run.iter().zip(buffer.chunks_exact(block_size)) {
                self.walk_block(walk, block, level, bytes)?;
            }
        }
        Ok(())
    }

    fn walk_block(
        &self,
        walk: &mut Walk<'_>,
        block: FsBlock,
        level: u16,
        bytes: &[u8],
    ) -> Result<()> {
        let daddr = self.geo.fsblock_daddr(block);
        if !walk.seen.insert(block) {
            let twice = Error::corrupt(walk.kind.name(), At::Daddr(daddr), "reached a second time");
            return self.or_report(Err(twice)).map(|_: Option<()>| ());
        }
        let header = self.verify_block(walk, daddr, level, bytes);
        let Some(header) = self.or_report(header)? else { return Ok(()) };
        let summed =
            checksum::check(bytes, walk.kind.crc_offset(), walk.kind.name(), At::Daddr(daddr));
        self.or_report(summed)?;
        let max_records = self.geo.max_records(walk.kind, level == 0) as usize;
        let view = TreeBlock { kind: walk.kind, block, header, bytes, max_records };
        (walk.visit)(&view)?;
        let Some(below) = level.checked_sub(1) else { return Ok(()) };
        let agno = self.geo.fsblock_agno(block);
        let mut children = Vec::with_capacity(header.numrecs.into());
        for pointer in view.pointers() {
            let child = if walk.kind.is_long() {
                FsBlock(pointer)
            } else {
                // Pointers of the short form have 32 bits.
                self.geo.fsblock(agno, u32::try_from(pointer).unwrap_or(u32::MAX))
            };
            let same_group = walk.kind.is_long() || self.geo.fsblock_agno(child) == agno;
            let valid = same_group && self.geo.valid_fsb(child);
            let sound = if valid {
                Ok(child)
            } else {
                let why = format!("pointer {pointer} is impossible");
                Err(Error::corrupt(walk.kind.name(), At::Daddr(daddr), why))
            };
            children.extend(self.or_report(sound)?);
        }
        self.walk_blocks(walk, &children, below)
    }

    fn verify_block(
        &self,
        walk: &Walk<'_>,
        daddr: u64,
        level: u16,
        bytes: &[u8],
    ) -> Result<Header> {
        let header = btree_block::verify(bytes, self.geo, walk.kind, daddr)?;
        let wrong = |why| Err(Error::corrupt(walk.kind.name(), At::Daddr(daddr), why));
        if header.level != level {
            return wrong(format!("level is {}, expected {level}", header.level));
        }
        if header.owner != walk.owner {
            return wrong(format!("owner is {}, expected {}", header.owner, walk.owner));
        }
        Ok(header)
    }

    /// Visits the leaf records of a tree, as they lie on disk.
    fn records<T>(
        &self,
        headers: &AgHeaders,
        kind: BtreeKind,
        visit: &mut dyn FnMut(&T) -> Result<()>,
    ) -> Result<()>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        self.tree_blocks(headers, kind, &mut |block| {
            if block.header.level > 0 {
                return Ok(());
            }
            block.records::<T>().iter().try_for_each(&mut *visit)
        })
    }

    /// Visits the free extents of a group in the order of the tree `by`: [`BtreeKind::Bno`]
    /// or [`BtreeKind::Cnt`]. The free list is not among them.
    ///
    /// # Errors
    ///
    /// As [`Scanner::tree_blocks`].
    pub fn free_space(
        &self,
        headers: &AgHeaders,
        by: BtreeKind,
        visit: &mut dyn FnMut(FreeExtent) -> Result<()>,
    ) -> Result<()> {
        self.records(headers, by, &mut |disk: &DiskFreeExtent| {
            let extent = FreeExtent::from(disk);
            match self.or_report(extent.verify(self.geo, headers.agno))? {
                Some(()) => visit(extent),
                None => Ok(()),
            }
        })
    }

    /// Visits the inode chunks of a group in order.
    ///
    /// # Errors
    ///
    /// As [`Scanner::tree_blocks`].
    pub fn inode_chunks(
        &self,
        headers: &AgHeaders,
        visit: &mut dyn FnMut(InodeChunk) -> Result<()>,
    ) -> Result<()> {
        let sparse = self.geo.features.sparse_inodes;
        self.records(headers, BtreeKind::Ino, &mut |disk: &DiskInodeChunk| {
            let chunk = InodeChunk::decode(disk, sparse);
            match self.or_report(chunk.verify(self.geo, headers.agno))? {
                Some(()) => visit(chunk),
                None => Ok(()),
            }
        })
    }

    /// Visits the reverse mappings of a group in order; none without a reverse mapping tree.
    ///
    /// # Errors
    ///
    /// As [`Scanner::tree_blocks`].
    pub fn reverse_mappings(
        &self,
        headers: &AgHeaders,
        visit: &mut dyn FnMut(Rmap) -> Result<()>,
    ) -> Result<()> {
        self.records(headers, BtreeKind::Rmap, &mut |disk: &DiskRmap| {
            let rmap = Rmap::decode(disk);
            match self.or_report(rmap.verify(self.geo, headers.agno))? {
                Some(()) => visit(rmap),
                None => Ok(()),
            }
        })
    }

    /// Visits the reference counts of a group in order; none without a reference count tree.
    ///
    /// # Errors
    ///
    /// As [`Scanner::tree_blocks`].
    pub fn reference_counts(
        &self,
        headers: &AgHeaders,
        visit: &mut dyn FnMut(Refcount) -> Result<()>,
    ) -> Result<()> {
        self.records(headers, BtreeKind::Refcount, &mut |disk: &DiskRefcount| {
            let refcount = Refcount::decode(disk);
            match self.or_report(refcount.verify(self.geo, headers.agno))? {
                Some(()) => visit(refcount),
                None => Ok(()),
            }
        })
    }
}
