//! Where the blocks of a mounted file are.

use std::os::fd::BorrowedFd;

use libfs::Result;

use super::super::{Extent, FiemapExtent, FiemapRequest, Fork, Place, ioctl};

/// BMV_IF_* and BMV_OF_* flags of `xfs_fs.h`.
const BMV_IF_ATTRFORK: i32 = 0x1;
const BMV_IF_PREALLOC: i32 = 0x4;
const BMV_IF_DELALLOC: i32 = 0x8;
const BMV_IF_COWFORK: i32 = 0x20;
const BMV_OF_PREALLOC: i32 = 0x1;
const BMV_OF_LAST: i32 = 0x4;
const BMV_OF_SHARED: i32 = 0x8;

/// Asks for all extents, some at a time.
pub(super) fn list_extents(
    fd: BorrowedFd<'_>,
    fork: Fork,
    unwritten: bool,
    delayed: bool,
) -> Result<Vec<Extent>> {
    let fork = match fork {
        Fork::Data => 0,
        Fork::Attributes => BMV_IF_ATTRFORK,
        Fork::CopyOnWrite => BMV_IF_COWFORK,
    };
    let unwritten = if unwritten { BMV_IF_PREALLOC } else { 0 };
    let delayed = if delayed { BMV_IF_DELALLOC } else { 0 };
    let flags = fork | unwritten | delayed;
    const BATCH: i32 = 128;
    let mut map = vec![ioctl::GetBmapX::default(); BATCH as usize];
    let mut extents: Vec<Extent> = Vec::new();
    let mut offset = 0;
    loop {
        map[0] = ioctl::GetBmapX {
            offset,
            length: -1,
            count: BATCH,
            iflags: flags,
            ..Default::default()
        };
        ioctl::get_bmapx(fd, &mut map)?;
        let got = usize::try_from(map[0].entries).unwrap_or(0).min(map.len() - 1);
        for found in &map[1..=got] {
            extents.push(Extent {
                offset: found.offset as u64,
                length: found.length as u64,
                place: match found.block {
                    -1 => Place::Hole,
                    -2 => Place::Delayed,
                    block => Place::At(block as u64),
                },
                unwritten: found.oflags & BMV_OF_PREALLOC != 0,
                shared: found.oflags & BMV_OF_SHARED != 0,
            });
        }
        let last = map[got];
        if got == 0 || last.oflags & BMV_OF_LAST != 0 || got < map.len() - 1 {
            return Ok(extents);
        }
        offset = last.offset + last.length;
    }
}

/// FIEMAP_FLAG_* and FIEMAP_EXTENT_LAST of `linux/fiemap.h`.
const FIEMAP_FLAG_SYNC: u32 = 0x1;
const FIEMAP_FLAG_XATTR: u32 = 0x2;
const FIEMAP_EXTENT_LAST: u32 = 0x1;

/// All extents that touch the range, some at a time.
pub(super) fn list_fiemap(
    fd: BorrowedFd<'_>,
    request: &FiemapRequest,
) -> Result<Vec<FiemapExtent>> {
    let sync = if request.sync { FIEMAP_FLAG_SYNC } else { 0 };
    let flags = sync | if request.attributes { FIEMAP_FLAG_XATTR } else { 0 };
    let end = request.start.saturating_add(request.length);
    let mut extents = Vec::new();
    let mut start = request.start;
    loop {
        let found = ioctl::fiemap(fd, start, end - start, flags)?;
        let count = (found.mapped_extents as usize).min(found.extents.len());
        extents.extend(found.extents[..count].iter().map(|extent| FiemapExtent {
            logical: extent.logical,
            physical: extent.physical,
            length: extent.length,
            flags: extent.flags,
        }));
        match extents.last() {
            Some(last) if count > 0 && last.flags & FIEMAP_EXTENT_LAST == 0 => {
                start = last.logical.saturating_add(last.length);
            }
            _ => break,
        }
    }
    Ok(extents)
}
