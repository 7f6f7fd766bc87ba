//! How a disk inode's space is divided between its two forks.

use crate::format::extent::root_space;
use crate::format::geometry::Geometry;
use crate::format::inode::{CORE_SIZE, ForkFormat};
use crate::inode::create::default_fork_offset;
use crate::inode::{Inode, WhichFork};

/// Fewest children for which a btree root must have room: in the data fork, and in the
/// attribute fork (`MINDBTPTRS`, `MINABTPTRS`).
const MIN_DATA_ROOT: usize = 3;
const MIN_ATTR_ROOT: usize = 2;
/// Unit of the offset of the attribute fork, in bytes.
const UNIT: usize = 8;

/// Bytes that both forks share.
pub(crate) fn literal_area(geo: &Geometry) -> usize {
    (geo.inode.size as usize).saturating_sub(CORE_SIZE)
}

/// The offset of the attribute fork, in units of 8 bytes, with which `len` bytes of inline
/// attributes fit in `inode`; `None` if they do not. An offset is only ever changed to make
/// room (`xfs_attr_shortform_bytesfit`).
pub(crate) fn fork_offset_for(geo: &Geometry, inode: &Inode, len: usize) -> Option<u8> {
    let literal = literal_area(geo);
    let largest = literal.checked_sub(len)? / UNIT;
    let data = &inode.data;
    if data.format() == ForkFormat::Dev {
        return (largest >= 1).then_some(1);
    }
    let current = inode.core.forkoff;
    if current != 0 && len <= inode.fork_size(geo, WhichFork::Attr) {
        return Some(current);
    }
    let data_bytes = match data.format() {
        // It would become a btree, whose root is smaller, when attributes got their
        // default space.
        ForkFormat::Extents if current == 0 && data.disk_bytes() > default_offset(geo, inode) => {
            root_space(MIN_DATA_ROOT)
        }
        ForkFormat::Btree if current != 0 => {
            return (largest >= usize::from(current)).then_some(current);
        }
        _ => data.disk_bytes(),
    };
    let smallest = data_bytes.max(root_space(MIN_DATA_ROOT)).div_ceil(UNIT);
    let limit = literal.saturating_sub(root_space(MIN_ATTR_ROOT)) / UNIT;
    let offset = largest.min(limit);
    (offset >= smallest || largest >= limit).then_some(offset as u8)
}

/// Bytes of the data fork when an attribute fork is made without knowing its contents.
fn default_offset(geo: &Geometry, inode: &Inode) -> usize {
    usize::from(default_fork_offset(geo, inode.core.mode)) * UNIT
}
