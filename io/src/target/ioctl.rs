//! The requests of Linux that neither nix nor rustix has: XFS's own, FIEMAP, cloning a
//! range, `sync_file_range(2)` and `signal(2)`.
//!
//! Unsafe code, of which there is only this and `memory`. Each function passes the kernel
//! pointers to structures of the layout the request number names (`xfs_fs.h`, `linux/fs.h`,
//! `linux/fiemap.h`) that live until the call returns; the sizes are checked at compile time,
//! since the request number holds them.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use libfs::{Errno, Error, Result};

/// `struct fsxattr`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct FsXattr {
    pub xflags: u32,
    pub extsize: u32,
    pub nextents: u32,
    pub projid: u32,
    pub cowextsize: u32,
    pub pad: [u8; 8],
}

/// `struct dioattr`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct DioAttr {
    pub mem: u32,
    pub miniosz: u32,
    pub maxiosz: u32,
}

/// `struct getbmapx`; the first of an array says what is wanted.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct GetBmapX {
    pub offset: i64,
    pub block: i64,
    pub length: i64,
    pub count: i32,
    pub entries: i32,
    pub iflags: i32,
    pub oflags: i32,
    pub unused: [i32; 2],
}

/// `struct xfs_fsop_geom`, version 5, as far as it is looked at.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct FsGeometry {
    pub block_size: u32,
    pub rt_extent_size: u32,
    pub ag_blocks: u32,
    pub ag_count: u32,
    pub log_blocks: u32,
    pub sector_size: u32,
    pub inode_size: u32,
    pub imax_pct: u32,
    pub data_blocks: u64,
    pub rt_blocks: u64,
    pub rt_extents: u64,
    pub log_start: u64,
    pub uuid: [u8; 16],
    pub stripe_unit: u32,
    pub stripe_width: u32,
    pub version: i32,
    pub flags: u32,
    pub log_sector_size: u32,
    pub rt_sector_size: u32,
    pub dir_block_size: u32,
    pub log_stripe_unit: u32,
    pub rest: [u64; 18],
}

/// `struct fiemap` with room for some extents.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Fiemap {
    pub start: u64,
    pub length: u64,
    pub flags: u32,
    pub mapped_extents: u32,
    pub extent_count: u32,
    pub reserved: u32,
    pub extents: [FiemapExtent; FIEMAP_EXTENTS],
}

/// Extents that one FIEMAP call can return here.
pub const FIEMAP_EXTENTS: usize = 128;

/// `struct fiemap_extent`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct FiemapExtent {
    pub logical: u64,
    pub physical: u64,
    pub length: u64,
    pub reserved64: [u64; 2],
    pub flags: u32,
    pub reserved: [u32; 3],
}

/// `struct file_clone_range`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CloneRange {
    pub source: i64,
    pub source_offset: u64,
    pub length: u64,
    pub offset: u64,
}

/// `struct file_dedupe_range` with one target.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct DedupeRange {
    pub source_offset: u64,
    pub length: u64,
    pub targets: u16,
    pub reserved: [u16; 3],
    pub target: i64,
    pub offset: u64,
    pub bytes: u64,
    pub status: i32,
    pub reserved_target: u32,
}

/// `struct xfs_exchange_range`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct ExchangeRange {
    pub file1: i32,
    pub pad: u32,
    pub file1_offset: u64,
    pub file2_offset: u64,
    pub length: u64,
    pub flags: u64,
}

/// `struct xfs_commit_range`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct CommitRange {
    pub range: ExchangeRange,
    pub freshness: [u64; 6],
}

/// `struct xfs_bstat`, as the bulkstat that swapext hands back to the kernel.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct BulkStat {
    pub ino: u64,
    pub mode: u16,
    pub nlink: u16,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u32,
    pub blksize: i32,
    pub pad0: u32,
    pub size: i64,
    pub atime: BulkTime,
    pub mtime: BulkTime,
    pub ctime: BulkTime,
    pub rest: [u64; 6],
}

/// `struct xfs_bstime`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
pub struct BulkTime {
    pub seconds: i64,
    pub nanoseconds: i32,
    pub pad: u32,
}

/// `struct xfs_swapext`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct SwapExt {
    pub version: i64,
    pub target: i64,
    pub donor: i64,
    pub offset: i64,
    pub length: i64,
    pub pad: [u8; 16],
    pub stat: BulkStat,
}

const _: () = {
    assert!(size_of::<FsXattr>() == 28);
    assert!(size_of::<DioAttr>() == 12);
    assert!(size_of::<GetBmapX>() == 48);
    assert!(size_of::<FsGeometry>() == 256);
    assert!(size_of::<FiemapExtent>() == 56);
    assert!(size_of::<Fiemap>() == 32 + 56 * FIEMAP_EXTENTS);
    assert!(size_of::<CloneRange>() == 32);
    assert!(size_of::<DedupeRange>() == 56);
    assert!(size_of::<ExchangeRange>() == 40);
    assert!(size_of::<CommitRange>() == 88);
    assert!(size_of::<SwapExt>() == 192);
};

/// The raw calls; the safe functions below are the only ones that use them.
mod raw {
    use super::*;
    use nix::{
        ioctl_read, ioctl_readwrite, ioctl_readwrite_bad, ioctl_write_ptr, request_code_readwrite,
    };

    ioctl_read!(get_xattr, b'X', 31, FsXattr);
    ioctl_write_ptr!(set_xattr, b'X', 32, FsXattr);
    ioctl_read!(get_attribute_xattr, b'X', 45, FsXattr);
    ioctl_read!(dio_info, b'X', 30, DioAttr);
    ioctl_read!(geometry, b'X', 126, FsGeometry);
    // The request number holds the size of the older, shorter struct getbmap.
    ioctl_readwrite_bad!(get_bmapx, request_code_readwrite!(b'X', 56, 32), GetBmapX);
    // It holds the size of struct fiemap without extents.
    ioctl_readwrite_bad!(fiemap, request_code_readwrite!(b'f', 11, 32), Fiemap);
    ioctl_write_ptr!(clone_range, 0x94, 13, CloneRange);
    // It holds the size of struct file_dedupe_range without targets.
    ioctl_readwrite_bad!(dedupe_range, request_code_readwrite!(0x94, 54, 24), DedupeRange);
    ioctl_write_ptr!(exchange_range, b'X', 129, ExchangeRange);
    ioctl_read!(start_commit, b'X', 130, CommitRange);
    ioctl_write_ptr!(commit_range, b'X', 131, CommitRange);
    ioctl_readwrite!(swap_extents, b'X', 109, SwapExt);
    ioctl_read!(going_down, b'X', 125, u32);
    ioctl_readwrite!(freeze, b'X', 119, i32);
    ioctl_readwrite!(thaw, b'X', 120, i32);
    ioctl_read!(label, 0x94, 49, [u8; LABEL]);
    ioctl_write_ptr!(set_label, 0x94, 50, [u8; LABEL]);
    ioctl_readwrite!(set_reserved, b'X', 114, [u64; 2]);
    ioctl_read!(get_reserved, b'X', 115, [u64; 2]);
    ioctl_write_ptr!(inject, b'X', 116, [i32; 2]);
}

type Fd<'a> = BorrowedFd<'a>;

/// A failed call in the words of libfs.
fn done(what: &'static str, result: nix::Result<i32>) -> Result<()> {
    result.map(|_| ()).map_err(|errno| Error::os(errno, what))
}

/// FS_IOC_FSGETXATTR.
pub fn get_xattr(fd: Fd<'_>) -> Result<FsXattr> {
    let mut out = FsXattr::default();
    // SAFETY: `out` is a struct fsxattr, writable for the length of the call.
    done("FSGETXATTR", unsafe { raw::get_xattr(fd.as_raw_fd(), &mut out) })?;
    Ok(out)
}

/// FS_IOC_FSSETXATTR.
pub fn set_xattr(fd: Fd<'_>, attributes: &FsXattr) -> Result<()> {
    // SAFETY: `attributes` is a struct fsxattr that the kernel only reads.
    done("FSSETXATTR", unsafe { raw::set_xattr(fd.as_raw_fd(), attributes) })
}

/// XFS_IOC_FSGETXATTRA: the same with the extents of the attribute fork counted.
pub fn get_attribute_xattr(fd: Fd<'_>) -> Result<FsXattr> {
    let mut out = FsXattr::default();
    // SAFETY: as in `get_xattr`.
    done("FSGETXATTRA", unsafe { raw::get_attribute_xattr(fd.as_raw_fd(), &mut out) })?;
    Ok(out)
}

/// XFS_IOC_DIOINFO.
pub fn dio_info(fd: Fd<'_>) -> Result<DioAttr> {
    let mut out = DioAttr::default();
    // SAFETY: `out` is a struct dioattr, writable for the length of the call.
    done("DIOINFO", unsafe { raw::dio_info(fd.as_raw_fd(), &mut out) })?;
    Ok(out)
}

/// XFS_IOC_FSGEOMETRY, version 5; ENOTTY on other filesystems.
pub fn geometry(fd: Fd<'_>) -> Result<FsGeometry> {
    let mut out = FsGeometry {
        block_size: 0,
        rt_extent_size: 0,
        ag_blocks: 0,
        ag_count: 0,
        log_blocks: 0,
        sector_size: 0,
        inode_size: 0,
        imax_pct: 0,
        data_blocks: 0,
        rt_blocks: 0,
        rt_extents: 0,
        log_start: 0,
        uuid: [0; 16],
        stripe_unit: 0,
        stripe_width: 0,
        version: 0,
        flags: 0,
        log_sector_size: 0,
        rt_sector_size: 0,
        dir_block_size: 0,
        log_stripe_unit: 0,
        rest: [0; 18],
    };
    // SAFETY: `out` has the 256 bytes of struct xfs_fsop_geom, writable for the call.
    done("FSGEOMETRY", unsafe { raw::geometry(fd.as_raw_fd(), &mut out) })?;
    Ok(out)
}

/// XFS_IOC_GETBMAPX: fills `map[1..]`; `map[0]` says what is wanted and how many came.
///
/// # Errors
/// EINVAL if `map` is shorter than `map[0].count` says.
pub fn get_bmapx(fd: Fd<'_>, map: &mut [GetBmapX]) -> Result<()> {
    let claimed = map.first().map_or(0, |first| first.count);
    if usize::try_from(claimed).is_err() || claimed as usize > map.len() || map.is_empty() {
        return Err(Error::os(Errno::EINVAL, "GETBMAPX"));
    }
    // SAFETY: the kernel writes at most `map[0].count` elements, which are there.
    done("GETBMAPX", unsafe { raw::get_bmapx(fd.as_raw_fd(), map.as_mut_ptr()) })
}

/// FS_IOC_FIEMAP, up to [`FIEMAP_EXTENTS`] extents from `start` on.
pub fn fiemap(fd: Fd<'_>, start: u64, length: u64, flags: u32) -> Result<Box<Fiemap>> {
    let mut request = Box::new(Fiemap {
        start,
        length,
        flags,
        mapped_extents: 0,
        extent_count: FIEMAP_EXTENTS as u32,
        reserved: 0,
        extents: [FiemapExtent::default(); FIEMAP_EXTENTS],
    });
    // SAFETY: the kernel writes at most `extent_count` extents, which are there.
    done("FIEMAP", unsafe { raw::fiemap(fd.as_raw_fd(), &mut *request) })?;
    Ok(request)
}

/// FICLONERANGE.
pub fn clone_range(fd: Fd<'_>, range: &CloneRange) -> Result<()> {
    // SAFETY: `range` is a struct file_clone_range that the kernel only reads.
    done("FICLONERANGE", unsafe { raw::clone_range(fd.as_raw_fd(), range) })
}

/// FIDEDUPERANGE, called on the source; what happened is in `range.bytes` and `.status`.
pub fn dedupe_range(source: Fd<'_>, range: &mut DedupeRange) -> Result<()> {
    range.targets = 1;
    // SAFETY: a struct file_dedupe_range followed by the one target it claims to have.
    done("FIDEDUPERANGE", unsafe { raw::dedupe_range(source.as_raw_fd(), range) })
}

/// XFS_IOC_EXCHANGE_RANGE.
pub fn exchange_range(fd: Fd<'_>, range: &ExchangeRange) -> Result<()> {
    // SAFETY: `range` is a struct xfs_exchange_range that the kernel only reads.
    done("EXCHANGE_RANGE", unsafe { raw::exchange_range(fd.as_raw_fd(), range) })
}

/// XFS_IOC_START_COMMIT: fills in `range.freshness`.
pub fn start_commit(fd: Fd<'_>, range: &mut CommitRange) -> Result<()> {
    // SAFETY: `range` is a struct xfs_commit_range, writable for the length of the call.
    done("START_COMMIT", unsafe { raw::start_commit(fd.as_raw_fd(), range) })
}

/// XFS_IOC_COMMIT_RANGE.
pub fn commit_range(fd: Fd<'_>, range: &CommitRange) -> Result<()> {
    // SAFETY: `range` is a struct xfs_commit_range that the kernel only reads.
    done("COMMIT_RANGE", unsafe { raw::commit_range(fd.as_raw_fd(), range) })
}

/// XFS_IOC_SWAPEXT.
pub fn swap_extents(fd: Fd<'_>, request: &mut SwapExt) -> Result<()> {
    // SAFETY: `request` is a struct xfs_swapext, writable for the length of the call.
    done("SWAPEXT", unsafe { raw::swap_extents(fd.as_raw_fd(), request) })
}

/// XFS_IOC_GOINGDOWN.
pub fn going_down(fd: Fd<'_>, mut flags: u32) -> Result<()> {
    // SAFETY: the request takes a pointer to 32 bits of flags.
    done("GOINGDOWN", unsafe { raw::going_down(fd.as_raw_fd(), &mut flags) })
}

/// FIFREEZE or FITHAW.
pub fn freeze(fd: Fd<'_>, freeze: bool) -> Result<()> {
    let mut level = 1;
    let call = if freeze { raw::freeze } else { raw::thaw };
    // SAFETY: the requests take a pointer to an int, which they do not look at.
    done("freeze", unsafe { call(fd.as_raw_fd(), &mut level) })
}

/// FSLABEL_MAX: bytes of a label's buffer, the 0 at its end included.
const LABEL: usize = 256;

/// FS_IOC_GETFSLABEL.
pub fn label(fd: Fd<'_>) -> Result<Vec<u8>> {
    let mut label = [0; LABEL];
    // SAFETY: the kernel writes FSLABEL_MAX bytes at most.
    done("GETFSLABEL", unsafe { raw::label(fd.as_raw_fd(), &mut label) })?;
    Ok(label.into_iter().take_while(|&byte| byte != 0).collect())
}

/// FS_IOC_SETFSLABEL.
///
/// # Errors
/// EINVAL for a label that does not fit.
pub fn set_label(fd: Fd<'_>, label: &[u8]) -> Result<()> {
    let mut buffer = [0; LABEL];
    match buffer.get_mut(..label.len()) {
        Some(place) if label.len() < LABEL => place.copy_from_slice(label),
        _ => return Err(Error::os(Errno::EINVAL, "SETFSLABEL")),
    }
    // SAFETY: FSLABEL_MAX bytes that the kernel only reads, with a 0 at the end.
    done("SETFSLABEL", unsafe { raw::set_label(fd.as_raw_fd(), &buffer) })
}

/// XFS_IOC_SET_RESBLKS if a number is wanted, else XFS_IOC_GET_RESBLKS: blocks kept back, and
/// those of them that are free.
pub fn reserved_blocks(fd: Fd<'_>, wanted: Option<u64>) -> Result<(u64, u64)> {
    let mut blocks = [wanted.unwrap_or(0), 0];
    let call = if wanted.is_some() { raw::set_reserved } else { raw::get_reserved };
    // SAFETY: struct xfs_fsop_resblks is two numbers of 64 bits, writable for the call.
    done("RESBLKS", unsafe { call(fd.as_raw_fd(), &mut blocks) })?;
    Ok((blocks[0], blocks[1]))
}

/// XFS_IOC_ERROR_INJECTION.
pub fn inject(fd: Fd<'_>, tag: i32) -> Result<()> {
    let injection = [fd.as_raw_fd(), tag];
    // SAFETY: struct xfs_error_injection is two ints, which the kernel only reads.
    done("ERROR_INJECTION", unsafe { raw::inject(fd.as_raw_fd(), &injection) })
}

/// Lets the program end, as others do, when nobody reads its output any more; Rust's start-up code
/// makes an error of that, which `println!` panics on.
pub fn end_on_broken_pipe() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    // SAFETY: the default action replaces an ignored signal; no handler is run.
    let _ = unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) };
}

/// `sync_file_range(2)`.
pub fn sync_file_range(fd: Fd<'_>, offset: i64, length: i64, flags: u32) -> Result<()> {
    // SAFETY: the call takes no pointers.
    let result = unsafe { nix::libc::sync_file_range(fd.as_raw_fd(), offset, length, flags) };
    done("sync_file_range", Errno::result(result))
}
