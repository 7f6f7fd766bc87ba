//! Taking a range out of a file.

use super::{check_aligned, prepare::prepare, punch};
use crate::file::truncate::set_size;
use crate::inode::bmap::{self, alloc, shift::shift};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Frees bytes `start..end` and moves what is behind them to `start`.
pub(super) fn run(mount: &mut Mount, inode: InodeRef, start: u64, end: u64) -> Result<()> {
    check_aligned(mount, start, end)?;
    let size = mount.inode(inode).core.size;
    if end >= size {
        return Err(Error::os(Errno::EINVAL, "the range does not end before the file does"));
    }
    punch::free_range(mount, inode, start, end)?;
    prepare(mount, inode, start)?;
    let log = mount.geo.block_log;
    move_down(mount, inode, end >> log, (end - start) >> log)?;
    set_size(mount, inode, size - (end - start))
}

/// Moves all extents from file block `from` on down by `by` blocks, the first one first.
fn move_down(mount: &mut Mount, inode: InodeRef, from: u64, by: u64) -> Result<()> {
    let reservation = mount.reservations.write;
    let spare = alloc::btree_blocks(&mount.geo, WhichFork::Data);
    let mut tp = Transaction::begin(mount, reservation, spare)?;
    let mut at = from;
    while let Some(next) = bmap::extents(&tp, inode, WhichFork::Data)?.at_or_after(at) {
        shift(&mut tp, inode, WhichFork::Data, next, next.offset.saturating_sub(by))?;
        at = next.end();
        tp.finish_deferred()?;
        tp.roll()?;
    }
    tp.commit()
}
