//! Removing names.

use super::{
    begin_even_if_full, check_name, drop_link, entries_changed, find_existing, name_error,
};
use crate::dir::reserve;
use crate::file::attributes::check_may_remove;
use crate::format::dir::FileType;
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Result, dir, parent};

/// Removes the name of something that is no directory. The inode is freed with its last
/// name, unless it is open.
///
/// # Errors
/// ENOENT, EPERM for what is immutable or append-only, EISDIR; errors of reading and writing metadata.
pub fn unlink(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<()> {
    check_name(name)?;
    let inode = find_existing(mount, dir, name)?;
    check_may_remove(mount, dir, inode)?;
    if mount.inode(inode).core.is_dir() {
        return Err(name_error(Errno::EISDIR, name));
    }
    let mut tp = begin(mount, name)?;
    entries_changed(&mut tp, dir);
    drop_link(&mut tp, inode)?;
    dir::remove(&mut tp, dir, name)?;
    parent::remove(&mut tp, inode, dir, name);
    tp.commit()?;
    mount.free_if_unused(inode)
}

/// Removes an empty directory.
///
/// # Errors
/// ENOENT, EPERM as [`unlink`], ENOTDIR, ENOTEMPTY, EINVAL for "."; errors of reading and writing metadata.
pub fn rmdir(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<()> {
    check_name(name)?;
    match name {
        b"." => return Err(name_error(Errno::EINVAL, name)),
        b".." => return Err(name_error(Errno::ENOTEMPTY, name)),
        _ => {}
    }
    let inode = find_existing(mount, dir, name)?;
    check_may_remove(mount, dir, inode)?;
    if !mount.inode(inode).core.is_dir() {
        return Err(name_error(Errno::ENOTDIR, name));
    }
    if mount.inode(inode).core.nlink > 2 || !dir::is_empty(mount, inode)? {
        return Err(name_error(Errno::ENOTEMPTY, name));
    }
    let mut tp = begin(mount, name)?;
    entries_changed(&mut tp, dir);
    // ".." of the directory, "." of the directory, its name.
    drop_link(&mut tp, dir)?;
    drop_link(&mut tp, inode)?;
    forget_parent(&mut tp, inode)?;
    drop_link(&mut tp, inode)?;
    dir::remove(&mut tp, dir, name)?;
    parent::remove(&mut tp, inode, dir, name);
    tp.commit()?;
    mount.free_if_unused(inode)
}

/// Makes ".." of a removed directory the root, so that nobody finds a directory by it that
/// is gone, too.
pub(super) fn forget_parent(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    let root = tp.geo.root_ino.0;
    let ftype = FileType::Directory.to_disk();
    dir::replace(tp, inode, b"..", root, ftype)
}

/// Begins removing a name. A full filesystem must not prevent it.
fn begin<'m>(mount: &'m mut Mount, name: &[u8]) -> Result<Transaction<'m>> {
    let geo = &mount.geo;
    let blocks =
        reserve::to_remove(geo, WhichFork::Data) + reserve::for_parent_pointer(geo, name.len());
    let reservation = mount.reservations.remove;
    Ok(begin_even_if_full(mount, reservation, blocks)?.0)
}
