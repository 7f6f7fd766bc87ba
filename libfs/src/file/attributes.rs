//! Flags, hints, project, mode and times of a file, and what immutable and append-only mean.

use super::cow;
use crate::format::geometry::Geometry;
use crate::format::inode::{DiFlags, DiFlags2, Timestamp, mode};
use crate::inode::extent_map::MAX_EXTENT_BLOCKS;
use crate::inode::timestamps::inode_changed;
use crate::inode::{Inode, InodeCore, InodeRef};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};
use bitflags::bitflags;

bitflags! {
    /// Flags of a file as `FS_IOC_FSGETXATTR` shows them (`FS_XFLAG_*` of linux/fs.h).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct FileFlags: u32 {
        /// The data is on the realtime device.
        const REALTIME = 0x1;
        /// Blocks were allocated on purpose; cannot be set.
        const PREALLOC = 0x2;
        /// Nothing can be changed.
        const IMMUTABLE = 0x8;
        /// Writes only at the end; in a directory, names are only added.
        const APPEND = 0x10;
        /// Every change is durable at once.
        const SYNC = 0x20;
        /// The time of the last access is not kept.
        const NOATIME = 0x40;
        /// Backups leave the file out.
        const NODUMP = 0x80;
        /// New files in the directory have their data on the realtime device.
        const RTINHERIT = 0x100;
        /// New files in the directory get its project.
        const PROJINHERIT = 0x200;
        /// No symbolic links can be made in the directory.
        const NOSYMLINKS = 0x400;
        /// There is an extent size hint.
        const EXTSIZE = 0x800;
        /// New files in the directory get its extent size hint.
        const EXTSZINHERIT = 0x1000;
        /// Defragmentation leaves the file alone.
        const NODEFRAG = 0x2000;
        /// Files in the directory stay in one allocation group.
        const FILESTREAM = 0x4000;
        /// Data is accessed directly, without the page cache.
        const DAX = 0x8000;
        /// There is a copy-on-write extent size hint.
        const COWEXTSIZE = 0x10000;
        /// There are extended attributes; cannot be set.
        const HASATTR = 0x8000_0000;
    }
}

/// Each flag, and where the inode keeps it.
const FLAGS: [(FileFlags, DiFlags); 14] = [
    (FileFlags::REALTIME, DiFlags::REALTIME),
    (FileFlags::PREALLOC, DiFlags::PREALLOC),
    (FileFlags::IMMUTABLE, DiFlags::IMMUTABLE),
    (FileFlags::APPEND, DiFlags::APPEND),
    (FileFlags::SYNC, DiFlags::SYNC),
    (FileFlags::NOATIME, DiFlags::NOATIME),
    (FileFlags::NODUMP, DiFlags::NODUMP),
    (FileFlags::RTINHERIT, DiFlags::RTINHERIT),
    (FileFlags::PROJINHERIT, DiFlags::PROJINHERIT),
    (FileFlags::NOSYMLINKS, DiFlags::NOSYMLINKS),
    (FileFlags::EXTSIZE, DiFlags::EXTSIZE),
    (FileFlags::EXTSZINHERIT, DiFlags::EXTSZINHERIT),
    (FileFlags::NODEFRAG, DiFlags::NODEFRAG),
    (FileFlags::FILESTREAM, DiFlags::FILESTREAM),
];
const FLAGS2: [(FileFlags, DiFlags2); 2] =
    [(FileFlags::DAX, DiFlags2::DAX), (FileFlags::COWEXTSIZE, DiFlags2::COWEXTSIZE)];

/// What only directories have, and what only regular files have.
const OF_DIRECTORIES: DiFlags = DiFlags::RTINHERIT
    .union(DiFlags::NOSYMLINKS)
    .union(DiFlags::EXTSZINHERIT)
    .union(DiFlags::PROJINHERIT);
const OF_FILES: DiFlags = DiFlags::REALTIME.union(DiFlags::EXTSIZE);

/// What `FS_IOC_FSGETXATTR` tells about a file and `FS_IOC_FSSETXATTR` changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileAttributes {
    /// Flags, [`FileFlags`]; unknown ones are refused.
    pub xflags: u32,
    /// Extent size hint in bytes.
    pub extsize: u32,
    /// Copy-on-write extent size hint in bytes.
    pub cowextsize: u32,
    /// Project.
    pub projid: u32,
}

/// The flags, hints and project that a file has.
pub fn attributes(geo: &Geometry, inode: &Inode) -> FileAttributes {
    let core = &inode.core;
    let mut flags = FileFlags::empty();
    flags.set(FileFlags::HASATTR, inode.attr.is_some());
    for (flag, kept) in FLAGS {
        flags.set(flag, core.flags.contains(kept));
    }
    for (flag, kept) in FLAGS2 {
        flags.set(flag, core.flags2.contains(kept));
    }
    FileAttributes {
        xflags: flags.bits(),
        extsize: core.extsize.wrapping_shl(geo.block_log),
        cowextsize: core.cowextsize.wrapping_shl(geo.block_log),
        projid: core.projid,
    }
}

fn invalid<T>(why: impl Into<String>) -> Result<T> {
    Err(Error::os(Errno::EINVAL, why))
}

/// Gives a file these flags, hints and project, all at once. Flags that its type does not
/// have are ignored, apart from those for hints; a hint of 0 turns off its flag.
///
/// # Errors
///
/// EROFS; EOPNOTSUPP for unknown flags; EINVAL for project 2^32 - 1, for a hint's flag on a
/// type that does not have it, for a hint without its flag, and for one that is not a
/// multiple of the block size, or more than 2^21 - 1 blocks or half an allocation group; for
/// another extent size hint than that of a file that has extents; for the realtime flag
/// without a realtime device or when there are extents.
pub fn set_attributes(mount: &mut Mount, inode: InodeRef, new: &FileAttributes) -> Result<()> {
    mount.check_writable()?;
    let Some(flags) = FileFlags::from_bits(new.xflags) else {
        return Err(Error::os(Errno::EOPNOTSUPP, format!("flags {:#x}", new.xflags)));
    };
    if new.projid == u32::MAX {
        return invalid(format!("project {}", new.projid));
    }
    let core = mount.inode(inode).core;
    check_types(&core, flags)?;
    let flags = without_empty_hints(flags, new);
    let (di_flags, di_flags2) = (flags_of(&core, flags), flags2_of(&core, flags));
    check_hints(mount, inode, new, di_flags, di_flags2)?;
    check_realtime(mount, inode, flags)?;
    if new.cowextsize != core.cowextsize.wrapping_shl(mount.geo.block_log) {
        // What is staged was measured by the old hint.
        cow::cancel_all(mount, inode)?;
    }
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    let log = tp.geo.block_log;
    let core = &mut tp.inode_mut(inode).core;
    core.flags = di_flags;
    core.flags2 = di_flags2;
    core.projid = new.projid;
    core.extsize = new.extsize >> log;
    core.cowextsize = new.cowextsize >> log;
    inode_changed(&mut tp, inode);
    tp.commit()
}

/// Refuses flags for hints on types that have no such hint.
fn check_types(core: &InodeCore, flags: FileFlags) -> Result<()> {
    let both = core.is_regular() || core.is_dir();
    let wrong = (flags.contains(FileFlags::EXTSIZE) && !core.is_regular())
        || (flags.contains(FileFlags::EXTSZINHERIT) && !core.is_dir())
        || (flags.intersects(FileFlags::COWEXTSIZE | FileFlags::DAX) && !both);
    if wrong { invalid(format!("flags {:#x} for this type of file", flags.bits())) } else { Ok(()) }
}

fn without_empty_hints(mut flags: FileFlags, new: &FileAttributes) -> FileFlags {
    if new.extsize == 0 {
        flags -= FileFlags::EXTSIZE | FileFlags::EXTSZINHERIT;
    }
    if new.cowextsize == 0 {
        flags -= FileFlags::COWEXTSIZE;
    }
    flags
}

/// The inode's flags: those asked for, as far as the type has them, and what is no request.
fn flags_of(core: &InodeCore, flags: FileFlags) -> DiFlags {
    let mut wanted = DiFlags::empty();
    for (flag, kept) in FLAGS {
        wanted.set(kept, flags.contains(flag));
    }
    if !core.is_dir() {
        wanted -= OF_DIRECTORIES;
    }
    if !core.is_regular() {
        wanted -= OF_FILES;
    }
    wanted.set(DiFlags::PREALLOC, core.flags.contains(DiFlags::PREALLOC));
    wanted
}

fn flags2_of(core: &InodeCore, flags: FileFlags) -> DiFlags2 {
    let mut wanted = core.flags2;
    for (flag, kept) in FLAGS2 {
        wanted.set(kept, flags.contains(flag));
    }
    wanted
}

fn check_hints(
    mount: &Mount,
    inode: InodeRef,
    new: &FileAttributes,
    flags: DiFlags,
    flags2: DiFlags2,
) -> Result<()> {
    let (geo, found) = (&mount.geo, mount.inode(inode));
    let old = found.core.extsize.wrapping_shl(geo.block_log);
    if found.core.is_regular() && found.data.nextents() > 0 && old != new.extsize {
        return invalid("the file has extents, its extent size hint stays");
    }
    let hinted = flags.intersects(DiFlags::EXTSIZE | DiFlags::EXTSZINHERIT);
    check_hint(geo, new.extsize, hinted)?;
    let unit = u64::from(geo.realtime.extent_size) << geo.block_log;
    if flags.contains(DiFlags::REALTIME) && unit > 0 && !u64::from(new.extsize).is_multiple_of(unit)
    {
        return invalid(format!("hint {} and realtime extents of {unit} bytes", new.extsize));
    }
    let hinted = flags2.contains(DiFlags2::COWEXTSIZE);
    if hinted && !geo.features.reflink {
        return invalid("the filesystem has no shared blocks");
    }
    check_hint(geo, new.cowextsize, hinted)
}

/// Refuses a hint that the inode could not have.
fn check_hint(geo: &Geometry, bytes: u32, hinted: bool) -> Result<()> {
    let blocks = u64::from(bytes >> geo.block_log);
    let possible = bytes.is_multiple_of(geo.block_size)
        && (hinted || bytes == 0)
        && blocks <= MAX_EXTENT_BLOCKS
        && blocks <= u64::from(geo.ag_blocks / 2);
    if possible { Ok(()) } else { invalid(format!("an extent size hint of {bytes} bytes")) }
}

fn check_realtime(mount: &Mount, inode: InodeRef, flags: FileFlags) -> Result<()> {
    let found = mount.inode(inode);
    let wanted = flags.contains(FileFlags::REALTIME);
    let is = found.core.flags.contains(DiFlags::REALTIME);
    if wanted != is && found.data.nextents() > 0 {
        return invalid("the file has extents, its data stays on its device");
    }
    if wanted && !mount.geo.features.realtime {
        return invalid("there is no realtime device");
    }
    Ok(())
}

/// Sets the times of last access and last change of the contents; `None` leaves one as it
/// is. What the inode cannot hold becomes the nearest that it can.
///
/// # Errors
///
/// EROFS; EPERM for immutable and append-only files.
pub fn set_times(
    mount: &mut Mount,
    inode: InodeRef,
    atime: Option<Timestamp>,
    mtime: Option<Timestamp>,
) -> Result<()> {
    mount.check_writable()?;
    check_changeable(mount, inode)?;
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    let core = &mut tp.inode_mut(inode).core;
    let bigtime = core.has_bigtime();
    let held = |time| nearest(time, bigtime);
    core.atime = atime.map_or(core.atime, held);
    core.mtime = mtime.map_or(core.mtime, held);
    inode_changed(&mut tp, inode);
    tp.commit()
}

/// The time that an inode can hold nearest to `time`. At the first and the last second there
/// is no fraction, as in Linux.
fn nearest(time: Timestamp, bigtime: bool) -> Timestamp {
    let first = i64::from(i32::MIN);
    let last = if bigtime { Timestamp::BIGTIME_MAX } else { i64::from(i32::MAX) };
    let seconds = time.seconds.clamp(first, last);
    let nanos = if seconds == first || seconds == last { 0 } else { time.nanos };
    Timestamp { seconds, nanos }
}

/// Sets the permissions, the lower twelve bits of the mode.
///
/// # Errors
///
/// EROFS; EPERM for immutable and append-only files.
pub fn set_mode(mount: &mut Mount, inode: InodeRef, permissions: u16) -> Result<()> {
    mount.check_writable()?;
    check_changeable(mount, inode)?;
    if mount.inode(inode).core.is_symlink() {
        return Err(Error::os(Errno::EOPNOTSUPP, "permissions of a symbolic link"));
    }
    let reservation = mount.reservations.ichange;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    let core = &mut tp.inode_mut(inode).core;
    core.mode = core.mode & mode::TYPE | permissions & !mode::TYPE;
    inode_changed(&mut tp, inode);
    tp.commit()
}

/// Opens a file for writing, at its end only if `append`: a writer may go on when the file
/// becomes immutable or append-only later.
///
/// # Errors
///
/// EROFS; EPERM for an immutable file, and for an append-only one unless `append`.
pub fn hold_writer(mount: &mut Mount, inode: InodeRef, append: bool) -> Result<()> {
    mount.check_writable()?;
    let flags = mount.inode(inode).core.flags;
    if flags.contains(DiFlags::IMMUTABLE) || flags.contains(DiFlags::APPEND) && !append {
        return Err(protected());
    }
    let found = mount.inode_mut(inode);
    found.writers = found.writers.saturating_add(1);
    mount.hold_inode(inode);
    Ok(())
}

/// Ends one [`hold_writer`].
///
/// # Errors
///
/// As freeing the file, if nothing refers to it any more.
pub fn release_writer(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    let found = mount.inode_mut(inode);
    found.writers = found.writers.saturating_sub(1);
    mount.release_inode(inode)
}

fn protected() -> Error {
    Error::os(Errno::EPERM, "the file is immutable or append-only")
}

fn is_protected(mount: &Mount, inode: InodeRef) -> bool {
    mount.inode(inode).core.flags.intersects(DiFlags::IMMUTABLE | DiFlags::APPEND)
}

/// Refuses with EPERM to change the inode itself (owner, mode, times, extended attributes,
/// links) of an immutable or append-only file.
pub(crate) fn check_changeable(mount: &Mount, inode: InodeRef) -> Result<()> {
    if is_protected(mount, inode) { Err(protected()) } else { Ok(()) }
}

/// Refuses with EPERM what could not have been opened for writing anywhere in the file.
pub(crate) fn check_overwritable(mount: &Mount, inode: InodeRef) -> Result<()> {
    let open = mount.inode(inode).writers > 0;
    if !open && is_protected(mount, inode) { Err(protected()) } else { Ok(()) }
}

/// Refuses with EPERM what could not have been opened for writing at byte `offset`: an
/// append-only file can be written at its end.
pub(crate) fn check_writable_at(mount: &Mount, inode: InodeRef, offset: u64) -> Result<()> {
    let core = &mount.inode(inode).core;
    let appends = core.size == offset && !core.flags.contains(DiFlags::IMMUTABLE);
    if appends { Ok(()) } else { check_overwritable(mount, inode) }
}

/// Refuses with EPERM to add a name to an immutable directory.
pub(crate) fn check_may_add(mount: &Mount, dir: InodeRef) -> Result<()> {
    if mount.inode(dir).core.flags.contains(DiFlags::IMMUTABLE) {
        return Err(Error::os(Errno::EPERM, "the directory is immutable"));
    }
    Ok(())
}

/// Refuses with EPERM to take a name from an immutable or append-only directory, or from an
/// immutable or append-only file.
pub(crate) fn check_may_remove(mount: &Mount, dir: InodeRef, inode: InodeRef) -> Result<()> {
    check_changeable(mount, dir)?;
    check_changeable(mount, inode)
}

/// Refuses with EXDEV to give `inode` a name in a directory that hands down another project
/// than it has. Special files without a project may go anywhere.
pub(crate) fn check_project(mount: &Mount, dir: InodeRef, inode: InodeRef) -> Result<()> {
    let (dir, core) = (&mount.inode(dir).core, &mount.inode(inode).core);
    let tree = dir.flags.contains(DiFlags::PROJINHERIT) && dir.projid != core.projid;
    if tree && !(core.is_special() && core.projid == 0) {
        return Err(Error::os(Errno::EXDEV, format!("project {} here", dir.projid)));
    }
    Ok(())
}
