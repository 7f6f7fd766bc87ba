//! How large the untorn writes of a file may be, as statx(2) reports it.

use crate::device::AtomicWriteLimits;
use crate::format::inode::DiFlags;
use crate::format::log_reservation::untorn_write_max;
use crate::inode::InodeRef;
use crate::mount::Mount;

/// What Linux reports of a file for STATX_WRITE_ATOMIC. All are zero where there are no
/// untorn writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AtomicLimits {
    /// Smallest untorn write in bytes.
    pub unit_min: u32,
    /// Largest untorn write in bytes.
    pub unit_max: u32,
    /// Largest that the device itself can do, in bytes; 0 if it cannot, or if only single
    /// blocks can be written untorn anyway.
    pub unit_max_opt: u32,
    /// Most buffers that one untorn write may come from.
    pub segments_max: u32,
}

/// The limits of untorn writes to a file: those of copy on write where the filesystem has
/// it; otherwise one block, if the device can write that untorn; none for what is not a
/// regular file on the data device.
pub fn limits(mount: &Mount, inode: InodeRef) -> AtomicLimits {
    let core = &mount.inode(inode).core;
    if !core.is_regular() || core.flags.contains(DiFlags::REALTIME) {
        return AtomicLimits::default();
    }
    let block = mount.geo.block_size;
    let device = device_limits(mount);
    let by_device = device.unit_max > 0;
    let by_copy = untorn_write_max(&mount.geo, &mount.reservations, by_device);
    let unit_max = match u32::try_from(by_copy).unwrap_or(u32::MAX) {
        0 if by_device => block,
        unit_max => unit_max,
    };
    if unit_max == 0 {
        return AtomicLimits::default();
    }
    let unit_max_opt = if unit_max <= block { 0 } else { unit_max.min(device.unit_max) };
    AtomicLimits { unit_min: block, unit_max, unit_max_opt, segments_max: 1 }
}

/// What the device promises, or nothing if that does not cover single blocks.
pub(super) fn device_limits(mount: &Mount) -> AtomicWriteLimits {
    let limits = mount.device.atomic_write_limits();
    let block = mount.geo.block_size;
    if limits.unit_min <= block && block <= limits.unit_max {
        limits
    } else {
        AtomicWriteLimits::default()
    }
}
