//! Files and directories of the metadata directory, and blocks for files.

use crate::dir::reserve;
use crate::format::dir::FileType;
use crate::format::geometry::Ino;
use crate::format::inode::{DiFlags, DiFlags2, MetafileType, mode};
use crate::inode::bmap::alloc::{self, Request};
use crate::inode::create::{self as inode_create, NewInode};
use crate::inode::extent_map::Extent;
use crate::inode::{InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::inode_alloc;
use crate::transaction::Transaction;
use crate::{Result, dir, parent};

/// Flags of every file in the metadata directory (`XFS_METAFILE_DIFLAGS`).
pub(in crate::mkfs) const FILE_FLAGS: DiFlags = DiFlags::IMMUTABLE
    .union(DiFlags::SYNC)
    .union(DiFlags::NOATIME)
    .union(DiFlags::NODUMP)
    .union(DiFlags::NODEFRAG);
/// Flags of every directory there.
pub(in crate::mkfs) const DIRECTORY_FLAGS: DiFlags = FILE_FLAGS.union(DiFlags::NOSYMLINKS);

/// Changes that a new inode has seen: it was made, and it was logged.
const CHANGES_OF_NEW: u64 = 2;

/// Makes a file or directory called `name` in the directory `parent` of the metadata tree.
pub(super) fn create(
    mount: &mut Mount,
    parent: InodeRef,
    name: &[u8],
    kind: MetafileType,
) -> Result<InodeRef> {
    let is_dir = kind == MetafileType::Directory;
    let reservation = mount.reservations.mkdir;
    let geo = &mount.geo;
    let blocks = inode_alloc::blocks_to_allocate(geo)
        + reserve::to_add(geo, WhichFork::Data)
        + reserve::for_parent_pointer(geo, name.len());
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    let request = NewInode {
        parent,
        mode: if is_dir { mode::DIR } else { mode::REGULAR },
        uid: 0,
        gid: 0,
        device: 0,
        nlink: if is_dir { 2 } else { 1 },
        with_attributes: false,
    };
    let inode = inode_create::create(&mut tp, &request)?;
    let core = &mut tp.inode_mut(inode).core;
    core.flags = if is_dir { DIRECTORY_FLAGS } else { FILE_FLAGS };
    core.flags2 |= DiFlags2::METADATA;
    core.metatype = kind.to_disk();
    core.changecount = CHANGES_OF_NEW;
    let (ino, parent_ino) = (tp.inode(inode).ino, tp.inode(parent).ino);
    let ftype = if is_dir { FileType::Directory } else { FileType::Regular };
    dir::add(&mut tp, parent, name, ino, ftype as u8)?;
    if is_dir {
        dir::init(&mut tp, inode, parent_ino)?;
        tp.inode_mut(parent).core.nlink += 1;
    }
    changed(&mut tp, parent);
    parent::add(&mut tp, inode, parent, name);
    tp.commit()?;
    Ok(inode)
}

/// Gives a file `blocks` blocks from its start on, and the size that goes with them.
pub(super) fn allocate(mount: &mut Mount, inode: InodeRef, blocks: u64) -> Result<Vec<Extent>> {
    let size = blocks << mount.geo.block_log;
    mount.inode_mut(inode).core.size = size;
    let mut extents = Vec::new();
    let mut offset = 0;
    while offset < blocks {
        let reservation = mount.reservations.write;
        let more = alloc::btree_blocks(&mount.geo, WhichFork::Data);
        let mut tp = Transaction::begin(mount, reservation, blocks - offset + more)?;
        let request = Request {
            inode,
            which: WhichFork::Data,
            offset,
            min: 1,
            max: blocks - offset,
            unwritten: false,
        };
        let extent = alloc::allocate(&mut tp, &request)?;
        changed(&mut tp, inode);
        tp.commit()?;
        offset += extent.len;
        extents.push(extent);
    }
    Ok(extents)
}

/// The inode is logged once more.
pub(super) fn changed(tp: &mut Transaction<'_>, inode: InodeRef) {
    tp.inode_mut(inode).core.changecount += 1;
    tp.log_inode(inode, InodeLogFlags::CORE);
}

/// The number of an inode.
pub(super) fn number(mount: &Mount, inode: InodeRef) -> Ino {
    Ino(mount.inode(inode).ino)
}
