//! Files inside an image, through libfs. What Linux checks before a request reaches XFS
//! (how the file was opened, alignment of direct I/O) is checked here.

use std::io::{IoSlice, IoSliceMut};
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use libfs::device::{Device, FileDevice};
use libfs::file::attributes::FileAttributes;
use libfs::file::exchange::Freshness as Sample;
use libfs::file::staged::Staged;
use libfs::file::{self, AllocateMode};
use libfs::filesystem::{CloneRange, Dedupe, ExchangeRange, Filesystem, Opened};
use libfs::{Errno, Error, Result};

use super::{
    Allocate, Attributes, Deduped, DirectLimits, Exchange, Extent, FiemapExtent, FiemapRequest,
    Fork, Freshness, Geometry, Handle, OpenFlags, Place, Remap, Seek, Stat, Target, TransferFlags,
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
    /// Opens the filesystem on `path`, replaying its log if it is dirty.
    pub fn open(path: &Path, read_only: bool) -> anyhow::Result<Self> {
        let device: Arc<dyn Device> = if read_only {
            Arc::new(FileDevice::open_read_only(path)?)
        } else {
            Arc::new(FileDevice::open(path)?)
        };
        let filesystem = match Filesystem::open(device)? {
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

    fn file(&self, file: Handle) -> Result<Open> {
        let slot = self.files.get(file).and_then(Option::as_ref);
        slot.map(|slot| slot.open).ok_or_else(|| Error::os(Errno::EBADF, "file"))
    }

    /// The filesystem, and the staged file behind a handle, if it is one.
    fn staged(&mut self, file: Handle) -> Option<(&mut Filesystem, &mut Staged)> {
        let slot = self.files.get_mut(file)?.as_mut()?;
        Some((&mut self.filesystem, slot.staged.as_mut()?))
    }

    /// The file, for a change other than a write: staged files take none.
    fn changeable(&self, file: Handle) -> Result<Open> {
        let open = self.writable(file, Errno::EBADF)?;
        if open.flags.staged {
            return Err(Error::os(Errno::EOPNOTSUPP, "staged files can only be written to"));
        }
        Ok(open)
    }

    /// The file, to be read.
    fn readable(&self, file: Handle) -> Result<Open> {
        let open = self.file(file)?;
        if open.flags.path_only {
            return Err(Error::os(Errno::EBADF, "reading"));
        }
        Ok(open)
    }

    /// The range of a clone or copy in the terms of libfs, and both files.
    fn remap(
        &mut self,
        file: Handle,
        source: Handle,
        range: &Remap,
    ) -> Result<(u64, u64, CloneRange)> {
        for handle in [source, file] {
            let ino = self.file(handle)?.ino;
            if self.filesystem.stat(ino)?.mode & FORMAT == DIRECTORY {
                return Err(Error::os(Errno::EISDIR, "sharing blocks"));
            }
        }
        let (source, open) = (self.readable(source)?, self.changeable(file)?);
        if open.flags.append {
            return Err(Error::os(Errno::EBADF, "the file was opened for appending"));
        }
        let range = CloneRange {
            source_offset: range.source_offset,
            target_offset: range.offset,
            length: range.length,
        };
        Ok((source.ino, open.ino, range))
    }

    /// An untorn write: one vector, and direct I/O, as RWF_ATOMIC wants it.
    fn write_untorn(
        &mut self,
        open: &Open,
        offset: u64,
        pieces: &[IoSlice<'_>],
    ) -> Result<Written> {
        let [piece] = pieces else {
            let none = self.filesystem.atomic_write_limits(open.ino)?.unit_max == 0;
            let errno = if none { Errno::EOPNOTSUPP } else { Errno::EINVAL };
            return Err(Error::os(errno, "an untorn write of several vectors"));
        };
        let mut at = offset;
        if open.flags.append {
            // Linux looks at the offset that was given before it moves the write to the end.
            let length = piece.len() as u64;
            if !length.is_power_of_two() || !offset.is_multiple_of(length) {
                return Err(Error::os(Errno::EINVAL, "an untorn write that is not aligned"));
            }
            if !open.flags.direct {
                return Err(Error::os(Errno::EOPNOTSUPP, "an untorn write through the page cache"));
            }
            at = self.filesystem.stat(open.ino)?.size;
        }
        let way = self.filesystem.write_untorn(open.ino, at, piece, open.flags.direct)?;
        Ok(Written { bytes: piece.len(), way: Some(way.to_string()) })
    }

    /// Both files of an exchange, and the ranges.
    fn exchange(&mut self, file: Handle, exchange: &Exchange) -> Result<(u64, u64, ExchangeRange)> {
        for handle in [file, exchange.donor] {
            let ino = self.file(handle)?.ino;
            if self.filesystem.stat(ino)?.mode & FORMAT == DIRECTORY {
                return Err(Error::os(Errno::EISDIR, "exchanging contents"));
            }
        }
        let open = self.changeable(file)?;
        let donor = self.changeable(exchange.donor)?;
        if open.flags.append || donor.flags.append {
            return Err(Error::os(Errno::EBADF, "a file was opened for appending"));
        }
        let range = ExchangeRange {
            file1_offset: exchange.donor_offset,
            file2_offset: exchange.offset,
            length: exchange.length,
            flags: exchange.flags,
        };
        Ok((donor.ino, open.ino, range))
    }

    /// The file, if it may be written through this handle; else the error is `errno`.
    fn writable(&self, file: Handle, errno: Errno) -> Result<Open> {
        let open = self.file(file)?;
        if open.flags.read_only || open.flags.path_only {
            return Err(Error::os(errno, "file is not open for writing"));
        }
        Ok(open)
    }

    /// Direct I/O is in whole sectors.
    fn check_direct(&self, open: &Open, offset: u64, length: usize) -> Result<()> {
        let sector = u64::from(self.filesystem.geometry().sector_size);
        if open.flags.direct
            && (!offset.is_multiple_of(sector) || !(length as u64).is_multiple_of(sector))
        {
            return Err(Error::os(Errno::EINVAL, "unaligned direct I/O"));
        }
        Ok(())
    }

    fn is_regular(&mut self, ino: u64) -> Result<bool> {
        Ok(self.filesystem.stat(ino)?.mode & FORMAT == REGULAR)
    }

    /// The size of a file as its opener sees it, in bytes.
    fn size(&mut self, file: Handle) -> Result<u64> {
        let open = self.file(file)?;
        match self.staged(file) {
            Some((filesystem, staged)) => filesystem.size_staged(staged),
            None => Ok(self.filesystem.stat(open.ino)?.size),
        }
    }

    fn write_pieces(
        &mut self,
        file: Handle,
        open: &Open,
        offset: u64,
        pieces: &[IoSlice<'_>],
    ) -> Result<Written> {
        let mut bytes = 0;
        for piece in pieces {
            self.check_direct(open, offset, piece.len())?;
            let at = offset + bytes as u64;
            match self.staged(file) {
                Some((filesystem, staged)) => filesystem.write_staged(staged, at, piece)?,
                None => self.filesystem.write(open.ino, at, piece)?,
            }
            bytes += piece.len();
        }
        Ok(Written { bytes, way: None })
    }

    /// Keeps a file for one who opened it, and truncates it if that was asked for.
    fn hold(&mut self, ino: u64, flags: &OpenFlags) -> Result<()> {
        if flags.writes() {
            self.filesystem.hold_writer(ino, flags.append)?;
        } else {
            self.filesystem.hold(ino)?;
        }
        if flags.truncate && !flags.path_only {
            // Truncating is writing, if only for reading afterwards.
            let truncated = self.filesystem.truncate(ino, 0);
            if truncated.is_err() && flags.writes() {
                self.filesystem.release_writer(ino)?;
            } else if truncated.is_err() {
                self.filesystem.release(ino)?;
            }
            return truncated;
        }
        Ok(())
    }

    /// Finds or makes the file that `open` names.
    fn resolve(&mut self, path: &str, how: &OpenFlags) -> Result<u64> {
        match self.filesystem.lookup(path) {
            Err(error) if how.create && error.errno() == Errno::ENOENT => {
                self.filesystem.create(path, how.mode)
            }
            Ok(ino) if how.create && self.filesystem.stat(ino)?.mode & FORMAT == DIRECTORY => {
                Err(Error::os(Errno::EISDIR, "creating a file"))
            }
            result => result,
        }
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
        check_area(offset, pieces.iter().map(|piece| piece.len()))?;
        if open.flags.direct && offset >= self.size(file)? && self.is_regular(open.ino)? {
            return Ok(0);
        }
        let mut done = 0;
        for piece in pieces {
            self.check_direct(&open, offset, piece.len())?;
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
        check_area(offset, pieces.iter().map(|piece| piece.len()))?;
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
        let open = self.file(file)?;
        let stat = self.filesystem.stat(open.ino)?;
        let block_size = self.filesystem.geometry().block_size;
        let mount_id =
            if mask & STATX_MNT_ID_UNIQUE != 0 { STATX_MNT_ID_UNIQUE } else { STATX_MNT_ID };
        let mut found = Stat {
            mask: STATX_USUAL | mount_id | (mask & (STATX_MTIME | STATX_CTIME | STATX_BTIME)),
            block_size,
            attributes: attribute_bits(stat.xflags),
            attributes_mask: STATX_ATTR_KNOWN,
            links: stat.nlink,
            uid: stat.uid,
            gid: stat.gid,
            mode: stat.mode,
            ino: stat.ino,
            size: self.size(file)?,
            blocks: stat.blocks,
            atime: stat.atime,
            btime: stat.btime,
            ctime: stat.ctime,
            mtime: stat.mtime,
            rdev: stat.rdev,
            ..Default::default()
        };
        if stat.ino == self.filesystem.geometry().root_ino.0 {
            found.attributes |= STATX_ATTR_MOUNT_ROOT;
        }
        // Times that were not asked for stay empty.
        for (bit, time) in [
            (STATX_MTIME, &mut found.mtime),
            (STATX_CTIME, &mut found.ctime),
            (STATX_BTIME, &mut found.btime),
        ] {
            if mask & bit == 0 {
                *time = (0, 0);
            }
        }
        let regular = stat.mode & FORMAT == REGULAR;
        if mask & (STATX_DIOALIGN | STATX_DIO_READ_ALIGN) != 0 && regular {
            let limits = self.direct_limits(file)?;
            found.dio_memory_align = limits.memory;
            found.dio_read_offset_align = self.filesystem.geometry().sector_size;
            found.dio_offset_align = limits.smallest;
            found.mask |= STATX_DIOALIGN | STATX_DIO_READ_ALIGN;
        }
        if mask & STATX_WRITE_ATOMIC != 0 && regular {
            let limits = self.filesystem.atomic_write_limits(open.ino)?;
            found.atomic_unit_min = limits.unit_min;
            found.atomic_unit_max = limits.unit_max;
            found.atomic_unit_max_opt = limits.unit_max_opt;
            found.atomic_segments_max = limits.segments_max;
            found.mask |= STATX_WRITE_ATOMIC;
            found.attributes_mask |= STATX_ATTR_WRITE_ATOMIC;
            if limits.unit_max > 0 {
                found.attributes |= STATX_ATTR_WRITE_ATOMIC;
            }
        }
        Ok(found)
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
        let open = self.file(file)?;
        if self.filesystem.stat(open.ino)?.mode & FORMAT != REGULAR {
            return Ok(DirectLimits::default());
        }
        let geometry = self.filesystem.geometry();
        let (sector, block) = (geometry.sector_size, geometry.block_size);
        // Sub-block direct writes to shared blocks would have to read: Linux wants whole blocks
        // once a file may have any.
        let smallest = if self.filesystem.stat(open.ino)?.reflink { block } else { sector };
        Ok(DirectLimits { memory: sector, smallest, largest: i32::MAX as u32 & !(smallest - 1) })
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
        let open = self.readable(file)?;
        if fork == Fork::CopyOnWrite {
            // As from a kernel that is not built for debugging.
            return Err(Error::os(Errno::EINVAL, "the copy-on-write fork"));
        }
        let stat = self.filesystem.stat(open.ino)?;
        let mappings = self.filesystem.mappings(open.ino, fork == Fork::Attributes)?;
        let block = u64::from(self.filesystem.geometry().block_size);
        let blocks_end = stat.size.div_ceil(block) * (block / 512);
        if mappings.is_empty() && delayed && fork == Fork::Data {
            let hole = Extent {
                offset: 0,
                length: blocks_end,
                place: Place::Hole,
                unwritten: false,
                shared: false,
            };
            return Ok(vec![hole]);
        }
        // Space behind the end is shown where it is there to stay.
        let kept = fork == Fork::Attributes || stat.xflags & XFLAGS_KEEP_SPACE != 0;
        let end = if kept { u64::MAX } else { blocks_end };
        Ok(mappings
            .iter()
            .filter(|mapping| mapping.offset < end)
            .map(|mapping| {
                let mut mapping = *mapping;
                mapping.len = mapping.len.min(end - mapping.offset);
                mapping
            })
            .map(|mapping| Extent {
                offset: mapping.offset,
                length: mapping.len,
                place: mapping.start.map_or(Place::Hole, Place::At),
                unwritten: unwritten && mapping.unwritten,
                shared: mapping.shared,
            })
            .collect())
    }

    fn fiemap(&mut self, file: Handle, request: &FiemapRequest) -> Result<Vec<FiemapExtent>> {
        let open = self.readable(file)?;
        if self.filesystem.stat(open.ino)?.mode & FORMAT != REGULAR {
            return Err(Error::os(Errno::EOPNOTSUPP, "FIEMAP"));
        }
        if request.length == 0 {
            return Err(Error::os(Errno::EINVAL, "FIEMAP"));
        }
        let mappings = self.filesystem.mappings(open.ino, request.attributes)?;
        let block = u64::from(self.filesystem.geometry().block_size);
        // Extents are cut to the blocks that the range touches.
        let start = request.start / block * block;
        let end = request.start.saturating_add(request.length);
        let end = end.checked_next_multiple_of(block).unwrap_or(u64::MAX);
        let mut extents: Vec<FiemapExtent> = mappings
            .iter()
            .filter_map(|mapping| {
                let physical = mapping.start? * 512;
                let (first, last) = (mapping.offset * 512, (mapping.offset + mapping.len) * 512);
                let (logical, last) = (first.max(start), last.min(end));
                let unwritten = if mapping.unwritten { FIEMAP_EXTENT_UNWRITTEN } else { 0 };
                let shared = if mapping.shared { FIEMAP_EXTENT_SHARED } else { 0 };
                (logical < last).then(|| FiemapExtent {
                    logical,
                    physical: physical + (logical - first),
                    length: last - logical,
                    flags: unwritten | shared,
                })
            })
            .collect();
        if let Some(last) = extents.last_mut() {
            last.flags |= FIEMAP_EXTENT_LAST;
        }
        Ok(extents)
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

/// What the kernel refuses for any file: an offset or an end of 2^63 bytes or more, and more
/// vectors than it takes (IOV_MAX).
fn check_area(offset: u64, pieces: impl ExactSizeIterator<Item = usize>) -> Result<()> {
    const MOST: usize = 1024;
    let count = pieces.len();
    let end = pieces.fold(offset, |end, len| end.saturating_add(len as u64));
    if count > MOST || end > i64::MAX as u64 {
        return Err(Error::os(Errno::EINVAL, "reading or writing"));
    }
    Ok(())
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

/// FS_XFLAG_* bits of files that keep space behind their end: preallocated, append-only,
/// with an extent size hint.
const XFLAGS_KEEP_SPACE: u32 = 0x2 | 0x10 | 0x800;

/// STATX_* and STATX_ATTR_* bits of `linux/stat.h`. What is always known are the basic ones
/// without the times of change.
const STATX_USUAL: u32 = 0x73f;
const STATX_MNT_ID: u32 = 0x1000;
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;
const STATX_MTIME: u32 = 0x40;
const STATX_CTIME: u32 = 0x80;
const STATX_BTIME: u32 = 0x800;
const STATX_DIOALIGN: u32 = 0x2000;
const STATX_WRITE_ATOMIC: u32 = 0x10000;
const STATX_DIO_READ_ALIGN: u32 = 0x20000;
const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
const STATX_ATTR_WRITE_ATOMIC: u64 = 0x40_0000;
/// What XFS on Linux says that it knows: immutable, append, nodump, DAX, and of the VFS
/// automount and mount root.
const STATX_ATTR_KNOWN: u64 = 0x20_3070;

/// FS_XFLAG_* bits as STATX_ATTR_* bits.
fn attribute_bits(xflags: u32) -> u64 {
    const BITS: [(u32, u64); 4] = [(0x8, 0x10), (0x10, 0x20), (0x80, 0x40), (0x8000, 0x20_0000)];
    BITS.iter().filter(|(flag, _)| xflags & flag != 0).map(|(_, bit)| bit).sum()
}

/// FIEMAP_EXTENT_* flags of `linux/fiemap.h`.
const FIEMAP_EXTENT_LAST: u32 = 0x1;
const FIEMAP_EXTENT_UNWRITTEN: u32 = 0x800;
const FIEMAP_EXTENT_SHARED: u32 = 0x2000;
