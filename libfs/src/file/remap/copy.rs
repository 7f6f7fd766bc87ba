//! Copying by sharing where that is possible, and byte by byte where it is not.

use super::checks::{self, invalid};
use super::{How, RemapRequest, remap};
use crate::file::{MAX_SIZE, read, write};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// Most bytes that one call copies, as in Linux (`MAX_RW_COUNT`).
const COPY_MAX: u64 = 0x7fff_f000;
/// Bytes that are read and written in one go.
const STEP: u64 = 1 << 20;

/// Copies bytes of `source` to `target`, up to the end of the source, as
/// `copy_file_range(2)` does on XFS; returns how many were copied, which may be fewer than
/// asked for. Whole blocks are shared; what cannot be shared at all is copied.
///
/// # Errors
///
/// In this order: EISDIR or EINVAL if one is no regular file; EPERM if the target is
/// immutable or append-only; EOVERFLOW for ranges without an end; EFBIG if the target cannot be so large;
/// EINVAL for ranges of one file that overlap, and for offsets over [`MAX_SIZE`]; ENOSPC if
/// nothing could be copied.
pub fn copy_range(mount: &mut Mount, request: &RemapRequest) -> Result<u64> {
    mount.check_writable()?;
    let length = check(mount, request)?;
    if length == 0 {
        return Ok(0);
    }
    let request = RemapRequest { length: length.min(COPY_MAX), ..*request };
    let (shared, result) = remap(mount, &request, How::Shortened);
    match result {
        Err(error @ (Error::Io { .. } | Error::Corrupt(_) | Error::Shutdown(_))) => Err(error),
        _ if shared > 0 => Ok(shared),
        _ => copy_bytes(mount, &request),
    }
}

/// The rules of Linux, in its order; returns how many bytes there are to copy.
fn check(mount: &Mount, request: &RemapRequest) -> Result<u64> {
    checks::check_kinds(mount, request)?;
    checks::check_target(mount, request)?;
    let RemapRequest { source_offset, target_offset, length, .. } = *request;
    if source_offset.checked_add(length).is_none() || target_offset.checked_add(length).is_none() {
        return Err(Error::os(Errno::EOVERFLOW, "a range has no end"));
    }
    let size = mount.inode(request.source).core.size;
    let mut count = length.min(size.saturating_sub(source_offset));
    if target_offset == MAX_SIZE {
        return Err(Error::os(Errno::EFBIG, format!("copying to byte {target_offset}")));
    }
    if source_offset > MAX_SIZE || target_offset > MAX_SIZE {
        return invalid("a range begins beyond the largest file size");
    }
    count = count.min(MAX_SIZE - target_offset);
    let overlap = target_offset + count > source_offset && target_offset < source_offset + count;
    if request.source == request.target && overlap {
        return invalid("the ranges overlap");
    }
    Ok(count)
}

/// Copies byte by byte; an error counts only if nothing was copied before it.
fn copy_bytes(mount: &mut Mount, request: &RemapRequest) -> Result<u64> {
    let mut buffer = vec![0; usize::try_from(request.length.min(STEP)).unwrap_or(0)];
    let mut done = 0;
    while done < request.length {
        let here = usize::try_from((request.length - done).min(STEP)).unwrap_or(0);
        let Some(part) = buffer.get_mut(..here) else { break };
        let read = read::read(mount, request.source, request.source_offset + done, part)?;
        let part = part.get(..read).unwrap_or_default();
        match write::write(mount, request.target, request.target_offset + done, part) {
            Ok(0) => break,
            Ok(written) => done += written as u64,
            Err(error) if done > 0 && error.errno() == Errno::ENOSPC => break,
            Err(error) => return Err(error),
        }
    }
    Ok(done)
}
