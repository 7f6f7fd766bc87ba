//! A device that promises untorn writes within set limits, for tests.

use std::sync::Arc;

use super::{AtomicWriteLimits, Device, Zeroed};
use crate::Result;

/// Passes everything on to another device and makes a promise about untorn writes.
///
/// The promise is this wrapper's, not the inner device's, to which untorn writes go as
/// ordinary ones: it holds where nothing tears writes, as in memory. A
/// [`RecorderDevice`](super::RecorderDevice) around it notes which writes must stay whole
/// when a power cut is staged.
pub struct LimitedDevice {
    inner: Arc<dyn Device>,
    limits: AtomicWriteLimits,
}

impl LimitedDevice {
    /// Wraps `inner` with the promise of `limits`.
    pub fn new(inner: Arc<dyn Device>, limits: AtomicWriteLimits) -> Self {
        Self { inner, limits }
    }
}

impl Device for LimitedDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.inner.write_at(buf, offset)
    }

    fn write_atomic_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.limits.check(self.name(), offset, buf.len())?;
        self.inner.write_at(buf, offset)
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn zero_range(&self, offset: u64, len: u64) -> Result<Zeroed> {
        self.inner.zero_range(offset, len)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.discard(offset, len)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn inner(&self) -> Option<&dyn Device> {
        Some(&*self.inner)
    }

    fn atomic_write_limits(&self) -> AtomicWriteLimits {
        self.limits
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Errno;
    use crate::device::MemoryDevice;

    #[test]
    fn what_breaks_the_rule_is_refused() {
        let limits = AtomicWriteLimits { unit_min: 4096, unit_max: 16384 };
        let device = LimitedDevice::new(Arc::new(MemoryDevice::new(1 << 20)), limits);
        for (offset, len) in [(0, 4096), (4096, 4096), (16384, 16384), (8192, 8192)] {
            device.write_atomic_at(&vec![1; len], offset).unwrap();
        }
        for (offset, len) in [(0, 2048), (0, 32768), (0, 12288), (4096, 8192), (512, 4096)] {
            let error = device.write_atomic_at(&vec![1; len], offset).unwrap_err();
            assert_eq!(error.errno(), Errno::EINVAL, "{len} bytes at {offset}");
        }
        let none = LimitedDevice::new(Arc::new(MemoryDevice::new(4096)), Default::default());
        assert_eq!(none.write_atomic_at(&[0; 4096], 0).unwrap_err().errno(), Errno::EOPNOTSUPP);
    }
}
