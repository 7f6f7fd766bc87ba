//! Untorn writes to a file or block device of the host, by `pwritev2(2)` with RWF_ATOMIC.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{AtFlags, StatxFlags};
use rustix::io::ReadWriteFlags;

use super::AtomicWriteLimits;

/// `RWF_ATOMIC` and `STATX_WRITE_ATOMIC` of linux/fs.h and linux/stat.h; rustix passes on
/// flags that it has no name for.
const RWF_ATOMIC: u32 = 0x40;
const STATX_WRITE_ATOMIC: u32 = 0x1_0000;
const STATX_DIOALIGN: u32 = 0x2000;

/// Alignment in memory that suits every device that does not say what it needs.
const MEMORY_ALIGN: usize = 4096;

/// A second descriptor of a file, past the page cache: Linux takes untorn writes only so.
///
/// Ordinary writes go through the page cache. Linux writes out what the cache has of a
/// range before a direct write to it and drops it from the cache afterwards, so a process
/// that does one after the other sees them in order.
pub(super) struct DirectFile {
    file: File,
    limits: AtomicWriteLimits,
    memory_align: usize,
}

impl DirectFile {
    /// Opens `file` again if the host promises untorn writes to it. That it does not, or
    /// that there is no second descriptor to be had, is no error.
    pub(super) fn of(file: &File) -> Option<Self> {
        let wanted = StatxFlags::from_bits_retain(STATX_WRITE_ATOMIC | STATX_DIOALIGN);
        let found = rustix::fs::statx(file, "", AtFlags::EMPTY_PATH, wanted).ok()?;
        if found.stx_mask & STATX_WRITE_ATOMIC == 0 {
            return None;
        }
        let limits = AtomicWriteLimits {
            unit_min: found.stx_atomic_write_unit_min,
            unit_max: found.stx_atomic_write_unit_max,
        };
        if limits.unit_min == 0 || limits.unit_max < limits.unit_min {
            return None;
        }
        let path = format!("/proc/self/fd/{}", file.as_raw_fd());
        let mut options = OpenOptions::new();
        options.write(true).custom_flags(nix::libc::O_DIRECT);
        let memory_align = MEMORY_ALIGN.max(found.stx_dio_mem_align as usize);
        Some(Self { file: options.open(path).ok()?, limits, memory_align })
    }

    /// What the host promises.
    pub(super) fn limits(&self) -> AtomicWriteLimits {
        self.limits
    }

    /// Writes all of `buf` at byte `offset`, or nothing of it.
    pub(super) fn write(&self, buf: &[u8], offset: u64) -> io::Result<()> {
        let mut memory = vec![0; buf.len() + self.memory_align];
        let skip = memory.as_ptr().align_offset(self.memory_align).min(self.memory_align);
        let aligned = &mut memory[skip..skip + buf.len()];
        aligned.copy_from_slice(buf);
        let flags = ReadWriteFlags::from_bits_retain(RWF_ATOMIC);
        loop {
            match rustix::io::pwritev2(&self.file, &[IoSlice::new(aligned)], offset, flags) {
                Ok(n) if n == buf.len() => return Ok(()),
                Ok(_) => return Err(io::ErrorKind::WriteZero.into()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
