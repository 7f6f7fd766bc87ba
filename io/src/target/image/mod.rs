//! Files inside an image, through libfs. What Linux checks before a request reaches XFS
//! (how the file was opened, alignment of direct I/O) is checked here.

mod access;
mod maps;
mod stat;

use std::io::{IoSlice, IoSliceMut};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use libfs::file::attributes::FileAttributes;
use libfs::file::exchange::Freshness as Sample;
use libfs::file::staged::Staged;
use libfs::file::{self, AllocateMode};
use libfs::filesystem::{CloneRange, Dedupe, Devices, Filesystem, Opened};
use libfs::{Errno, Error, Result};

use super::{
    Allocate, Attributes, Deduped, DirectLimits, Exchange, Extent, FiemapExtent, FiemapRequest,
    Fork, Freshness, Geometry, Handle, OpenFlags, Remap, Seek, Stat, Target, TransferFlags,
    Written, unsupported,
};

/// The filesystem and the files open in it.
pub struct Image {
    pub filesystem: Filesystem,
    files: Vec<Option<Slot>>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    ino: u64,
    flags: OpenFlags,
}

/// What of an image one handle stands for.
struct Slot {
    open: Open,
    /// With [`OpenFlags::staged`]: where its writes go.
    staged: Option<Staged>,
}

/// S_IFMT and two of its values.
const FORMAT: u16 = 0o170000;
const REGULAR: u16 = 0o100000;
const DIRECTORY: u16 = 0o040000;

impl Image {
    /// Opens the filesystem on `path` (and `log`, if that is elsewhere), replaying its log if it
    /// is dirty.
    pub fn open(path: &Path, log: Option<&Path>, read_only: bool) -> anyhow::Result<Self> {
        let filesystem = match Filesystem::open_with(Devices::files(path, log, read_only)?)? {
            Opened::Clean(filesystem) => filesystem,
            Opened::Dirty(dirty) if read_only => dirty.recover_in_memory()?.0,
            Opened::Dirty(dirty) => {
                let (filesystem, report) = dirty.recover()?;
                eprintln!("{}: {report}", path.display());
                filesystem
            }
        };
        Ok(Self { filesystem, files: Vec::new() })
    }
}

impl Target for Image {
    fn image(&mut self) -> Option<&mut Image> {
        Some(self)
    }

    fn geometry(&self, _: Handle) -> Option<Geometry> {
        let geometry = self.filesystem.geometry();
        Some(Geometry {
            block_size: geometry.block_size,
            sector_size: geometry.sector_size,
            ag_blocks: geometry.ag_blocks,
            stripe_unit: geometry.stripe_unit,
            stripe_width: geometry.stripe_width,
            uuid: geometry.uuid,
        })
    }

    fn open(&mut self, path: &str, how: &OpenFlags) -> Result<Handle> {
        if how.realtime {
            return unsupported("the realtime volume");
        }
        // A temporary file is held from the beginning.
        let ino = match how.temporary {
            true => self.filesystem.create_temporary(path, how.mode)?,
            false => self.resolve(path, how)?,
        };
        let mut flags = *how;
        if self.filesystem.stat(ino)?.mode & FORMAT == DIRECTORY {
            flags.read_only = true;
        }
        let staged = match how.staged && !flags.read_only {
            true => Some(self.filesystem.open_staged(ino)?),
            false => None,
        };
        if !how.temporary {
            self.hold(ino, &flags)?;
        }
        let free = self.files.iter().position(Option::is_none);
        let handle = free.unwrap_or_else(|| {
            self.files.push(None);
            self.files.len() - 1
        });
        self.files[handle] = Some(Slot { open: Open { ino, flags }, staged });
        Ok(handle)
    }

    fn close(&mut self, file: Handle) -> Result<()> {
        let slot = self.files.get_mut(file).and_then(Option::take);
        let slot = slot.ok_or_else(|| Error::os(Errno::EBADF, "file"))?;
        if let Some(staged) = slot.staged {
            self.filesystem.discard_staged(staged)?;
        }
        let Open { ino, flags } = slot.open;
        if flags.writes() && !flags.temporary {
            self.filesystem.release_writer(ino)
        } else {
            self.filesystem.release(ino)
        }
    }

    fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>> {
        let ino = self.filesystem.lookup(path)?;
        let entries = self.filesystem.read_directory(ino)?;
        let mut listed = Vec::new();
        for entry in entries.iter().filter(|e| e.name != b"." && e.name != b"..") {
            let directory = self.filesystem.stat(entry.ino)?.mode & FORMAT == DIRECTORY;
            listed.push((String::from_utf8_lossy(&entry.name).into_owned(), directory));
        }
        Ok(listed)
    }

    fn finish(&mut self) -> Result<()> {
        // One that was shut down stays as it lies.
        if self.filesystem.is_shut_down() {
            return Ok(());
        }
        for file in 0..self.files.len() {
            if self.files[file].is_some() {
                self.close(file)?;
            }
        }
        self.filesystem.close()
    }

    fn read(
        &mut self,
        file: Handle,
        offset: u64,
        pieces: &mut [IoSliceMut<'_>],
        _: TransferFlags,
    ) -> Result<usize> {
        let open = self.readable(file)?;
        access::check_area(offset, pieces.iter().map(|piece| piece.len()))?;
        if open.flags.direct && offset >= self.size(file)? && self.is_regular(open.ino)? {
            return Ok(0);
        }
        let mut done = 0;
        for piece in pieces {
            self.check_direct_read(&open, offset, piece.len())?;
            let at = offset + done as u64;
            let got = match self.staged(file) {
                Some((filesystem, staged)) => filesystem.read_staged(staged, at, piece)?,
                None => self.filesystem.read(open.ino, at, piece)?,
            };
            done += got;
            if got < piece.len() {
                break;
            }
        }
        Ok(done)
    }

    fn write(
        &mut self,
        file: Handle,
        offset: u64,
        pieces: &[IoSlice<'_>],
        flags: TransferFlags,
    ) -> Result<Written> {
        let open = self.writable(file, Errno::EBADF)?;
        access::check_area(offset, pieces.iter().map(|piece| piece.len()))?;
        let written = if flags.atomic && !open.flags.staged {
            self.write_untorn(&open, offset, pieces)?
        } else {
            let offset = if open.flags.append { self.size(file)? } else { offset };
            self.write_pieces(file, &open, offset, pieces)?
        };
        if flags.dsync || open.flags.sync {
            self.fsync(file)?;
        }
        Ok(written)
    }

    /// With a staged file, what was written takes effect.
    fn fsync(&mut self, file: Handle) -> Result<()> {
        self.readable(file)?;
        match self.staged(file) {
            Some((filesystem, staged)) => filesystem.commit_staged(staged),
            None => self.filesystem.sync(),
        }
    }

    fn fdatasync(&mut self, file: Handle) -> Result<()> {
        self.fsync(file)
    }

    fn sync(&mut self) -> Result<()> {
        self.filesystem.sync()
    }

    fn syncfs(&mut self, file: Handle) -> Result<()> {
        self.readable(file)?;
        self.filesystem.sync()
    }

    /// Written data is on the device already; the flags decide nothing.
    fn sync_range(&mut self, file: Handle, offset: u64, length: u64, _: u32) -> Result<()> {
        self.file(file)?;
        let end = offset.checked_add(length).filter(|&end| end <= i64::MAX as u64);
        end.map(|_| ()).ok_or_else(|| Error::os(Errno::EINVAL, "range"))
    }

    fn truncate(&mut self, file: Handle, size: u64) -> Result<()> {
        self.readable(file)?;
        let open = self.writable(file, Errno::EINVAL)?;
        match self.staged(file) {
            Some((filesystem, staged)) => filesystem.grow_staged(staged, size),
            None => self.filesystem.truncate(open.ino, size),
        }
    }

    fn allocate(&mut self, file: Handle, how: Allocate, offset: u64, length: u64) -> Result<()> {
        let mode = match how {
            Allocate::Fill { keep_size } => AllocateMode::Allocate { keep_size },
            Allocate::Punch => AllocateMode::PunchHole,
            Allocate::Zero { keep_size } => AllocateMode::ZeroRange { keep_size },
            Allocate::Collapse => AllocateMode::CollapseRange,
            Allocate::Insert => AllocateMode::InsertRange,
            Allocate::Unshare => AllocateMode::UnshareRange,
            Allocate::WriteZeroes => AllocateMode::WriteZeroes,
        };
        // Looked at before how the file was opened.
        if length == 0 || offset > i64::MAX as u64 || length > i64::MAX as u64 {
            return Err(Error::os(Errno::EINVAL, "fallocate"));
        }
        let open = self.changeable(file)?;
        self.filesystem.allocate(open.ino, mode, offset, length)?;
        if open.flags.sync {
            self.filesystem.sync()?;
        }
        Ok(())
    }

    fn seek(&mut self, file: Handle, offset: u64, what: Seek) -> Result<u64> {
        let open = self.readable(file)?;
        let what = match what {
            Seek::Data => file::Seek::Data,
            Seek::Hole => file::Seek::Hole,
        };
        self.filesystem.seek(open.ino, offset, what)
    }

    fn stat(&mut self, file: Handle, mask: u32, _: u32) -> Result<Stat> {
        self.stat_file(file, mask)
    }

    fn attributes(&mut self, file: Handle) -> Result<Attributes> {
        let stat = self.filesystem.stat(self.readable(file)?.ino)?;
        Ok(Attributes {
            xflags: stat.xflags,
            extsize: stat.extsize,
            nextents: u32::try_from(stat.nextents).unwrap_or(u32::MAX),
            projid: stat.projid,
            cowextsize: stat.cowextsize,
        })
    }

    fn attribute_extents(&mut self, file: Handle) -> Result<u32> {
        let stat = self.filesystem.stat(self.readable(file)?.ino)?;
        Ok(u32::try_from(stat.anextents).unwrap_or(u32::MAX))
    }

    fn set_attributes(&mut self, file: Handle, attributes: &Attributes) -> Result<()> {
        let open = self.readable(file)?;
        let wanted = FileAttributes {
            xflags: attributes.xflags,
            extsize: attributes.extsize,
            cowextsize: attributes.cowextsize,
            projid: attributes.projid,
        };
        self.filesystem.set_attributes(open.ino, &wanted)
    }

    fn direct_limits(&mut self, file: Handle) -> Result<DirectLimits> {
        self.limits_of(file)
    }

    fn set_times(&mut self, file: Handle, atime: (i64, i64), mtime: (i64, i64)) -> Result<()> {
        let open = self.readable(file)?;
        let (atime, mtime) = (time(atime)?, time(mtime)?);
        self.filesystem.set_times(open.ino, atime, mtime)
    }

    fn set_mode(&mut self, file: Handle, mode: u16) -> Result<()> {
        let open = self.readable(file)?;
        self.filesystem.set_mode(open.ino, mode)
    }

    fn link(&mut self, file: Handle, path: &str) -> Result<()> {
        let open = self.file(file)?;
        self.filesystem.link_ino(open.ino, path)
    }

    fn extents(
        &mut self,
        file: Handle,
        fork: Fork,
        unwritten: bool,
        delayed: bool,
    ) -> Result<Vec<Extent>> {
        self.list_extents(file, fork, unwritten, delayed)
    }

    fn fiemap(&mut self, file: Handle, request: &FiemapRequest) -> Result<Vec<FiemapExtent>> {
        self.list_fiemap(file, request)
    }

    fn clone_range(&mut self, file: Handle, source: Handle, range: Option<Remap>) -> Result<()> {
        let range = range.unwrap_or(Remap { source_offset: 0, offset: 0, length: 0 });
        let (source, target, range) = self.remap(file, source, &range)?;
        self.filesystem.clone_range(source, target, &range)
    }

    fn dedupe_range(&mut self, file: Handle, source: Handle, range: &Remap) -> Result<Deduped> {
        let source = self.readable(source)?;
        let stat = self.filesystem.stat(source.ino)?;
        if stat.mode & FORMAT == DIRECTORY {
            return Err(Error::os(Errno::EISDIR, "sharing blocks"));
        }
        let size = stat.size;
        let end = range.source_offset.checked_add(range.length);
        if end.is_none_or(|end| end > size) {
            return Err(Error::os(Errno::EINVAL, "the range ends beyond the end of the source"));
        }
        let target = self.file(file)?;
        let range = CloneRange {
            source_offset: range.source_offset,
            target_offset: range.offset,
            length: range.length,
        };
        Ok(match self.filesystem.dedupe_range(source.ino, target.ino, &range) {
            Ok(Dedupe::Same(bytes)) => Deduped::Same(bytes),
            Ok(Dedupe::Differs) => Deduped::Differs,
            Err(error @ Error::Os { .. }) => Deduped::Refused(error),
            Err(error) => return Err(error),
        })
    }

    fn copy_range(&mut self, file: Handle, source: Handle, range: &Remap) -> Result<u64> {
        let (source, target, range) = self.remap(file, source, range)?;
        self.filesystem.copy_range(source, target, &range)
    }

    fn exchange_range(&mut self, file: Handle, exchange: &Exchange) -> Result<()> {
        let (donor, target, range) = self.exchange(file, exchange)?;
        self.filesystem.exchange_range(donor, target, &range)
    }

    fn start_commit(&mut self, file: Handle) -> Result<Freshness> {
        let open = self.file(file)?;
        Ok(self.filesystem.start_commit(open.ino)?.to_words())
    }

    fn commit_range(&mut self, file: Handle, exchange: &Exchange, seen: &Freshness) -> Result<()> {
        let (donor, target, range) = self.exchange(file, exchange)?;
        let seen = Sample::from_words(*seen);
        self.filesystem.commit_range(donor, target, &range, &seen)
    }

    fn swap_extents(&mut self, file: Handle, donor: Handle) -> Result<()> {
        let (target, donor) = (self.changeable(file)?, self.changeable(donor)?);
        if target.flags.append || donor.flags.append {
            return Err(Error::os(Errno::EBADF, "a file was opened for appending"));
        }
        self.filesystem.swap_extents(target.ino, donor.ino)
    }

    fn shut_down(&mut self, _: Option<Handle>, write_log: bool) -> Result<()> {
        self.filesystem.shut_down(write_log)
    }
}

/// A time of futimens(2): seconds and nanoseconds, the current time, or `None` for one that
/// stays as it is.
fn time((seconds, nanoseconds): (i64, i64)) -> Result<Option<(i64, u32)>> {
    match nanoseconds {
        UTIME_OMIT => Ok(None),
        UTIME_NOW => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Some((now.as_secs() as i64, now.subsec_nanos())))
        }
        0..1_000_000_000 => Ok(Some((seconds, nanoseconds as u32))),
        _ => Err(Error::os(Errno::EINVAL, "nanoseconds")),
    }
}

/// Special nanoseconds of futimens(2).
const UTIME_NOW: i64 = 0x3fff_ffff;
const UTIME_OMIT: i64 = 0x3fff_fffe;
