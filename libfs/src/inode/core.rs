//! The fixed part of an inode, decoded: everything but its forks.
//!
//! What describes a fork (its format, its number of extents) lives with the fork, so that
//! there is one truth; [`super::Inode`] joins both when it is encoded.

use crate::format::inode::{DiFlags, DiFlags2, Dinode, Timestamp, mode};
use bitflags::bitflags;

bitflags! {
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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InodeCore {
    /// File type and permissions; 0 if the inode is free.
    pub mode: u16,
    /// Kind of metadata file, with [`DiFlags2::METADATA`].
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
    pub flags: DiFlags,
    /// More flags.
    pub flags2: DiFlags2,
    /// Generation: changes whenever the inode number is used again.
    pub generation: u32,
    /// Number of changes.
    pub changecount: u64,
}

impl InodeCore {
    /// A free inode of generation `generation`.
    pub fn free(generation: u32) -> Self {
        let never = Timestamp::default();
        InodeCore {
            mode: 0,
            metatype: 0,
            uid: 0,
            gid: 0,
            nlink: 0,
            projid: 0,
            atime: never,
            mtime: never,
            ctime: never,
            crtime: never,
            size: 0,
            nblocks: 0,
            extsize: 0,
            cowextsize: 0,
            forkoff: 0,
            flags: DiFlags::empty(),
            flags2: DiFlags2::empty(),
            generation,
            changecount: 0,
        }
    }

    /// Decodes the core of a disk inode that was verified.
    pub fn decode(disk: &Dinode) -> Self {
        let time = |bits: u64| Timestamp::decode(bits, disk.has_bigtime());
        InodeCore {
            mode: disk.mode.get(),
            metatype: disk.metatype.get(),
            uid: disk.uid.get(),
            gid: disk.gid.get(),
            nlink: disk.nlink.get(),
            projid: disk.projid(),
            atime: time(disk.atime.get()),
            mtime: time(disk.mtime.get()),
            ctime: time(disk.ctime.get()),
            crtime: time(disk.crtime.get()),
            size: disk.size.get(),
            nblocks: disk.nblocks.get(),
            extsize: disk.extsize.get(),
            cowextsize: disk.cowextsize.get(),
            forkoff: disk.forkoff,
            flags: disk.di_flags(),
            flags2: disk.di_flags2(),
            generation: disk.gen_.get(),
            changecount: disk.changecount.get(),
        }
    }

    /// Encodes the core as a disk inode; the forks' fields are for [`super::Inode`] to fill
    /// in, and the link of the unlinked list is none.
    pub(crate) fn encode(&self, ino: u64, uuid: [u8; 16], lsn: u64) -> Dinode {
        let time = |moment: Timestamp| moment.encode(self.has_bigtime()).into();
        Dinode {
            magic: crate::format::inode::MAGIC.into(),
            mode: self.mode.into(),
            version: 3,
            format: 0,
            metatype: self.metatype.into(),
            uid: self.uid.into(),
            gid: self.gid.into(),
            nlink: self.nlink.into(),
            projid_lo: (self.projid as u16).into(),
            projid_hi: ((self.projid >> 16) as u16).into(),
            big_nextents: 0.into(),
            atime: time(self.atime),
            mtime: time(self.mtime),
            ctime: time(self.ctime),
            size: self.size.into(),
            nblocks: self.nblocks.into(),
            extsize: self.extsize.into(),
            nextents: 0.into(),
            anextents: 0.into(),
            forkoff: self.forkoff,
            aformat: 0,
            dmevmask: 0.into(),
            dmstate: 0.into(),
            flags: self.flags.bits().into(),
            gen_: self.generation.into(),
            next_unlinked: crate::format::NULL_AGINO.into(),
            crc: 0.into(),
            changecount: self.changecount.into(),
            lsn: lsn.into(),
            flags2: self.flags2.bits().into(),
            cowextsize: self.cowextsize.into(),
            pad2: [0; 12],
            crtime: time(self.crtime),
            ino: ino.into(),
            uuid,
        }
    }

    /// File type bits of the mode.
    pub fn file_type(&self) -> u16 {
        self.mode & mode::TYPE
    }

    /// Whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.file_type() == mode::DIR
    }

    /// Whether it is a regular file.
    pub fn is_regular(&self) -> bool {
        self.file_type() == mode::REGULAR
    }

    /// Whether it is a symbolic link.
    pub fn is_symlink(&self) -> bool {
        self.file_type() == mode::SYMLINK
    }

    /// Whether it is a device, pipe or socket.
    pub fn is_special(&self) -> bool {
        matches!(self.file_type(), mode::BLOCK | mode::CHAR | mode::FIFO | mode::SOCKET)
    }

    /// Whether timestamps are stored as 64-bit nanoseconds.
    pub fn has_bigtime(&self) -> bool {
        self.flags2.contains(DiFlags2::BIGTIME)
    }

    /// Whether extent counts are the large ones.
    pub fn has_large_extent_counts(&self) -> bool {
        self.flags2.contains(DiFlags2::NREXT64)
    }
}
