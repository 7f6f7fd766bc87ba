//! Directory entries as such, for tools that repair or spoil: nobody asks whether a name may be or
//! exists already.

use super::{add_link, begin_even_if_full, drop_link, ftype_of, name_error};
use crate::dir::reserve;
use crate::inode::timestamps::inode_changed;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Result, dir, parent};

/// Makes an entry of `dir` that leads to `inode`, of any kind, and counts the link and, for a
/// directory, that of its "..". `ftype` stands for the inode's own file type if given.
///
/// # Errors
/// ENOTDIR, ENOENT for an inode without links, which is on the list of unlinked ones, ENOSPC; errors of reading and writing
/// metadata.
pub fn add_entry(
    mount: &mut Mount,
    dir: InodeRef,
    name: &[u8],
    inode: InodeRef,
    ftype: Option<u8>,
) -> Result<()> {
    check_directory(mount, dir, name)?;
    if mount.inode(inode).core.nlink == 0 {
        return Err(name_error(Errno::ENOENT, name));
    }
    let blocks = reserve::to_add(&mount.geo, WhichFork::Data)
        + reserve::for_parent_pointer(&mount.geo, name.len());
    let reservation = mount.reservations.link;
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    let ino = tp.inode(inode).ino;
    let ftype = ftype.unwrap_or_else(|| ftype_of(&tp, inode));
    dir::add(&mut tp, dir, name, ino, ftype)?;
    inode_changed(&mut tp, dir);
    add_link(&mut tp, inode);
    if tp.inode(inode).core.is_dir() {
        add_link(&mut tp, dir);
    }
    parent::add(&mut tp, inode, dir, name);
    tp.commit()
}

/// Removes an entry of `dir`, whatever it leads to, and takes the links back that
/// [`add_entry`] counts. Without any, the inode goes on the list of unlinked ones.
///
/// # Errors
/// ENOTDIR, ENOENT; errors of reading and writing metadata.
pub fn remove_entry(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<()> {
    check_directory(mount, dir, name)?;
    let found = dir::lookup(mount, dir, name)?;
    let (ino, _) = found.ok_or_else(|| name_error(Errno::ENOENT, name))?;
    let inode = mount.iget(ino)?;
    let blocks = reserve::to_remove(&mount.geo, WhichFork::Data)
        + reserve::for_parent_pointer(&mount.geo, name.len());
    let reservation = mount.reservations.remove;
    let (mut tp, _) = begin_even_if_full(mount, reservation, blocks)?;
    inode_changed(&mut tp, dir);
    if tp.inode(inode).core.is_dir() {
        drop_link(&mut tp, dir)?;
    }
    drop_link(&mut tp, inode)?;
    dir::remove(&mut tp, dir, name)?;
    parent::remove(&mut tp, inode, dir, name);
    tp.commit()
}

fn check_directory(mount: &Mount, dir: InodeRef, name: &[u8]) -> Result<()> {
    if mount.inode(dir).core.is_dir() {
        return Ok(());
    }
    Err(name_error(Errno::ENOTDIR, name))
}
