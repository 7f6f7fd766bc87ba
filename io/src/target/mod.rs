//! What xfs_io works on: the files inside an image (libfs) or mounted files (system calls).
//!
//! [`Target`] is what both can do, in the terms of Linux's system calls; the commands know
//! only it. Errors carry the errno that Linux returns, so that both print the same words.

mod host;
mod image;
mod ioctl;
mod memory;

use std::io::{IoSlice, IoSliceMut};

use libfs::file::exchange::ExchangeFlags;
use libfs::{Errno, Error, Result};

pub use host::Host;
pub use image::Image;
pub use ioctl::end_on_broken_pipe;
pub use memory::{Memory, Protection};

/// An open file of a target.
pub type Handle = usize;

/// How a file is opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OpenFlags {
    /// O_CREAT, with the permissions in `mode`.
    pub create: bool,
    /// O_TRUNC.
    pub truncate: bool,
    /// O_RDONLY instead of O_RDWR.
    pub read_only: bool,
    /// O_APPEND.
    pub append: bool,
    /// O_SYNC.
    pub sync: bool,
    /// O_DIRECT.
    pub direct: bool,
    /// O_NONBLOCK.
    pub nonblocking: bool,
    /// O_TMPFILE: a file without a name; the path is that of a directory.
    pub temporary: bool,
    /// O_PATH: a reference to the file, not good for reading or writing.
    pub path_only: bool,
    /// O_NOFOLLOW.
    pub no_follow: bool,
    /// Mark the file as one of the realtime volume once it is open.
    pub realtime: bool,
    /// Show what is written to nobody until it is synced (images only).
    pub staged: bool,
    /// Permissions of a file that is created.
    pub mode: u16,
}

impl OpenFlags {
    /// The file is open for writing.
    pub fn writes(&self) -> bool {
        !self.read_only && !self.path_only
    }
}

/// How a read or write differs from the plain one (RWF_*).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TransferFlags {
    /// RWF_DSYNC: durable when it returns.
    pub dsync: bool,
    /// RWF_NOWAIT: fail with EAGAIN rather than wait.
    pub nowait: bool,
    /// RWF_ATOMIC: untorn.
    pub atomic: bool,
    /// RWF_DONTCACHE: leave nothing in the page cache.
    pub dontcache: bool,
}

/// What a write did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes written, which may be fewer than asked for.
    pub bytes: usize,
    /// How an untorn write was done and why, where the target knows.
    pub way: Option<String>,
}

/// Shape of the filesystem that holds a file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes in a block.
    pub block_size: u32,
    /// Bytes in a sector.
    pub sector_size: u32,
    /// Blocks in an allocation group.
    pub ag_blocks: u32,
    /// Stripe unit in blocks; 0 for none.
    pub stripe_unit: u32,
    /// Stripe width in blocks; 0 for none.
    pub stripe_width: u32,
    /// The filesystem's UUID.
    pub uuid: [u8; 16],
}

/// `struct statx`; what a target does not know is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stat {
    /// STATX_* bits of what is known.
    pub mask: u32,
    pub block_size: u32,
    pub attributes: u64,
    pub attributes_mask: u64,
    pub links: u32,
    pub uid: u32,
    pub gid: u32,
    /// Type and permissions.
    pub mode: u16,
    pub ino: u64,
    /// Bytes.
    pub size: u64,
    /// In units of 512 bytes.
    pub blocks: u64,
    pub atime: (i64, u32),
    pub btime: (i64, u32),
    pub ctime: (i64, u32),
    pub mtime: (i64, u32),
    pub rdev: (u32, u32),
    pub dev: (u32, u32),
    pub mount_id: u64,
    pub dio_memory_align: u32,
    pub dio_offset_align: u32,
    pub dio_read_offset_align: u32,
    pub subvolume: u64,
    pub atomic_unit_min: u32,
    pub atomic_unit_max: u32,
    pub atomic_unit_max_opt: u32,
    pub atomic_segments_max: u32,
}

/// `struct fsxattr`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes {
    /// FS_XFLAG_* bits.
    pub xflags: u32,
    /// Extent size hint in bytes.
    pub extsize: u32,
    /// Extents of the data fork; ignored when set.
    pub nextents: u32,
    /// Project.
    pub projid: u32,
    /// Copy-on-write extent size hint in bytes.
    pub cowextsize: u32,
}

/// What direct I/O to a file must keep to, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectLimits {
    pub memory: u32,
    pub smallest: u32,
    pub largest: u32,
}

/// Which of fallocate's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allocate {
    Fill {
        keep_size: bool,
    },
    Punch,
    Zero {
        keep_size: bool,
    },
    /// Zero by writing: Linux's FALLOC_FL_WRITE_ZEROES.
    WriteZeroes,
    Collapse,
    Insert,
    Unshare,
}

/// A range of a source file and where it goes, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remap {
    pub source_offset: u64,
    pub offset: u64,
    pub length: u64,
}

/// Which range of the donor changes places with which of the file, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exchange {
    pub donor: Handle,
    pub donor_offset: u64,
    pub offset: u64,
    pub length: u64,
    pub flags: ExchangeFlags,
}

/// What a file was like when a commit to it began: Linux's six opaque words.
pub type Freshness = [u64; 6];

/// What dedupe found.
#[derive(Debug)]
pub enum Deduped {
    /// The ranges hold the same, and this many bytes are shared now.
    Same(u64),
    Differs,
    /// Refused for this target, with the request itself in order.
    Refused(Error),
}

/// Which extents of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    Data,
    Attributes,
    CopyOnWrite,
}

/// Where an extent is on the device, in units of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Hole,
    /// Space is promised, but none chosen yet.
    Delayed,
    At(u64),
}

/// A range of a file and where it is, as getbmapx tells it, in units of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    pub offset: u64,
    pub length: u64,
    pub place: Place,
    pub unwritten: bool,
    pub shared: bool,
}

/// An extent as FIEMAP tells it, in bytes, with FIEMAP_EXTENT_* flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiemapExtent {
    pub logical: u64,
    pub physical: u64,
    pub length: u64,
    pub flags: u32,
}

/// What FIEMAP is asked for, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FiemapRequest {
    pub start: u64,
    pub length: u64,
    pub attributes: bool,
    /// Write delayed data first.
    pub sync: bool,
}

/// What seek looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    Data,
    Hole,
}

/// The operations, in the terms of the system calls. Offsets and lengths are those the user
/// gave: a target refuses what Linux refuses.
pub trait Target {
    /// The image, for commands that only an image has.
    fn image(&mut self) -> Option<&mut Image> {
        None
    }
    /// The system calls, for commands that only mounted files have.
    fn host(&mut self) -> Option<&mut Host> {
        None
    }
    /// The shape of the XFS filesystem that holds the file; `None` if it is another kind.
    fn geometry(&self, file: Handle) -> Option<Geometry>;
    fn open(&mut self, path: &str, how: &OpenFlags) -> Result<Handle>;
    fn close(&mut self, file: Handle) -> Result<()>;
    /// The names in a directory, without "." and "..", and whether each is a directory.
    fn list(&mut self, path: &str) -> Result<Vec<(String, bool)>>;
    /// Closes the target itself.
    fn finish(&mut self) -> Result<()>;

    fn read(
        &mut self,
        file: Handle,
        offset: u64,
        pieces: &mut [IoSliceMut<'_>],
        flags: TransferFlags,
    ) -> Result<usize>;
    fn write(
        &mut self,
        file: Handle,
        offset: u64,
        pieces: &[IoSlice<'_>],
        flags: TransferFlags,
    ) -> Result<Written>;
    fn fsync(&mut self, file: Handle) -> Result<()>;
    fn fdatasync(&mut self, file: Handle) -> Result<()>;
    /// sync(2): every filesystem.
    fn sync(&mut self) -> Result<()>;
    fn syncfs(&mut self, file: Handle) -> Result<()>;
    /// sync_file_range(2), with its SYNC_FILE_RANGE_* flags.
    fn sync_range(&mut self, file: Handle, offset: u64, length: u64, flags: u32) -> Result<()>;
    fn truncate(&mut self, file: Handle, size: u64) -> Result<()>;
    fn allocate(&mut self, file: Handle, how: Allocate, offset: u64, length: u64) -> Result<()>;
    fn seek(&mut self, file: Handle, offset: u64, what: Seek) -> Result<u64>;

    /// statx(2), with its STATX_* mask and AT_STATX_* flags.
    fn stat(&mut self, file: Handle, mask: u32, flags: u32) -> Result<Stat>;
    /// The size of a file as its opener sees it, in bytes.
    fn size(&mut self, file: Handle) -> Result<u64> {
        Ok(self.stat(file, STATX_SIZE, 0)?.size)
    }
    fn attributes(&mut self, file: Handle) -> Result<Attributes>;
    /// Number of extents of the attribute fork.
    fn attribute_extents(&mut self, file: Handle) -> Result<u32>;
    fn set_attributes(&mut self, file: Handle, attributes: &Attributes) -> Result<()>;
    fn direct_limits(&mut self, file: Handle) -> Result<DirectLimits>;
    /// Times of last access and change; nanoseconds may be UTIME_NOW and UTIME_OMIT.
    fn set_times(&mut self, file: Handle, atime: (i64, i64), mtime: (i64, i64)) -> Result<()>;
    fn set_mode(&mut self, file: Handle, mode: u16) -> Result<()>;
    fn link(&mut self, file: Handle, path: &str) -> Result<()>;

    /// All extents and holes of a fork. `unwritten` and `delayed` ask for extents of these
    /// kinds, as BMV_IF_PREALLOC and BMV_IF_DELALLOC do.
    fn extents(
        &mut self,
        file: Handle,
        fork: Fork,
        unwritten: bool,
        delayed: bool,
    ) -> Result<Vec<Extent>>;
    /// All extents that touch the range.
    fn fiemap(&mut self, file: Handle, request: &FiemapRequest) -> Result<Vec<FiemapExtent>>;

    /// FICLONE without a range, FICLONERANGE with one.
    fn clone_range(&mut self, file: Handle, source: Handle, range: Option<Remap>) -> Result<()>;
    fn dedupe_range(&mut self, file: Handle, source: Handle, range: &Remap) -> Result<Deduped>;
    /// copy_file_range(2); returns how many bytes were copied.
    fn copy_range(&mut self, file: Handle, source: Handle, range: &Remap) -> Result<u64>;
    fn exchange_range(&mut self, file: Handle, exchange: &Exchange) -> Result<()>;
    fn start_commit(&mut self, file: Handle) -> Result<Freshness>;
    fn commit_range(&mut self, file: Handle, exchange: &Exchange, seen: &Freshness) -> Result<()>;
    /// Exchanges all extents with those of the donor, as xfs_io's swapext does.
    fn swap_extents(&mut self, file: Handle, donor: Handle) -> Result<()>;

    /// XFS_IOC_GOINGDOWN, writing the log first or not.
    fn shut_down(&mut self, file: Option<Handle>, write_log: bool) -> Result<()>;
}

/// STATX_SIZE of `linux/stat.h`.
const STATX_SIZE: u32 = 0x200;

/// The request is one that this target does not know.
pub fn unsupported<T>(what: &str) -> Result<T> {
    Err(Error::os(Errno::EOPNOTSUPP, what))
}
