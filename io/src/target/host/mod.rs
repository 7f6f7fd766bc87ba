//! Files of mounted filesystems, through the system calls.

mod maps;
mod requests;

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libfs::{Errno, Error, Result};
use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, Mode, OFlags, SeekFrom, Timespec, Timestamps,
};
use rustix::io::ReadWriteFlags;

use super::{
    Allocate, Attributes, Deduped, DirectLimits, Exchange, Extent, FiemapExtent, FiemapRequest,
    Fork, Freshness, Geometry, Handle, OpenFlags, Remap, Seek, Stat, Target, TransferFlags,
    Written, ioctl, unsupported,
};

/// RWF_* flags that rustix has no names for (`linux/fs.h`).
const RWF_ATOMIC: u32 = 0x40;
const RWF_DONTCACHE: u32 = 0x80;

/// The open files.
#[derive(Default)]
pub struct Host {
    files: Vec<Option<Open>>,
}

struct Open {
    fd: OwnedFd,
    geometry: Option<Geometry>,
}

impl Host {
    fn fd(&self, file: Handle) -> Result<BorrowedFd<'_>> {
        match self.files.get(file) {
            Some(Some(open)) => Ok(open.fd.as_fd()),
            _ => Err(Error::os(Errno::EBADF, "file")),
        }
    }

    /// The kernel's own number of an open file, as other requests name it.
    fn number(&self, file: Handle) -> Result<i32> {
        Ok(self.fd(file)?.as_raw_fd())
    }
}

/// A failed call in the words of libfs.
fn failed(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |errno| Error::os(Errno::from_raw(errno.raw_os_error()), what)
}

/// Refuses what the kernel would, before rustix leaves out the vectors it does not take.
fn check_vectors(count: usize) -> Result<()> {
    const MOST: usize = 1024;
    if count > MOST {
        return Err(Error::os(Errno::EINVAL, "vectors"));
    }
    Ok(())
}

/// An offset as the kernel takes it.
fn signed(value: u64) -> i64 {
    value as i64
}

fn open_flags(how: &OpenFlags) -> OFlags {
    let mut flags = if how.read_only { OFlags::RDONLY } else { OFlags::RDWR };
    flags.set(OFlags::CREATE, how.create);
    flags.set(OFlags::TRUNC, how.truncate);
    flags.set(OFlags::APPEND, how.append);
    flags.set(OFlags::SYNC, how.sync);
    flags.set(OFlags::DIRECT, how.direct);
    flags.set(OFlags::NONBLOCK, how.nonblocking);
    flags.set(OFlags::PATH, how.path_only);
    flags.set(OFlags::NOFOLLOW, how.no_follow);
    if how.temporary {
        flags |= OFlags::TMPFILE;
    }
    flags
}

fn transfer_flags(flags: TransferFlags) -> ReadWriteFlags {
    let mut bits = ReadWriteFlags::empty();
    bits.set(ReadWriteFlags::DSYNC, flags.dsync);
    bits.set(ReadWriteFlags::NOWAIT, flags.nowait);
    bits.set(ReadWriteFlags::from_bits_retain(RWF_ATOMIC), flags.atomic);
    bits.set(ReadWriteFlags::from_bits_retain(RWF_DONTCACHE), flags.dontcache);
    bits
}

fn geometry(fd: BorrowedFd<'_>) -> Option<Geometry> {
    let geometry = ioctl::geometry(fd).ok()?;
    Some(Geometry {
        block_size: geometry.block_size,
        sector_size: geometry.sector_size,
        ag_blocks: geometry.ag_blocks,
        stripe_unit: geometry.stripe_unit,
        stripe_width: geometry.stripe_width,
        uuid: geometry.uuid,
    })
}

impl Target for Host {
    fn host(&mut self) -> Option<&mut Host> {
        Some(self)
    }

    fn geometry(&self, file: Handle) -> Option<Geometry> {
        self.files.get(file)?.as_ref()?.geometry
    }

    fn open(&mut self, path: &str, how: &OpenFlags) -> Result<Handle> {
        if how.staged {
            return unsupported("staged mode of a mounted file");
        }
        let mode = Mode::from_raw_mode(u32::from(how.mode));
        let flags = open_flags(how);
        let opened = match fs::open(path, flags, mode) {
            // Directories can be looked at, but not opened for writing.
            Err(rustix::io::Errno::ISDIR) if !how.read_only && !how.temporary => {
                fs::open(path, flags.difference(OFlags::RDWR) | OFlags::RDONLY, mode)
            }
            result => result,
        };
        let fd = opened.map_err(failed("open"))?;
        let geometry = if how.path_only { None } else { geometry(fd.as_fd()) };
        if how.realtime {
            let mut attributes = ioctl::get_xattr(fd.as_fd())?;
            attributes.xflags |= 1;
            ioctl::set_xattr(fd.as_fd(), &attributes)?;
        }
        let free = self.files.iter().position(Option::is_none);
        let handle = free.unwrap_or_else(|| {
            self.files.push(None);
            self.files.len() - 1
        });
        self.files[handle] = Some(Open { fd, geometry });
        Ok(handle)
    }

    fn close(&mut self, file: Handle) -> Result<()> {
        self.fd(file)?;
        self.files[file] = None;
        Ok(())
    }

    fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>> {
        let entries = std::fs::read_dir(path).and_then(|entries| {
            entries
                .map(|entry| {
                    let entry = entry?;
                    let name = entry.file_name().to_string_lossy().into_owned();
                    Ok((name, entry.file_type()?.is_dir()))
                })
                .collect()
        });
        entries.map_err(|error| Error::io(path, error))
    }

    fn finish(&mut self) -> Result<()> {
        self.files.clear();
        Ok(())
    }

    fn read(
        &mut self,
        file: Handle,
        offset: u64,
        pieces: &mut [IoSliceMut<'_>],
        flags: TransferFlags,
    ) -> Result<usize> {
        let fd = self.fd(file)?;
        check_vectors(pieces.len())?;
        match pieces {
            [piece] if flags == TransferFlags::default() => {
                rustix::io::pread(fd, &mut **piece, offset)
            }
            pieces => rustix::io::preadv2(fd, pieces, offset, transfer_flags(flags)),
        }
        .map_err(failed("pread"))
    }

    fn write(
        &mut self,
        file: Handle,
        offset: u64,
        pieces: &[IoSlice<'_>],
        flags: TransferFlags,
    ) -> Result<Written> {
        let fd = self.fd(file)?;
        check_vectors(pieces.len())?;
        let bytes = match pieces {
            [piece] if flags == TransferFlags::default() => rustix::io::pwrite(fd, piece, offset),
            pieces => rustix::io::pwritev2(fd, pieces, offset, transfer_flags(flags)),
        }
        .map_err(failed("pwrite"))?;
        Ok(Written { bytes, way: None })
    }

    fn fsync(&mut self, file: Handle) -> Result<()> {
        fs::fsync(self.fd(file)?).map_err(failed("fsync"))
    }

    fn fdatasync(&mut self, file: Handle) -> Result<()> {
        fs::fdatasync(self.fd(file)?).map_err(failed("fdatasync"))
    }

    fn sync(&mut self) -> Result<()> {
        fs::sync();
        Ok(())
    }

    fn syncfs(&mut self, file: Handle) -> Result<()> {
        fs::syncfs(self.fd(file)?).map_err(failed("syncfs"))
    }

    fn sync_range(&mut self, file: Handle, offset: u64, length: u64, flags: u32) -> Result<()> {
        ioctl::sync_file_range(self.fd(file)?, signed(offset), signed(length), flags)
    }

    fn truncate(&mut self, file: Handle, size: u64) -> Result<()> {
        fs::ftruncate(self.fd(file)?, size).map_err(failed("ftruncate"))
    }

    fn allocate(&mut self, file: Handle, how: Allocate, offset: u64, length: u64) -> Result<()> {
        let keep = |keep_size: bool| {
            if keep_size { FallocateFlags::KEEP_SIZE } else { FallocateFlags::empty() }
        };
        let mode = match how {
            Allocate::Fill { keep_size } => keep(keep_size),
            Allocate::Punch => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            Allocate::Zero { keep_size } => FallocateFlags::ZERO_RANGE | keep(keep_size),
            Allocate::WriteZeroes => FallocateFlags::from_bits_retain(0x80),
            Allocate::Collapse => FallocateFlags::COLLAPSE_RANGE,
            Allocate::Insert => FallocateFlags::INSERT_RANGE,
            Allocate::Unshare => FallocateFlags::UNSHARE_RANGE,
        };
        fs::fallocate(self.fd(file)?, mode, offset, length).map_err(failed("fallocate"))
    }

    fn seek(&mut self, file: Handle, offset: u64, what: Seek) -> Result<u64> {
        let position = match what {
            Seek::Data => SeekFrom::Data(offset),
            Seek::Hole => SeekFrom::Hole(offset),
        };
        fs::seek(self.fd(file)?, position).map_err(failed("lseek"))
    }

    fn stat(&mut self, file: Handle, mask: u32, flags: u32) -> Result<Stat> {
        let flags = AtFlags::from_bits_retain(flags) | AtFlags::EMPTY_PATH;
        let mask = fs::StatxFlags::from_bits_retain(mask);
        let found = fs::statx(self.fd(file)?, c"", flags, mask).map_err(failed("statx"))?;
        let time = |t: fs::StatxTimestamp| (t.tv_sec, t.tv_nsec);
        Ok(Stat {
            mask: found.stx_mask,
            block_size: found.stx_blksize,
            attributes: found.stx_attributes.bits(),
            attributes_mask: found.stx_attributes_mask.bits(),
            links: found.stx_nlink,
            uid: found.stx_uid,
            gid: found.stx_gid,
            mode: found.stx_mode,
            ino: found.stx_ino,
            size: found.stx_size,
            blocks: found.stx_blocks,
            atime: time(found.stx_atime),
            btime: time(found.stx_btime),
            ctime: time(found.stx_ctime),
            mtime: time(found.stx_mtime),
            rdev: (found.stx_rdev_major, found.stx_rdev_minor),
            dev: (found.stx_dev_major, found.stx_dev_minor),
            mount_id: found.stx_mnt_id,
            dio_memory_align: found.stx_dio_mem_align,
            dio_offset_align: found.stx_dio_offset_align,
            dio_read_offset_align: found.stx_dio_read_offset_align,
            subvolume: found.stx_subvol,
            atomic_unit_min: found.stx_atomic_write_unit_min,
            atomic_unit_max: found.stx_atomic_write_unit_max,
            atomic_unit_max_opt: found.stx_atomic_write_unit_max_opt,
            atomic_segments_max: found.stx_atomic_write_segments_max,
        })
    }

    fn attributes(&mut self, file: Handle) -> Result<Attributes> {
        let found = ioctl::get_xattr(self.fd(file)?)?;
        Ok(Attributes {
            xflags: found.xflags,
            extsize: found.extsize,
            nextents: found.nextents,
            projid: found.projid,
            cowextsize: found.cowextsize,
        })
    }

    fn attribute_extents(&mut self, file: Handle) -> Result<u32> {
        Ok(ioctl::get_attribute_xattr(self.fd(file)?)?.nextents)
    }

    fn set_attributes(&mut self, file: Handle, attributes: &Attributes) -> Result<()> {
        let wanted = ioctl::FsXattr {
            xflags: attributes.xflags,
            extsize: attributes.extsize,
            nextents: attributes.nextents,
            projid: attributes.projid,
            cowextsize: attributes.cowextsize,
            pad: [0; 8],
        };
        ioctl::set_xattr(self.fd(file)?, &wanted)
    }

    fn direct_limits(&mut self, file: Handle) -> Result<DirectLimits> {
        let found = ioctl::dio_info(self.fd(file)?)?;
        Ok(DirectLimits { memory: found.mem, smallest: found.miniosz, largest: found.maxiosz })
    }

    fn set_times(&mut self, file: Handle, atime: (i64, i64), mtime: (i64, i64)) -> Result<()> {
        let spec = |(tv_sec, tv_nsec): (i64, i64)| Timespec { tv_sec, tv_nsec };
        let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
        fs::futimens(self.fd(file)?, &times).map_err(failed("futimens"))
    }

    fn set_mode(&mut self, file: Handle, mode: u16) -> Result<()> {
        let mode = Mode::from_raw_mode(u32::from(mode));
        fs::fchmod(self.fd(file)?, mode).map_err(failed("fchmod"))
    }

    fn link(&mut self, file: Handle, path: &str) -> Result<()> {
        let fd = self.fd(file)?;
        fs::linkat(fd, c"", CWD, path, AtFlags::EMPTY_PATH).map_err(failed("flink"))
    }

    fn extents(
        &mut self,
        file: Handle,
        fork: Fork,
        unwritten: bool,
        delayed: bool,
    ) -> Result<Vec<Extent>> {
        maps::list_extents(self.fd(file)?, fork, unwritten, delayed)
    }

    fn fiemap(&mut self, file: Handle, request: &FiemapRequest) -> Result<Vec<FiemapExtent>> {
        maps::list_fiemap(self.fd(file)?, request)
    }

    fn clone_range(&mut self, file: Handle, source: Handle, range: Option<Remap>) -> Result<()> {
        let (fd, source) = (self.fd(file)?, self.fd(source)?);
        match range {
            None => fs::ioctl_ficlone(fd, source).map_err(failed("FICLONE")),
            Some(range) => ioctl::clone_range(
                fd,
                &ioctl::CloneRange {
                    source: i64::from(source.as_raw_fd()),
                    source_offset: range.source_offset,
                    length: range.length,
                    offset: range.offset,
                },
            ),
        }
    }

    fn dedupe_range(&mut self, file: Handle, source: Handle, range: &Remap) -> Result<Deduped> {
        let mut request = ioctl::DedupeRange {
            source_offset: range.source_offset,
            length: range.length,
            targets: 1,
            reserved: [0; 3],
            target: i64::from(self.number(file)?),
            offset: range.offset,
            bytes: 0,
            status: 0,
            reserved_target: 0,
        };
        ioctl::dedupe_range(self.fd(source)?, &mut request)?;
        match request.status {
            0 => Ok(Deduped::Same(request.bytes)),
            // FILE_DEDUPE_RANGE_DIFFERS
            1 => Ok(Deduped::Differs),
            errno => Ok(Deduped::Refused(Error::os(Errno::from_raw(-errno), "dedupe"))),
        }
    }

    fn copy_range(&mut self, file: Handle, source: Handle, range: &Remap) -> Result<u64> {
        let (fd, source) = (self.fd(file)?, self.fd(source)?);
        let (mut from, mut to) = (range.source_offset, range.offset);
        let length = usize::try_from(range.length).unwrap_or(usize::MAX);
        let copied = fs::copy_file_range(source, Some(&mut from), fd, Some(&mut to), length);
        copied.map(|n| n as u64).map_err(failed("copy_file_range"))
    }

    fn exchange_range(&mut self, file: Handle, exchange: &Exchange) -> Result<()> {
        let request = exchange_request(self.number(exchange.donor)?, exchange);
        ioctl::exchange_range(self.fd(file)?, &request)
    }

    fn start_commit(&mut self, file: Handle) -> Result<Freshness> {
        let range = ioctl::ExchangeRange {
            file1: -1,
            pad: 0,
            file1_offset: 0,
            file2_offset: 0,
            length: 0,
            flags: 0,
        };
        let mut request = ioctl::CommitRange { range, freshness: [0; 6] };
        ioctl::start_commit(self.fd(file)?, &mut request)?;
        Ok(request.freshness)
    }

    fn commit_range(&mut self, file: Handle, exchange: &Exchange, seen: &Freshness) -> Result<()> {
        let range = exchange_request(self.number(exchange.donor)?, exchange);
        ioctl::commit_range(self.fd(file)?, &ioctl::CommitRange { range, freshness: *seen })
    }

    fn swap_extents(&mut self, file: Handle, donor: Handle) -> Result<()> {
        let stat = self.stat(file, fs::StatxFlags::BASIC_STATS.bits(), 0)?;
        let time = |(seconds, nanoseconds): (i64, u32)| ioctl::BulkTime {
            seconds,
            nanoseconds: nanoseconds as i32,
            pad: 0,
        };
        let mut request = ioctl::SwapExt {
            version: 0,
            target: i64::from(self.number(file)?),
            donor: i64::from(self.number(donor)?),
            offset: 0,
            length: signed(stat.size),
            pad: [0; 16],
            stat: ioctl::BulkStat {
                ino: stat.ino,
                size: signed(stat.size),
                atime: time(stat.atime),
                mtime: time(stat.mtime),
                ctime: time(stat.ctime),
                ..Default::default()
            },
        };
        ioctl::swap_extents(self.fd(file)?, &mut request)
    }

    fn shut_down(&mut self, file: Option<Handle>, write_log: bool) -> Result<()> {
        let Some(file) = file else { return Err(Error::os(Errno::EBADF, "shutdown")) };
        // XFS_FSOP_GOING_FLAGS_LOGFLUSH and _NOLOGFLUSH.
        ioctl::going_down(self.fd(file)?, if write_log { 1 } else { 2 })
    }
}

fn exchange_request(donor: i32, exchange: &Exchange) -> ioctl::ExchangeRange {
    ioctl::ExchangeRange {
        file1: donor,
        pad: 0,
        file1_offset: exchange.donor_offset,
        file2_offset: exchange.offset,
        length: exchange.length,
        flags: exchange.flags.bits(),
    }
}
