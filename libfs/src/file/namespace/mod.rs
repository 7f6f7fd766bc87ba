//! Names: making, linking, renaming and removing files and directories.
//!
//! Each operation is one chain of transactions, all or nothing after a crash. Reservations,
//! link counts, times and error numbers are those of Linux.

mod create;
mod entry;
mod link;
mod path;
mod remove;
mod rename;
mod tmpfile;

pub use create::{NewFile, create, mkdir, mknod, symlink};
pub use entry::{add_entry, remove_entry};
pub use link::link;
pub use path::{resolve, resolve_parent};
pub use remove::{rmdir, unlink};
pub use rename::{RenameFlags, rename};
pub use tmpfile::create_temporary;

use super::attributes::check_may_add;
use crate::dir;
use crate::format::dir::{FileType, MAX_NAME};
use crate::inode::InodeRef;
use crate::inode::timestamps::inode_changed;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Most links an inode can have.
const MAX_LINKS: u32 = i32::MAX as u32;

/// An error about a name.
fn name_error(errno: Errno, name: &[u8]) -> Error {
    Error::os(errno, String::from_utf8_lossy(name))
}

/// Refuses what cannot be the name of a new or removed entry.
fn check_name(name: &[u8]) -> Result<()> {
    match name {
        b"" => Err(name_error(Errno::ENOENT, name)),
        _ if name.len() > MAX_NAME => Err(name_error(Errno::ENAMETOOLONG, name)),
        _ if name.contains(&b'/') || name.contains(&0) => Err(name_error(Errno::EINVAL, name)),
        _ => Ok(()),
    }
}

/// Whether a name is that of a directory itself or of its parent.
fn is_dots(name: &[u8]) -> bool {
    matches!(name, b"." | b"..")
}

/// The inode that `name` in `dir` stands for.
fn find(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<Option<InodeRef>> {
    match dir::lookup(mount, dir, name)? {
        Some((ino, _)) => mount.iget(ino).map(Some),
        None => Ok(None),
    }
}

/// As [`find`], or ENOENT.
fn find_existing(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<InodeRef> {
    find(mount, dir, name)?.ok_or_else(|| name_error(Errno::ENOENT, name))
}

/// Refuses to add `name` to a directory where it exists, that is being removed or that is
/// immutable.
fn check_new(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<()> {
    check_name(name)?;
    if dir::lookup(mount, dir, name)?.is_some() {
        return Err(name_error(Errno::EEXIST, name));
    }
    if mount.inode(dir).core.nlink == 0 {
        return Err(name_error(Errno::ENOENT, name));
    }
    check_may_add(mount, dir)
}

/// The file type that entries for an inode have.
fn ftype_of(mount: &Mount, inode: InodeRef) -> u8 {
    FileType::from_mode(mount.inode(inode).core.mode).to_disk()
}

/// The entries of a directory changed: both times, logged.
fn entries_changed(tp: &mut Transaction<'_>, dir: InodeRef) {
    super::touch(tp, dir);
}

/// Counts one more link.
fn add_link(tp: &mut Transaction<'_>, inode: InodeRef) {
    let core = &mut tp.inode_mut(inode).core;
    core.nlink = core.nlink.saturating_add(1);
    inode_changed(tp, inode);
}

/// Counts one link less; without any, the inode goes on the list of unlinked ones.
fn drop_link(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    let core = &mut tp.inode_mut(inode).core;
    let had = core.nlink;
    core.nlink = had.saturating_sub(1);
    inode_changed(tp, inode);
    if had == 1 { crate::inode::unlinked::add(tp, inode) } else { Ok(()) }
}

/// Begins a transaction that can do without blocks if there are none: the second value says
/// whether it got them. With parent pointers none can.
fn begin_even_if_full(
    mount: &mut Mount,
    reservation: crate::format::log_reservation::Reservation,
    blocks: u64,
) -> Result<(Transaction<'_>, bool)> {
    if mount.counters.available(&mount.geo) >= blocks {
        return Ok((Transaction::begin(mount, reservation, blocks)?, true));
    }
    Ok((Transaction::begin(mount, reservation, 0)?, false))
}
