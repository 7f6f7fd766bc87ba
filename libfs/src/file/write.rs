//! Writing file data.
//!
//! A write goes over the file's mappings from left to right. Written blocks of this file
//! alone are overwritten in place; shared ones are replaced by new blocks, which are staged
//! in the copy-on-write fork until the data is in them ([`super::cow`]), and so is whatever
//! blocks are staged for already; holes get unwritten blocks first, and unwritten blocks become
//! written once their data is on the device. Only whole blocks are written: the rest of a block
//! that is written in part comes from what the file has there.

use super::attributes::check_writable_at;
use super::{MAX_SIZE, check_regular, cow, read, touch};
use crate::format::inode::DiFlags2;
use crate::inode::bmap::edit;
use crate::inode::bmap::{self, Mapping, Target, alloc, blocks, mapping_at};
use crate::inode::extent_map::{Extent, MAX_EXTENT_BLOCKS};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Bytes of zeros written in one go.
const ZEROS: usize = 1 << 20;

/// Writes `data` at byte `offset` of a regular file, growing it as needed; returns how many
/// bytes were written, which is fewer than asked only when the filesystem became full or the
/// device failed.
///
/// # Errors
///
/// EFBIG beyond the largest size; EISDIR, EINVAL or EPERM if the file cannot be changed;
/// ENOSPC if not even one block could be written; errors of the device and trees.
pub fn write(mount: &mut Mount, inode: InodeRef, offset: u64, data: &[u8]) -> Result<usize> {
    mount.check_writable()?;
    check_regular(mount, inode)?;
    check_writable_at(mount, inode, offset)?;
    if data.is_empty() {
        return Ok(0);
    }
    if offset.checked_add(data.len() as u64).is_none_or(|end| end > MAX_SIZE) {
        return Err(Error::os(Errno::EFBIG, format!("writing at byte {offset}")));
    }
    bmap::load(mount, inode, WhichFork::Data)?;
    let size = mount.inode(inode).core.size;
    if offset > size {
        zero_written(mount, inode, size, offset)?;
    }
    mount.inode_mut(inode).written = true;
    let mut done = 0;
    let mut stamped = false;
    while let Some(rest) = data.get(done..).filter(|rest| !rest.is_empty()) {
        let at = offset + done as u64;
        match write_some(mount, inode, at, rest) {
            Ok(part) => {
                done += part.bytes;
                stamped = part.stamped;
            }
            Err(_) if done > 0 => break,
            Err(error) => {
                // Some of it may be there, and who samples the file must see that. The first
                // error is the one to tell.
                let _ = take_note(mount, inode, 0);
                return Err(error);
            }
        }
    }
    let end = offset + done as u64;
    if !stamped || mount.inode(inode).core.size < end {
        take_note(mount, inode, end)?;
    }
    Ok(done)
}

/// Logs size and times after data up to byte `end` was written.
fn take_note(mount: &mut Mount, inode: InodeRef, end: u64) -> Result<()> {
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    written_up_to(&mut tp, inode, end);
    tp.commit()
}

/// How far one step of a write got.
struct Part {
    /// Bytes written.
    bytes: usize,
    /// Whether a transaction took note, so that size and times are right already.
    stamped: bool,
}

/// Whether a write counts as one: zeros behind the end of the file do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Growth {
    Yes,
    No,
}

/// Size and times after data up to byte `end` was written.
pub(super) fn written_up_to(tp: &mut Transaction<'_>, inode: InodeRef, end: u64) {
    let core = &mut tp.inode_mut(inode).core;
    core.size = core.size.max(end);
    touch(tp, inode);
}

/// Writes as much of `data` as lies in one mapping.
fn write_some(mount: &mut Mount, inode: InodeRef, at: u64, data: &[u8]) -> Result<Part> {
    let (first, last) = block_range(mount, at, data.len());
    let staged = cow::staged_at(mount, inode, first, last);
    if staged.target != Target::Hole {
        let range = (first, staged.end());
        let bytes = cow::overwrite(mount, inode, range, at, data, true)?;
        return Ok(Part { bytes, stamped: true });
    }
    let last = staged.end();
    let found = mapping_at(bmap::extents(mount, inode, WhichFork::Data)?, first, last);
    let mapping = match found.target {
        Target::Hole => allocate_hole(mount, inode, found)?,
        _ => found,
    };
    let bytes = bytes_in(mount, mapping.len, at, data.len());
    let data = data.get(..bytes).unwrap_or(data);
    match mapping.target {
        Target::Written(start) => {
            let extent =
                Extent { offset: mapping.offset, start, len: mapping.len, unwritten: false };
            write_written(mount, inode, extent, at, data, Growth::Yes)
        }
        Target::Unwritten(start) => {
            let extent =
                Extent { offset: mapping.offset, start, len: mapping.len, unwritten: true };
            store(mount, inode, &extent, at, data)?;
            let (_, last) = block_range(mount, at, bytes);
            let part = extent.clip(first, last).unwrap_or(extent);
            let mut tp = begin_mapping(mount, 0)?;
            edit::convert(&mut tp, inode, WhichFork::Data, part, false)?;
            written_up_to(&mut tp, inode, at + bytes as u64);
            tp.commit()?;
            Ok(Part { bytes, stamped: true })
        }
        Target::Hole => Err(Error::os(Errno::ENOSPC, "allocating blocks")),
    }
}

/// First block of a byte range, and the one behind its last.
pub(super) fn block_range(mount: &Mount, at: u64, len: usize) -> (u64, u64) {
    let end = at.saturating_add(len as u64);
    (at >> mount.geo.block_log, mount.geo.blocks_for(end))
}

/// How many of `len` bytes from `at` on lie in the first `blocks` blocks from there.
pub(super) fn bytes_in(mount: &Mount, blocks: u64, at: u64, len: usize) -> usize {
    let in_block = at & (u64::from(mount.geo.block_size) - 1);
    let bytes = (blocks << mount.geo.block_log).saturating_sub(in_block);
    usize::try_from(bytes).unwrap_or(usize::MAX).min(len)
}

/// A transaction that changes one mapping and takes `blocks` blocks for data besides those
/// the fork's btree may need.
fn begin_mapping(mount: &mut Mount, blocks: u64) -> Result<Transaction<'_>> {
    let reservation = mount.reservations.write;
    let spare = 2 * alloc::btree_blocks(&mount.geo, WhichFork::Data);
    Transaction::begin(mount, reservation, blocks + spare)
}

/// Runs `change`, which gets at most so many blocks and returns `None` if there was no run of
/// blocks it could have; asks for less when there is not enough. Blocks that were freed
/// since the last checkpoint can be had only after the next one.
fn with_blocks<T>(
    mount: &mut Mount,
    most: u64,
    mut change: impl FnMut(&mut Mount, u64) -> Result<Option<T>>,
) -> Result<T> {
    let mut blocks = most.clamp(1, MAX_EXTENT_BLOCKS);
    let mut settled = false;
    loop {
        match change(mount, blocks) {
            Ok(Some(done)) => return Ok(done),
            Ok(None) if !settled => {
                mount.checkpoint()?;
                settled = true;
            }
            Ok(None) => return Err(Error::os(Errno::ENOSPC, "allocating blocks")),
            Err(error)
                if error.errno() == Errno::ENOSPC && blocks > 1 && mount.shutdown.is_none() =>
            {
                blocks /= 2;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Allocates unwritten blocks at the start of a hole.
fn allocate_hole(mount: &mut Mount, inode: InodeRef, hole: Mapping) -> Result<Mapping> {
    let hint = u64::from(mount.inode(inode).core.extsize);
    with_blocks(mount, hole.len, |mount, blocks| {
        let hinted = blocks + 2 * hint;
        let spare = mount.counters.available(&mount.geo) / 2;
        let mut tp = begin_mapping(mount, if hinted < spare { hinted } else { blocks })?;
        let request = alloc::Request {
            inode,
            which: WhichFork::Data,
            offset: hole.offset,
            min: 1,
            max: blocks,
            unwritten: true,
        };
        let new = alloc::try_allocate(&mut tp, &request)?;
        tp.commit()?;
        Ok(new.and_then(|new| new.clip(hole.offset, hole.offset + blocks)).map(Mapping::from))
    })
}

/// How many blocks at the start of `extent` are shared, or not shared, alike; and which.
///
/// # Errors
///
/// Errors of reading the reference count btree.
pub(super) fn sharing(mount: &mut Mount, inode: InodeRef, extent: &Extent) -> Result<(u64, bool)> {
    let reflink = mount.inode(inode).core.flags2.contains(DiFlags2::REFLINK);
    if !reflink || extent.unwritten {
        return Ok((extent.len, false));
    }
    let (before, shared) = blocks::find_shared(mount, extent.start, extent.len)?;
    Ok(if before > 0 { (before, false) } else { (shared, true) })
}

/// Writes to blocks that hold data already.
fn write_written(
    mount: &mut Mount,
    inode: InodeRef,
    extent: Extent,
    at: u64,
    data: &[u8],
    growth: Growth,
) -> Result<Part> {
    let (len, shared) = sharing(mount, inode, &extent)?;
    let extent = extent.clip(extent.offset, extent.offset + len.max(1)).unwrap_or(extent);
    let bytes = bytes_in(mount, extent.len, at, data.len());
    let data = data.get(..bytes).unwrap_or(data);
    if !shared {
        store(mount, inode, &extent, at, data)?;
        return Ok(Part { bytes, stamped: false });
    }
    let range = (extent.offset, extent.end());
    let bytes = cow::overwrite(mount, inode, range, at, data, growth == Growth::Yes)?;
    Ok(Part { bytes, stamped: true })
}

/// Writes `data`, for byte `at` of the file, to the device blocks of `target`, which hold
/// (or will hold) those file blocks. Where `data` begins or ends inside a block, the rest of
/// the block is what the file has there now, and zeros behind the end of the file.
pub(super) fn store(
    mount: &mut Mount,
    inode: InodeRef,
    target: &Extent,
    at: u64,
    data: &[u8],
) -> Result<()> {
    let size = u64::from(mount.geo.block_size);
    let place = |byte: u64, mount: &Mount| {
        let block = target.block_at(byte >> mount.geo.block_log);
        mount.geo.fsblock_byte(block)
    };
    let mut at = at;
    let mut rest = data;
    let lead = ((size - at % size) % size) as usize;
    if lead > 0 {
        let (head, behind) = rest.split_at(lead.min(rest.len()));
        let device = place(at, mount);
        store_part(mount, inode, device, at, head)?;
        at += head.len() as u64;
        rest = behind;
    }
    let (whole, tail) = rest.split_at(rest.len() - rest.len() % size as usize);
    if !whole.is_empty() {
        let device = place(at, mount);
        mount.write_data(whole, device)?;
        at += whole.len() as u64;
    }
    if !tail.is_empty() {
        let device = place(at, mount);
        store_part(mount, inode, device, at, tail)?;
    }
    Ok(())
}

/// Writes one block of which `data` is a part.
fn store_part(mount: &mut Mount, inode: InodeRef, device: u64, at: u64, data: &[u8]) -> Result<()> {
    let size = mount.geo.block_size as usize;
    let skip = (at % size as u64) as usize;
    let first = at - skip as u64;
    let mut block = vec![0; size];
    read::read_mapped(mount, inode, first, &mut block)?;
    let used = mount.inode(inode).core.size.saturating_sub(first);
    if let Some(behind) = usize::try_from(used).ok().and_then(|used| block.get_mut(used..)) {
        behind.fill(0);
    }
    if let Some(part) = block.get_mut(skip..skip + data.len()) {
        part.copy_from_slice(data);
    }
    mount.write_data(&block, device)
}

/// Makes bytes `from..to` read as zeros where blocks hold data; where there are none, they
/// do already. Shared blocks are copied even if they hold zeros. Size and times stay.
///
/// # Errors
///
/// ENOSPC if shared blocks have to be copied; errors of the device and trees.
pub(super) fn zero_written(mount: &mut Mount, inode: InodeRef, from: u64, to: u64) -> Result<()> {
    zero(mount, inode, (from, to), false)
}

/// As [`zero_written`], for what lies behind the end of a file: shared blocks that hold zeros
/// stay shared.
///
/// # Errors
///
/// As [`zero_written`].
pub(super) fn zero_where_needed(
    mount: &mut Mount,
    inode: InodeRef,
    from: u64,
    to: u64,
) -> Result<()> {
    zero(mount, inode, (from, to), true)
}

fn zero(mount: &mut Mount, inode: InodeRef, (from, to): (u64, u64), share: bool) -> Result<()> {
    bmap::load(mount, inode, WhichFork::Data)?;
    let zeros = vec![0; ZEROS.min(usize::try_from(to.saturating_sub(from)).unwrap_or(ZEROS))];
    let mut at = from;
    while at < to {
        let (first, _) = block_range(mount, at, 1);
        let last = mount.geo.blocks_for(to);
        let found = mapping_at(bmap::extents(mount, inode, WhichFork::Data)?, first, last);
        let left = usize::try_from(to - at).unwrap_or(usize::MAX);
        let here = bytes_in(mount, found.len, at, left);
        match found.target {
            Target::Written(start) => {
                let (_, last) = block_range(mount, at, here.min(zeros.len()));
                let extent = Extent { offset: first, start, len: last - first, unwritten: false };
                let (len, shared) = sharing(mount, inode, &extent)?;
                let here = bytes_in(mount, len.max(1), at, here.min(zeros.len()));
                let part = zeros.get(..here).unwrap_or(&zeros);
                // Linux does not look at a page before it zeroes it, so a shared block is not
                // shared any more.
                if (share || !shared) && reads_as_zeros(mount, inode, at, part.len())? {
                    at += part.len() as u64;
                    continue;
                }
                mount.inode_mut(inode).written = true;
                let written = write_written(mount, inode, extent, at, part, Growth::No)?;
                at += written.bytes as u64;
            }
            Target::Hole | Target::Unwritten(_) => {
                at = (found.end() << mount.geo.block_log).min(to);
            }
        }
    }
    Ok(())
}

/// Whether bytes of the file are zeros already, which is so behind the end of most files.
fn reads_as_zeros(mount: &Mount, inode: InodeRef, at: u64, len: usize) -> Result<bool> {
    let mut found = vec![0; len];
    read::read_mapped(mount, inode, at, &mut found)?;
    Ok(found.iter().all(|&byte| byte == 0))
}
