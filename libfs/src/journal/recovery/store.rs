//! Blocks being recovered: a write-back store over the device.
//!
//! Buffers changed by the transactions of one LSN stay *pending*, with the stamp they
//! had on disk, so that a second transaction of the same LSN still applies to them. When
//! the LSN moves on they are stamped, summed and moved to the store's pages, which are
//! written in order of their address once there are many, and at the end.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::stamp;
use crate::device::Device;
use crate::error::{At, Error, Result};
use crate::format::geometry::Geometry;
use crate::format::log::Lsn;

/// Bytes of a page.
const PAGE: usize = 4096;
/// Pages kept in memory: 64 MiB.
const MAX_PAGES: usize = 16 * 1024;
/// Bytes written with one call at most.
const MAX_WRITE: usize = 1 << 20;
/// Largest metadata buffer: a 64 KiB block, or a cluster of inodes.
pub(super) const MAX_BUFFER: usize = 64 * 1024;

struct Page {
    data: Box<[u8]>,
    dirty: bool,
}

/// A buffer taken out of the store, to be changed and put back.
pub(super) struct Buffer {
    pub(super) daddr: u64,
    pub(super) data: Vec<u8>,
    /// Whether it has to be written: it was changed now or before at this LSN.
    dirty: bool,
    /// Whether the buffer as a whole is stamped with the LSN; inodes and dquots have
    /// stamps of their own.
    stamp: bool,
}

impl Buffer {
    /// Whether nothing was replayed to it at this LSN yet.
    pub(super) fn is_fresh(&self) -> bool {
        !self.dirty
    }
}

impl Buffer {
    /// A buffer with new content.
    pub(super) fn new(daddr: u64, data: Vec<u8>) -> Self {
        Buffer { daddr, data, dirty: true, stamp: false }
    }

    /// Notes that it was changed, and whether it gets a stamp.
    pub(super) fn changed(&mut self, stamp: bool) {
        self.dirty = true;
        self.stamp |= stamp;
    }
}

/// The blocks of the data device, with what was recovered in front of them.
pub(super) struct Store<'a> {
    device: &'a dyn Device,
    pages: HashMap<u64, Page>,
    dirty_pages: usize,
    pending: BTreeMap<u64, Buffer>,
    /// Addresses of buffers whose last write in place was torn.
    torn: HashSet<u64>,
    /// Bytes of the log, which no item may touch.
    log: std::ops::Range<u64>,
}

impl<'a> Store<'a> {
    /// A store over `device`, whose bytes `log` are the log.
    pub(super) fn new(device: &'a dyn Device, log: std::ops::Range<u64>) -> Self {
        let pending = BTreeMap::new();
        let (pages, torn) = (HashMap::new(), HashSet::new());
        Store { device, pages, dirty_pages: 0, pending, torn, log }
    }

    /// Notes that the buffer at `daddr` was found torn.
    pub(super) fn note_torn(&mut self, daddr: u64) {
        self.torn.insert(daddr);
    }

    /// Takes out the buffer of `len` bytes at `daddr`, as it stands now. It must be put
    /// back, changed or not.
    ///
    /// # Errors
    ///
    /// An error is returned if it is no place for metadata, or the device fails.
    pub(super) fn take(&mut self, daddr: u64, len: usize, geo: &Geometry) -> Result<Buffer> {
        self.check_place(daddr, len)?;
        if let Some(pending) = self.pending.remove(&daddr) {
            if pending.data.len() == len {
                return Ok(pending);
            }
            self.pending.insert(daddr, pending);
        }
        self.settle_overlapping(daddr, len, geo)?;
        let mut data = vec![0; len];
        self.read_pages(daddr * 512, &mut data)?;
        Ok(Buffer { daddr, data, dirty: false, stamp: false })
    }

    /// Puts a buffer back, to be written with the others of this LSN if it changed.
    ///
    /// # Errors
    ///
    /// As for [`Store::take`].
    pub(super) fn put(&mut self, buffer: Buffer, geo: &Geometry) -> Result<()> {
        if buffer.dirty {
            self.check_place(buffer.daddr, buffer.data.len())?;
            self.settle_overlapping(buffer.daddr, buffer.data.len(), geo)?;
            self.pending.insert(buffer.daddr, buffer);
        }
        Ok(())
    }

    /// Stamps all pending buffers with `lsn` and their checksums.
    ///
    /// # Errors
    ///
    /// An error is returned if a buffer is not what it should be, or the device fails.
    pub(super) fn settle(&mut self, lsn: Lsn, geo: &Geometry) -> Result<()> {
        for buffer in std::mem::take(&mut self.pending).into_values() {
            self.settle_one(buffer, Some(lsn), geo)?;
        }
        if self.dirty_pages > MAX_PAGES {
            self.write_pages()?;
        }
        Ok(())
    }

    /// Writes everything to the device and makes it durable.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.write_pages()?;
        self.device.flush()
    }

    fn settle_one(&mut self, mut buffer: Buffer, lsn: Option<Lsn>, geo: &Geometry) -> Result<()> {
        if buffer.stamp {
            let torn = self.torn.contains(&buffer.daddr);
            stamp::stamp(&mut buffer.data, buffer.daddr, lsn, geo, torn)?;
        }
        self.write_to_pages(buffer.daddr * 512, &buffer.data)
    }

    /// Moves pending buffers that share blocks with a differently shaped one out of its
    /// way. Only images no kernel writes have such buffers at one LSN.
    fn settle_overlapping(&mut self, daddr: u64, len: usize, geo: &Geometry) -> Result<()> {
        let end = daddr + (len / 512) as u64;
        let from = daddr.saturating_sub((MAX_BUFFER / 512) as u64);
        let overlapping: Vec<u64> = self
            .pending
            .range(from..end)
            .filter(|(at, pending)| **at + (pending.data.len() / 512) as u64 > daddr)
            .map(|(at, _)| *at)
            .collect();
        for at in overlapping {
            if let Some(buffer) = self.pending.remove(&at) {
                self.settle_one(buffer, None, geo)?;
            }
        }
        Ok(())
    }

    fn check_place(&self, daddr: u64, len: usize) -> Result<()> {
        let bad = |why: String| Err(Error::corrupt("log item", At::Daddr(daddr), why));
        if len == 0 || len > MAX_BUFFER || !len.is_multiple_of(512) {
            return bad(format!("a buffer of {len} bytes"));
        }
        let start = daddr.checked_mul(512);
        let range = start.and_then(|start| Some(start..start.checked_add(len as u64)?));
        let Some(range) = range.filter(|range| range.end <= self.device.size()) else {
            return bad(format!("a buffer of {len} bytes ends beyond the device"));
        };
        if range.start < self.log.end && self.log.start < range.end {
            return bad("a buffer inside the log".into());
        }
        Ok(())
    }

    fn read_pages(&mut self, offset: u64, data: &mut [u8]) -> Result<()> {
        self.load(offset, data.len())?;
        self.for_pages(offset, data.len(), |page, within, at| {
            data[at..at + within.len()].copy_from_slice(&page.data[within]);
        });
        Ok(())
    }

    fn write_to_pages(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        self.load(offset, data.len())?;
        let mut fresh = 0;
        self.for_pages(offset, data.len(), |page, within, at| {
            page.data[within.clone()].copy_from_slice(&data[at..at + within.len()]);
            fresh += usize::from(!std::mem::replace(&mut page.dirty, true));
        });
        self.dirty_pages += fresh;
        Ok(())
    }

    /// Calls `visit` with each loaded page of a range, the bytes of the page that are in
    /// the range, and their offset in the range.
    fn for_pages(
        &mut self,
        offset: u64,
        len: usize,
        mut visit: impl FnMut(&mut Page, std::ops::Range<usize>, usize),
    ) {
        let mut at = 0;
        while at < len {
            let byte = offset + at as u64;
            let within = (byte % PAGE as u64) as usize;
            let count = (PAGE - within).min(len - at);
            if let Some(page) = self.pages.get_mut(&(byte / PAGE as u64)) {
                visit(page, within..within + count, at);
            }
            at += count;
        }
    }

    /// Reads the pages of a range that are not in memory.
    fn load(&mut self, offset: u64, len: usize) -> Result<()> {
        let pages = offset / PAGE as u64..(offset + len as u64).div_ceil(PAGE as u64);
        if self.pages.len() > 2 * MAX_PAGES {
            self.pages.retain(|_, page| page.dirty);
        }
        let missing: Vec<u64> = pages.filter(|page| !self.pages.contains_key(page)).collect();
        for run in missing.chunk_by(|a, b| a + 1 == *b) {
            let start = run[0] * PAGE as u64;
            // The last page of a device may be short; the rest of it is never used.
            let end = (start + (run.len() * PAGE) as u64).min(self.device.size());
            let mut bytes = vec![0; run.len() * PAGE];
            self.device.read_at(&mut bytes[..(end - start) as usize], start)?;
            for (page, data) in run.iter().zip(bytes.chunks(PAGE)) {
                self.pages.insert(*page, Page { data: data.into(), dirty: false });
            }
        }
        Ok(())
    }

    fn write_pages(&mut self) -> Result<()> {
        let mut dirty: Vec<u64> =
            self.pages.iter().filter(|(_, page)| page.dirty).map(|(at, _)| *at).collect();
        dirty.sort_unstable();
        for run in dirty.chunk_by(|a, b| a + 1 == *b) {
            for part in run.chunks(MAX_WRITE / PAGE) {
                self.write_run(part)?;
            }
        }
        self.dirty_pages = 0;
        Ok(())
    }

    fn write_run(&mut self, run: &[u64]) -> Result<()> {
        let mut bytes = Vec::with_capacity(run.len() * PAGE);
        for at in run {
            if let Some(page) = self.pages.get_mut(at) {
                bytes.extend_from_slice(&page.data);
                page.dirty = false;
            }
        }
        let start = run[0] * PAGE as u64;
        let end = (start + bytes.len() as u64).min(self.device.size());
        self.device.write_at(&bytes[..(end - start) as usize], start)
    }
}
