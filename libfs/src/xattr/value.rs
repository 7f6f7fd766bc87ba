//! Values in blocks of their own, on the device. They are written at once and not logged;
//! the entry that leads to them is completed afterwards, in a transaction that reaches the
//! log only after they have reached the device.

use super::store::{ValueRead, ValueWrite, value_blocks};
use crate::dir::fork::{ForkReader, ForkWriter, segments};
use crate::dir::store::{Store, StoreMut};
use crate::format::attr::remote::{CRC_OFFSET, MAGIC, RemoteHeader};
use crate::format::checksum;
use crate::inode::bmap::{self, alloc};
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::{At, Error, Result};
use zerocopy::IntoBytes;

const NAME: &str = "remote attribute value";
/// Extents that one step frees.
const FREE_EXTENTS: usize = 2;

fn read_value(mount: &mut Mount, inode: InodeRef, bno: u64, len: u32) -> Result<Vec<u8>> {
    let block_size = mount.geo.block_size as usize;
    let owner = mount.inode(inode).ino;
    if len as usize > crate::format::attr::MAX_VALUE {
        return Err(Error::corrupt(NAME, At::Inode(owner), format!("it has {len} bytes")));
    }
    let mut value = Vec::with_capacity(len as usize);
    let mut block = vec![0; block_size];
    for i in 0..value_blocks(len as usize, block_size) {
        let daddr = segments(mount, inode, WhichFork::Attr, bno + i, 1)?[0].daddr;
        mount.device.read_at(&mut block, daddr * 512)?;
        checksum::check(&block, CRC_OFFSET, NAME, At::Daddr(daddr))?;
        let header = RemoteHeader::view(&block, At::Daddr(daddr))?;
        header.verify(&mount.geo, daddr)?;
        let part = (len as usize - value.len()).min(block_size - size_of::<RemoteHeader>());
        let expected = (owner, value.len() as u32, part as u32);
        if (header.owner.get(), header.offset.get(), header.bytes.get()) != expected {
            return Err(Error::corrupt(NAME, At::Daddr(daddr), "it belongs to another value"));
        }
        value.extend_from_slice(&block[size_of::<RemoteHeader>()..][..part]);
    }
    Ok(value)
}

impl ValueRead for ForkReader<'_> {
    fn read_value(&mut self, bno: u64, len: u32) -> Result<Vec<u8>> {
        let inode = self.inode;
        read_value(self.mount(), inode, bno, len)
    }
}

impl ValueRead for ForkWriter<'_, '_> {
    fn read_value(&mut self, bno: u64, len: u32) -> Result<Vec<u8>> {
        let inode = self.inode;
        read_value(self.transaction(), inode, bno, len)
    }
}

impl ValueWrite for ForkWriter<'_, '_> {
    fn allocate_value(&mut self, bno: u64, blocks: u64) -> Result<u64> {
        let inode = self.inode;
        let request = alloc::Request {
            inode,
            which: WhichFork::Attr,
            offset: bno,
            min: 1,
            max: blocks,
            unwritten: false,
        };
        Ok(alloc::allocate(self.transaction(), &request)?.len)
    }

    fn write_value(&mut self, bno: u64, offset: u32, part: &[u8]) -> Result<()> {
        let (inode, owner) = (self.inode, self.owner());
        let tp = self.transaction();
        let daddr = segments(tp, inode, WhichFork::Attr, bno, 1)?[0].daddr;
        let header = RemoteHeader {
            magic: MAGIC.into(),
            offset: offset.into(),
            bytes: (part.len() as u32).into(),
            crc: 0.into(),
            uuid: tp.geo.meta_uuid,
            owner: owner.into(),
            blkno: daddr.into(),
            // Not ordered by the log.
            lsn: u64::MAX.into(),
        };
        let mut block = Vec::with_capacity(tp.geo.block_size as usize);
        block.extend_from_slice(header.as_bytes());
        block.extend_from_slice(part);
        block.resize(tp.geo.block_size as usize, 0);
        checksum::stamp(&mut block, CRC_OFFSET);
        tp.write_data(&block, daddr * 512)
    }

    fn free_value(&mut self, bno: u64, blocks: u64) -> Result<bool> {
        let inode = self.inode;
        let range = (bno, bno + blocks);
        alloc::unmap_step(self.transaction(), inode, WhichFork::Attr, range, FREE_EXTENTS)
    }

    fn unused_run(&mut self, blocks: u64) -> Result<u64> {
        let inode = self.inode;
        let map = bmap::extents(self.transaction(), inode, WhichFork::Attr)?;
        Ok(bmap::first_unused(map, 0, blocks))
    }

    fn remove_fork(&mut self) -> Result<()> {
        if self.inline().is_some() {
            self.leave_inline()?;
        }
        let inode = self.inode;
        let tp = self.transaction();
        let found = tp.inode_mut(inode);
        found.attr = None;
        found.core.forkoff = 0;
        tp.log_inode(inode, InodeLogFlags::CORE);
        Ok(())
    }
}
