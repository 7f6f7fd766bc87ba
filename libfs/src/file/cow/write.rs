//! Data for staged blocks.

use super::{Remap, add, remap, remove, stage_some, staged_at};
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
    store(mount, inode, &target, at, data.get(..bytes).unwrap_or(data))?;
    if unwritten {
        remove(mount, inode, target);
        add(mount, inode, Extent { unwritten: false, ..target });
    }
    Ok(bytes)
}

/// Writes `data`, for byte `at`, to new blocks that replace the shared ones of `old`; returns
/// how many bytes that were. With `grow`, it counts as a write: size and times change.
///
/// # Errors
///
/// ENOSPC if not one block could be staged; errors of the trees and the device.
pub(crate) fn overwrite_shared(
    mount: &mut Mount,
    inode: InodeRef,
    old: Extent,
    at: u64,
    data: &[u8],
    grow: bool,
) -> Result<usize> {
    let first = old.offset;
    if staged_at(mount, inode, first, old.end()).target == Target::Hole {
        stage_some(mount, inode, (first, old.end()))?;
    }
    let len = staged_at(mount, inode, first, old.end()).len;
    let bytes = bytes_in(mount, len, at, data.len());
    write_staged(mount, inode, at, data.get(..bytes).unwrap_or(data))?;
    let stamp = grow.then_some(at + bytes as u64);
    remap(mount, inode, (first, first + len), Remap::ByExtent, stamp)?;
    Ok(bytes)
}
