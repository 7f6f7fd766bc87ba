//! New inodes.

use super::fork::InodeFork;
use super::{DiFlags, DiFlags2, Inode, InodeCore, InodeLogFlags, InodePlace, InodeRef};
use crate::Result;
use crate::format::geometry::Geometry;
use crate::format::inode::{CORE_SIZE, mode};
use crate::mount::Mount;
use crate::space::inode_alloc;
use crate::transaction::Transaction;

/// Set group ID, in a mode.
const S_ISGID: u16 = 0o2000;

/// What a new inode is to be.
#[derive(Debug, Clone, Copy)]
pub struct NewInode {
    /// The directory it is made in: says where it goes and what it inherits.
    pub parent: InodeRef,
    /// Type and permissions.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group, unless the directory hands its own down.
    pub gid: u32,
    /// Device number of a device node as stored on disk: major number in the upper 14
    /// bits, minor number in the lower 18.
    pub device: u32,
    /// Number of links.
    pub nlink: u32,
    /// Whether extended attributes follow at once, so that room for them is set aside. With
    /// parent pointers it always is.
    pub with_attributes: bool,
}

/// Makes an inode in memory from a free one and logs it. The transaction may be rolled, so
/// this comes before other changes; it must have reserved
/// [`inode_alloc::blocks_to_allocate`] blocks.
///
/// # Errors
///
/// As [`inode_alloc::allocate`].
pub fn create(tp: &mut Transaction<'_>, new: &NewInode) -> Result<InodeRef> {
    let parent = tp.inode(new.parent).ino;
    let ino = inode_alloc::allocate(tp, parent, new.mode)?;
    let core = new_core(tp, ino, new);
    let place = InodePlace::of(&tp.geo, ino);
    let mut inode = Inode::empty(ino, place, core);
    let mut fields = InodeLogFlags::CORE;
    if core.is_special() {
        inode.data = InodeFork::Dev(new.device);
        fields |= InodeLogFlags::DEV;
    }
    if new.with_attributes || tp.geo.features.parent {
        inode.core.forkoff = default_fork_offset(&tp.geo, core.mode);
        inode.attr = Some(InodeFork::default());
    }
    if let Some(old) = tp.inodes.find(ino) {
        // A freed inode of this number may still be on its way to the log.
        inode.log = tp.inode(old).log;
        inode.log.stale = false;
    }
    let inode = tp.inodes.insert(inode);
    tp.log_inode(inode, fields);
    Ok(inode)
}

fn new_core(tp: &mut Transaction<'_>, ino: u64, new: &NewInode) -> InodeCore {
    let generation = match tp.inodes.find(ino) {
        Some(old) => tp.inode(old).core.generation,
        None => tp.random_generation(ino),
    };
    let now = tp.clock.now();
    let parent = tp.inode(new.parent).core;
    let mut core = InodeCore {
        mode: new.mode,
        uid: new.uid,
        gid: new.gid,
        nlink: new.nlink,
        atime: now,
        mtime: now,
        ctime: now,
        crtime: now,
        flags2: new_flags2(&tp.geo),
        changecount: 1,
        ..InodeCore::free(generation)
    };
    if parent.mode & S_ISGID != 0 {
        core.gid = parent.gid;
        if core.is_dir() {
            core.mode |= S_ISGID;
        }
    }
    if parent.flags.contains(DiFlags::PROJINHERIT) {
        core.projid = parent.projid;
    }
    if core.is_dir() || core.is_regular() {
        inherit(&mut core, &parent, tp.geo.features.realtime);
    }
    core
}

/// `di_flags2` of inodes that are free or new.
pub(super) fn new_flags2(geo: &Geometry) -> DiFlags2 {
    let mut flags = DiFlags2::empty();
    flags.set(DiFlags2::BIGTIME, geo.features.bigtime);
    flags.set(DiFlags2::NREXT64, geo.features.nrext64);
    flags
}

/// Hands down the parent's flags and hints.
fn inherit(core: &mut InodeCore, parent: &InodeCore, realtime: bool) {
    let always = DiFlags::NODUMP
        | DiFlags::SYNC
        | DiFlags::NOATIME
        | DiFlags::NODEFRAG
        | DiFlags::FILESTREAM;
    core.flags |= parent.flags & always;
    let extsize = parent.flags.contains(DiFlags::EXTSZINHERIT);
    if extsize {
        core.extsize = parent.extsize;
    }
    if core.is_dir() {
        let own = DiFlags::RTINHERIT | DiFlags::EXTSZINHERIT | DiFlags::PROJINHERIT;
        core.flags |= parent.flags & own;
    } else {
        core.flags.set(DiFlags::EXTSIZE, extsize);
        let on_realtime = realtime && parent.flags.contains(DiFlags::RTINHERIT);
        core.flags.set(DiFlags::REALTIME, on_realtime);
    }
    if parent.flags2.contains(DiFlags2::COWEXTSIZE) {
        core.flags2 |= DiFlags2::COWEXTSIZE;
        core.cowextsize = parent.cowextsize;
    }
    core.flags2 |= parent.flags2 & DiFlags2::DAX;
}

/// Where the attribute fork of a new inode begins, in units of 8 bytes.
///
/// Behind a device number; otherwise where a data fork has room for a btree root of twelve
/// children (`xfs_default_attroffset`), or of two in the smallest inodes.
pub fn default_fork_offset(geo: &Geometry, file_mode: u16) -> u8 {
    let kind = file_mode & mode::TYPE;
    if matches!(kind, mode::FIFO | mode::CHAR | mode::BLOCK | mode::SOCKET) {
        return 1;
    }
    let root = |children: u32| 4 + children * 16;
    let offset = if geo.inode.size == 256 { 256 - CORE_SIZE as u32 - root(2) } else { root(12) };
    (offset / 8) as u8
}

impl Mount {
    /// A generation number for an inode that was never used, hard to guess as Linux's is.
    pub(crate) fn random_generation(&mut self, ino: u64) -> u32 {
        use std::hash::{BuildHasher, RandomState};
        if let Some(generation) = self.generation_of_made() {
            return generation;
        }
        let now = self.clock.now();
        RandomState::new().hash_one((ino, now.seconds, now.nanos)) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_hand_down_what_linux_hands_down() {
        // `xfs_io -c 'chattr +s' -c 'chattr +P' -c 'extsize 64k' -c 'cowextsize 32k'` on a
        // directory of Linux 6.18, then a directory and a file in it, read with xfs_db:
        // extsize 16, cowextsize 8, and these flags. What is not handed down is added.
        let parent = InodeCore {
            mode: mode::DIR | 0o755,
            flags: DiFlags::EXTSZINHERIT
                | DiFlags::SYNC
                | DiFlags::PROJINHERIT
                | DiFlags::IMMUTABLE,
            flags2: DiFlags2::COWEXTSIZE | DiFlags2::REFLINK,
            extsize: 16,
            cowextsize: 8,
            ..InodeCore::free(0)
        };
        let mut dir = InodeCore { mode: mode::DIR | 0o755, ..InodeCore::free(0) };
        inherit(&mut dir, &parent, false);
        assert_eq!(dir.flags, DiFlags::EXTSZINHERIT | DiFlags::SYNC | DiFlags::PROJINHERIT);
        let mut file = InodeCore { mode: mode::REGULAR | 0o644, ..InodeCore::free(0) };
        inherit(&mut file, &parent, false);
        assert_eq!(file.flags, DiFlags::EXTSIZE | DiFlags::SYNC);
        assert_eq!((file.extsize, file.cowextsize), (16, 8));
        assert_eq!(file.flags2, DiFlags2::COWEXTSIZE);
    }
}
