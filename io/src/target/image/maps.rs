//! Where the blocks of a file of an image are.

use libfs::{Errno, Error, Result};

use super::super::{Extent, FiemapExtent, FiemapRequest, Fork, Handle, Place};
use super::{FORMAT, Image, REGULAR};

impl Image {
    /// As [`super::super::Target::extents`].
    pub(super) fn list_extents(
        &mut self,
        file: Handle,
        fork: Fork,
        unwritten: bool,
        delayed: bool,
    ) -> Result<Vec<Extent>> {
        let open = self.readable(file)?;
        if fork == Fork::CopyOnWrite {
            // As from a kernel that is not built for debugging.
            return Err(Error::os(Errno::EINVAL, "the copy-on-write fork"));
        }
        let stat = self.filesystem.stat(open.ino)?;
        let mappings = self.filesystem.mappings(open.ino, fork == Fork::Attributes)?;
        let block = u64::from(self.filesystem.geometry().block_size);
        let blocks_end = stat.size.div_ceil(block) * (block / 512);
        if mappings.is_empty() && delayed && fork == Fork::Data {
            let hole = Extent {
                offset: 0,
                length: blocks_end,
                place: Place::Hole,
                unwritten: false,
                shared: false,
            };
            return Ok(vec![hole]);
        }
        // Space behind the end is shown where it is there to stay.
        let kept = fork == Fork::Attributes || stat.xflags & XFLAGS_KEEP_SPACE != 0;
        let end = if kept { u64::MAX } else { blocks_end };
        Ok(mappings
            .iter()
            .filter(|mapping| mapping.offset < end)
            .map(|mapping| {
                let mut mapping = *mapping;
                mapping.len = mapping.len.min(end - mapping.offset);
                mapping
            })
            .map(|mapping| Extent {
                offset: mapping.offset,
                length: mapping.len,
                place: mapping.start.map_or(Place::Hole, Place::At),
                unwritten: unwritten && mapping.unwritten,
                shared: mapping.shared,
            })
            .collect())
    }

    /// As [`super::super::Target::fiemap`].
    pub(super) fn list_fiemap(
        &mut self,
        file: Handle,
        request: &FiemapRequest,
    ) -> Result<Vec<FiemapExtent>> {
        let open = self.readable(file)?;
        if self.filesystem.stat(open.ino)?.mode & FORMAT != REGULAR {
            return Err(Error::os(Errno::EOPNOTSUPP, "FIEMAP"));
        }
        if request.length == 0 {
            return Err(Error::os(Errno::EINVAL, "FIEMAP"));
        }
        let mappings = self.filesystem.mappings(open.ino, request.attributes)?;
        let block = u64::from(self.filesystem.geometry().block_size);
        // Extents are cut to the blocks that the range touches.
        let start = request.start / block * block;
        let end = request.start.saturating_add(request.length);
        let end = end.checked_next_multiple_of(block).unwrap_or(u64::MAX);
        let mut extents: Vec<FiemapExtent> = mappings
            .iter()
            .filter_map(|mapping| {
                let physical = mapping.start? * 512;
                let (first, last) = (mapping.offset * 512, (mapping.offset + mapping.len) * 512);
                let (logical, last) = (first.max(start), last.min(end));
                let unwritten = if mapping.unwritten { FIEMAP_EXTENT_UNWRITTEN } else { 0 };
                let shared = if mapping.shared { FIEMAP_EXTENT_SHARED } else { 0 };
                (logical < last).then(|| FiemapExtent {
                    logical,
                    physical: physical + (logical - first),
                    length: last - logical,
                    flags: unwritten | shared,
                })
            })
            .collect();
        if let Some(last) = extents.last_mut() {
            last.flags |= FIEMAP_EXTENT_LAST;
        }
        Ok(extents)
    }
}

/// FS_XFLAG_* bits of files that keep space behind their end: preallocated, append-only,
/// with an extent size hint.
const XFLAGS_KEEP_SPACE: u32 = 0x2 | 0x10 | 0x800;

/// FIEMAP_EXTENT_* flags of `linux/fiemap.h`.
const FIEMAP_EXTENT_LAST: u32 = 0x1;
const FIEMAP_EXTENT_UNWRITTEN: u32 = 0x800;
const FIEMAP_EXTENT_SHARED: u32 = 0x2000;
