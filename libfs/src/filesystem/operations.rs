//! Operations on files by path or inode number.

use super::Filesystem;
use crate::dir::{self, DirEntry};
use crate::file::exchange::{ExchangeFlags, ExchangeRequest};
use crate::file::namespace::{NewFile, RenameFlags};
use crate::file::{self, mappings, namespace};
use crate::inode::bmap::Target;
use crate::inode::{DiFlags2, InodeFork, InodeRef, WhichFork};
use crate::{Errno, Error, Result};

/// What is known about a file, as `stat(2)` and `FS_IOC_FSGETXATTR` tell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stat {
    /// Inode number.
    pub ino: u64,
    /// Type and permissions.
    pub mode: u16,
    /// Number of links.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Allocated space in units of 512 bytes, with what is staged for copy on write.
    pub blocks: u64,
    /// Last access: seconds and nanoseconds since 1970.
    pub atime: (i64, u32),
    /// Last change of the contents.
    pub mtime: (i64, u32),
    /// Last change of the inode.
    pub ctime: (i64, u32),
    /// When the inode was made.
    pub btime: (i64, u32),
    /// Major and minor number of a device.
    pub rdev: (u32, u32),
    /// `FS_XFLAG_*` bits.
    pub xflags: u32,
    /// Project.
    pub projid: u32,
    /// Extent size hint in bytes.
    pub extsize: u32,
    /// Copy-on-write extent size hint in bytes.
    pub cowextsize: u32,
    /// Blocks may be shared with other files (the inode's reflink flag).
    pub reflink: bool,
    /// Extents of the data fork.
    pub nextents: u64,
    /// Extents of the attribute fork.
    pub anextents: u64,
}

/// A range of a file and where it is, in units of 512 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mapping {
    /// First unit in the file.
    pub offset: u64,
    /// Length.
    pub len: u64,
    /// First unit on the device; `None` for a hole.
    pub start: Option<u64>,
    /// Allocated, but reads as zeros.
    pub unwritten: bool,
    /// Other files use the blocks too.
    pub shared: bool,
}

/// Two ranges to exchange, in bytes; file 1 is the donor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExchangeRange {
    /// Where the range of file 1 begins.
    pub file1_offset: u64,
    /// Where the range of file 2 begins.
    pub file2_offset: u64,
    /// Length of both; not looked at with [`ExchangeFlags::TO_EOF`].
    pub length: u64,
    /// How.
    pub flags: ExchangeFlags,
}

impl Filesystem {
    /// Caches are trimmed between operations, when nothing refers into them.
    pub(super) fn start(&mut self) {
        self.mount.trim_caches();
    }

    pub(super) fn inode(&mut self, ino: u64) -> Result<InodeRef> {
        self.start();
        self.mount.iget(ino)
    }

    /// The inode number of what `path` names. Symbolic links are followed.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG; errors of reading directories.
    pub fn lookup(&mut self, path: &str) -> Result<u64> {
        self.start();
        let inode = namespace::resolve(&mut self.mount, path.as_bytes(), true)?;
        Ok(self.mount.inode(inode).ino)
    }

    /// The directory that holds the last name of `path`, and that name.
    pub(super) fn parent(&mut self, path: &str) -> Result<(InodeRef, Vec<u8>)> {
        self.start();
        namespace::resolve_parent(&mut self.mount, path.as_bytes())
    }

    /// Creates a regular file with these permissions and returns its inode number.
    ///
    /// # Errors
    /// EEXIST, ENOENT, ENOTDIR, ENAMETOOLONG, ENOSPC.
    pub fn create(&mut self, path: &str, permissions: u16) -> Result<u64> {
        let (dir, name) = self.parent(path)?;
        let inode = namespace::create(&mut self.mount, dir, &name, &owned_by_root(permissions))?;
        Ok(self.mount.inode(inode).ino)
    }

    /// Makes a directory with these permissions.
    ///
    /// # Errors
    /// As [`Filesystem::create`].
    pub fn make_directory(&mut self, path: &str, permissions: u16) -> Result<u64> {
        let (dir, name) = self.parent(path)?;
        let inode = namespace::mkdir(&mut self.mount, dir, &name, &owned_by_root(permissions))?;
        Ok(self.mount.inode(inode).ino)
    }

    /// Makes a symbolic link at `path` that points to `target`.
    ///
    /// # Errors
    /// As [`Filesystem::create`], and ENAMETOOLONG for a target over 1,023 bytes.
    pub fn make_symlink(&mut self, path: &str, target: &[u8]) -> Result<u64> {
        let (dir, name) = self.parent(path)?;
        let new = owned_by_root(0o777);
        let inode = namespace::symlink(&mut self.mount, dir, &name, target, &new)?;
        Ok(self.mount.inode(inode).ino)
    }

    /// Gives the file at `old` a further name.
    ///
    /// # Errors
    /// EEXIST, ENOENT, EPERM for directories, EMLINK, ENOSPC.
    pub fn link(&mut self, old: &str, new: &str) -> Result<()> {
        let (dir, name) = self.parent(new)?;
        let inode = namespace::resolve(&mut self.mount, old.as_bytes(), false)?;
        namespace::link(&mut self.mount, inode, dir, &name)
    }

    /// Renames, replacing what `new` names.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR, ENOTEMPTY, EINVAL for a directory moved into itself, ENOSPC.
    pub fn rename(&mut self, old: &str, new: &str) -> Result<()> {
        let (old_dir, old_name) = self.parent(old)?;
        let (new_dir, new_name) = namespace::resolve_parent(&mut self.mount, new.as_bytes())?;
        let flags = RenameFlags::empty();
        namespace::rename(&mut self.mount, old_dir, &old_name, new_dir, &new_name, flags)
    }

    /// Removes a name. The file is freed with its last name, or when it is released.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EISDIR.
    pub fn unlink(&mut self, path: &str) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        namespace::unlink(&mut self.mount, dir, &name)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, ENOTEMPTY.
    pub fn remove_directory(&mut self, path: &str) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        namespace::rmdir(&mut self.mount, dir, &name)
    }

    /// All names in a directory, "." and ".." included.
    ///
    /// # Errors
    /// ENOTDIR; errors of reading the directory.
    pub fn read_directory(&mut self, ino: u64) -> Result<Vec<DirEntry>> {
        let inode = self.inode(ino)?;
        dir::list(&mut self.mount, inode)
    }

    /// Keeps a file's contents while it is in use, even if its last name goes.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn hold(&mut self, ino: u64) -> Result<()> {
        let inode = self.inode(ino)?;
        self.mount.hold_inode(inode);
        self.held.push(ino);
        Ok(())
    }

    /// Ends one [`Filesystem::hold`].
    ///
    /// # Errors
    /// As freeing the file, if nothing refers to it any more.
    pub fn release(&mut self, ino: u64) -> Result<()> {
        let Some(position) = self.held.iter().position(|&held| held == ino) else { return Ok(()) };
        self.held.swap_remove(position);
        let inode = self.inode(ino)?;
        self.mount.release_inode(inode)
    }

    /// Reads from byte `offset` and returns how many bytes there were before the end.
    ///
    /// # Errors
    /// EISDIR, EINVAL for what is not a regular file; errors of the device.
    pub fn read(&mut self, ino: u64, offset: u64, buf: &mut [u8]) -> Result<usize> {
        let inode = self.inode(ino)?;
        file::read(&mut self.mount, inode, offset, buf)
    }

    /// Writes all of `data` at byte `offset`. Durable after [`Filesystem::sync`], or at once if
    /// the file has the sync flag.
    ///
    /// # Errors
    /// EISDIR, EINVAL, EPERM for immutable files, EFBIG, ENOSPC; errors of the device.
    pub fn write(&mut self, ino: u64, offset: u64, data: &[u8]) -> Result<()> {
        let inode = self.inode(ino)?;
        let mut done = 0;
        while done < data.len() {
            let n = file::write(&mut self.mount, inode, offset + done as u64, &data[done..])?;
            if n == 0 {
                return Err(Error::os(Errno::ENOSPC, "writing"));
            }
            done += n;
        }
        self.settle(inode)
    }

    /// Sets the size of a file in bytes.
    ///
    /// # Errors
    /// As [`Filesystem::write`].
    pub fn truncate(&mut self, ino: u64, size: u64) -> Result<()> {
        let inode = self.inode(ino)?;
        file::truncate(&mut self.mount, inode, size)
    }

    /// Exchanges ranges of two files: after an error or a crash all of it or nothing.
    ///
    /// ```
    /// use libfs::file::exchange::ExchangeFlags;
    /// use libfs::filesystem::{ExchangeRange, Filesystem};
    ///
    /// # fn main() -> libfs::Result<()> {
    /// let mut filesystem = Filesystem::in_memory(300 << 20)?;
    /// let table = filesystem.create("/table", 0o644)?;
    /// filesystem.write(table, 0, &[b'-'; 4 * 4096])?;
    ///
    /// // Blocks 1 and 3 are to change together: they are prepared at the same offsets elsewhere.
    /// let new = filesystem.create_temporary("/", 0o600)?;
    /// filesystem.truncate(new, 4 * 4096)?;
    /// filesystem.write(new, 4096, &[b'1'; 4096])?;
    /// filesystem.write(new, 3 * 4096, &[b'3'; 4096])?;
    /// let written = ExchangeRange {
    ///     length: 4 * 4096,
    ///     flags: ExchangeFlags::FILE1_WRITTEN | ExchangeFlags::DSYNC,
    ///     ..ExchangeRange::default()
    /// };
    /// filesystem.exchange_range(new, table, &written)?;
    ///
    /// let mut seen = [0; 4 * 4096];
    /// filesystem.read(table, 0, &mut seen)?;
    /// let first_bytes: Vec<u8> = seen.iter().copied().step_by(4096).collect();
    /// assert_eq!(first_bytes, b"-1-3");
    /// filesystem.release(new)?;
    /// filesystem.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`crate::file::exchange::exchange_range`].
    pub fn exchange_range(&mut self, file1: u64, file2: u64, range: &ExchangeRange) -> Result<()> {
        let request = self.exchange_request(file1, file2, range)?;
        file::exchange::exchange_range(&mut self.mount, &request)
    }

    /// The request behind an exchange or a commit.
    pub(super) fn exchange_request(
        &mut self,
        file1: u64,
        file2: u64,
        range: &ExchangeRange,
    ) -> Result<ExchangeRequest> {
        Ok(ExchangeRequest {
            file1: self.inode(file1)?,
            file1_offset: range.file1_offset,
            file2: self.mount.iget(file2)?,
            file2_offset: range.file2_offset,
            length: range.length,
            flags: range.flags,
        })
    }

    /// The extents and holes of a file, up to its end.
    ///
    /// # Errors
    /// As [`mappings::list`], except that a fork that is inline or absent has none.
    pub fn mappings(&mut self, ino: u64, attributes: bool) -> Result<Vec<Mapping>> {
        let inode = self.inode(ino)?;
        let which = if attributes { WhichFork::Attr } else { WhichFork::Data };
        let listed = match mappings::list(&mut self.mount, inode, which, (0, u64::MAX), true, true)
        {
            Ok(listed) => listed,
            Err(Error::Os { errno: Errno::ENOENT | Errno::EINVAL, .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let geo = &self.mount.geo;
        let units = geo.daddrs_per_block();
        let end = geo.blocks_for(self.mount.inode(inode).core.size) * units;
        let mut list: Vec<Mapping> = listed
            .iter()
            .map(|listed| {
                let (block, unwritten) = match listed.mapping.target {
                    Target::Hole => (None, false),
                    Target::Written(block) => (Some(block), false),
                    Target::Unwritten(block) => (Some(block), true),
                };
                Mapping {
                    offset: listed.mapping.offset * units,
                    len: listed.mapping.len * units,
                    start: block.map(|block| geo.fsblock_daddr(block)),
                    unwritten,
                    shared: listed.shared,
                }
            })
            .collect();
        let mapped = list.last().map_or(0, |last| last.offset + last.len);
        if !attributes && !list.is_empty() && mapped < end {
            list.push(Mapping {
                offset: mapped,
                len: end - mapped,
                start: None,
                unwritten: false,
                shared: false,
            });
        }
        Ok(list)
    }

    /// What is known about a file.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn stat(&mut self, ino: u64) -> Result<Stat> {
        let inode = self.inode(ino)?;
        let inode = self.mount.inode(inode);
        let (core, geo) = (&inode.core, &self.mount.geo);
        // For an inline fork Linux reports how many 16-byte extent records its bytes would
        // hold, and tools that compare with Linux see that.
        let extents = |which| {
            inode.fork(which).map_or(0, |fork| match fork.local() {
                Some(bytes) => bytes.len() as u64 / 16,
                None => fork.nextents(),
            })
        };
        let attributes = file::attributes::attributes(geo, inode);
        // As in Linux, what is staged counts although only memory knows whose it is.
        let staged = inode.cow.as_ref().and_then(InodeFork::extents);
        let staged: u64 = staged.map_or(0, |map| map.iter().map(|extent| extent.len).sum());
        let time = |t: crate::format::inode::Timestamp| (t.seconds, t.nanos);
        Ok(Stat {
            ino,
            mode: core.mode,
            nlink: core.nlink,
            uid: core.uid,
            gid: core.gid,
            size: core.size,
            blocks: core.nblocks.saturating_add(staged) * geo.daddrs_per_block(),
            atime: time(core.atime),
            mtime: time(core.mtime),
            ctime: time(core.ctime),
            btime: time(core.crtime),
            rdev: device_number(&inode.data),
            xflags: attributes.xflags,
            projid: attributes.projid,
            extsize: attributes.extsize,
            cowextsize: attributes.cowextsize,
            reflink: core.flags2.contains(DiFlags2::REFLINK),
            nextents: extents(WhichFork::Data),
            anextents: extents(WhichFork::Attr),
        })
    }
}

pub(super) fn owned_by_root(permissions: u16) -> NewFile {
    NewFile { permissions: permissions & 0o7777, uid: 0, gid: 0 }
}

/// Major and minor number of a device inode, packed as System V packs them (14 and 18
/// bits, `sysv_encode_dev` in Linux); zeros for anything else.
fn device_number(fork: &InodeFork) -> (u32, u32) {
    match fork {
        InodeFork::Dev(packed) => (packed >> 18 & 0x3fff, packed & 0x3_ffff),
        _ => (0, 0),
    }
}
