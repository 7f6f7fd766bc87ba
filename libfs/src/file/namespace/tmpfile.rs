//! Files without a name (`O_TMPFILE`).

use super::NewFile;
use crate::Result;
use crate::file::attributes::check_may_add;
use crate::format::inode::mode;
use crate::inode::create::{self as inode_create, NewInode};
use crate::inode::{InodeRef, unlinked};
use crate::mount::Mount;
use crate::space::inode_alloc;
use crate::transaction::Transaction;

/// Makes an empty regular file that no directory names, where a file in `dir` would be made.
///
/// It is on the list of unlinked inodes from the beginning, so a crash frees it.
/// [`super::link`] gives it a name. The caller holds it, else the next release frees it.
///
/// # Errors
/// ENOTDIR if `dir` is none; EPERM if it is immutable; ENOSPC; errors of reading and writing
/// metadata.
pub fn create_temporary(mount: &mut Mount, dir: InodeRef, new: &NewFile) -> Result<InodeRef> {
    if !mount.inode(dir).core.is_dir() {
        return Err(super::name_error(crate::Errno::ENOTDIR, b"O_TMPFILE"));
    }
    check_may_add(mount, dir)?;
    let blocks = inode_alloc::blocks_to_allocate(&mount.geo);
    let reservation = mount.reservations.create_tmpfile;
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    let request = NewInode {
        parent: dir,
        mode: mode::REGULAR | new.permissions & !mode::TYPE,
        uid: new.uid,
        gid: new.gid,
        device: 0,
        nlink: 0,
        with_attributes: false,
    };
    let inode = inode_create::create(&mut tp, &request)?;
    tp.inode_mut(inode).nameable = true;
    unlinked::add(&mut tp, inode)?;
    tp.commit()?;
    Ok(inode)
}
