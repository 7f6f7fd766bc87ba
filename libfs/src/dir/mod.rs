//! Directories in every format: inline in the inode, a single block, data blocks with one
//! leaf block, and data blocks with a hash tree and a free index.
//!
//! Formats change as Linux changes them: a directory takes the next larger format when an
//! entry does not fit, and the next smaller one as soon as everything fits there.

pub(crate) mod bytes;
pub(crate) mod fork;
pub(crate) mod hash_tree;
pub(crate) mod reserve;
pub(crate) mod store;

mod block;
mod change;
mod convert;
mod data;
mod free_index;
mod leaf;
mod lookup;
mod shortform;

use self::change::Target;
use self::fork::{ForkReader, ForkWriter};
pub use self::lookup::DirEntry;
use crate::inode::InodeRef;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};
use std::ops::ControlFlow;

fn check_directory(mount: &Mount, dir: InodeRef) -> Result<()> {
    let inode = mount.inode(dir);
    if inode.core.is_dir() {
        return Ok(());
    }
    Err(Error::os(Errno::ENOTDIR, format!("inode {} is not a directory", inode.ino)))
}

/// Looks `name` up in a directory: inode number and file type of the entry. "." and ".."
/// are entries.
///
/// # Errors
/// ENOTDIR; [`Error::Corrupt`] if the directory is damaged; [`Error::Io`] from the device.
pub fn lookup(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<Option<(u64, u8)>> {
    check_directory(mount, dir)?;
    let found = lookup::find(&mut ForkReader::directory(mount, dir)?, name)?;
    Ok(found.map(|found| (found.ino, found.ftype)))
}

/// All entries of a directory, "." and ".." first, in the order of their positions.
///
/// # Errors
/// As [`lookup`].
pub fn list(mount: &mut Mount, dir: InodeRef) -> Result<Vec<DirEntry>> {
    let mut all = Vec::new();
    for_each(mount, dir, |entry| {
        all.push(entry);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(all)
}

/// Calls `each` with every entry of a directory, "." and ".." first, until it breaks off.
///
/// # Errors
/// As [`lookup`], and whatever `each` returns.
pub fn for_each(
    mount: &mut Mount,
    dir: InodeRef,
    each: impl FnMut(DirEntry) -> Result<ControlFlow<()>>,
) -> Result<()> {
    check_directory(mount, dir)?;
    lookup::for_each(&mut ForkReader::directory(mount, dir)?, each)
}

/// Whether a directory has no entries but "." and "..".
///
/// # Errors
/// As [`lookup`].
pub fn is_empty(mount: &mut Mount, dir: InodeRef) -> Result<bool> {
    let mut empty = true;
    for_each(mount, dir, |entry| {
        empty = matches!(&entry.name[..], b"." | b"..");
        Ok(if empty { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    })?;
    Ok(empty)
}

/// Makes a new inode an empty directory in directory `parent`.
///
/// # Errors
/// [`Error::Io`].
pub fn init(tp: &mut Transaction<'_>, dir: InodeRef, parent: u64) -> Result<()> {
    change::init(&mut ForkWriter::directory(tp, dir)?, parent)
}

/// Adds an entry, which must not exist. The caller stamps times and counts links.
///
/// # Errors
/// ENOSPC if the transaction has not enough blocks reserved; as [`lookup`].
pub fn add(
    tp: &mut Transaction<'_>,
    dir: InodeRef,
    name: &[u8],
    ino: u64,
    ftype: u8,
) -> Result<()> {
    change::add(&mut ForkWriter::directory(tp, dir)?, name, Target { ino, ftype })
}

/// Whether an entry can be added without taking any block.
///
/// # Errors
/// As [`lookup`].
pub fn has_room(mount: &mut Mount, dir: InodeRef, name: &[u8]) -> Result<bool> {
    let capacity = mount.inode(dir).fork_size(&mount.geo, crate::inode::WhichFork::Data);
    change::has_room(&mut ForkReader::directory(mount, dir)?, name, capacity)
}

/// Makes an entry, possibly "..", point to another inode.
///
/// # Errors
/// ENOENT if there is no such entry; as [`add`].
pub fn replace(
    tp: &mut Transaction<'_>,
    dir: InodeRef,
    name: &[u8],
    ino: u64,
    ftype: u8,
) -> Result<()> {
    let old = change::replace(&mut ForkWriter::directory(tp, dir)?, name, Target { ino, ftype })?;
    old.map(|_| ()).ok_or_else(|| no_entry(name))
}

/// Removes an entry.
///
/// # Errors
/// ENOENT if there is no such entry; as [`lookup`].
pub fn remove(tp: &mut Transaction<'_>, dir: InodeRef, name: &[u8]) -> Result<()> {
    let old = change::remove(&mut ForkWriter::directory(tp, dir)?, name)?;
    old.map(|_| ()).ok_or_else(|| no_entry(name))
}

fn no_entry(name: &[u8]) -> Error {
    Error::os(Errno::ENOENT, String::from_utf8_lossy(name))
}

/// Makes room in a directory's inode for attributes: an inline directory becomes a block.
pub(crate) fn leave_inode(tp: &mut Transaction<'_>, dir: InodeRef) -> Result<()> {
    convert::short_to_block(&mut ForkWriter::directory(tp, dir)?)
}

#[cfg(test)]
mod tests;
