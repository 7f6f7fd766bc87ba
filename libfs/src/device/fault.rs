//! A device that fails by rule.

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Device, Zeroed};
use crate::{Errno, Error, Result};

/// When a [`FaultDevice`] answers EIO. Writes and flushes are counted from zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultRule {
    /// The write with this number fails; nothing of it reaches the device.
    FailWrite(u64),
    /// This write and all after it fail, as when the device has gone.
    FailWritesFrom(u64),
    /// The flush with this number fails.
    FailFlush(u64),
    /// Reads that touch this range of bytes fail.
    FailReads(Range<u64>),
    /// Writes that touch this range of bytes fail.
    FailWrites(Range<u64>),
}

/// Passes everything on to another device, but fails where a rule says so.
pub struct FaultDevice {
    inner: Arc<dyn Device>,
    rules: Mutex<Vec<FaultRule>>,
    writes: AtomicU64,
    flushes: AtomicU64,
}

impl FaultDevice {
    /// Wraps `inner` with the given rules.
    pub fn new(inner: Arc<dyn Device>, rules: Vec<FaultRule>) -> Self {
        Self {
            inner,
            rules: Mutex::new(rules),
            writes: AtomicU64::new(0),
            flushes: AtomicU64::new(0),
        }
    }

    /// Replaces the rules.
    pub fn set_rules(&self, rules: Vec<FaultRule>) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// How many writes were attempted so far.
    pub fn writes(&self) -> u64 {
        self.writes.load(Ordering::Relaxed)
    }

    fn any(&self, rule: impl Fn(&FaultRule) -> bool) -> bool {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).iter().any(rule)
    }

    fn fail(&self, what: String) -> Error {
        Error::io(
            format!("{}: {what} failed", self.name()),
            std::io::Error::from_raw_os_error(Errno::EIO as i32),
        )
    }

    fn admit_write(&self, offset: u64, len: usize) -> Result<()> {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let hit = self.any(|rule| match rule {
            FaultRule::FailWrite(n) => *n == number,
            FaultRule::FailWritesFrom(n) => *n <= number,
            FaultRule::FailWrites(range) => touches(range, offset, len),
            FaultRule::FailFlush(_) | FaultRule::FailReads(_) => false,
        });
        if hit {
            return Err(self.fail(format!("write of {len} bytes at offset {offset}")));
        }
        Ok(())
    }
}

fn touches(range: &Range<u64>, offset: u64, len: usize) -> bool {
    offset < range.end && range.start < offset.saturating_add(len as u64)
}

impl Device for FaultDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        let len = buf.len();
        if self.any(|r| matches!(r, FaultRule::FailReads(range) if touches(range, offset, len))) {
            return Err(self.fail(format!("read of {len} bytes at offset {offset}")));
        }
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.admit_write(offset, buf.len())?;
        self.inner.write_at(buf, offset)
    }

    fn write_atomic_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.admit_write(offset, buf.len())?;
        self.inner.write_atomic_at(buf, offset)
    }

    fn flush(&self) -> Result<()> {
        let number = self.flushes.fetch_add(1, Ordering::Relaxed);
        if self.any(|r| matches!(r, FaultRule::FailFlush(n) if *n == number)) {
            return Err(self.fail("flush".to_string()));
        }
        self.inner.flush()
    }

    fn zero_range(&self, offset: u64, len: u64) -> Result<Zeroed> {
        self.admit_write(offset, usize::try_from(len).unwrap_or(usize::MAX))?;
        self.inner.zero_range(offset, len)
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn inner(&self) -> Option<&dyn Device> {
        Some(&*self.inner)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}
