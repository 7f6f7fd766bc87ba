//! A device on which the process dies after a number of writes, as when the power goes: for
//! tests of programs, which ask for it by the variable of the environment that xfsprogs has.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::signal::{Signal, raise};

use super::{Device, Zeroed};
use crate::Result;

/// The variable: `ddev=N`, `logdev=N`, separated by commas.
pub const VARIABLE: &str = "LIBXFS_DEBUG_WRITE_CRASH";

/// The number of writes that `text`, the value of [`VARIABLE`], gives for `device`.
pub fn writes_until_crash(text: &str, device: &str) -> Option<u64> {
    let values = text.split(',').filter_map(|item| item.split_once('='));
    values.filter(|(name, _)| *name == device).find_map(|(_, number)| number.parse().ok())
}

/// Passes everything on, and kills the process when the last of its writes is done.
pub struct WriteCrashDevice {
    inner: Arc<dyn Device>,
    left: AtomicU64,
}

impl WriteCrashDevice {
    /// Lets `writes` writes through.
    pub fn new(inner: Arc<dyn Device>, writes: u64) -> Self {
        Self { inner, left: AtomicU64::new(writes.max(1)) }
    }

    /// `device`, or one that crashes if the environment says so of the device called `name`.
    pub fn by_environment(device: Arc<dyn Device>, name: &str) -> Arc<dyn Device> {
        let text = std::env::var(VARIABLE).unwrap_or_default();
        match writes_until_crash(&text, name) {
            Some(writes) => Arc::new(Self::new(device, writes)),
            None => device,
        }
    }

    fn count(&self) {
        if self.left.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Nothing may run after this, so there is nobody to tell of a failure.
            let _ = raise(Signal::SIGKILL);
        }
    }
}

impl Device for WriteCrashDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.inner.write_at(buf, offset)?;
        self.count();
        Ok(())
    }

    fn write_atomic_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.inner.write_atomic_at(buf, offset)?;
        self.count();
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.inner.flush()
    }

    fn zero_range(&self, offset: u64, len: u64) -> Result<Zeroed> {
        let done = self.inner.zero_range(offset, len)?;
        self.count();
        Ok(done)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<()> {
        self.inner.discard(offset, len)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn inner(&self) -> Option<&dyn Device> {
        Some(self.inner.as_ref())
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_device_has_a_number_of_its_own() {
        assert_eq!(writes_until_crash("ddev=3,logdev=7", "logdev"), Some(7));
        assert_eq!(writes_until_crash("ddev=3,logdev=7", "ddev"), Some(3));
        assert_eq!(writes_until_crash("ddev", "ddev"), None);
        assert_eq!(writes_until_crash("", "ddev"), None);
    }
}
