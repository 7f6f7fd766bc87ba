//! Directory blocks that lie in several pieces.
//!
//! Where free space is fragmented, a directory block of more than one filesystem block is
//! put together from extents. Each piece is logged as a buffer of its own, but the
//! checksum in the header of the first covers them all, so it can only be made when all
//! pieces were replayed. (Linux 6.18 does not: it fails to recover such a log.)
//!
//! A piece does not tell what it belongs to. But whatever changes a directory changes its
//! inode too, in the same transaction: the blocks of all directories replayed are looked at.

use std::collections::{BTreeMap, HashSet};

use super::inode_root;
use super::stamp::Kind;
use super::store::Buffer;
use super::{Replay, stamp};
use crate::error::{At, Error, Result};
use crate::format::btree_block::BtreeKind;
use crate::format::checksum;
use crate::format::extent::{DiskExtent, Extent, records};
use crate::format::geometry::{Fork, FsBlock, Geometry, Ino};
use crate::format::inode::{Dinode, ForkFormat, mode};
use crate::format::log::{BufferFormat, blft};

/// What replay came across that may have to be joined.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    /// Addresses of buffers that are shorter than a directory block.
    touched: HashSet<u64>,
    /// Directories: inode number to address and bytes of the cluster, and byte offset in it.
    directories: BTreeMap<u64, (u64, usize, usize)>,
}

/// A run of blocks that is part of a directory block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    /// Number of the directory block in its file.
    block: u64,
    start: u64,
    len: u64,
}

impl Pieces {
    /// A buffer was replayed: perhaps a piece.
    pub(super) fn note_buffer(&mut self, format: &BufferFormat, geo: &Geometry) {
        let kinds = blft::DIR_BLOCK..=blft::DA_NODE;
        if kinds.contains(&format.kind()) && format.bytes() < geo.dir.block_size as usize {
            self.touched.insert(format.blkno as u64);
        }
    }

    /// An inode was replayed to byte `offset` of the cluster of `bytes` bytes at `daddr`.
    pub(super) fn note_inode(
        &mut self,
        inode: &Dinode,
        place: (u64, usize, usize),
        geo: &Geometry,
    ) {
        if geo.dir.fs_blocks > 1 && inode.file_type() == mode::DIR {
            self.directories.insert(inode.ino.get(), place);
        }
    }
}

impl Replay<'_> {
    /// Makes the checksums of directory blocks in several pieces.
    ///
    /// # Errors
    ///
    /// An error is returned if a directory's mappings are damaged, or the device fails.
    pub(super) fn join_pieces(&mut self) -> Result<()> {
        let Pieces { touched, directories } = std::mem::take(&mut self.pieces);
        if touched.is_empty() {
            return Ok(());
        }
        for (ino, (daddr, bytes, offset)) in directories {
            let cluster = self.store.take(daddr, bytes, &self.geo)?.data;
            let end = offset + self.geo.inode.size as usize;
            let inode = cluster.get(offset..end).unwrap_or_default();
            let extents = self.directory_extents(Ino(ino), inode)?;
            for block in blocks_in_pieces(&extents, self.geo.dir.fs_blocks.into()) {
                let addresses = block.iter().map(|p| self.geo.fsblock_daddr(FsBlock(p.start)));
                if addresses.into_iter().any(|daddr| touched.contains(&daddr)) {
                    self.join(&block)?;
                }
            }
        }
        self.store.settle(self.lsn, &self.geo)
    }

    /// The extents of a directory in the order of the file; none if the inode is no
    /// directory any more.
    fn directory_extents(&mut self, ino: Ino, inode: &[u8]) -> Result<Vec<Extent>> {
        let disk = *Dinode::view(inode, ino)?;
        if disk.file_type() != mode::DIR || disk.ino.get() != ino.0 {
            return Ok(Vec::new());
        }
        let fork = disk.data_fork(inode);
        let mut extents = match disk.fork_format(Fork::Data) {
            Some(ForkFormat::Extents) => {
                let count = disk.extent_count(Fork::Data);
                records(fork).iter().take(count as usize).map(Extent::decode).collect()
            }
            Some(ForkFormat::Btree) => self.btree_extents(ino, fork)?,
            _ => Vec::new(),
        };
        extents.sort_by_key(|extent| extent.offset);
        for extent in &extents {
            extent.verify(&self.geo, ino, Fork::Data, false)?;
        }
        Ok(extents)
    }

    fn btree_extents(&mut self, ino: Ino, fork: &[u8]) -> Result<Vec<Extent>> {
        let bad = |why: String| Error::corrupt("directory", At::Inode(ino.0), why);
        let mut left = inode_root::children(fork).ok_or_else(|| bad("bad btree root".into()))?;
        let (mut seen, mut extents) = (HashSet::new(), Vec::new());
        while let Some(child) = left.pop() {
            let block = FsBlock(child);
            if !self.geo.valid_fsb(block) || !seen.insert(child) {
                return Err(bad(format!("btree pointer {child}")));
            }
            let (daddr, size) = (self.geo.fsblock_daddr(block), self.geo.block_size as usize);
            let bytes = self.store.take(daddr, size, &self.geo)?.data;
            let kind = Kind::Btree(BtreeKind::Bmap);
            if Kind::of(&bytes) != kind {
                return Err(bad(format!("block {child} is none of its btree")));
            }
            stamp::verify(kind, &bytes, daddr, &self.geo)?;
            if bytes[4..6] == [0, 0] {
                let count = usize::from(u16::from_be_bytes([bytes[6], bytes[7]]));
                let leaf: &[DiskExtent] = records(&bytes[BtreeKind::Bmap.header_len()..]);
                extents.extend(leaf.iter().take(count).map(Extent::decode));
            }
            left.extend(inode_root::block_children(&bytes));
        }
        Ok(extents)
    }

    fn join(&mut self, block: &[Piece]) -> Result<()> {
        let mut buffers = Vec::with_capacity(block.len());
        for piece in block {
            let daddr = self.geo.fsblock_daddr(FsBlock(piece.start));
            let bytes = piece.len as usize * self.geo.block_size as usize;
            buffers.push(self.store.take(daddr, bytes, &self.geo)?);
        }
        let mut whole = buffers.iter().flat_map(|b| b.data.iter().copied()).collect::<Vec<u8>>();
        if let (Some(place), Some(first)) = (Kind::of(&whole).place(), buffers.first_mut()) {
            checksum::stamp(&mut whole, place.crc);
            let len = first.data.len();
            first.data.copy_from_slice(&whole[..len]);
            first.changed(false);
        }
        buffers.into_iter().try_for_each(|buffer: Buffer| self.store.put(buffer, &self.geo))
    }
}

/// The directory blocks of `fs_blocks` blocks that are not all in one piece.
fn blocks_in_pieces(extents: &[Extent], fs_blocks: u64) -> Vec<Vec<Piece>> {
    let mut pieces = Vec::new();
    for extent in extents {
        let mut at = 0;
        while at < extent.len {
            let offset = extent.offset + at;
            let len = (fs_blocks - offset % fs_blocks).min(extent.len - at);
            if len < fs_blocks {
                let (block, start) = (offset / fs_blocks, extent.start.0 + at);
                pieces.push(Piece { block, start, len });
            }
            at += len;
        }
    }
    pieces
        .chunk_by(|a, b| a.block == b.block)
        .filter(|block| block.iter().map(|piece| piece.len).sum::<u64>() == fs_blocks)
        .map(<[Piece]>::to_vec)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_in_several_pieces_are_joined() {
        let extent =
            |offset, start, len| Extent { offset, start: FsBlock(start), len, unwritten: false };
        // Block 0 is whole, 1 in two pieces, 2 and 3 in one extent that begins in 1, 5 is
        // not complete.
        let extents = [
            extent(0, 100, 4),
            extent(4, 200, 1),
            extent(5, 300, 11),
            extent(20, 400, 1),
            extent(21, 500, 2),
        ];
        let found = blocks_in_pieces(&extents, 4);
        assert_eq!(
            found,
            [vec![Piece { block: 1, start: 200, len: 1 }, Piece { block: 1, start: 300, len: 3 }]]
        );
    }
}
