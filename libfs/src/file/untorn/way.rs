//! Which way an untorn write takes.

use std::fmt;

use crate::device::AtomicWriteLimits;

/// The way an untorn write took, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UntornWay {
    /// The device's own untorn write, over the blocks that the file has.
    Device {
        /// Bytes written, all in one written extent.
        bytes: u64,
        /// The largest untorn write of the device in bytes.
        limit: u32,
    },
    /// New blocks that replaced the old ones in one change.
    CopyOnWrite(CopyReason),
    /// A block that held no data yet, and counts as written since the data is in it.
    NewBlock,
    /// There was nothing to write.
    Nothing,
}

/// Why the device could not write a range untorn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyReason {
    /// It never can, or not even one block.
    NoDeviceSupport,
    /// More or fewer bytes than it can write untorn.
    DeviceLimits {
        /// Length of the write in bytes.
        bytes: u64,
        /// What the device can do.
        limits: AtomicWriteLimits,
    },
    /// The file becomes longer, which has to happen together with the write.
    Growth,
    /// A part of the range has no blocks.
    Hole,
    /// A part of the range is allocated, but not written.
    Unwritten,
    /// The range is in this many pieces.
    Extents(usize),
    /// Other files use some of the blocks.
    Shared,
    /// The range does not lie at a multiple of its length on the device.
    Misaligned {
        /// Where it begins, in bytes.
        device_offset: u64,
        /// Length of the write in bytes.
        bytes: u64,
    },
}

impl fmt::Display for UntornWay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UntornWay::Device { bytes, limit } => write!(
                f,
                "device: one written extent of {bytes} bytes, aligned, device limit {limit}"
            ),
            UntornWay::CopyOnWrite(why) => write!(f, "copy-on-write: {why}"),
            UntornWay::NewBlock => write!(f, "new block: there was no data"),
            UntornWay::Nothing => write!(f, "nothing to write"),
        }
    }
}

impl fmt::Display for CopyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CopyReason::NoDeviceSupport => write!(f, "the device has no untorn writes"),
            CopyReason::DeviceLimits { bytes, limits } => write!(
                f,
                "{bytes} bytes, and the device writes {} to {} untorn",
                limits.unit_min, limits.unit_max
            ),
            CopyReason::Growth => write!(f, "the file grows"),
            CopyReason::Hole => write!(f, "the range has a hole"),
            CopyReason::Unwritten => write!(f, "the range is not all written"),
            CopyReason::Extents(extents) => write!(f, "the range is {extents} extents"),
            CopyReason::Shared => write!(f, "the range has shared blocks"),
            CopyReason::Misaligned { device_offset, bytes } => write!(
                f,
                "the range begins at byte {device_offset} of the device, no multiple of {bytes}"
            ),
        }
    }
}

/// What decides between the ways: the range of a write as the file has it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    /// Length of the write in bytes.
    pub bytes: u64,
    /// It ends behind the end of the file.
    pub grows: bool,
    /// It has a hole.
    pub hole: bool,
    /// Some of it is unwritten.
    pub unwritten: bool,
    /// In how many extents it is.
    pub extents: usize,
    /// Some of its blocks are shared.
    pub shared: bool,
    /// Where on the device it begins, in bytes, if it is mapped there.
    pub device_offset: u64,
}

/// Decides which way an untorn write takes: the device's own if it has one for this size
/// and the range is one written, unshared extent that is aligned to its length on the
/// device and inside the file; otherwise copy on write.
///
/// On a filesystem without copy on write (`can_copy` is false) all untorn writes are single
/// blocks. One that makes the file longer is the device's even so, as on Linux: after a
/// power cut, what of it lies behind the old end may be missing.
pub(super) fn decide(range: &Range, device: AtomicWriteLimits, can_copy: bool) -> UntornWay {
    let by_device = UntornWay::Device { bytes: range.bytes, limit: device.unit_max };
    match reason_to_copy(range, device) {
        None => by_device,
        Some(reason) if can_copy => UntornWay::CopyOnWrite(reason),
        Some(CopyReason::Hole | CopyReason::Unwritten) => UntornWay::NewBlock,
        Some(_) => by_device,
    }
}

/// The first condition of the device's own way that does not hold.
fn reason_to_copy(range: &Range, device: AtomicWriteLimits) -> Option<CopyReason> {
    let Range { bytes, device_offset, .. } = *range;
    if device.unit_max == 0 {
        Some(CopyReason::NoDeviceSupport)
    } else if bytes < device.unit_min.into() || bytes > device.unit_max.into() {
        Some(CopyReason::DeviceLimits { bytes, limits: device })
    } else if range.hole {
        Some(CopyReason::Hole)
    } else if range.unwritten {
        Some(CopyReason::Unwritten)
    } else if range.grows {
        Some(CopyReason::Growth)
    } else if range.extents != 1 {
        Some(CopyReason::Extents(range.extents))
    } else if range.shared {
        Some(CopyReason::Shared)
    } else if !device_offset.is_multiple_of(bytes) {
        Some(CopyReason::Misaligned { device_offset, bytes })
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: AtomicWriteLimits = AtomicWriteLimits { unit_min: 4096, unit_max: 65536 };
    /// A range for which every condition holds.
    const GOOD: Range = Range {
        bytes: 16384,
        grows: false,
        hole: false,
        unwritten: false,
        extents: 1,
        shared: false,
        device_offset: 1 << 20,
    };

    fn words(range: Range, device: AtomicWriteLimits) -> String {
        decide(&range, device, true).to_string()
    }

    #[test]
    fn the_device_writes_one_aligned_written_extent() {
        assert_eq!(
            words(GOOD, DEVICE),
            "device: one written extent of 16384 bytes, aligned, device limit 65536"
        );
        for bytes in [4096, 65536] {
            let range = Range { bytes, ..GOOD };
            assert_eq!(decide(&range, DEVICE, true), UntornWay::Device { bytes, limit: 65536 });
        }
    }

    #[test]
    fn every_condition_is_needed() {
        let cases = [
            (
                Range { bytes: 2048, ..GOOD },
                "2048 bytes, and the device writes 4096 to 65536 untorn",
            ),
            (
                Range { bytes: 1 << 17, ..GOOD },
                "131072 bytes, and the device writes 4096 to 65536 untorn",
            ),
            (Range { grows: true, ..GOOD }, "the file grows"),
            (Range { hole: true, ..GOOD }, "the range has a hole"),
            (Range { unwritten: true, ..GOOD }, "the range is not all written"),
            (Range { extents: 3, ..GOOD }, "the range is 3 extents"),
            (Range { shared: true, ..GOOD }, "the range has shared blocks"),
            (
                Range { device_offset: (1 << 20) + 8192, ..GOOD },
                "the range begins at byte 1056768 of the device, no multiple of 16384",
            ),
        ];
        for (range, expected) in cases {
            assert_eq!(words(range, DEVICE), format!("copy-on-write: {expected}"));
        }
        assert_eq!(
            words(GOOD, AtomicWriteLimits::default()),
            "copy-on-write: the device has no untorn writes"
        );
    }
    #[test]
    fn without_copy_on_write_single_blocks_go_in_place() {
        let block = Range { bytes: 4096, ..GOOD };
        let by_device = UntornWay::Device { bytes: 4096, limit: 65536 };
        for (range, way) in [
            (block, by_device),
            (Range { grows: true, ..block }, by_device),
            (Range { hole: true, extents: 0, ..block }, UntornWay::NewBlock),
            (Range { hole: true, extents: 0, grows: true, ..block }, UntornWay::NewBlock),
            (Range { unwritten: true, ..block }, UntornWay::NewBlock),
        ] {
            assert_eq!(decide(&range, DEVICE, false), way, "{range:?}");
        }
        assert_eq!(UntornWay::NewBlock.to_string(), "new block: there was no data");
    }
}
