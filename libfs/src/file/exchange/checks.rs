//! Which exchanges are possible: the rules of Linux, with its errors, in its order.

use super::{ExchangeFlags, ExchangeRequest};
use crate::file::MAX_SIZE;
use crate::file::attributes::check_overwritable;
use crate::format::inode::DiFlags;
use crate::mount::Mount;
use crate::{Errno, Error, Result};

fn invalid<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::os(Errno::EINVAL, why))
}

/// Checks everything about a request that can be known without the mappings; returns the
/// number of bytes to exchange, which is not that of the request with
/// [`ExchangeFlags::TO_EOF`].
pub(super) fn check(mount: &Mount, request: &ExchangeRequest) -> Result<u64> {
    check_flags(request)?;
    check_files(mount, request)?;
    let (size1, size2) =
        (mount.inode(request.file1).core.size, mount.inode(request.file2).core.size);
    let (offset1, offset2) = (request.file1_offset, request.file2_offset);
    if offset1 > size1 || offset2 > size2 {
        return invalid("a range begins beyond the end of its file");
    }
    let to_eof = request.flags.contains(ExchangeFlags::TO_EOF);
    let length = if to_eof { (size1 - offset1).max(size2 - offset2) } else { request.length };
    let block = u64::from(mount.geo.block_size);
    if !offset1.is_multiple_of(block) || !offset2.is_multiple_of(block) {
        return invalid(format!("a range does not begin at a block of {block} bytes"));
    }
    let end = |offset: u64| offset.checked_add(length).filter(|&end| end <= MAX_SIZE);
    let (Some(end1), Some(end2)) = (end(offset1), end(offset2)) else {
        return invalid("a range ends beyond the largest file size");
    };
    if !to_eof && (end1 > size1 || end2 > size2) {
        return invalid("a range ends beyond the end of its file");
    }
    let rounded = if end1 == size1 {
        size1.next_multiple_of(block) - offset1
    } else if end2 == size2 {
        size2.next_multiple_of(block) - offset2
    } else if length.is_multiple_of(block) {
        length
    } else {
        return invalid(format!("the length is not a multiple of {block}"));
    };
    let overlap = offset2 + rounded > offset1 && offset1 + rounded > offset2;
    if request.file1 == request.file2 && overlap {
        return invalid("the ranges overlap");
    }
    // A last block that is used in part must be the last of both files.
    if !length.is_multiple_of(block) && (end1 < size1 || end2 < size2) {
        return invalid("the last block of one file would be inside the other");
    }
    Ok(length)
}

/// Refuses flags that nobody knows.
pub(super) fn check_flags(request: &ExchangeRequest) -> Result<()> {
    let unknown = request.flags.bits() & !known_flags().bits();
    if unknown != 0 {
        return invalid(format!("unknown flags {unknown:#x}"));
    }
    Ok(())
}

fn known_flags() -> ExchangeFlags {
    ExchangeFlags::TO_EOF
        | ExchangeFlags::DSYNC
        | ExchangeFlags::DRY_RUN
        | ExchangeFlags::FILE1_WRITTEN
}

/// Refuses ranges that end where no file can.
fn check_numbers(request: &ExchangeRequest) -> Result<()> {
    let to_eof = request.flags.contains(ExchangeFlags::TO_EOF);
    let length = if to_eof { 0 } else { request.length };
    for offset in [request.file1_offset, request.file2_offset] {
        if offset.checked_add(length).is_none_or(|end| end > MAX_SIZE) {
            return invalid("a range ends beyond the largest file size");
        }
    }
    Ok(())
}

fn check_files(mount: &Mount, request: &ExchangeRequest) -> Result<()> {
    let cores = [&mount.inode(request.file1).core, &mount.inode(request.file2).core];
    if cores.iter().any(|core| core.is_dir()) {
        return Err(Error::os(Errno::EISDIR, "exchanging contents"));
    }
    if cores.iter().any(|core| !core.is_regular()) {
        return invalid("only regular files can be exchanged");
    }
    if !mount.geo.features.exchange {
        return Err(Error::os(
            Errno::EOPNOTSUPP,
            "the filesystem was made without exchange-range (mkfs.xfs -i exchange=1)",
        ));
    }
    check_numbers(request)?;
    if cores.iter().any(|core| core.flags.contains(DiFlags::IMMUTABLE)) {
        return Err(Error::os(Errno::EPERM, "a file is immutable"));
    }
    check_overwritable(mount, request.file1)?;
    check_overwritable(mount, request.file2)?;
    if cores.iter().any(|core| core.flags.contains(DiFlags::REALTIME)) {
        return Err(Error::Incompatible("a file's data is on a realtime device".into()));
    }
    Ok(())
}
