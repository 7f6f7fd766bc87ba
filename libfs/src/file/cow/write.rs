//! Data for staged blocks.

use super::{Remap, add, cancel, remap, remove, stage_some, staged_at};
use crate::file::write::{block_range, bytes_in, store};
use crate::inode::InodeRef;
use crate::inode::bmap::Target;
use crate::inode::extent_map::Extent;
use crate::mount::Mount;
use crate::{At, Error, Result};

/// Writes `data`, for byte `at` of the file, to blocks that were [staged](super::stage). The rest
/// of a block that is written in part is what the file shows there now. Nobody sees
/// the data before it is [remapped](remap).
///
/// # Errors
///
/// [`Error::Corrupt`] if not all of the blocks are staged; errors of the device.
pub(crate) fn write_staged(mount: &mut Mount, inode: InodeRef, at: u64, data: &[u8]) -> Result<()> {
    let mut done = 0;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        done += write_extent(mount, inode, at + done as u64, rest)?;
    }
    Ok(())
}

/// Writes as much of `data` as lies in one staged extent.
fn write_extent(mount: &mut Mount, inode: InodeRef, at: u64, data: &[u8]) -> Result<usize> {
    let (first, last) = block_range(mount, at, data.len());
    let found = staged_at(mount, inode, first, last);
    let (start, unwritten) = match found.target {
        Target::Written(start) => (start, false),
        Target::Unwritten(start) => (start, true),
        Target::Hole => {
            let at = At::Inode(mount.inode(inode).ino);
            let why = format!("no blocks are staged for file block {first}");
            return Err(Error::corrupt("copy-on-write fork", at, why));
        }
    };
    let bytes = bytes_in(mount, found.len, at, data.len());
    let target = Extent { offset: first, start, len: found.len, unwritten };
    let data = data.get(..bytes).unwrap_or(data);
    store(mount, inode, &target, at, data)?;
    // Blocks behind those that the data goes to stay unwritten.
    let (_, last) = block_range(mount, at, bytes);
    if let Some(part) = target.clip(first, last).filter(|part| part.unwritten) {
        remove(mount, inode, part);
        add(mount, inode, Extent { unwritten: false, ..part });
    }
    Ok(bytes)
}

/// Writes `data`, for byte `at`, to staged blocks that then replace what the file has, and
/// stages blocks first if there are none for the first block of `range`, in file blocks, which
/// is where the data goes. Returns how many bytes that were. With `grow`, it counts as a
/// write: size and times change.
///
/// # Errors
///
/// ENOSPC if not one block could be staged; errors of the trees and the device.
pub(crate) fn overwrite(
    mount: &mut Mount,
    inode: InodeRef,
    range: (u64, u64),
    at: u64,
    data: &[u8],
    grow: bool,
) -> Result<usize> {
    let (first, end) = range;
    if staged_at(mount, inode, first, end).target == Target::Hole {
        stage_some(mount, inode, range)?;
    }
    let len = staged_at(mount, inode, first, end).len;
    let bytes = bytes_in(mount, len, at, data.len());
    if let Err(error) = write_staged(mount, inode, at, data.get(..bytes).unwrap_or(data)) {
        if mount.shutdown.is_none() {
            cancel(mount, inode, (first, first + len))?;
        }
        return Err(error);
    }
    let stamp = grow.then_some(at + bytes as u64);
    let (_, last) = block_range(mount, at, bytes);
    remap(mount, inode, (first, last), Remap::ByExtent, stamp)?;
    Ok(bytes)
}
