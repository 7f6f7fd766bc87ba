//! A device in memory, sparse, for tests and for images built before they are written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::{Device, Zeroed, check_range};
use crate::Result;

/// Bytes kept together in one map entry.
const CHUNK: u64 = 64 * 1024;

/// A sparse, zero-filled device in memory.
pub struct MemoryDevice {
    size: u64,
    chunks: Mutex<HashMap<u64, Box<[u8]>>>,
}

impl MemoryDevice {
    /// An all-zero device of `size` bytes. Memory is used only for what is written.
    pub fn new(size: u64) -> Self {
        Self { size, chunks: Mutex::new(HashMap::new()) }
    }

    fn chunks(&self) -> std::sync::MutexGuard<'_, HashMap<u64, Box<[u8]>>> {
        // A panic elsewhere cannot leave a chunk half-inserted, so its poison means nothing.
        self.chunks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Calls `part(chunk index, offset in chunk, range of the buffer)` for each chunk touched.
fn for_each_chunk(
    offset: u64,
    len: usize,
    mut part: impl FnMut(u64, usize, std::ops::Range<usize>),
) {
    let mut done = 0;
    while done < len {
        let at = offset + done as u64;
        let within = (at % CHUNK) as usize;
        let n = (CHUNK as usize - within).min(len - done);
        part(at / CHUNK, within, done..done + n);
        done += n;
    }
}

impl Device for MemoryDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self, "read", offset, buf.len())?;
        let chunks = self.chunks();
        for_each_chunk(offset, buf.len(), |index, within, range| {
            let n = range.len();
            match chunks.get(&index) {
                Some(chunk) => buf[range].copy_from_slice(&chunk[within..within + n]),
                None => buf[range].fill(0),
            }
        });
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        check_range(self, "write", offset, buf.len())?;
        let mut chunks = self.chunks();
        for_each_chunk(offset, buf.len(), |index, within, range| {
            let n = range.len();
            let chunk =
                chunks.entry(index).or_insert_with(|| vec![0; CHUNK as usize].into_boxed_slice());
            chunk[within..within + n].copy_from_slice(&buf[range]);
        });
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn zero_range(&self, offset: u64, len: u64) -> Result<Zeroed> {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        check_range(self, "zeroing", offset, len)?;
        let end = offset + len as u64;
        self.chunks().retain(|index, chunk| {
            let start = index * CHUNK;
            let from = offset.max(start);
            let to = end.min(start + CHUNK);
            if from < to {
                chunk[(from - start) as usize..(to - start) as usize].fill(0);
            }
            to.saturating_sub(from) != CHUNK
        });
        Ok(Zeroed::Offloaded)
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn name(&self) -> &str {
        "memory"
    }
}
