//! Untorn writes: after an error or a power cut all of the data is there or none of it
//! (RWF_ATOMIC of `pwritev2(2)`).
//!
//! [`way`] decides between two ways of doing that. The device's own untorn write goes over
//! the blocks that the file has. Where the device cannot, or the file's blocks are not so
//! that it could, the data goes to blocks staged in the copy-on-write fork, which then take
//! the place of the old ones in one chain of transactions: its first transaction, with all
//! intents and the new size, is in the log or is not, and the data is durable before that.
//! On a filesystem without copy on write, a single block that holds no data yet is written
//! as it always is: it counts as written in one transaction, once the data is in it.

mod limits;
#[cfg(test)]
mod tests;
mod way;

pub use limits::{AtomicLimits, limits};
pub use way::{CopyReason, UntornWay};

use super::attributes::check_writable_at;
use super::check_regular;
use super::cow::{self, Remap};
use super::write::{block_range, sharing, written_up_to, zero_written};
use crate::device::AtomicWriteLimits;
use crate::inode::bmap::{self, Target};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Writes all of `data` at byte `offset` of a regular file, or nothing of it. `direct` says
/// that the file is open with O_DIRECT, without which Linux refuses.
///
/// # Errors
///
/// As Linux, in this order: EISDIR, EINVAL or EPERM if the file cannot be changed; EINVAL
/// behind the largest offset; EOPNOTSUPP if the file has no untorn writes; EINVAL for a
/// length outside of its [`limits`] or that is no power of two, and for an offset that is no
/// multiple of the length; EOPNOTSUPP if not `direct`. ENOSPC if there are no blocks to
/// stage the data in; errors of the device and trees.
pub fn write_untorn(
    mount: &mut Mount,
    inode: InodeRef,
    offset: u64,
    data: &[u8],
    direct: bool,
) -> Result<UntornWay> {
    mount.check_writable()?;
    check_regular(mount, inode)?;
    check_writable_at(mount, inode, offset)?;
    if data.is_empty() {
        return Ok(UntornWay::Nothing);
    }
    check_rules(&limits(mount, inode), offset, data.len() as u64, direct)?;
    bmap::load(mount, inode, WhichFork::Data)?;
    let size = mount.inode(inode).core.size;
    if offset > size {
        zero_written(mount, inode, size, offset)?;
    }
    let device = limits::device_limits(mount);
    let range = range(mount, inode, offset, data.len(), device)?;
    let way = way::decide(&range, device, mount.geo.features.reflink);
    match way {
        UntornWay::Device { .. } => {
            mount.write_data_untorn(data, range.device_offset)?;
            stamp(mount, inode, offset + data.len() as u64)?;
        }
        UntornWay::NewBlock => {
            super::write(mount, inode, offset, data)?;
        }
        UntornWay::CopyOnWrite(_) => by_copy(mount, inode, offset, data)?,
        UntornWay::Nothing => {}
    }
    Ok(way)
}

fn check_rules(limits: &AtomicLimits, offset: u64, len: u64, direct: bool) -> Result<()> {
    let refuse = |errno, why: &str| {
        Err(Error::os(errno, format!("untorn write of {len} bytes at byte {offset} ({why})")))
    };
    if offset.checked_add(len).is_none_or(|end| end > super::MAX_SIZE) {
        return refuse(Errno::EINVAL, "there is no such offset");
    }
    if limits.unit_max == 0 {
        return refuse(Errno::EOPNOTSUPP, "the file has no untorn writes");
    }
    let (min, max) = (limits.unit_min, limits.unit_max);
    if len < min.into() || len > max.into() {
        return refuse(Errno::EINVAL, &format!("{min} to {max} bytes are possible"));
    }
    if !len.is_power_of_two() {
        return refuse(Errno::EINVAL, "the length must be a power of two");
    }
    if !offset.is_multiple_of(len) {
        return refuse(Errno::EINVAL, "the offset must be a multiple of the length");
    }
    if !direct {
        return refuse(Errno::EOPNOTSUPP, "the file must be open with O_DIRECT");
    }
    Ok(())
}

/// Looks up what the decision is made by. Whether blocks are shared is looked up only where
/// the decision can depend on it.
fn range(
    mount: &mut Mount,
    inode: InodeRef,
    offset: u64,
    len: usize,
    device: AtomicWriteLimits,
) -> Result<way::Range> {
    let (first, last) = block_range(mount, offset, len);
    let map = bmap::extents(mount, inode, WhichFork::Data)?;
    let mappings = bmap::mappings(map, first, last);
    let any = |wanted: fn(&Target) -> bool| mappings.iter().any(|found| wanted(&found.target));
    let mut range = way::Range {
        bytes: len as u64,
        grows: offset + len as u64 > mount.inode(inode).core.size,
        hole: any(|target| *target == Target::Hole),
        unwritten: any(|target| matches!(target, Target::Unwritten(_))),
        extents: mappings.iter().filter(|found| found.target != Target::Hole).count(),
        shared: false,
        device_offset: 0,
    };
    let [only] = &mappings[..] else { return Ok(range) };
    if let Some(extent) = only.extent() {
        range.device_offset = mount.geo.fsblock_byte(extent.start);
        if device.unit_max > 0 {
            let (alike, shared) = sharing(mount, inode, &extent)?;
            range.shared = shared || alike < extent.len;
        }
    }
    Ok(range)
}

/// Sets size and times after data up to byte `end` was written.
fn stamp(mount: &mut Mount, inode: InodeRef, end: u64) -> Result<()> {
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    written_up_to(&mut tp, inode, end);
    tp.commit()
}

/// Writes to staged blocks, which replace what the file has.
fn by_copy(mount: &mut Mount, inode: InodeRef, offset: u64, data: &[u8]) -> Result<()> {
    let blocks = block_range(mount, offset, data.len());
    cow::stage(mount, inode, blocks)?;
    if let Err(error) = cow::write_staged(mount, inode, offset, data) {
        // What a part of the data is in already must not be taken for a finished write.
        cow::cancel(mount, inode, blocks)?;
        return Err(error);
    }
    cow::remap(mount, inode, blocks, Remap::AtOnce, Some(offset + data.len() as u64))
}
