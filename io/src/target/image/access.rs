//! What Linux looks at before a request reaches XFS: how a file was opened, whether it is of the
//! right type, the alignment of direct I/O; and opening itself.

use std::io::IoSlice;

use libfs::file::staged::Staged;
use libfs::filesystem::{CloneRange, ExchangeRange, Filesystem};
use libfs::{Errno, Error, Result};

use super::super::{Exchange, Handle, OpenFlags, Remap, Written};
use super::{DIRECTORY, FORMAT, Image, Open, REGULAR};

impl Image {
    pub(super) fn file(&self, file: Handle) -> Result<Open> {
        let slot = self.files.get(file).and_then(Option::as_ref);
        slot.map(|slot| slot.open).ok_or_else(|| Error::os(Errno::EBADF, "file"))
    }

    /// The filesystem, and the staged file behind a handle, if it is one.
    pub(super) fn staged(&mut self, file: Handle) -> Option<(&mut Filesystem, &mut Staged)> {
        let slot = self.files.get_mut(file)?.as_mut()?;
        Some((&mut self.filesystem, slot.staged.as_mut()?))
    }

    /// The file, for a change other than a write: staged files take none.
    pub(super) fn changeable(&self, file: Handle) -> Result<Open> {
        let open = self.writable(file, Errno::EBADF)?;
        if open.flags.staged {
            return Err(Error::os(Errno::EOPNOTSUPP, "staged files can only be written to"));
        }
        Ok(open)
    }

    /// The file, to be read.
    pub(super) fn readable(&self, file: Handle) -> Result<Open> {
        let open = self.file(file)?;
        if open.flags.path_only {
            return Err(Error::os(Errno::EBADF, "reading"));
        }
        Ok(open)
    }

    /// The range of a clone or copy in the terms of libfs, and both files.
    pub(super) fn remap(
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
    pub(super) fn write_untorn(
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
    pub(super) fn exchange(
        &mut self,
        file: Handle,
        exchange: &Exchange,
    ) -> Result<(u64, u64, ExchangeRange)> {
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
    pub(super) fn writable(&self, file: Handle, errno: Errno) -> Result<Open> {
        let open = self.file(file)?;
        if open.flags.read_only || open.flags.path_only {
            return Err(Error::os(errno, "file is not open for writing"));
        }
        Ok(open)
    }

    /// Direct I/O is in whole sectors.
    pub(super) fn check_direct(&self, open: &Open, offset: u64, length: usize) -> Result<()> {
        let sector = u64::from(self.filesystem.geometry().sector_size);
        if open.flags.direct
            && length > 0
            && (!offset.is_multiple_of(sector) || !(length as u64).is_multiple_of(sector))
        {
            return Err(Error::os(Errno::EINVAL, "unaligned direct I/O"));
        }
        Ok(())
    }

    /// As [`Self::check_direct`] for reading: what reads as zeros is not read, so Linux does not
    /// mind where it begins and ends.
    pub(super) fn check_direct_read(
        &mut self,
        open: &Open,
        offset: u64,
        length: usize,
    ) -> Result<()> {
        let Err(unaligned) = self.check_direct(open, offset, length) else { return Ok(()) };
        let sector = u64::from(self.filesystem.geometry().sector_size);
        let end = offset.saturating_add(length as u64);
        let mut ends = Vec::new();
        ends.extend((!offset.is_multiple_of(sector)).then_some(offset));
        ends.extend((!end.is_multiple_of(sector)).then_some(end.saturating_sub(1)));
        let holds = |mapping: &libfs::filesystem::Mapping, byte: u64| {
            let here = mapping.offset..mapping.offset.saturating_add(mapping.len);
            mapping.start.is_some() && !mapping.unwritten && here.contains(&(byte / 512))
        };
        let mappings = self.filesystem.mappings(open.ino, false)?;
        let read = mappings.iter().any(|mapping| ends.iter().any(|&byte| holds(mapping, byte)));
        if read { Err(unaligned) } else { Ok(()) }
    }

    pub(super) fn is_regular(&mut self, ino: u64) -> Result<bool> {
        Ok(self.filesystem.stat(ino)?.mode & FORMAT == REGULAR)
    }

    /// The size of a file as its opener sees it, in bytes.
    pub(super) fn size(&mut self, file: Handle) -> Result<u64> {
        let open = self.file(file)?;
        match self.staged(file) {
            Some((filesystem, staged)) => filesystem.size_staged(staged),
            None => Ok(self.filesystem.stat(open.ino)?.size),
        }
    }

    pub(super) fn write_pieces(
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
    pub(super) fn hold(&mut self, ino: u64, flags: &OpenFlags) -> Result<()> {
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
    pub(super) fn resolve(&mut self, path: &str, how: &OpenFlags) -> Result<u64> {
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

/// What the kernel refuses for any file: an offset or an end of 2^63 bytes or more, and more
/// vectors than it takes (IOV_MAX).
pub(super) fn check_area(offset: u64, pieces: impl ExactSizeIterator<Item = usize>) -> Result<()> {
    const MOST: usize = 1024;
    let count = pieces.len();
    let end = pieces.fold(offset, |end, len| end.saturating_add(len as u64));
    if count > MOST || end > i64::MAX as u64 {
        return Err(Error::os(Errno::EINVAL, "reading or writing"));
    }
    Ok(())
}
