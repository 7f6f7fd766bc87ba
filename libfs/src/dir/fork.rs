//! A [`Store`] on a fork of an inode: in a transaction, or for reading only.

use super::bytes::get64;
use super::store::{Params, Store, StoreMut, identity, stamp_identity};
use crate::buffer::{BufferId, BufferKind, CHUNK, Segment};
use crate::inode::bmap::{self, alloc};
use crate::inode::extent_map::RECORD_BYTES;
use crate::inode::{InodeFork, InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::xattr::space::fork_offset_for;
use crate::{At, Errno, Error, Result};

/// A fork that is only read.
pub(crate) struct ForkReader<'a> {
    mount: &'a mut Mount,
    pub(crate) inode: InodeRef,
    which: WhichFork,
    params: Params,
}

impl<'a> ForkReader<'a> {
    /// The data fork of a directory.
    pub(crate) fn directory(mount: &'a mut Mount, inode: InodeRef) -> Result<Self> {
        let params = Params::directory(&mount.geo);
        Self::open(mount, inode, WhichFork::Data, params)
    }

    /// The attribute fork of an inode, which must have one.
    pub(crate) fn attributes(mount: &'a mut Mount, inode: InodeRef) -> Result<Self> {
        let params = Params::attributes(&mount.geo);
        Self::open(mount, inode, WhichFork::Attr, params)
    }

    fn open(
        mount: &'a mut Mount,
        inode: InodeRef,
        which: WhichFork,
        params: Params,
    ) -> Result<Self> {
        bmap::load(mount, inode, which)?;
        Ok(Self { mount, inode, which, params })
    }

    pub(crate) fn mount(&mut self) -> &mut Mount {
        self.mount
    }
}

/// A fork that is changed in a transaction.
pub(crate) struct ForkWriter<'a, 'm> {
    tp: &'a mut Transaction<'m>,
    pub(crate) inode: InodeRef,
    which: WhichFork,
    params: Params,
}

impl<'a, 'm> ForkWriter<'a, 'm> {
    /// The data fork of a directory.
    pub(crate) fn directory(tp: &'a mut Transaction<'m>, inode: InodeRef) -> Result<Self> {
        let params = Params::directory(&tp.geo);
        bmap::load(tp, inode, WhichFork::Data)?;
        Ok(Self { tp, inode, which: WhichFork::Data, params })
    }

    /// The attribute fork of an inode, which must have one.
    pub(crate) fn attributes(tp: &'a mut Transaction<'m>, inode: InodeRef) -> Result<Self> {
        let params = Params::attributes(&tp.geo);
        bmap::load(tp, inode, WhichFork::Attr)?;
        Ok(Self { tp, inode, which: WhichFork::Attr, params })
    }

    pub(crate) fn transaction(&mut self) -> &mut Transaction<'m> {
        self.tp
    }

    fn log(&mut self, data: InodeLogFlags, attr: InodeLogFlags) {
        let flags = if self.which == WhichFork::Data { data } else { attr };
        self.tp.log_inode(self.inode, InodeLogFlags::CORE | flags);
    }

    fn set_fork(&mut self, fork: InodeFork) {
        let inode = self.tp.inode_mut(self.inode);
        match self.which {
            WhichFork::Data => inode.data = fork,
            WhichFork::Attr => inode.attr = Some(fork),
        }
    }

    /// The buffer of the block at `bno`.
    fn buffer(&mut self, bno: u64, kind: BufferKind) -> Result<BufferId> {
        read_block(self.tp, self.inode, self.which, &self.params, bno, kind)
    }

    /// Allocates the filesystem blocks of the block at `bno`: in one piece, or else in as
    /// few as there are.
    fn allocate(&mut self, bno: u64) -> Result<()> {
        let (inode, which) = (self.inode, self.which);
        let mut done = 0;
        let blocks = self.params.fs_blocks;
        while done < blocks {
            let left = blocks - done;
            let request = alloc::Request {
                inode,
                which,
                offset: bno + done,
                min: left,
                max: left,
                unwritten: false,
            };
            let got = match alloc::allocate(self.tp, &request) {
                Err(error) if error.errno() == Errno::ENOSPC && left > 1 => {
                    alloc::allocate(self.tp, &alloc::Request { min: 1, ..request })?
                }
                other => other?,
            };
            done += got.len;
        }
        Ok(())
    }
}

/// Where the block at `bno` lies, in order.
pub(crate) fn segments(
    mount: &Mount,
    inode: InodeRef,
    which: WhichFork,
    bno: u64,
    blocks: u64,
) -> Result<Vec<Segment>> {
    let map = bmap::extents(mount, inode, which)?;
    let mut list: Vec<Segment> = Vec::with_capacity(1);
    let mut at = bno;
    let end = bno + blocks;
    while at < end {
        let Some(part) = map.containing(at).and_then(|found| found.clip(at, end)) else {
            let why = format!("file block {at} is not mapped");
            return Err(Error::corrupt("directory or attribute fork", owner_at(mount, inode), why));
        };
        let daddr = mount.geo.fsblock_daddr(part.start);
        let len = (part.len << mount.geo.block_log) as u32;
        match list.last_mut() {
            // Pieces that touch are one, whatever the extents are.
            Some(last) if last.daddr + u64::from(last.len / 512) == daddr => last.len += len,
            _ => list.push(Segment { daddr, len }),
        }
        at = part.end();
    }
    Ok(list)
}

fn owner_at(mount: &Mount, inode: InodeRef) -> At {
    At::Inode(mount.inode(inode).ino)
}

fn read_block(
    mount: &mut Mount,
    inode: InodeRef,
    which: WhichFork,
    params: &Params,
    bno: u64,
    kind: BufferKind,
) -> Result<BufferId> {
    let segments = segments(mount, inode, which, bno, params.fs_blocks)?;
    let id = mount.read_buffer_map(&segments, kind)?;
    let owner = get64(mount.buffer(id), identity(kind).end - 8);
    if owner != Some(mount.inode(inode).ino) {
        let why = format!("file block {bno} belongs to inode {}", owner.unwrap_or(0));
        return Err(Error::corrupt(kind.name(), owner_at(mount, inode), why));
    }
    Ok(id)
}

fn mapped_end_before(mount: &Mount, inode: InodeRef, which: WhichFork, limit: u64) -> Result<u64> {
    let map = bmap::extents(mount, inode, which)?;
    Ok(map.before(limit).map_or(0, |last| last.end().min(limit)))
}

fn next_mapped(
    mount: &Mount,
    inode: InodeRef,
    which: WhichFork,
    step: u64,
    from: u64,
) -> Result<Option<u64>> {
    let map = bmap::extents(mount, inode, which)?;
    // An extent that begins inside a block belongs to a block that is not whole.
    Ok(map.lookup(from).map(|found| (found.offset / step * step).max(from)))
}

macro_rules! impl_store {
    ($type:ty, $mount:ident) => {
        impl Store for $type {
            fn params(&self) -> Params {
                self.params
            }

            fn owner(&self) -> u64 {
                self.$mount.inode(self.inode).ino
            }

            fn inline(&self) -> Option<&[u8]> {
                self.$mount.inode(self.inode).fork(self.which).and_then(InodeFork::local)
            }

            fn size(&self) -> u64 {
                self.$mount.inode(self.inode).core.size
            }

            fn mapped_end_before(&mut self, limit: u64) -> Result<u64> {
                mapped_end_before(self.$mount, self.inode, self.which, limit)
            }

            fn next_mapped(&mut self, from: u64) -> Result<Option<u64>> {
                next_mapped(self.$mount, self.inode, self.which, self.params.fs_blocks, from)
            }

            fn read(&mut self, bno: u64, kind: BufferKind) -> Result<&[u8]> {
                let params = self.params;
                let id = read_block(self.$mount, self.inode, self.which, &params, bno, kind)?;
                Ok(self.$mount.buffer(id))
            }
        }
    };
}

impl_store!(ForkReader<'_>, mount);
impl_store!(ForkWriter<'_, '_>, tp);

impl StoreMut for ForkWriter<'_, '_> {
    fn fits_inline(&self, len: usize) -> bool {
        let inode = self.tp.inode(self.inode);
        match self.which {
            WhichFork::Data => len <= inode.fork_size(&self.tp.geo, WhichFork::Data),
            WhichFork::Attr => fork_offset_for(&self.tp.geo, inode, len).is_some(),
        }
    }

    fn set_inline(&mut self, contents: &[u8]) -> Result<()> {
        if self.which == WhichFork::Attr {
            let inode = self.tp.inode(self.inode);
            let offset = fork_offset_for(&self.tp.geo, inode, contents.len());
            let offset = offset.ok_or_else(|| self.corrupt("attributes do not fit the inode"))?;
            self.tp.inode_mut(self.inode).core.forkoff = offset;
        }
        self.set_fork(InodeFork::Local(contents.to_vec()));
        self.log(InodeLogFlags::DDATA, InodeLogFlags::ADATA);
        Ok(())
    }

    fn leave_inline(&mut self) -> Result<()> {
        self.set_fork(InodeFork::default());
        self.log(InodeLogFlags::DEXT, InodeLogFlags::AEXT);
        Ok(())
    }

    fn set_size(&mut self, size: u64) -> Result<()> {
        self.tp.inode_mut(self.inode).core.size = size;
        self.log(InodeLogFlags::CORE, InodeLogFlags::CORE);
        Ok(())
    }

    fn write(&mut self, bno: u64, kind: BufferKind, content: &[u8]) -> Result<()> {
        let id = self.buffer(bno, kind)?;
        let own = identity(kind);
        let old = self.tp.buffer(id);
        let mut new = content.to_vec();
        new[own.clone()].copy_from_slice(&old[own]);
        let chunks = old.chunks(CHUNK).zip(new.chunks(CHUNK)).enumerate();
        let changed: Vec<usize> =
            chunks.filter(|(_, (old, new))| old != new).map(|(i, _)| i).collect();
        for i in changed {
            let range = i * CHUNK..((i + 1) * CHUNK).min(new.len());
            self.tp.buffer_mut(id, range.clone()).copy_from_slice(&new[range]);
        }
        self.tp.set_buffer_kind(id, kind);
        Ok(())
    }

    fn create(&mut self, bno: u64, kind: BufferKind, content: &[u8]) -> Result<()> {
        self.allocate(bno)?;
        let place = segments(self.tp, self.inode, self.which, bno, self.params.fs_blocks)?;
        let mut new = content.to_vec();
        let (uuid, owner) = (self.tp.geo.meta_uuid, self.owner());
        stamp_identity(&mut new, kind, place[0].daddr, &uuid, owner);
        let id = self.tp.get_buffer_map(&place, kind);
        self.tp.buffer_mut(id, 0..new.len()).copy_from_slice(&new);
        Ok(())
    }

    fn can_free(&mut self, bno: u64) -> Result<bool> {
        /// Extents that one change can split.
        const SPLITS: usize = 3;
        if self.tp.blocks_reserved() > 0 {
            return Ok(true);
        }
        let end = bno + self.params.fs_blocks;
        let map = bmap::extents(self.tp, self.inode, self.which)?;
        if map.containing(bno).is_none_or(|found| found.offset == bno || found.end() <= end) {
            return Ok(true);
        }
        let inode = self.tp.inode(self.inode);
        let room = inode.fork_size(&self.tp.geo, self.which) / RECORD_BYTES;
        let in_inode = matches!(inode.fork(self.which), Some(InodeFork::Extents(_)));
        Ok(in_inode && map.len() + SPLITS <= room)
    }

    fn free(&mut self, bno: u64, kind: BufferKind) -> Result<()> {
        let blocks = self.params.fs_blocks;
        let id = self.buffer(bno, kind)?;
        self.tp.invalidate(id);
        let range = (bno, bno + blocks);
        // A block is at most as many extents as it has filesystem blocks.
        for _ in 0..blocks {
            if alloc::unmap_step(self.tp, self.inode, self.which, range, 1)? {
                return Ok(());
            }
        }
        Err(self.corrupt(format!("file block {bno} cannot be unmapped")))
    }

    fn first_unused(&mut self, from: u64) -> Result<u64> {
        let map = bmap::extents(self.tp, self.inode, self.which)?;
        let step = self.params.fs_blocks;
        Ok(bmap::first_unused(map, from, step).next_multiple_of(step))
    }
}
