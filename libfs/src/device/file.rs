//! An image file or a block device, opened for this process alone.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};
use rustix::fs::FallocateFlags;

use super::direct::DirectFile;
use super::{AtomicWriteLimits, Device, Zeroed, check_range};
use crate::{Errno, Error, Result};

/// Bytes of a write from which on the kernel is asked to begin writing it out at once.
const EARLY_WRITE_BACK: usize = 4 << 20;

/// A regular file or block device.
///
/// Opening for writing is exclusive: a block device is opened with O_EXCL, which the
/// kernel refuses with EBUSY while it is mounted or otherwise in use, and an image file
/// is locked and refused while a loop device is attached to it.
pub struct FileDevice {
    file: Handle,
    /// For untorn writes, where the host has them.
    direct: Option<DirectFile>,
    name: String,
    size: u64,
    read_only: bool,
    block_device: bool,
    logical_sector_size: u32,
    physical_sector_size: u32,
}

/// The open file, locked where it is an image.
enum Handle {
    Locked(Flock<File>),
    Plain(File),
}

impl std::ops::Deref for Handle {
    type Target = File;
    fn deref(&self) -> &File {
        match self {
            Handle::Locked(file) => file,
            Handle::Plain(file) => file,
        }
    }
}

impl FileDevice {
    /// Opens `path` for reading and writing, exclusively.
    ///
    /// # Errors
    /// EBUSY when it is mounted, attached to a loop device or locked by another process;
    /// [`Error::Io`] when it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, false)
    }

    /// Opens `path` for reading only. Other readers, and a mounted device, are allowed.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be opened.
    pub fn open_read_only(path: &Path) -> Result<Self> {
        Self::open_with(path, true)
    }

    fn open_with(path: &Path, read_only: bool) -> Result<Self> {
        let name = path.display().to_string();
        let cannot = |e| Error::io(format!("cannot open {name}"), e);
        let kind = std::fs::metadata(path).map_err(cannot)?.file_type();
        let block_device = kind.is_block_device();
        if !block_device && !kind.is_file() {
            return Err(Error::os(Errno::ENOTBLK, format!("{name} is no file or block device")));
        }
        let mut options = OpenOptions::new();
        options.read(true).write(!read_only);
        if block_device && !read_only {
            options.custom_flags(nix::libc::O_EXCL);
        }
        let file = options.open(path).map_err(cannot)?;
        let file = if block_device || read_only {
            Handle::Plain(file)
        } else {
            refuse_loop_backing_file(path, &name)?;
            Handle::Locked(lock(file, &name)?)
        };
        let size = size_of(&file, block_device).map_err(cannot)?;
        let (logical, physical) = sector_sizes(path, block_device);
        let direct = if read_only { None } else { DirectFile::of(&file) };
        Ok(Self {
            file,
            direct,
            name,
            size,
            read_only,
            block_device,
            logical_sector_size: logical,
            physical_sector_size: physical,
        })
    }

    /// Whether this is a block device rather than an image file.
    pub fn is_block_device(&self) -> bool {
        self.block_device
    }

    /// Sets the size of an image file in bytes.
    ///
    /// # Errors
    /// [`Error::Io`] when the file cannot be resized.
    pub fn set_size(&mut self, size: u64) -> Result<()> {
        self.file
            .set_len(size)
            .map_err(|e| Error::io(format!("cannot resize {}", self.name), e))?;
        self.size = size;
        Ok(())
    }

    fn fail(&self, verb: &str, len: usize, offset: u64, source: std::io::Error) -> Error {
        Error::io(format!("{}: {verb} of {len} bytes at offset {offset} failed", self.name), source)
    }
}

fn lock(file: File, name: &str) -> Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| match errno {
        Errno::EWOULDBLOCK => {
            Error::os(Errno::EBUSY, format!("{name} is in use by another process"))
        }
        errno => Error::io(format!("cannot lock {name}"), errno.into()),
    })
}

/// The kernel does not lock the file behind a loop device, so look for one by name.
fn refuse_loop_backing_file(path: &Path, name: &str) -> Result<()> {
    let Ok(wanted) = path.canonicalize() else { return Ok(()) };
    let Ok(blocks) = std::fs::read_dir("/sys/block") else { return Ok(()) };
    for entry in blocks.flatten() {
        let Ok(backing) = std::fs::read_to_string(entry.path().join("loop/backing_file")) else {
            continue;
        };
        if Path::new(backing.trim_end()) == wanted {
            let device = entry.file_name();
            return Err(Error::os(
                Errno::EBUSY,
                format!("{name} is attached to /dev/{}", device.to_string_lossy()),
            ));
        }
    }
    Ok(())
}

fn size_of(file: &File, block_device: bool) -> std::io::Result<u64> {
    if block_device {
        return Ok(rustix::fs::seek(file, rustix::fs::SeekFrom::End(0))?);
    }
    Ok(file.metadata()?.len())
}

/// Logical and physical sector size of a block device, from sysfs; 512 for a file.
fn sector_sizes(path: &Path, block_device: bool) -> (u32, u32) {
    if !block_device {
        return (512, 512);
    }
    let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let Some(node) = real.file_name() else { return (512, 512) };
    let class = Path::new("/sys/class/block").join(node);
    let read = |directory: &Path, what: &str| -> Option<u32> {
        std::fs::read_to_string(directory.join("queue").join(what)).ok()?.trim().parse().ok()
    };
    // A partition has no queue of its own; its parent directory is the whole disk.
    let parent = class.canonicalize().ok().and_then(|p| p.parent().map(Path::to_path_buf));
    let find = |what| read(&class, what).or_else(|| read(parent.as_deref()?, what)).unwrap_or(512);
    (find("logical_block_size"), find("physical_block_size"))
}

impl Device for FileDevice {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<()> {
        check_range(self, "read", offset, buf.len())?;
        self.file.read_exact_at(buf, offset).map_err(|e| self.fail("read", buf.len(), offset, e))
    }

    fn write_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        check_range(self, "write", offset, buf.len())?;
        self.file
            .write_all_at(buf, offset)
            .map_err(|e| self.fail("write", buf.len(), offset, e))?;
        if buf.len() >= EARLY_WRITE_BACK {
            // Large data goes to the storage while the next piece is prepared, so that the
            // flush behind it does not have to wait for all of it. Only a hint: it may fail.
            let len = std::num::NonZeroU64::new(buf.len() as u64);
            let _ = rustix::fs::fadvise(&*self.file, offset, len, rustix::fs::Advice::DontNeed);
        }
        Ok(())
    }

    fn write_atomic_at(&self, buf: &[u8], offset: u64) -> Result<()> {
        check_range(self, "untorn write", offset, buf.len())?;
        let Some(direct) = &self.direct else {
            return AtomicWriteLimits::default().check(&self.name, offset, buf.len());
        };
        direct.limits().check(&self.name, offset, buf.len())?;
        direct.write(buf, offset).map_err(|e| self.fail("untorn write", buf.len(), offset, e))
    }

    fn flush(&self) -> Result<()> {
        self.file.sync_data().map_err(|e| Error::io(format!("{}: flush failed", self.name), e))
    }

    fn zero_range(&self, offset: u64, len: u64) -> Result<Zeroed> {
        if len == 0 {
            return Ok(Zeroed::Offloaded);
        }
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        let zero = FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE;
        // A file gives the space back; a device's driver chooses, never writing by hand
        // in the first form (block layer: PUNCH_HOLE means "zero without fallback").
        for flags in [punch, zero] {
            match rustix::fs::fallocate(self.file.as_fd(), flags, offset, len) {
                Ok(()) => return Ok(Zeroed::Offloaded),
                Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::INVAL) => {}
                Err(e) => return Err(self.fail("zeroing", len as usize, offset, e.into())),
            }
        }
        Ok(Zeroed::Unsupported)
    }

    fn discard(&self, offset: u64, len: u64) -> Result<()> {
        if self.block_device {
            // The block layer maps a hole punch to a discard that reads as zeros, and
            // fails at once where it would have to write them.
            let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
            let _ = rustix::fs::fallocate(self.file.as_fd(), flags, offset, len);
            return Ok(());
        }
        self.zero_range(offset, len).map(|_| ())
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn logical_sector_size(&self) -> u32 {
        self.logical_sector_size
    }

    fn physical_sector_size(&self) -> u32 {
        self.physical_sector_size
    }

    fn atomic_write_limits(&self) -> AtomicWriteLimits {
        self.direct.as_ref().map(DirectFile::limits).unwrap_or_default()
    }

    fn is_read_only(&self) -> bool {
        self.read_only
    }

    fn name(&self) -> &str {
        &self.name
    }
}
