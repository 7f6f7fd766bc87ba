//! Staged files: writes that nobody else sees until all of them take effect at once.
//!
//! A file opened this way keeps what it holds, for everybody, while one opener writes to it.
//! The new blocks lie in a staging file without a name, at the offsets they are meant for.
//! [`commit`] exchanges them for the old ones in one operation that recovery finishes; a
//! crash before that leaves the old contents, and frees the staging file.
//!
//! # Several staged openers of one file
//!
//! Each sees the file as it is now, with its own writes over it, and nothing of the others'
//! before they commit. What is committed later wins, block by block:
//!
//! * Writes to different blocks do not disturb each other; both remain.
//! * Of writes to the same block the later commit remains, with all of the block. A write
//!   to a part of a block takes the rest from the file when it is written, not when it is
//!   committed; so another's change of that rest, committed or written in between, is undone.
//!   Writers that share a file therefore write whole blocks, or use commit-range,
//!   which refuses instead.
//! * The file ends where the farthest of them wrote to: a commit never makes it shorter.

use super::exchange::{ExchangeFlags, ExchangeRequest, exchange_range};
use super::namespace::{NewFile, create_temporary};
use super::read as reading;
use super::{MAX_SIZE, check_regular, check_writable, truncate};
use crate::inode::bmap::{self, Target};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// A file whose writes are staged.
#[derive(Debug)]
pub struct Staged {
    /// The file's inode number.
    pub target: u64,
    /// That of the staging file, which its owner holds open.
    pub staging: u64,
    /// How long the file will be at least, in bytes.
    grown_to: u64,
    /// Whether anything was written since the last commit.
    written: bool,
}

/// Permissions of a staging file, which nobody can open.
const PERMISSIONS: u16 = 0o600;

/// Begins staging writes to `target`. The staging file is not held yet.
///
/// # Errors
///
/// EOPNOTSUPP on a filesystem without exchange-range; EISDIR, EINVAL or EPERM if the file
/// cannot be changed; ENOSPC.
pub fn open(mount: &mut Mount, target: InodeRef) -> Result<Staged> {
    check_writable(mount, target)?;
    if !mount.geo.features.exchange {
        let why = "the filesystem was made without exchange-range (mkfs.xfs -i exchange=1), \
                   which staged writes need";
        return Err(Error::os(Errno::EOPNOTSUPP, why));
    }
    let new = NewFile { permissions: PERMISSIONS, uid: 0, gid: 0 };
    let root = mount.geo.root_ino.0;
    let root = mount.iget(root)?;
    let staging = create_temporary(mount, root, &new)?;
    let (target, staging) = (mount.inode(target).ino, mount.inode(staging).ino);
    Ok(Staged { target, staging, grown_to: 0, written: false })
}

/// The size of the file as its staged opener sees it, in bytes.
///
/// # Errors
///
/// As reading the inode.
pub fn size(mount: &mut Mount, staged: &Staged) -> Result<u64> {
    let target = mount.iget(staged.target)?;
    Ok(mount.inode(target).core.size.max(staged.grown_to))
}

/// Reads from byte `offset` what the staged opener sees there; returns how many bytes there
/// were before the end.
///
/// # Errors
///
/// As [`super::read`].
pub fn read(mount: &mut Mount, staged: &Staged, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let end = size(mount, staged)?;
    let left = usize::try_from(end.saturating_sub(offset)).unwrap_or(usize::MAX);
    let len = buf.len().min(left);
    let Some(buf) = buf.get_mut(..len).filter(|buf| !buf.is_empty()) else { return Ok(0) };
    read_view(mount, staged, offset, buf)?;
    Ok(len)
}

/// Reads what the staged opener sees, with zeros behind the end of the file.
fn read_view(mount: &mut Mount, staged: &Staged, offset: u64, buf: &mut [u8]) -> Result<()> {
    let target = mount.iget(staged.target)?;
    check_regular(mount, target)?;
    let found = reading::read(mount, target, offset, buf)?;
    buf.get_mut(found..).unwrap_or_default().fill(0);
    let staging = mount.iget(staged.staging)?;
    bmap::load(mount, staging, WhichFork::Data)?;
    let first = offset >> mount.geo.block_log;
    let last = mount.geo.blocks_for(offset.saturating_add(buf.len() as u64));
    let map = bmap::extents(mount, staging, WhichFork::Data)?;
    for mapping in bmap::mappings(map, first, last) {
        if !matches!(mapping.target, Target::Written(_)) {
            continue;
        }
        let from = (mapping.offset << mount.geo.block_log).max(offset);
        let to = (mapping.end() << mount.geo.block_log).min(offset + buf.len() as u64);
        let range = (from - offset) as usize..(to - offset) as usize;
        if let Some(part) = buf.get_mut(range) {
            reading::read_mapped(mount, staging, from, part)?;
        }
    }
    Ok(())
}

/// Writes `data` at byte `offset`, for the staged opener alone.
///
/// # Errors
///
/// EPERM if the file became immutable; EFBIG; ENOSPC, with part of the data staged.
pub fn write(mount: &mut Mount, staged: &mut Staged, offset: u64, data: &[u8]) -> Result<()> {
    let target = mount.iget(staged.target)?;
    check_writable(mount, target)?;
    if data.is_empty() {
        return Ok(());
    }
    let end = offset.checked_add(data.len() as u64).filter(|&end| end <= MAX_SIZE);
    let end = end.ok_or_else(|| Error::os(Errno::EFBIG, format!("writing at byte {offset}")))?;
    let block = u64::from(mount.geo.block_size);
    let (first, last) = (offset / block * block, end.next_multiple_of(block));
    // Only whole blocks can be exchanged: the rest of the first and the last is as it is now.
    let head = view_of(mount, staged, first, offset)?;
    let tail = view_of(mount, staged, end, last)?;
    let padded;
    let whole = if head.is_empty() && tail.is_empty() {
        data
    } else {
        padded = [&head, data, &tail].concat();
        &padded
    };
    // Even of a write that fails, some may be staged, which the opener sees and commits.
    staged.written = true;
    let (done, result) = write_staging(mount, staged, first, whole);
    let reached = first.saturating_add(done).min(end);
    if reached > offset {
        staged.grown_to = staged.grown_to.max(reached);
    }
    result
}

/// What the staged opener sees in bytes `from..to`, which are part of one block.
fn view_of(mount: &mut Mount, staged: &Staged, from: u64, to: u64) -> Result<Vec<u8>> {
    let mut bytes = vec![0; to.saturating_sub(from) as usize];
    if !bytes.is_empty() {
        read_view(mount, staged, from, &mut bytes)?;
    }
    Ok(bytes)
}

/// Writes to the staging file; returns how far it got.
fn write_staging(
    mount: &mut Mount,
    staged: &Staged,
    offset: u64,
    data: &[u8],
) -> (u64, Result<()>) {
    let mut done = 0;
    let mut write = || -> Result<()> {
        let staging = mount.iget(staged.staging)?;
        while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
            done += super::write::write(mount, staging, offset + done as u64, rest)?;
        }
        Ok(())
    };
    let result = write();
    (done as u64, result)
}

/// Sets the size that the file will have, which can only grow.
///
/// # Errors
///
/// EOPNOTSUPP for a size smaller than the file has; EFBIG.
pub fn grow(mount: &mut Mount, staged: &mut Staged, size: u64) -> Result<()> {
    let target = mount.iget(staged.target)?;
    check_writable(mount, target)?;
    if size > MAX_SIZE {
        return Err(Error::os(Errno::EFBIG, format!("size {size}")));
    }
    if size < self::size(mount, staged)? {
        let why = "a staged file cannot be made shorter (use startupdate and commitupdate)";
        return Err(Error::os(Errno::EOPNOTSUPP, why));
    }
    staged.grown_to = size;
    staged.written = true;
    Ok(())
}

/// Lets everything written so far take effect at once, durably. Later writes are staged anew.
///
/// # Errors
///
/// As [`exchange_range`]; before the exchange is in the log, nothing has changed.
pub fn commit(mount: &mut Mount, staged: &mut Staged) -> Result<()> {
    if !staged.written {
        return mount.checkpoint();
    }
    let size = size(mount, staged)?;
    let (staging, target) = (mount.iget(staged.staging)?, mount.iget(staged.target)?);
    // The exchange swaps the sizes: the staging file gets the one that the file will have.
    truncate(mount, staging, size)?;
    let request = ExchangeRequest {
        file1: staging,
        file1_offset: 0,
        file2: target,
        file2_offset: 0,
        length: 0,
        flags: ExchangeFlags::TO_EOF | ExchangeFlags::FILE1_WRITTEN | ExchangeFlags::DSYNC,
    };
    exchange_range(mount, &request)?;
    staged.written = false;
    staged.grown_to = 0;
    // What the staging file has now is the old contents.
    truncate(mount, staging, 0)
}
