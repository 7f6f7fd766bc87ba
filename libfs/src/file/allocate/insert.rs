//! Putting a hole into a file.

use super::{check_aligned, prepare::prepare};
use crate::file::{MAX_SIZE, truncate::set_size};
use crate::inode::bmap::{self, alloc, edit, shift};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Last file block that Linux lets an extent begin at.
const LAST_BLOCK: u64 = (1 << 54) - 1;

/// Moves what is at byte `start` and behind it up by `len` bytes.
pub(super) fn run(mount: &mut Mount, inode: InodeRef, start: u64, len: u64) -> Result<()> {
    check_aligned(mount, start, len)?;
    let size = mount.inode(inode).core.size;
    if MAX_SIZE - size.min(MAX_SIZE) < len {
        return Err(Error::os(Errno::EFBIG, format!("inserting {len} bytes")));
    }
    if start >= size {
        return Err(Error::os(Errno::EINVAL, "the range does not begin inside the file"));
    }
    // The size comes first: after a crash between the two, nothing is behind the end.
    set_size(mount, inode, size + len)?;
    let (from, by) = (start >> mount.geo.block_log, len >> mount.geo.block_log);
    let last = bmap::extents(mount, inode, WhichFork::Data)?.last();
    if last.is_some_and(|last| last.offset > from && last.offset.saturating_add(by) > LAST_BLOCK) {
        return Err(Error::os(Errno::EINVAL, "the last extent cannot move so far"));
    }
    prepare(mount, inode, start)?;
    move_up(mount, inode, from, by)
}

/// Moves everything from file block `from` on up by `by` blocks, the last extent first.
fn move_up(mount: &mut Mount, inode: InodeRef, from: u64, by: u64) -> Result<()> {
    let reservation = mount.reservations.write;
    let spare = alloc::btree_blocks(&mount.geo, WhichFork::Data);
    let mut tp = Transaction::begin(mount, reservation, spare)?;
    edit::reserve_count(&mut tp, inode, WhichFork::Data, 1)?;
    shift::split(&mut tp, inode, WhichFork::Data, from)?;
    let mut at = u64::MAX;
    loop {
        tp.finish_deferred()?;
        tp.roll()?;
        let last = bmap::extents(&tp, inode, WhichFork::Data)?.before(at);
        let Some(last) = last.filter(|last| last.offset >= from) else { break };
        shift::shift(&mut tp, inode, WhichFork::Data, last, last.offset.saturating_add(by))?;
        at = last.offset;
    }
    tp.commit()
}
