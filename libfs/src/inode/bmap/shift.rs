//! Moving a fork's extents to other file blocks, as collapsing and inserting ranges does.
//!
//! The blocks stay where they are; the records and the reverse mappings change. An extent
//! never moves past another, so its record is changed in place.

use super::blocks;
use super::edit::{Run, bad, splice};
use crate::inode::extent_map::Extent;
use crate::inode::{InodeRef, WhichFork};
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Last file block, and one more: what 54 bits of an extent record can hold.
const OFFSET_END: u64 = 1 << 54;

/// Makes an extent begin at file block `at` by splitting the one that `at` lies inside, if
/// there is one.
///
/// # Errors
///
/// EFBIG if there are too many extents; ENOSPC if the fork needs a block and the transaction
/// has none; [`Error::Corrupt`] if the tree is damaged.
pub fn split(tp: &mut Transaction<'_>, inode: InodeRef, which: WhichFork, at: u64) -> Result<()> {
    super::load(tp, inode, which)?;
    let found = super::extents(tp, inode, which)?.containing(at);
    let Some(record) = found.filter(|record| record.offset < at) else { return Ok(()) };
    let (mut old, mut new) = (Run::new(), Run::new());
    old.push([record]);
    new.push(record.clip(record.offset, at));
    new.push(record.clip(at, record.end()));
    splice(tp, inode, which, &old, &new)
}

/// Moves `record`, a whole extent of the fork, to file block `to`, with nothing mapped there
/// and on the way. Moved down, it becomes part of the extent before it if one record can
/// hold both.
///
/// # Errors
///
/// EINVAL if it would end behind the last possible file block; [`Error::Corrupt`] if
/// something else is mapped there, or if the tree is damaged.
pub fn shift(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    which: WhichFork,
    record: Extent,
    to: u64,
) -> Result<()> {
    let map = super::extents(tp, inode, which)?;
    let moved = Extent { offset: to, ..record };
    let left = map.before(record.offset);
    let right = map.at_or_after(record.end());
    if moved.end() > OFFSET_END {
        return Err(Error::os(Errno::EINVAL, format!("an extent at file block {to}")));
    }
    let free_below = left.is_none_or(|left| left.end() <= to);
    let free_above = right.is_none_or(|right| moved.end() <= right.offset);
    if !free_below || !free_above {
        return Err(bad(tp.inode(inode).ino, format!("file block {to} is mapped already")));
    }
    let left = left.filter(|left| to < record.offset && left.joins(&moved));
    let (mut old, mut new) = (Run::new(), Run::new());
    old.push(left.into_iter().chain([record]));
    new.merge(left.into_iter().chain([moved]));
    splice(tp, inode, which, &old, &new)?;
    blocks::defer_rmap_unmap(tp, inode, which, record);
    blocks::defer_rmap_map(tp, inode, which, moved, false);
    Ok(())
}
