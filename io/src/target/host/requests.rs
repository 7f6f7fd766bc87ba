//! What only mounted files have: memory, and requests to the kernel that no image knows.

use std::num::NonZero;

use libfs::Result;
use rustix::fs::{self, Advice};

use super::super::{Handle, Memory, Protection, ioctl};
use super::{Host, failed};

impl Host {
    /// Maps a part of a file; see [`Memory::map`].
    pub fn map(
        &self,
        file: Handle,
        offset: u64,
        length: usize,
        protection: Protection,
        synchronous: bool,
        reserve: usize,
    ) -> Result<Memory> {
        Memory::map(self.fd(file)?, offset, length, protection, synchronous, reserve)
    }

    /// sendfile(2) until all is done or the source ends; returns bytes and calls.
    pub fn sendfile(
        &self,
        file: Handle,
        source: Handle,
        offset: u64,
        length: u64,
    ) -> Result<(u64, u64)> {
        let (fd, source) = (self.fd(file)?, self.fd(source)?);
        let (mut at, mut done, mut calls) = (offset, 0, 0);
        while done < length {
            let want = usize::try_from(length - done).unwrap_or(usize::MAX);
            let sent = fs::sendfile(fd, source, Some(&mut at), want);
            let sent = sent.map_err(failed("sendfile"))? as u64;
            if sent == 0 {
                break;
            }
            done += sent;
            calls += 1;
        }
        Ok((done, calls))
    }

    /// posix_fadvise(2).
    pub fn advise(&self, file: Handle, offset: u64, length: u64, advice: Advice) -> Result<()> {
        let length = NonZero::new(length);
        fs::fadvise(self.fd(file)?, offset, length, advice).map_err(failed("fadvise"))
    }

    /// Freezes or thaws the filesystem of a file.
    pub fn freeze(&self, file: Handle, freeze: bool) -> Result<()> {
        ioctl::freeze(self.fd(file)?, freeze)
    }

    /// The label of the filesystem of a file.
    pub fn label(&self, file: Handle) -> Result<Vec<u8>> {
        ioctl::label(self.fd(file)?)
    }

    /// Sets the label of the filesystem of a file.
    pub fn set_label(&self, file: Handle, label: &[u8]) -> Result<()> {
        ioctl::set_label(self.fd(file)?, label)
    }

    /// Blocks kept back for root, and how many of them are free, after setting their number.
    pub fn reserved_blocks(&self, file: Handle, wanted: Option<u64>) -> Result<(u64, u64)> {
        ioctl::reserved_blocks(self.fd(file)?, wanted)
    }

    /// Has XFS fail at the point that the kernel calls `tag` (XFS_ERRTAG_*).
    pub fn inject(&self, file: Handle, tag: i32) -> Result<()> {
        ioctl::inject(self.fd(file)?, tag)
    }
}
