//! Sharing blocks between files: clone (`FICLONERANGE`), deduplication (`FIDEDUPERANGE`) and
//! copying (`copy_file_range(2)`).
//!
//! No data moves. The target gives up what it has in the range and maps the source's blocks,
//! whose reference counts rise: one mapping after the other, each in a chain of transactions
//! that recovery finishes. A crash in between leaves a target of which the first part is new
//! and the rest old; its size grows with what is mapped.

mod checks;
mod compare;
mod copy;
mod extents;
#[cfg(test)]
mod tests;

pub use copy::copy_range;

use super::attributes::check_overwritable;
use super::{MAX_SIZE, cow, touch, write};
use crate::format::inode::DiFlags2;
use crate::inode::{InodeLogFlags, InodeRef};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// Two ranges of equal length, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RemapRequest {
    /// The file whose blocks are to be shared.
    pub source: InodeRef,
    /// Where its range begins.
    pub source_offset: u64,
    /// The file that shall use them too; may be the source.
    pub target: InodeRef,
    /// Where its range begins.
    pub target_offset: u64,
    /// Length of both ranges.
    pub length: u64,
}

/// What a deduplication found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dedupe {
    /// The contents are the same in that many bytes, and share their blocks now. As Linux
    /// counts: of a request that does not end at a block, or at the end of both files, the
    /// last part of a block counts although it is left alone.
    Same(u64),
    /// The contents differ; nothing was changed.
    Differs,
}

/// What to do with two ranges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    /// The target gets the source's contents: all of them, or an error.
    Clone,
    /// The same, but as much of it as blocks can be shared.
    Shortened,
    /// The target keeps its contents, which are the source's.
    Dedupe,
}

/// Most bytes that one deduplication looks at, as in Linux.
const DEDUPE_MAX: u64 = 1 << 30;

/// Lets `target` have the contents of a range of `source`, sharing its blocks; with a length
/// of 0 all of them up to the end of the source.
///
/// # Errors
///
/// In this order: EISDIR or EINVAL if one is no regular file; EPERM if the target cannot be
/// opened for writing; EINVAL for offsets or lengths
/// over [`MAX_SIZE`]; EOPNOTSUPP without reference counts; EPERM if the target is
/// immutable; EINVAL for ranges that do not begin at blocks, that reach beyond the end of
/// the source, that end inside a block other than the last of the source, or of the target
/// if that goes on behind it, or that overlap; EFBIG if the target cannot have so many
/// extents; ENOSPC if an allocation group has no room for the reference counts, with the
/// first part of the range cloned.
pub fn clone_range(mount: &mut Mount, request: &RemapRequest) -> Result<()> {
    mount.check_writable()?;
    checks::check_kinds(mount, request)?;
    check_overwritable(mount, request.target)?;
    checks::check_area(request.source_offset, request.length)?;
    checks::check_area(request.target_offset, request.length)?;
    remap(mount, request, How::Clone).1
}

/// Lets `target` share the blocks of `source` in two ranges that have the same contents.
///
/// # Errors
///
/// As [`clone_range`], and EINVAL for ranges that reach beyond the end of either file.
pub fn dedupe_range(mount: &mut Mount, request: &RemapRequest) -> Result<Dedupe> {
    mount.check_writable()?;
    checks::check_open(mount, request)?;
    checks::check_kind(mount, &[request.source])?;
    checks::check_area(request.source_offset, request.length)?;
    let size = mount.inode(request.source).core.size;
    if request.source_offset + request.length > size {
        return Err(Error::os(Errno::EINVAL, "the range ends beyond the end of the source"));
    }
    let length = request.length.min(DEDUPE_MAX);
    checks::check_area(request.target_offset, length)?;
    checks::check_kind(mount, &[request.target])?;
    if length > 0 {
        match remap(mount, &RemapRequest { length, ..*request }, How::Dedupe) {
            (_, Ok(())) => {}
            (_, Err(error)) if is_difference(&error) => return Ok(Dedupe::Differs),
            (_, Err(error)) => return Err(error),
        }
    }
    Ok(Dedupe::Same(length))
}

/// What Linux says inside when contents differ.
fn difference() -> Error {
    Error::os(Errno::EBADE, "the contents differ")
}

fn is_difference(error: &Error) -> bool {
    error.errno() == Errno::EBADE
}

/// Shares what can be shared; returns how many bytes of the target are the source's now,
/// which with an error may be more than none.
fn remap(mount: &mut Mount, request: &RemapRequest, how: How) -> (u64, Result<()>) {
    let prepared = match checks::check(mount, request, how) {
        Ok(length) => prepare(mount, RemapRequest { length, ..*request }, how),
        Err(error) => Err(error),
    };
    let request = match prepared {
        Ok(request) if request.length > 0 => request,
        Ok(_) => return (0, Ok(())),
        Err(error) => return (0, Err(error)),
    };
    let (blocks, result) = extents::remap_all(mount, &request);
    let bytes = (blocks << mount.geo.block_log).min(request.length);
    match result.and_then(|()| finish(mount, &request, how)) {
        Ok(()) => (request.length, Ok(())),
        Err(error) => (bytes, Err(error)),
    }
}

/// Makes both files ready to share blocks; the length becomes what can be shared.
fn prepare(mount: &mut Mount, mut request: RemapRequest, how: How) -> Result<RemapRequest> {
    if request.length == 0 {
        return Ok(request);
    }
    let RemapRequest { source, target, target_offset, .. } = request;
    extents::load(mount, &request)?;
    if how == How::Dedupe && !compare::same(mount, &request)? {
        return Err(difference());
    }
    request.length = checks::cut_tail(mount, &request, how)?;
    if request.length == 0 {
        return Ok(request);
    }
    let first = target_offset >> mount.geo.block_log;
    let end = mount.geo.blocks_for(target_offset.saturating_add(request.length));
    cow::cancel(mount, target, (first, end))?;
    let size = mount.inode(target).core.size;
    if target_offset > size {
        write::zero_written(mount, target, size, target_offset)?;
    }
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    if how != How::Dedupe {
        touch(&mut tp, target);
    }
    for inode in [source, target] {
        if !tp.inode(inode).core.flags2.contains(DiFlags2::REFLINK) {
            tp.inode_mut(inode).core.flags2 |= DiFlags2::REFLINK;
            tp.log_inode(inode, InodeLogFlags::CORE);
        }
    }
    tp.commit()?;
    Ok(request)
}

/// Gives the target its size, and, if it is all of the source now, the source's hint for
/// copies on write unless it has one.
fn finish(mount: &mut Mount, request: &RemapRequest, how: How) -> Result<()> {
    let (source, target) = (&mount.inode(request.source).core, &mount.inode(request.target).core);
    let end = request.target_offset.saturating_add(request.length).min(MAX_SIZE);
    let whole = (request.source_offset, request.target_offset) == (0, 0)
        && request.length == source.size
        && request.length >= target.size;
    let inherits = whole
        && source.flags2.contains(DiFlags2::COWEXTSIZE)
        && source.cowextsize > 0
        && !target.flags2.contains(DiFlags2::COWEXTSIZE);
    let hint = inherits.then_some(source.cowextsize);
    let grows = how != How::Dedupe && end > target.size;
    if hint.is_none() && !grows {
        return Ok(());
    }
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    let core = &mut tp.inode_mut(request.target).core;
    core.size = core.size.max(end);
    if let Some(hint) = hint {
        core.cowextsize = hint;
        core.flags2 |= DiFlags2::COWEXTSIZE;
    }
    tp.log_inode(request.target, InodeLogFlags::CORE);
    tp.commit()
}
