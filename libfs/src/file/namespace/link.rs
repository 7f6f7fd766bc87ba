//! More names for a file.

use super::{
    MAX_LINKS, add_link, begin_even_if_full, check_new, entries_changed, ftype_of, name_error,
};
use crate::dir::reserve;
use crate::file::attributes::{check_changeable, check_project};
use crate::inode::{InodeRef, WhichFork, unlinked};
use crate::mount::Mount;
use crate::{Errno, Result, dir, parent};

/// Gives `inode`, which is no directory, the name `name` in `dir`. A file that was made
/// without a name gets its first one; one that lost its last name gets no other.
///
/// # Errors
/// EEXIST, EPERM for a directory and what is immutable or append-only, ENOENT for a file that
/// was removed, EMLINK, EXDEV for a directory of another project, ENOSPC; errors of reading and
/// writing metadata.
pub fn link(mount: &mut Mount, inode: InodeRef, dir: InodeRef, name: &[u8]) -> Result<()> {
    check_new(mount, dir, name)?;
    check_changeable(mount, inode)?;
    let core = &mount.inode(inode).core;
    if core.is_dir() {
        return Err(name_error(Errno::EPERM, name));
    }
    if core.nlink == 0 && !mount.inode(inode).nameable {
        return Err(name_error(Errno::ENOENT, name));
    }
    if core.nlink >= MAX_LINKS {
        return Err(name_error(Errno::EMLINK, name));
    }
    check_project(mount, dir, inode)?;
    let geo = &mount.geo;
    let blocks =
        reserve::to_add(geo, WhichFork::Data) + reserve::for_parent_pointer(geo, name.len());
    let parent_pointers = geo.features.parent;
    let reservation = mount.reservations.link;
    let (mut tp, reserved) = begin_even_if_full(mount, reservation, blocks)?;
    if !reserved && (parent_pointers || !dir::has_room(&mut tp, dir, name)?) {
        return Err(name_error(Errno::ENOSPC, name));
    }
    if tp.inode(inode).core.nlink == 0 {
        unlinked::remove(&mut tp, inode)?;
        tp.inode_mut(inode).nameable = false;
    }
    let (ino, ftype) = (tp.inode(inode).ino, ftype_of(&tp, inode));
    dir::add(&mut tp, dir, name, ino, ftype)?;
    entries_changed(&mut tp, dir);
    add_link(&mut tp, inode);
    parent::add(&mut tp, inode, dir, name);
    tp.commit()
}
