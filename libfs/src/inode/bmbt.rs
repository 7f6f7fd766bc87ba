//! The extent btree of an inode fork, for the generic btree.

use super::bmap::{blocks, edit};
use super::fork::BtreeRoot;
use super::{InodeFork, InodeRef, WhichFork};
use crate::btree::{InodeRoot, Root, Tree};
use crate::buffer::BufferKind;
use crate::format::btree_block::BtreeKind;
use crate::format::extent::{DiskExtent, Extent, root_max_records};
use crate::format::geometry::{FsBlock, Ino};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{At, Error, Result};
use zerocopy::{FromBytes, IntoBytes};

/// The extent btree of one fork.
#[derive(Debug, Clone, Copy)]
pub struct BmapTree {
    inode: InodeRef,
    ino: u64,
    which: WhichFork,
}

impl BmapTree {
    /// The tree of a fork in btree format.
    pub fn new(mount: &Mount, inode: InodeRef, which: WhichFork) -> Self {
        BmapTree { inode, ino: mount.inode(inode).ino, which }
    }
}

impl Tree for BmapTree {
    type Record = Extent;
    type Key = u64;
    const KIND: BtreeKind = BtreeKind::Bmap;
    const BUFFER: BufferKind = BufferKind::Bmbt;

    fn decode_record(&self, bytes: &[u8]) -> Extent {
        let disk = DiskExtent::read_from_bytes(bytes).unwrap_or_default();
        Extent::decode(&disk)
    }

    fn encode_record(&self, record: &Extent, bytes: &mut [u8]) {
        bytes.copy_from_slice(record.encode().as_bytes());
    }

    fn decode_key(bytes: &[u8]) -> u64 {
        bytes.first_chunk().map_or(0, |key| u64::from_be_bytes(*key))
    }

    fn encode_key(key: &u64, bytes: &mut [u8]) {
        bytes.copy_from_slice(&key.to_be_bytes());
    }

    fn low_key(record: &Extent) -> u64 {
        record.offset
    }

    fn order_record(bytes: &[u8]) -> u64 {
        DiskExtent::read_from_bytes(bytes).map_or(0, |disk| Extent::decode(&disk).offset)
    }

    fn order_key(bytes: &[u8]) -> u64 {
        Self::decode_key(bytes)
    }

    fn order(key: &u64) -> u64 {
        *key
    }

    fn verify_record(&self, mount: &Mount, record: &Extent) -> Result<()> {
        record.verify(&mount.geo, Ino(self.ino), self.which, false)
    }

    fn owner(&self) -> u64 {
        self.ino
    }

    fn daddr(&self, mount: &Mount, block: u64) -> Option<u64> {
        let block = FsBlock(block);
        mount.geo.valid_fsb(block).then(|| mount.geo.fsblock_daddr(block))
    }

    fn max_height(&self, mount: &Mount) -> u32 {
        match self.which {
            WhichFork::Data => mount.geo.max_levels.bmap_data,
            WhichFork::Attr => mount.geo.max_levels.bmap_attr,
        }
    }

    fn root(&self, mount: &Mount) -> Root {
        let fork = mount.inode(self.inode).fork(self.which);
        let level = fork.and_then(InodeFork::root).map_or(0, |root| u32::from(root.level));
        Root { block: None, height: level + 1 }
    }

    fn set_root(&mut self, _tp: &mut Transaction<'_>, _block: u64, _height: u32) -> Result<()> {
        Err(Error::corrupt("extent btree", At::Inode(self.ino), "its root is in the inode"))
    }

    fn alloc_block(&mut self, tp: &mut Transaction<'_>, near: u64) -> Result<u64> {
        let near = FsBlock(near);
        Ok(blocks::alloc_btree_block(tp, self.inode, self.which, near)?.0)
    }

    fn free_block(&mut self, tp: &mut Transaction<'_>, block: u64) -> Result<()> {
        blocks::free_btree_block(tp, self.inode, self.which, FsBlock(block));
        Ok(())
    }

    fn inode_root<'m>(&self, mount: &'m Mount) -> Option<&'m dyn InodeRoot<u64>> {
        let root = mount.inode(self.inode).fork(self.which)?.root()?;
        Some(root)
    }

    fn inode_root_mut<'m>(
        &mut self,
        tp: &'m mut Transaction<'_>,
    ) -> Option<&'m mut dyn InodeRoot<u64>> {
        tp.log_inode(self.inode, edit::root_flag(self.which));
        let root = tp.inode_mut(self.inode).fork_mut(self.which)?.root_mut()?;
        Some(root)
    }

    fn inode_root_capacity(&self, mount: &Mount) -> usize {
        root_max_records(mount.inode(self.inode).fork_size(&mount.geo, self.which))
    }
}

impl InodeRoot<u64> for BtreeRoot {
    fn len(&self) -> usize {
        self.children.len()
    }

    fn entry(&self, index: usize) -> Option<(u64, u64)> {
        self.children.get(index).map(|&(key, block)| (key, block.0))
    }

    fn insert(&mut self, index: usize, key: u64, block: u64) {
        let index = index.min(self.children.len());
        self.children.insert(index, (key, FsBlock(block)));
    }

    fn remove(&mut self, index: usize) {
        if index < self.children.len() {
            self.children.remove(index);
        }
    }

    fn set_key(&mut self, index: usize, key: u64) {
        if let Some(entry) = self.children.get_mut(index) {
            entry.0 = key;
        }
    }

    fn replace(&mut self, level: u32, entries: &[(u64, u64)]) {
        self.level = level as u16;
        self.children.clear();
        self.children.extend(entries.iter().map(|&(key, block)| (key, FsBlock(block))));
    }
}
