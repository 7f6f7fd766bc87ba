//! Writes kept in memory over a device that is never changed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Device, check_range};
use crate::Result;

/// Granularity at which the overlay copies, in bytes.
const BLOCK: u64 = 4096;

/// Reads fall through to the base device where nothing was written; writes stay here.
pub struct OverlayDevice {
    base: Arc<dyn Device>,
    name: String,
    blocks: Mutex<HashMap<u64, Box<[u8]>>>,
}

impl OverlayDevice {
    /// An overlay over `base`, which is only ever read.
    pub fn new(base: Arc<dyn Device>) -> Self {
        let name = base.name().to_string();
        Self { base, name, blocks: Mutex::new(HashMap::new()) }
    }

    fn blocks(&self) -> MutexGuard<'_, HashMap<u64, Box<[u8]>>> {
        // Blocks are inserted whole, so a poisoned map is still consistent.
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn copy_up(&self, index: u64) -> Result<Box<[u8]>> {
        let start = index * BLOCK;
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let len = (self.base.size() - start).min(BLOCK) as usize;
        self.base.read_at(&mut block[..len], start)?;
        Ok(block)
    }
}

impl Device for OverlayDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self, "read", offset, buf.len())?;
        self.base.read_at(buf, offset)?;
        let blocks = self.blocks();
        if blocks.is_empty() || buf.is_empty() {
            return Ok(());
        }
        let end = offset + buf.len() as u64;
        for index in offset / BLOCK..=(end - 1) / BLOCK {
            let Some(block) = blocks.get(&index) else { continue };
            let from = offset.max(index * BLOCK);
            let to = end.min((index + 1) * BLOCK);
            buf[(from - offset) as usize..(to - offset) as usize].copy_from_slice(
                &block[(from - index * BLOCK) as usize..(to - index * BLOCK) as usize],
            );
        }
        Ok(())
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        check_range(self, "write", offset, buf.len())?;
        let mut blocks = self.blocks();
        let mut done = 0;
        while done < buf.len() {
            let at = offset + done as u64;
            let (index, within) = (at / BLOCK, (at % BLOCK) as usize);
            let n = (BLOCK as usize - within).min(buf.len() - done);
            if let std::collections::hash_map::Entry::Vacant(slot) = blocks.entry(index) {
                slot.insert(self.copy_up(index)?);
            }
            if let Some(block) = blocks.get_mut(&index) {
                block[within..within + n].copy_from_slice(&buf[done..done + n]);
            }
            done += n;
        }
        Ok(())
    }

    fn flush(&self) -> Result<()> {
        Ok(())
    }

    fn size(&self) -> u64 {
        self.base.size()
    }

    fn logical_sector_size(&self) -> u32 {
        self.base.logical_sector_size()
    }

    fn physical_sector_size(&self) -> u32 {
        self.base.physical_sector_size()
    }

    fn name(&self) -> &str {
        &self.name
    }
}
