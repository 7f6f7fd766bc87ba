//! The fixed part of an inode, decoded: everything but its forks.
//!
//! What describes a fork (its format, its number of extents) lives with the fork, so that
//! there is one truth; [`super::Inode`] joins both when it is encoded.

use super::timestamps::Timestamp;
use bitflags::bitflags;

/// Inode size-independent length of the core of a version 3 inode in bytes.
pub const CORE_SIZE: usize = 176;

/// File type bits of a mode (`S_IFMT`).
pub const S_IFMT: u16 = 0o170_000;
/// Socket.
pub const S_IFSOCK: u16 = 0o140_000;
/// Symbolic link.
pub const S_IFLNK: u16 = 0o120_000;
/// Regular file.
pub const S_IFREG: u16 = 0o100_000;
/// Block device.
pub const S_IFBLK: u16 = 0o060_000;
/// Directory.
pub const S_IFDIR: u16 = 0o040_000;
/// Character device.
pub const S_IFCHR: u16 = 0o020_000;
/// Named pipe.
pub const S_IFIFO: u16 = 0o010_000;
/// Set user ID.
pub const S_ISUID: u16 = 0o4000;
/// Set group ID.
pub const S_ISGID: u16 = 0o2000;
/// Group may execute.
pub const S_IXGRP: u16 = 0o010;

bitflags! {
    /// `di_flags`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct InodeFlags: u16 {
        /// The data lies on the realtime device.
        const REALTIME = 1 << 0;
        /// Space was preallocated: blocks beyond the end of the file are meant.
        const PREALLOC = 1 << 1;
        /// Realtime bitmap of the new kind.
        const NEWRTBM = 1 << 2;
        /// Cannot be changed.
        const IMMUTABLE = 1 << 3;
        /// Can only be appended to.
        const APPEND = 1 << 4;
        /// Every write is synchronous.
        const SYNC = 1 << 5;
        /// Access times are not recorded.
        const NOATIME = 1 << 6;
        /// xfsdump leaves it out.
        const NODUMP = 1 << 7;
        /// New files in this directory are [`InodeFlags::REALTIME`].
        const RTINHERIT = 1 << 8;
        /// New files in this directory belong to the same project.
        const PROJINHERIT = 1 << 9;
        /// No symbolic links can be made in this directory.
        const NOSYMLINKS = 1 << 10;
        /// `extsize` is a hint for the allocator.
        const EXTSIZE = 1 << 11;
        /// New files in this directory inherit `extsize`.
        const EXTSZINHERIT = 1 << 12;
        /// xfs_fsr leaves it alone.
        const NODEFRAG = 1 << 13;
        /// The allocator keeps files of this directory together.
        const FILESTREAM = 1 << 14;
        const _ = !0;
    }

    /// `di_flags2`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct InodeFlags2: u64 {
        /// Direct access to persistent memory.
        const DAX = 1 << 0;
        /// Blocks may be shared with other files.
        const REFLINK = 1 << 1;
        /// `cowextsize` is a hint for copy-on-write allocations.
        const COWEXTSIZE = 1 << 2;
        /// Timestamps are 64-bit nanoseconds.
        const BIGTIME = 1 << 3;
        /// Extent counts are 48 and 32 bits.
        const NREXT64 = 1 << 4;
        /// A file that holds metadata.
        const METADATA = 1 << 5;
        const _ = !0;
    }

    /// Which parts of an inode a log item holds (`XFS_ILOG_*`).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
    pub struct InodeLogFlags: u32 {
        /// The core.
        const CORE = 0x001;
        /// Data fork in the inode: contents.
        const DDATA = 0x002;
        /// Data fork in the inode: extent records.
        const DEXT = 0x004;
        /// Data fork in the inode: root of the extent btree.
        const DBROOT = 0x008;
        /// Device number.
        const DEV = 0x010;
        /// Attribute fork in the inode: contents.
        const ADATA = 0x040;
        /// Attribute fork in the inode: extent records.
        const AEXT = 0x080;
        /// Attribute fork in the inode: root of the extent btree.
        const ABROOT = 0x100;
        /// Recovery must change the owner in the data fork's btree blocks to this inode.
        const DOWNER = 0x200;
        /// Recovery must change the owner in the attribute fork's btree blocks.
        const AOWNER = 0x400;
        /// In memory only: the change count was raised (`XFS_ILOG_IVERSION`).
        const IVERSION = 0x800;
        /// In memory only: just a timestamp changed; logged as [`InodeLogFlags::CORE`].
        const TIMESTAMP = 0x4000;
    }
}

impl InodeLogFlags {
    /// Any form of data fork.
    pub const DFORK: Self = Self::DDATA.union(Self::DEXT).union(Self::DBROOT);
    /// Any form of attribute fork.
    pub const AFORK: Self = Self::ADATA.union(Self::AEXT).union(Self::ABROOT);
}

/// The fixed part of an inode, in host byte order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InodeCore {
    /// File type and permissions; 0 if the inode is free.
    pub mode: u16,
    /// Kind of metadata file, with [`InodeFlags2::METADATA`].
    pub metatype: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of links.
    pub nlink: u32,
    /// Project.
    pub projid: u32,
    /// Last access.
    pub atime: Timestamp,
    /// Last change of the contents.
    pub mtime: Timestamp,
    /// Last change of the inode.
    pub ctime: Timestamp,
    /// Creation.
    pub crtime: Timestamp,
    /// Length in bytes.
    pub size: u64,
    /// Blocks in use by both forks, their btrees included.
    pub nblocks: u64,
    /// Extent size hint in blocks.
    pub extsize: u32,
    /// Copy-on-write extent size hint in blocks.
    pub cowextsize: u32,
    /// Offset of the attribute fork from the start of the data fork, in units of 8 bytes;
    /// 0 if there is no attribute fork.
    pub forkoff: u8,
    /// Flags.
    pub flags: InodeFlags,
    /// More flags.
    pub flags2: InodeFlags2,
    /// Generation: changes whenever the inode number is used again.
    pub generation: u32,
    /// Number of changes.
    pub changecount: u64,
}

impl InodeCore {
    /// File type bits of the mode.
    pub fn file_type(&self) -> u16 {
        self.mode & S_IFMT
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type() == S_IFDIR
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        self.file_type() == S_IFREG
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.file_type() == S_IFLNK
    }

    /// Whether it is a device, pipe or socket.
    pub fn is_special(&self) -> bool {
        matches!(self.file_type(), S_IFBLK | S_IFCHR | S_IFIFO | S_IFSOCK)
    }

    /// Whether timestamps are stored as 64-bit nanoseconds.
    pub fn has_bigtime(&self) -> bool {
        self.flags2.contains(InodeFlags2::BIGTIME)
    }

    /// Whether extent counts are the large ones.
    pub fn has_large_extent_counts(&self) -> bool {
        self.flags2.contains(InodeFlags2::NREXT64)
    }
}
