//! Allocating and giving back a file's blocks without writing data: fallocate(2).
//!
//! What is refused, in which order, and what is left behind when an operation fails half
//! way, is as in Linux. Collapsing and inserting move one extent after the other, each in a
//! transaction: a crash leaves a sound file, but possibly with only some extents moved.

mod collapse;
mod fill;
mod insert;
mod prepare;
mod punch;
mod zero;

pub use prepare::free_behind_end;

use super::{MAX_SIZE, check_regular, cow, touch};
use crate::format::inode::{DiFlags, mode as types};
use crate::inode::{InodeRef, WhichFork, bmap};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// What to do with a range of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AllocateMode {
    /// Map blocks where there are none, unwritten. The file grows to the end of the range,
    /// unless its size is to be kept.
    Allocate {
        /// The size stays as it is.
        keep_size: bool,
    },
    /// Free the blocks; the range reads as zeros. The size stays.
    PunchHole,
    /// Make the range read as zeros with unwritten blocks behind it.
    ZeroRange {
        /// The size stays as it is.
        keep_size: bool,
    },
    /// Take the range out: what is behind it moves down, and the file becomes shorter.
    CollapseRange,
    /// Put a hole in at the offset: what is there and behind it moves up.
    InsertRange,
    /// Give the file blocks of its own where it shares them with others, and unwritten ones
    /// where it has none. It grows to the end of the range.
    UnshareRange,
    /// Make the range read as zeros by writing them. Linux 6.18's XFS does not know it:
    /// refused with EOPNOTSUPP, where nothing else is wrong with the request.
    WriteZeroes,
}

/// Does `mode` with bytes `offset..offset + len` of a file.
///
/// # Errors
///
/// As Linux, in this order: EROFS; EINVAL for an empty range, or an offset or length of 2^63
/// or more; EPERM for anything but allocating in an append-only file, and for immutable files;
/// ESPIPE for a pipe, EISDIR for a directory, ENODEV for other types; EFBIG for a range that
/// ends behind the largest file. Collapsing and inserting: EINVAL if the range is not in
/// whole blocks, or ends (begins) at the end of the file or behind it; EFBIG if the file
/// would become too large. EFBIG for too many extents; ENOSPC; errors of the device and trees.
pub fn allocate(
    mount: &mut Mount,
    inode: InodeRef,
    mode: AllocateMode,
    offset: u64,
    len: u64,
) -> Result<()> {
    let end = check(mount, inode, mode, offset, len)?;
    if mode == AllocateMode::WriteZeroes {
        return Err(Error::os(Errno::EOPNOTSUPP, "writing zeros"));
    }
    bmap::load(mount, inode, WhichFork::Data)?;
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    touch(&mut tp, inode);
    tp.commit()?;
    match mode {
        AllocateMode::Allocate { keep_size } => fill::run(mount, inode, (offset, end), keep_size),
        AllocateMode::PunchHole => punch::free_range(mount, inode, offset, end),
        AllocateMode::ZeroRange { keep_size } => zero::run(mount, inode, (offset, end), keep_size),
        AllocateMode::CollapseRange => collapse::run(mount, inode, offset, end),
        AllocateMode::InsertRange => insert::run(mount, inode, offset, len),
        AllocateMode::UnshareRange => {
            cow::unshare(mount, inode, offset, len)?;
            fill::run(mount, inode, (offset, end), false)
        }
        AllocateMode::WriteZeroes => Ok(()),
    }
}

/// Checks what does not depend on the file's mappings; returns where the range ends.
fn check(mount: &Mount, inode: InodeRef, mode: AllocateMode, offset: u64, len: u64) -> Result<u64> {
    mount.check_writable()?;
    if len == 0 || offset > MAX_SIZE || len > MAX_SIZE {
        return Err(Error::os(Errno::EINVAL, format!("{len} bytes at byte {offset}")));
    }
    let core = &mount.inode(inode).core;
    let allocates = matches!(mode, AllocateMode::Allocate { .. });
    if !allocates && core.flags.contains(DiFlags::APPEND) {
        return Err(Error::os(Errno::EPERM, "the file is append-only"));
    }
    if core.flags.contains(DiFlags::IMMUTABLE) {
        return Err(Error::os(Errno::EPERM, "the file is immutable"));
    }
    match core.file_type() {
        types::REGULAR => {}
        types::FIFO => return Err(Error::os(Errno::ESPIPE, "allocating blocks of a pipe")),
        types::DIR => return Err(Error::os(Errno::EISDIR, "allocating blocks of a directory")),
        _ => return Err(Error::os(Errno::ENODEV, "this is not a regular file")),
    }
    let end = offset + len;
    if end > MAX_SIZE {
        return Err(Error::os(Errno::EFBIG, format!("{len} bytes at byte {offset}")));
    }
    check_regular(mount, inode)?;
    Ok(end)
}

/// Refuses a range that is not in whole blocks.
fn check_aligned(mount: &Mount, offset: u64, len: u64) -> Result<()> {
    let block = u64::from(mount.geo.block_size);
    if offset.is_multiple_of(block) && len.is_multiple_of(block) {
        return Ok(());
    }
    Err(Error::os(Errno::EINVAL, format!("{len} bytes at byte {offset} are not whole blocks")))
}

/// Lets the file grow to `end`.
fn grow(mount: &mut Mount, inode: InodeRef, end: u64) -> Result<()> {
    if end > mount.inode(inode).core.size {
        super::truncate::set_size(mount, inode, end)?;
    }
    Ok(())
}
