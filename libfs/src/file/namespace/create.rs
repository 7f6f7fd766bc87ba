//! New files, directories, links and special files.

use super::{MAX_LINKS, add_link, check_new, entries_changed, ftype_of, name_error};
use crate::dir::reserve;
use crate::format::inode::{DiFlags, mode};
use crate::format::log_reservation::Reservation;
use crate::format::symlink::MAX_LEN;
use crate::inode::create::{self as inode_create, NewInode};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::space::inode_alloc;
use crate::transaction::Transaction;
use crate::{Errno, Result, dir, parent, symlink as links};

/// Permissions of a symbolic link.
const LINK_PERMISSIONS: u16 = 0o777;

/// Whose a new file is, and who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewFile {
    /// Permission bits; the umask is applied already.
    pub permissions: u16,
    /// Owner.
    pub uid: u32,
    /// Group, unless the directory hands its own down.
    pub gid: u32,
}

/// Makes an empty regular file.
///
/// # Errors
/// EEXIST, ENAMETOOLONG, ENOTDIR, EPERM in an immutable directory, ENOSPC; errors of reading and writing metadata.
pub fn create(mount: &mut Mount, dir: InodeRef, name: &[u8], new: &NewFile) -> Result<InodeRef> {
    mknod(mount, dir, name, new, mode::REGULAR, 0)
}

/// Makes a file of any type but directory and link: `kind` is the type part of the mode,
/// `device` the device number as stored on disk.
///
/// # Errors
/// As [`create`]; EINVAL for other types.
pub fn mknod(
    mount: &mut Mount,
    dir: InodeRef,
    name: &[u8],
    new: &NewFile,
    kind: u16,
    device: u32,
) -> Result<InodeRef> {
    let known = [mode::REGULAR, mode::CHAR, mode::BLOCK, mode::FIFO, mode::SOCKET];
    if !known.contains(&kind) {
        return Err(name_error(Errno::EINVAL, name));
    }
    check_new(mount, dir, name)?;
    let (mut tp, inode) = begin(mount, mount.reservations.create, dir, name, new, kind, device, 0)?;
    enter(&mut tp, dir, name, inode)?;
    tp.commit()?;
    Ok(inode)
}

/// Makes a directory.
///
/// # Errors
/// As [`create`]; EMLINK if `dir` has as many directories as it can.
pub fn mkdir(mount: &mut Mount, dir: InodeRef, name: &[u8], new: &NewFile) -> Result<InodeRef> {
    check_new(mount, dir, name)?;
    if mount.inode(dir).core.nlink >= MAX_LINKS {
        return Err(name_error(Errno::EMLINK, name));
    }
    let (mut tp, inode) = begin(mount, mount.reservations.mkdir, dir, name, new, mode::DIR, 0, 0)?;
    enter(&mut tp, dir, name, inode)?;
    let parent_ino = tp.inode(dir).ino;
    dir::init(&mut tp, inode, parent_ino)?;
    add_link(&mut tp, dir);
    tp.commit()?;
    Ok(inode)
}

/// Makes a symbolic link to `target`. The permissions in `new` do not count.
///
/// # Errors
/// As [`create`]; EPERM in a directory that allows none; ENAMETOOLONG for a target of 1024 bytes or more, ENOENT for an empty one.
pub fn symlink(
    mount: &mut Mount,
    dir: InodeRef,
    name: &[u8],
    target: &[u8],
    new: &NewFile,
) -> Result<InodeRef> {
    if target.is_empty() {
        return Err(name_error(Errno::ENOENT, target));
    }
    if target.len() >= MAX_LEN {
        return Err(name_error(Errno::ENAMETOOLONG, target));
    }
    check_new(mount, dir, name)?;
    if mount.inode(dir).core.flags.contains(DiFlags::NOSYMLINKS) {
        return Err(name_error(Errno::EPERM, name));
    }
    let new = NewFile { permissions: LINK_PERMISSIONS, ..*new };
    let blocks = links::blocks_for(&mount.geo, target.len());
    let reservation = mount.reservations.symlink;
    let (mut tp, inode) = begin(mount, reservation, dir, name, &new, mode::SYMLINK, 0, blocks)?;
    links::write(&mut tp, inode, target)?;
    enter(&mut tp, dir, name, inode)?;
    tp.commit()?;
    Ok(inode)
}

/// Begins the transaction and makes the inode. `more` blocks are reserved beside those for
/// the inode and its entry.
#[allow(clippy::too_many_arguments)]
fn begin<'m>(
    mount: &'m mut Mount,
    reservation: Reservation,
    dir: InodeRef,
    name: &[u8],
    new: &NewFile,
    kind: u16,
    device: u32,
    more: u64,
) -> Result<(Transaction<'m>, InodeRef)> {
    let geo = &mount.geo;
    let blocks = inode_alloc::blocks_to_allocate(geo)
        + reserve::to_add(geo, WhichFork::Data)
        + reserve::for_parent_pointer(geo, name.len())
        + more;
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    let request = NewInode {
        parent: dir,
        mode: kind | new.permissions & !mode::TYPE,
        uid: new.uid,
        gid: new.gid,
        device,
        nlink: if kind == mode::DIR { 2 } else { 1 },
        with_attributes: false,
    };
    let inode = inode_create::create(&mut tp, &request)?;
    Ok((tp, inode))
}

/// Enters a new inode into its directory.
fn enter(tp: &mut Transaction<'_>, dir: InodeRef, name: &[u8], inode: InodeRef) -> Result<()> {
    let (ino, ftype) = (tp.inode(inode).ino, ftype_of(tp, inode));
    dir::add(tp, dir, name, ino, ftype)?;
    entries_changed(tp, dir);
    parent::add(tp, inode, dir, name);
    Ok(())
}
