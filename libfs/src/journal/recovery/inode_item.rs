//! Replaying logged inodes.

use std::collections::HashSet;

use super::buffer_item::copy_into;
use super::stamp::Kind;
use super::{Outcome, Replay, inode_root, place};
use crate::error::{At, Error, Result};
use crate::format::btree_block::BtreeKind;
use crate::format::checksum;
use crate::format::geometry::{Fork, FsBlock, Ino};
use crate::format::inode::{self, CORE_SIZE, Dinode, ForkFormat, mode};
use crate::format::log::{InodeItem, LogDinode, Lsn, ilog};

const NAME: &str = "logged inode";

impl Replay<'_> {
    pub(super) fn inode(&mut self, item: &InodeItem) -> Result<Outcome> {
        let format = &item.format;
        let blocks = u64::try_from(format.ilf_len).unwrap_or(u64::MAX);
        let (daddr, bytes) = place(format.ilf_blkno, blocks, NAME)?;
        if self.cancelled.contains(daddr, blocks as u32) {
            return Ok(Outcome::Skipped);
        }
        let mut cluster = self.store.take(daddr, bytes, &self.geo)?;
        let size = self.geo.inode.size as usize;
        let start = usize::try_from(format.ilf_boffset).unwrap_or(usize::MAX);
        let Some(inode) = start.checked_add(size).and_then(|end| cluster.data.get_mut(start..end))
        else {
            return Err(self.bad(item, format!("offset {} of its cluster", format.ilf_boffset)));
        };
        let outcome = self.apply(item, inode)?;
        self.change_owners(item, inode)?;
        let core = Dinode::view_mut(inode, Ino(format.ilf_ino))?;
        core.verify(&self.geo, Ino(format.ilf_ino))?;
        let core = *core;
        checksum::stamp(inode, inode::CRC_OFFSET);
        self.pieces.note_inode(&core, (daddr, bytes, start), &self.geo);
        cluster.changed(false);
        self.store.put(cluster, &self.geo)?;
        Ok(outcome)
    }

    fn bad(&self, item: &InodeItem, why: impl Into<String>) -> Error {
        Error::corrupt(NAME, At::Inode(item.format.ilf_ino), why)
    }

    /// Puts what was logged into `inode`, unless that is newer already.
    fn apply(&self, item: &InodeItem, inode: &mut [u8]) -> Result<Outcome> {
        let disk = Dinode::view(inode, Ino(item.format.ilf_ino))?;
        if disk.magic.get() != inode::MAGIC {
            let why = format!("its place holds magic {:#x}, no inode", disk.magic);
            return Err(self.bad(item, why));
        }
        // Several checkpoints may have the same LSN, so the same one means "not newer".
        let lsn = Lsn(disk.lsn.get());
        // The LSN of an inode whose write was torn says nothing about the rest of it.
        let whole = checksum::verify(inode, inode::CRC_OFFSET);
        if whole && lsn != Lsn(0) && lsn != Lsn::NULL && lsn > self.lsn {
            return Ok(Outcome::Skipped);
        }
        self.check_core(item)?;
        let kept = (disk.next_unlinked, disk.crc);
        let logged = LogDinode { di_lsn: self.lsn.0, di_pad2: [0; 12], ..item.core };
        copy_into(inode, 0, &logged.to_disk(), 0)?;
        let disk = Dinode::view_mut(inode, Ino(item.format.ilf_ino))?;
        (disk.next_unlinked, disk.crc) = kept;
        if item.format.ilf_fields & ilog::DEV != 0 {
            let rdev = item.format.ilf_rdev.to_be_bytes();
            copy_into(inode, CORE_SIZE, &rdev, 0)?;
        }
        self.fork(item, inode, Fork::Data)?;
        self.fork(item, inode, Fork::Attr)?;
        Ok(Outcome::Applied)
    }

    fn check_core(&self, item: &InodeItem) -> Result<()> {
        let core = &item.core;
        if core.di_magic != inode::MAGIC || core.di_version != 3 {
            let why = format!("magic {:#x}, version {}", core.di_magic, core.di_version);
            return Err(self.bad(item, why));
        }
        if core.di_ino != item.format.ilf_ino {
            return Err(self.bad(item, format!("the logged core is of inode {}", core.di_ino)));
        }
        let format = ForkFormat::from_disk(core.di_format);
        let right = match core.di_mode & mode::TYPE {
            mode::REGULAR => matches!(
                format,
                Some(ForkFormat::Extents | ForkFormat::Btree | ForkFormat::MetaBtree)
            ),
            mode::DIR => {
                matches!(format, Some(ForkFormat::Local | ForkFormat::Extents | ForkFormat::Btree))
            }
            _ => format.is_some(),
        };
        if !right {
            let why = format!("mode {:#o} with data format {}", core.di_mode, core.di_format);
            return Err(self.bad(item, why));
        }
        Ok(())
    }

    /// Copies a logged fork into place; roots of btrees are logged as they are in memory.
    fn fork(&self, item: &InodeItem, inode: &mut [u8], fork: Fork) -> Result<()> {
        let (bits, root_bit, logged, len) = match fork {
            Fork::Data => (ilog::DFORK, ilog::DBROOT, &item.data_fork, item.format.ilf_dsize),
            Fork::Attr => (ilog::AFORK, ilog::ABROOT, &item.attr_fork, item.format.ilf_asize),
        };
        let bits = item.format.ilf_fields & bits;
        if bits == 0 || logged.is_empty() {
            return Ok(());
        }
        if !bits.is_power_of_two() || logged.len() != usize::from(len).next_multiple_of(4) {
            let why = format!("{len} bytes of {fork:?} fork in a region of {}", logged.len());
            return Err(self.bad(item, why));
        }
        let disk = *Dinode::view(inode, Ino(item.format.ilf_ino))?;
        let range = disk.fork_range(fork, inode.len());
        let room = range.len();
        let place = inode.get_mut(range).unwrap_or_default();
        if bits == root_bit {
            let shape = inode_root::Shape::of(&disk, fork);
            let shape = shape.ok_or_else(|| self.bad(item, "a btree root of unknown kind"))?;
            return inode_root::to_disk(shape, logged, place)
                .map_err(|why| self.bad(item, format!("{fork:?} btree root: {why}")));
        }
        match place.get_mut(..logged.len()) {
            Some(place) => place.copy_from_slice(logged),
            None => {
                let why = format!("{} bytes of {fork:?} fork do not fit {room}", logged.len());
                return Err(self.bad(item, why));
            }
        }
        Ok(())
    }

    /// After extents were swapped the old way, the blocks of the fork's btree still name
    /// the other file as their owner.
    fn change_owners(&mut self, item: &InodeItem, inode: &[u8]) -> Result<()> {
        let ino = item.format.ilf_ino;
        let disk = *Dinode::view(inode, Ino(ino))?;
        for (bit, fork) in [(ilog::DOWNER, Fork::Data), (ilog::AOWNER, Fork::Attr)] {
            let rooted = disk.fork_format(fork) == Some(ForkFormat::Btree);
            if item.format.ilf_fields & bit != 0 && disk.mode.get() != 0 && rooted {
                let root = disk.fork(fork, inode);
                let children = inode_root::children(root)
                    .ok_or_else(|| self.bad(item, format!("bad {fork:?} btree root")))?;
                self.change_owner_of_blocks(item, children)?;
            }
        }
        Ok(())
    }

    fn change_owner_of_blocks(&mut self, item: &InodeItem, children: Vec<u64>) -> Result<()> {
        let owner = item.format.ilf_ino.to_be_bytes();
        let mut seen = HashSet::new();
        let mut left = children;
        while let Some(child) = left.pop() {
            let block = FsBlock(child);
            if !self.geo.valid_fsb(block) || !seen.insert(child) {
                return Err(self.bad(item, format!("btree pointer {child}")));
            }
            let daddr = self.geo.fsblock_daddr(block);
            let mut bytes = self.store.take(daddr, self.geo.block_size as usize, &self.geo)?;
            if Kind::of(&bytes.data) != Kind::Btree(BtreeKind::Bmap) {
                return Err(self.bad(item, format!("block {child} is none of its btree")));
            }
            left.extend(inode_root::block_children(&bytes.data));
            if bytes.data.get(56..64) != Some(&owner[..]) {
                copy_into(&mut bytes.data, 56, &owner, daddr)?;
                checksum::stamp(&mut bytes.data, 64);
                bytes.changed(false);
            }
            self.store.put(bytes, &self.geo)?;
        }
        Ok(())
    }
}
