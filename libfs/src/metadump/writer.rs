//! Writing a dump to a stream.

use super::format::{
    ExtentHeader, IndexHeader, Info, MAGIC_V1, SECTOR, SECTOR_LOG, Section, V2_DADDR_BITS, Version,
    index_capacity,
};
use crate::{Error, Result};
use std::io::Write;
use zerocopy::IntoBytes;

/// Bytes that are given to the output at once, about.
const CHUNK: usize = 1 << 20;

/// Writes a dump of either version. [`Writer::finish`] completes it.
pub struct Writer<W> {
    output: W,
    info: Info,
    /// Whole groups or extents that are to be written.
    ready: Vec<u8>,
    /// Addresses of the group that is being put together, of version 1.
    index: Vec<u64>,
    /// Its sectors.
    sectors: Vec<u8>,
}

impl<W: Write> Writer<W> {
    /// Begins a dump that says `info` about itself.
    pub fn new(output: W, info: Info) -> Self {
        let ready = match info.version {
            Version::V1 => Vec::new(),
            Version::V2 => info.to_v2().as_bytes().to_vec(),
        };
        Writer { output, info, ready, index: Vec::new(), sectors: Vec::new() }
    }

    /// Adds `bytes`, whole sectors, from disk address `daddr`. The first must be the
    /// superblock. Version 1 has only the data device.
    ///
    /// # Errors
    ///
    /// An error is returned if the output fails.
    pub fn put(&mut self, section: Section, daddr: u64, bytes: &[u8]) -> Result<()> {
        match self.info.version {
            Version::V1 if section != Section::Data => return Ok(()),
            Version::V1 => {
                for (sector, bytes) in bytes.chunks_exact(SECTOR).enumerate() {
                    self.index.push(daddr.saturating_add(sector as u64));
                    self.sectors.extend_from_slice(bytes);
                    if self.index.len() == index_capacity(SECTOR) {
                        self.end_group();
                    }
                }
            }
            Version::V2 => {
                let extent = ExtentHeader {
                    address: (section.to_disk() << V2_DADDR_BITS | daddr).into(),
                    len: ((bytes.len() / SECTOR) as u32).into(),
                };
                self.ready.extend_from_slice(extent.as_bytes());
                self.ready.extend_from_slice(bytes);
            }
        }
        if self.ready.len() >= CHUNK { self.write() } else { Ok(()) }
    }

    fn end_group(&mut self) {
        let header = IndexHeader {
            magic: MAGIC_V1.into(),
            count: (self.index.len() as u16).into(),
            blocklog: SECTOR_LOG,
            info: self.info.to_v1(),
        };
        let start = self.ready.len();
        self.ready.extend_from_slice(header.as_bytes());
        self.ready.extend(self.index.drain(..).flat_map(u64::to_be_bytes));
        self.ready.resize(start + SECTOR, 0);
        self.ready.append(&mut self.sectors);
    }

    fn write(&mut self) -> Result<()> {
        let written = self.output.write_all(&self.ready);
        self.ready.clear();
        written.map_err(|e| Error::io("error writing to target file", e))
    }

    /// Ends the dump: in version 1 by a group that is not full. Returns the output.
    ///
    /// # Errors
    ///
    /// As [`Writer::put`].
    pub fn finish(mut self) -> Result<W> {
        if self.info.version == Version::V1 {
            self.end_group();
        }
        self.write()?;
        self.output.flush().map_err(|e| Error::io("error writing to target file", e))?;
        Ok(self.output)
    }
}
