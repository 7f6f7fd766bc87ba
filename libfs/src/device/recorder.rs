//! Remembers every write and flush in order, so that a crash can be staged at any point.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Device;
use crate::Result;

/// One thing that happened to a recorded device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// `data` was written at byte `offset`.
    Write {
        /// Byte offset of the first byte written.
        offset: u64,
        /// What was written.
        data: Vec<u8>,
        /// Whether the device had promised not to tear it.
        atomic: bool,
    },
    /// Everything before this was made durable.
    Flush,
}

/// Passes everything on to another device and records what changes it.
pub struct RecorderDevice {
    inner: Arc<dyn Device>,
    events: Mutex<Vec<Event>>,
}

impl RecorderDevice {
    /// Records what is done to `inner` from here on.
    pub fn new(inner: Arc<dyn Device>) -> Self {
        Self { inner, events: Mutex::new(Vec::new()) }
    }

    /// Takes the events recorded so far, oldest first, and starts afresh.
    pub fn take_events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events())
    }

    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        // A push is atomic for our purposes, so a poisoned list is still whole.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for RecorderDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        self.events().push(Event::Write { offset, data: buf.to_vec(), atomic: false });
        self.inner.write_at(buf, offset)
    }

    fn write_atomic_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        // A device that refuses has not written anything.
        self.inner.write_atomic_at(buf, offset)?;
        self.events().push(Event::Write { offset, data: buf.to_vec(), atomic: true });
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        self.events().push(Event::Flush);
        self.inner.flush()
    }

    // zero_range and discard stay unsupported: callers then write zeros, which are recorded.

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
