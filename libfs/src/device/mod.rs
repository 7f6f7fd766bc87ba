//! Where the bytes of a filesystem live.
//!
//! [`Device`] is the only way libfs touches storage. Reads and writes are positioned and
//! complete or fail; nothing is durable before [`Device::flush`] returned. The kinds are
//! a [file or block device](FileDevice), [memory](MemoryDevice), a copy-on-write
//! [overlay](OverlayDevice), a [recorder](RecorderDevice) for crash enumeration, a
//! [fault injector](FaultDevice) and one that [promises untorn writes](LimitedDevice).

mod direct;
mod fault;
mod file;
mod limited;
mod memory;
mod overlay;
mod recorder;
mod write_crash;

pub use fault::{FaultDevice, FaultRule};
pub use file::FileDevice;
pub use limited::LimitedDevice;
pub use memory::MemoryDevice;
pub use overlay::OverlayDevice;
pub use recorder::{Event, RecorderDevice};
pub use write_crash::WriteCrashDevice;

use crate::Result;

/// Sizes, in bytes, of a write that the device promises never to tear.
///
/// Both are zero when the device makes no such promise. A write qualifies when its
/// length is a power of two between the two limits and its offset is a multiple of it
/// (the rule of `pwritev2(2)`'s RWF_ATOMIC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AtomicWriteLimits {
    /// Smallest untorn write in bytes, a power of two.
    pub unit_min: u32,
    /// Largest untorn write in bytes, a power of two.
    pub unit_max: u32,
}

impl AtomicWriteLimits {
    /// Fails unless `len` bytes at byte `offset` of the device called `name` can be written
    /// untorn: EOPNOTSUPP where nothing can, EINVAL where the rule is broken.
    fn check(&self, name: &str, offset: u64, len: usize) -> Result<()> {
        let what = || format!("untorn write of {len} bytes at offset {offset} to {name}");
        if self.unit_max == 0 {
            return Err(crate::Error::os(crate::Errno::EOPNOTSUPP, what()));
        }
        let fits = self.unit_min as usize <= len && len <= self.unit_max as usize;
        if fits && len.is_power_of_two() && offset.is_multiple_of(len as u64) {
            return Ok(());
        }
        Err(crate::Error::os(crate::Errno::EINVAL, what()))
    }
}

/// How a range came to read as zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zeroed {
    /// The kernel or the device did it without the zeros being written by us.
    Offloaded,
    /// Not possible here: the caller must write the zeros.
    Unsupported,
}

/// Storage with positioned, all-or-error reads and writes.
///
/// Offsets and lengths are in bytes. Implementations are internally synchronized.
pub trait Device: Send + Sync {
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the device fails or the range ends past [`Device::size`].
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()>;

    /// Writes all of `buf` at `offset`. Durable only after [`Device::flush`].
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the device fails, is read-only, or the range ends past
    /// [`Device::size`].
    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()>;

    /// Writes all of `buf` at `offset` untorn by power failure, within
    /// [`Device::atomic_write_limits`].
    ///
    /// # Errors
    /// As [`Device::write_at`]; EOPNOTSUPP where the device has no such writes, EINVAL where
    /// this is none of those that it promises.
    fn write_atomic_at(&self, _buf: &[u8], _offset: u64) -> Result<()> {
        Err(crate::Error::os(crate::Errno::EOPNOTSUPP, format!("untorn write to {}", self.name())))
    }

    /// Makes every write that returned before this call durable.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the device fails; what was durable is then unknown.
    fn flush(&self) -> Result<()>;

    /// Makes a range read as zeros without writing them, where that is possible.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the device fails. Lack of support is not an error.
    fn zero_range(&self, _offset: u64, _len: u64) -> Result<Zeroed> {
        Ok(Zeroed::Unsupported)
    }

    /// Tells the device that a range is no longer needed; what it then reads is undefined.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when the device fails. Lack of support is not an error.
    fn discard(&self, _offset: u64, _len: u64) -> Result<()> {
        Ok(())
    }

    /// Size in bytes.
    fn size(&self) -> u64;

    /// The device behind this one, whose properties it has unless it says otherwise.
    fn inner(&self) -> Option<&dyn Device> {
        None
    }

    /// Smallest unit the device addresses, in bytes (a power of two, at least 512).
    fn logical_sector_size(&self) -> u32 {
        self.inner().map_or(512, Device::logical_sector_size)
    }

    /// Unit the device writes without a read-modify-write of its own, in bytes.
    fn physical_sector_size(&self) -> u32 {
        self.inner().map_or_else(|| self.logical_sector_size(), Device::physical_sector_size)
    }

    /// What the device promises about untorn writes.
    fn atomic_write_limits(&self) -> AtomicWriteLimits {
        self.inner().map_or_else(AtomicWriteLimits::default, Device::atomic_write_limits)
    }

    /// Whether every write will be refused.
    fn is_read_only(&self) -> bool {
        self.inner().is_some_and(Device::is_read_only)
    }

    /// How to name the device to a person.
    fn name(&self) -> &str;
}

/// Fails with EIO unless `len` bytes at `offset` lie inside `device`.
fn check_range(device: &dyn Device, verb: &str, offset: u64, len: usize) -> Result<()> {
    let end = offset.checked_add(len as u64);
    if end.is_some_and(|end| end <= device.size()) {
        return Ok(());
    }
    Err(crate::Error::io(
        format!(
            "{}: {verb} of {len} bytes at offset {offset} ends past the device's {} bytes",
            device.name(),
            device.size()
        ),
        std::io::Error::from_raw_os_error(crate::Errno::EIO as i32),
    ))
}
