//! Which ranges can be shared: the rules of Linux, with its errors, in its order.

use super::{How, RemapRequest, difference};
use crate::file::MAX_SIZE;
use crate::file::attributes::check_overwritable;
use crate::format::inode::DiFlags;
use crate::inode::InodeRef;
use crate::mount::Mount;
use crate::{Errno, Error, Result};

pub(super) fn invalid<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::os(Errno::EINVAL, why))
}

/// The target must be one that could be opened for writing, and only regular files have
/// blocks to share.
pub(super) fn check_kinds(mount: &Mount, request: &RemapRequest) -> Result<()> {
    check_open(mount, request)?;
    check_kind(mount, &[request.source, request.target])
}

/// Fails if the target could not have been opened for writing.
pub(super) fn check_open(mount: &Mount, request: &RemapRequest) -> Result<()> {
    let regular = mount.inode(request.target).core.is_regular();
    if regular { check_overwritable(mount, request.target) } else { Ok(()) }
}

/// Fails if one is no regular file.
pub(super) fn check_kind(mount: &Mount, inodes: &[InodeRef]) -> Result<()> {
    if inodes.iter().any(|&inode| mount.inode(inode).core.is_dir()) {
        return Err(Error::os(Errno::EISDIR, "sharing contents"));
    }
    if inodes.iter().any(|&inode| !mount.inode(inode).core.is_regular()) {
        return invalid("only regular files can share contents");
    }
    Ok(())
}

/// Offset, length and end of a range are such as a file can have.
pub(super) fn check_area(offset: u64, length: u64) -> Result<()> {
    let end = offset.checked_add(length);
    if offset > MAX_SIZE || length > MAX_SIZE || end.is_none_or(|end| end > MAX_SIZE) {
        return invalid("a range ends beyond the largest file size");
    }
    Ok(())
}

/// Fails if the target may not be changed.
pub(super) fn check_target(mount: &Mount, request: &RemapRequest) -> Result<()> {
    if mount.inode(request.target).core.flags.contains(DiFlags::IMMUTABLE) {
        return Err(Error::os(Errno::EPERM, "the file is immutable"));
    }
    Ok(())
}

/// Everything that can be known without the contents; returns how many bytes to look at:
/// 0 if there is nothing to do.
pub(super) fn check(mount: &Mount, request: &RemapRequest, how: How) -> Result<u64> {
    if !mount.geo.features.reflink {
        return Err(Error::os(
            Errno::EOPNOTSUPP,
            "the filesystem was made without reference counts (mkfs.xfs -m reflink=1)",
        ));
    }
    let realtime = |inode| mount.inode(inode).core.flags.contains(DiFlags::REALTIME);
    if realtime(request.source) != realtime(request.target) {
        return invalid("one file is on the realtime device, the other is not");
    }
    if realtime(request.source) {
        return Err(Error::Incompatible("the files' data is on a realtime device".into()));
    }
    check_target(mount, request)?;
    let size = mount.inode(request.source).core.size;
    let mut length = request.length;
    if length == 0 {
        if how == How::Dedupe || request.source_offset == size {
            return Ok(0);
        }
        length = size.saturating_sub(request.source_offset);
        if length == 0 {
            return invalid("the range begins beyond the end of the source");
        }
    }
    check_ranges(mount, &RemapRequest { length, ..*request }, how)
}

/// Where the ranges lie in their files, and to each other.
fn check_ranges(mount: &Mount, request: &RemapRequest, how: How) -> Result<u64> {
    let RemapRequest { source_offset, target_offset, length, .. } = *request;
    let block = u64::from(mount.geo.block_size);
    if !source_offset.is_multiple_of(block) || !target_offset.is_multiple_of(block) {
        return invalid(format!("a range does not begin at a block of {block} bytes"));
    }
    let ends = source_offset.checked_add(length).zip(target_offset.checked_add(length));
    let Some((source_end, target_end)) = ends else { return invalid("a range has no end") };
    let source_size = mount.inode(request.source).core.size;
    let target_size = mount.inode(request.target).core.size;
    if how == How::Dedupe && (source_end > source_size || target_end > target_size) {
        return invalid("a range ends beyond the end of its file");
    }
    if source_offset >= source_size {
        return invalid("the range begins beyond the end of the source");
    }
    if target_offset >= MAX_SIZE {
        return Err(Error::os(Errno::EFBIG, format!("cloning to byte {target_offset}")));
    }
    let mut count = length.min(source_size - source_offset).min(MAX_SIZE - target_offset);
    let to_end = source_offset + count == source_size
        && (how != How::Dedupe || target_offset + count == target_size);
    let rounded = if to_end {
        source_size.next_multiple_of(block) - source_offset
    } else {
        count -= count % block;
        count
    };
    if request.source == request.target {
        let before = target_offset.saturating_add(rounded) <= source_offset;
        if !before && target_offset < source_offset.saturating_add(rounded) {
            return invalid("the ranges overlap");
        }
    }
    if count != length && how == How::Clone {
        return invalid(format!("only {count} bytes of the range can be shared"));
    }
    Ok(count)
}

/// The bytes of the range without the used part of its last block, if the target goes on
/// behind it: a block is shared in whole.
pub(super) fn cut_tail(mount: &Mount, request: &RemapRequest, how: How) -> Result<u64> {
    let length = request.length;
    let tail = length % u64::from(mount.geo.block_size);
    let target_size = mount.inode(request.target).core.size;
    if tail == 0 || request.target_offset.saturating_add(length) >= target_size {
        return Ok(length);
    }
    match how {
        How::Clone => invalid("the last block of the source would be inside the target"),
        How::Shortened => Ok(length - tail),
        How::Dedupe if length == tail => Err(difference()),
        How::Dedupe => Ok(length - tail),
    }
}
