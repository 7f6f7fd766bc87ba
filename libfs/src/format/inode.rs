//! Inodes as they lie on disk: version 3 core, flags, timestamps, and the place of the two
//! forks in the literal area behind the core.

use super::extent::DiskExtent;
use super::geometry::{Fork, Geometry, Ino};
use super::{Check, NANOS_PER_SECOND, assert_layout, overlay, overlay_mut};
use crate::{At, Result};
use bitflags::bitflags;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "IN".
pub const MAGIC: u16 = 0x494e;
/// Byte offset of the checksum.
pub const CRC_OFFSET: usize = std::mem::offset_of!(Dinode, crc);
/// Bytes of the core; the literal area with the forks follows.
pub const CORE_SIZE: usize = size_of::<Dinode>();
/// Greatest link count.
pub const MAX_LINK: u32 = (1 << 31) - 1;

const NAME: &str = "inode";

/// The inode core (`struct xfs_dinode`), field names as xfs_db prints them under `core`.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Dinode {
    /// [`MAGIC`].
    pub magic: U16,
    /// Type and permissions as in `stat`; 0 if the inode is free.
    pub mode: U16,
    /// 3.
    pub version: u8,
    /// [`ForkFormat`] of the data fork.
    pub format: u8,
    /// [`MetafileType`], with [`DiFlags2::METADATA`].
    pub metatype: U16,
    /// Owner.
    pub uid: U32,
    /// Group.
    pub gid: U32,

    /// Link count.
    pub nlink: U32,
    /// Project identifier, lower half.
    pub projid_lo: U16,
    /// Project identifier, upper half.
    pub projid_hi: U16,
    /// Extents of the data fork, with [`DiFlags2::NREXT64`]; else zero.
    pub big_nextents: U64,

    /// Time of last access; see [`Timestamp`].
    pub atime: U64,
    /// Time of last change of contents.
    pub mtime: U64,

    /// Time of last change.
    pub ctime: U64,
    /// File size in bytes.
    pub size: U64,

    /// Blocks used by both forks and their btrees.
    pub nblocks: U64,
    /// Extent size hint in blocks.
    pub extsize: U32,
    /// Extents of the data fork; of the attribute fork with [`DiFlags2::NREXT64`].
    pub nextents: U32,

    /// Extents of the attribute fork; zero with [`DiFlags2::NREXT64`].
    pub anextents: U16,
    /// Offset of the attribute fork in the literal area, in units of 8 bytes; 0 for none.
    pub forkoff: u8,
    /// [`ForkFormat`] of the attribute fork.
    pub aformat: u8,
    /// Unused.
    pub dmevmask: U32,
    /// Unused.
    pub dmstate: U16,
    /// [`DiFlags`].
    pub flags: U16,
    /// Generation, changed when the inode number is used again.
    pub gen_: U32,

    /// Next inode in an unlinked list, or all ones.
    pub next_unlinked: U32,
    /// Checksum of the whole inode.
    pub crc: LeU32,
    /// Number of changes.
    pub changecount: U64,

    /// LSN of the last write.
    pub lsn: U64,
    /// [`DiFlags2`].
    pub flags2: U64,

    /// Extent size hint for copy on write, in blocks.
    pub cowextsize: U32,
    /// Zero.
    pub pad2: [u8; 12],

    /// Time of creation.
    pub crtime: U64,
    /// This inode's number.
    pub ino: U64,

    /// Metadata UUID.
    pub uuid: [u8; 16],
}

assert_layout!(Dinode, 176, uid @ 8, nlink @ 16, big_nextents @ 24, atime @ 32, size @ 56,
    nblocks @ 64, nextents @ 76, anextents @ 80, forkoff @ 82, aformat @ 83, flags @ 90,
    gen_ @ 92, next_unlinked @ 96, crc @ 100, changecount @ 104, flags2 @ 120,
    cowextsize @ 128, crtime @ 144, ino @ 152, uuid @ 160);

/// Where a fork's contents are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ForkFormat {
    /// A device number, for device nodes, sockets and pipes.
    Dev,
    /// In the inode itself.
    Local,
    /// Listed in the inode as extents.
    Extents,
    /// In a btree of extents with the root in the inode.
    Btree,
    /// Never used.
    Uuid,
    /// In a btree of realtime metadata with the root in the inode.
    MetaBtree,
}

impl ForkFormat {
    /// The format with this number on disk.
    pub fn from_disk(number: u8) -> Option<Self> {
        Some(match number {
            0 => ForkFormat::Dev,
            1 => ForkFormat::Local,
            2 => ForkFormat::Extents,
            3 => ForkFormat::Btree,
            4 => ForkFormat::Uuid,
            5 => ForkFormat::MetaBtree,
            _ => return None,
        })
    }

    /// The number on disk.
    pub fn to_disk(self) -> u8 {
        match self {
            ForkFormat::Dev => 0,
            ForkFormat::Local => 1,
            ForkFormat::Extents => 2,
            ForkFormat::Btree => 3,
            ForkFormat::Uuid => 4,
            ForkFormat::MetaBtree => 5,
        }
    }
}

/// What an inode of the metadata directory tree is for (`enum xfs_metafile_type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MetafileType {
    /// Not told.
    Unknown,
    /// Directory.
    Directory,
    /// User quota.
    UserQuota,
    /// Group quota.
    GroupQuota,
    /// Project quota.
    ProjectQuota,
    /// Bitmap of a realtime group.
    RtBitmap,
    /// Summary of a realtime group.
    RtSummary,
    /// Reverse mapping btree of a realtime group.
    RtRmap,
    /// Reference count btree of a realtime group.
    RtRefcount,
}

impl MetafileType {
    /// All of them; each is at the place of its number.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Directory,
        Self::UserQuota,
        Self::GroupQuota,
        Self::ProjectQuota,
        Self::RtBitmap,
        Self::RtSummary,
        Self::RtRmap,
        Self::RtRefcount,
    ];

    /// The kind with this number on disk.
    pub fn from_disk(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The number on disk.
    pub fn to_disk(self) -> u16 {
        self as u16
    }

    /// The name that xfs_db prints.
    pub const fn name(self) -> &'static str {
        match self {
            MetafileType::Unknown => "unknown",
            MetafileType::Directory => "dir",
            MetafileType::UserQuota => "usrquota",
            MetafileType::GroupQuota => "grpquota",
            MetafileType::ProjectQuota => "prjquota",
            MetafileType::RtBitmap => "rtbitmap",
            MetafileType::RtSummary => "rtsummary",
            MetafileType::RtRmap => "rtrmap",
            MetafileType::RtRefcount => "rtrefcount",
        }
    }
}

bitflags! {
    /// `di_flags`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DiFlags: u16 {
        /// Data is on the realtime device.
        const REALTIME = 1 << 0;
        /// Space was preallocated.
        const PREALLOC = 1 << 1;
        /// The realtime bitmap inode is of the new kind.
        const NEWRTBM = 1 << 2;
        /// Nothing may be changed.
        const IMMUTABLE = 1 << 3;
        /// Data may only be appended.
        const APPEND = 1 << 4;
        /// Written synchronously.
        const SYNC = 1 << 5;
        /// Access time is not kept.
        const NOATIME = 1 << 6;
        /// Not dumped.
        const NODUMP = 1 << 7;
        /// New files in the directory get `REALTIME`.
        const RTINHERIT = 1 << 8;
        /// New files in the directory get its project.
        const PROJINHERIT = 1 << 9;
        /// No symlinks may be made in the directory.
        const NOSYMLINKS = 1 << 10;
        /// The extent size hint counts.
        const EXTSIZE = 1 << 11;
        /// New files in the directory get its extent size hint.
        const EXTSZINHERIT = 1 << 12;
        /// Not defragmented.
        const NODEFRAG = 1 << 13;
        /// Filestream allocator.
        const FILESTREAM = 1 << 14;
        const _ = !0;
    }

    /// `di_flags2`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct DiFlags2: u64 {
        /// Direct access.
        const DAX = 1 << 0;
        /// Blocks may be shared.
        const REFLINK = 1 << 1;
        /// The copy-on-write extent size hint counts.
        const COWEXTSIZE = 1 << 2;
        /// Timestamps are 64-bit nanoseconds.
        const BIGTIME = 1 << 3;
        /// Extent counts are the large ones.
        const NREXT64 = 1 << 4;
        /// A metadata file.
        const METADATA = 1 << 5;
        const _ = !0;
    }
}

/// A point in time, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970-01-01 00:00:00 UTC.
    pub seconds: i64,
    /// Nanoseconds, less than 10^9.
    pub nanos: u32,
}

impl Timestamp {
    /// Seconds between the start of 64-bit timestamps (1901-12-13 20:45:52 UTC, the
    /// earliest classic timestamp) and 1970.
    const EPOCH_OFFSET: i64 = 1 << 31;
    /// Last second that a 64-bit timestamp can hold.
    pub const BIGTIME_MAX: i64 = ((u64::MAX / NANOS_PER_SECOND) & !3) as i64 - Self::EPOCH_OFFSET;

    /// Decodes an on-disk timestamp: nanoseconds since 1901 if `bigtime`, else 32 bits of
    /// signed seconds since 1970 and 32 bits of nanoseconds.
    pub fn decode(disk: u64, bigtime: bool) -> Self {
        if bigtime {
            let seconds = (disk / NANOS_PER_SECOND) as i64 - Self::EPOCH_OFFSET;
            return Timestamp { seconds, nanos: (disk % NANOS_PER_SECOND) as u32 };
        }
        Timestamp { seconds: i64::from((disk >> 32) as i32), nanos: disk as u32 }
    }

    /// Encodes the timestamp, clamped to what the encoding can hold, as Linux clamps it.
    pub fn encode(self, bigtime: bool) -> u64 {
        if bigtime {
            let seconds = self.seconds.clamp(-Self::EPOCH_OFFSET, Self::BIGTIME_MAX);
            let since = (seconds + Self::EPOCH_OFFSET) as u64;
            return since * NANOS_PER_SECOND + u64::from(self.nanos);
        }
        let seconds = self.seconds.clamp(i32::MIN.into(), i32::MAX.into());
        (seconds as i32 as u32 as u64) << 32 | u64::from(self.nanos)
    }
}

/// Greatest number of extents of a fork.
pub const fn max_extents(fork: Fork, large: bool) -> u64 {
    match (fork, large) {
        (Fork::Data, true) => (1 << 48) - 1,
        (Fork::Data, false) => (1 << 31) - 1,
        (Fork::Attr, true) => (1 << 32) - 1,
        (Fork::Attr, false) => (1 << 15) - 1,
    }
}

/// Type bits of a mode.
pub mod mode {
    /// Mask of the type bits.
    pub const TYPE: u16 = 0o170000;
    /// Pipe.
    pub const FIFO: u16 = 0o010000;
    /// Character device.
    pub const CHAR: u16 = 0o020000;
    /// Directory.
    pub const DIR: u16 = 0o040000;
    /// Block device.
    pub const BLOCK: u16 = 0o060000;
    /// Regular file.
    pub const REGULAR: u16 = 0o100000;
    /// Symbolic link.
    pub const SYMLINK: u16 = 0o120000;
    /// Socket.
    pub const SOCKET: u16 = 0o140000;
}

impl Dinode {
    /// The inode core at the start of `bytes`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `bytes` is too short.
    pub fn view(bytes: &[u8], ino: Ino) -> Result<&Self> {
        overlay(bytes, NAME, At::Inode(ino.0))
    }

    /// The inode core at the start of `bytes`, to be changed in place.
    ///
    /// # Errors
    ///
    /// An error is returned if `bytes` is too short.
    pub fn view_mut(bytes: &mut [u8], ino: Ino) -> Result<&mut Self> {
        overlay_mut(bytes, NAME, At::Inode(ino.0))
    }

    /// Type bits of the mode; 0 for a free inode.
    pub fn file_type(&self) -> u16 {
        self.mode.get() & mode::TYPE
    }

    /// `di_flags` as flags.
    pub fn di_flags(&self) -> DiFlags {
        DiFlags::from_bits_retain(self.flags.get())
    }

    /// `di_flags2` as flags.
    pub fn di_flags2(&self) -> DiFlags2 {
        DiFlags2::from_bits_retain(self.flags2.get())
    }

    /// What the inode is for, if it is of the metadata directory tree and says so.
    pub fn metafile_type(&self) -> Option<MetafileType> {
        let metadata = self.di_flags2().contains(DiFlags2::METADATA);
        MetafileType::from_disk(self.metatype.get()).filter(|_| metadata)
    }

    /// Whether timestamps are 64-bit nanoseconds.
    pub fn has_bigtime(&self) -> bool {
        self.di_flags2().contains(DiFlags2::BIGTIME)
    }

    /// Whether the extent counts are the large ones.
    pub fn has_large_counts(&self) -> bool {
        self.di_flags2().contains(DiFlags2::NREXT64)
    }

    /// Number of extents of a fork.
    pub fn extent_count(&self, fork: Fork) -> u64 {
        match (fork, self.has_large_counts()) {
            (Fork::Data, true) => self.big_nextents.get(),
            (Fork::Data, false) => self.nextents.get().into(),
            (Fork::Attr, true) => self.nextents.get().into(),
            (Fork::Attr, false) => self.anextents.get().into(),
        }
    }

    /// Sets the number of extents of a fork, in the field that [`DiFlags2::NREXT64`] says.
    /// Counts beyond the field are cut off: compare with [`max_extents`] first.
    pub fn set_extent_count(&mut self, fork: Fork, count: u64) {
        match (fork, self.has_large_counts()) {
            (Fork::Data, true) => self.big_nextents.set(count),
            (Fork::Data, false) | (Fork::Attr, true) => self.nextents.set(count as u32),
            (Fork::Attr, false) => self.anextents.set(count as u16),
        }
    }

    /// The on-disk number of a fork's format.
    pub fn format_number(&self, fork: Fork) -> u8 {
        match fork {
            Fork::Data => self.format,
            Fork::Attr => self.aformat,
        }
    }

    /// A fork's format, if the number is one.
    pub fn fork_format(&self, fork: Fork) -> Option<ForkFormat> {
        ForkFormat::from_disk(self.format_number(fork))
    }

    /// Project identifier.
    pub fn projid(&self) -> u32 {
        u32::from(self.projid_hi.get()) << 16 | u32::from(self.projid_lo.get())
    }

    /// Bytes of the inode where a fork lies, for inodes of `inode_size` bytes. Without a
    /// fork offset the data fork has the whole literal area.
    pub fn fork_range(&self, fork: Fork, inode_size: usize) -> std::ops::Range<usize> {
        let end = inode_size.max(CORE_SIZE);
        let split = (CORE_SIZE + usize::from(self.forkoff) * 8).min(end);
        match (fork, self.forkoff) {
            (Fork::Data, 0) => CORE_SIZE..end,
            (Fork::Data, _) => CORE_SIZE..split,
            (Fork::Attr, 0) => end..end,
            (Fork::Attr, _) => split..end,
        }
    }

    /// The bytes of a fork in `inode`, the whole inode.
    pub fn fork<'a>(&self, fork: Fork, inode: &'a [u8]) -> &'a [u8] {
        inode.get(self.fork_range(fork, inode.len())).unwrap_or(&[])
    }

    /// The data fork's bytes in `inode`, the whole inode.
    pub fn data_fork<'a>(&self, inode: &'a [u8]) -> &'a [u8] {
        self.fork(Fork::Data, inode)
    }

    /// The attribute fork's bytes in `inode`, the whole inode; empty if there is none.
    pub fn attr_fork<'a>(&self, inode: &'a [u8]) -> &'a [u8] {
        self.fork(Fork::Attr, inode)
    }

    /// The device number of a device node, from its data fork: major number in the upper
    /// 14 bits, minor number in the lower 18.
    pub fn device_number(&self, inode: &[u8]) -> Option<(u32, u32)> {
        let raw = u32::from_be_bytes(*self.data_fork(inode).first_chunk::<4>()?);
        Some((raw >> 18, raw & 0x3ffff))
    }

    /// Checks inode `ino` as Linux does when it reads one, apart from the checksum.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, ino: Ino) -> Result<()> {
        let check = Check::new(NAME, At::Inode(ino.0));
        check.magic(self.magic.get(), MAGIC)?;
        check.equal("version", self.version, 3)?;
        check.equal("ino", self.ino.get(), ino.0)?;
        check.uuid(&self.uuid, geo)?;
        let next = self.next_unlinked.get();
        let agno = geo.ino_agno(ino);
        let listed = next == super::NULL_AGINO || geo.valid_agino(agno, next);
        check.that(listed, || format!("next_unlinked is {next}"))?;
        self.verify_type(&check)?;
        self.verify_counts(&check, geo)?;
        self.verify_forkoff(&check, geo)?;
        self.verify_forks(&check, geo)?;
        self.verify_flags(&check, geo)?;
        self.verify_hints(&check, geo)
    }

    fn verify_type(&self, check: &Check) -> Result<()> {
        let (mode, size) = (self.mode.get(), self.size.get());
        let known = [
            0,
            mode::FIFO,
            mode::CHAR,
            mode::DIR,
            mode::BLOCK,
            mode::REGULAR,
            mode::SYMLINK,
            mode::SOCKET,
        ];
        let kind = self.file_type();
        let typed = known.contains(&kind) && (kind != 0 || mode == 0);
        check.that(typed, || format!("mode is {mode:#o}"))?;
        check.that(size <= i64::MAX as u64, || format!("size is {size}"))?;
        let never_empty = matches!(self.file_type(), mode::SYMLINK | mode::DIR);
        check.that(size != 0 || !never_empty || self.nlink.get() == 0, || "size is 0".into())?;
        let metadata = self.di_flags2().contains(DiFlags2::METADATA);
        check
            .that(metadata || self.metatype.get() == 0, || format!("metatype is {}", self.metatype))
    }

    fn verify_counts(&self, check: &Check, geo: &Geometry) -> Result<()> {
        if self.has_large_counts() {
            check.that(geo.features.nrext64, || "large counts without the feature".into())?;
            check.equal("nrext64_pad", self.anextents.get(), 0)?;
        } else {
            check.equal("v3_pad", self.big_nextents.get(), 0)?;
        }
        let (data, attr) = (self.extent_count(Fork::Data), self.extent_count(Fork::Attr));
        let blocks = self.nblocks.get();
        let extents = data.saturating_add(attr);
        check.that(self.mode.get() == 0 || extents <= blocks, || {
            format!("{extents} extents in {blocks} blocks")
        })?;
        let rooted = self.format == ForkFormat::MetaBtree.to_disk();
        check.that(extents != 0 || blocks == 0 || rooted, || {
            format!("{blocks} blocks in no extents")
        })
    }

    fn verify_forkoff(&self, check: &Check, geo: &Geometry) -> Result<()> {
        let off = usize::from(self.forkoff);
        let literal = geo.inode.size as usize - CORE_SIZE;
        let fits = match (off, self.fork_format(Fork::Data)) {
            (0, _) => true,
            (1, Some(ForkFormat::Dev)) => true,
            (_, Some(ForkFormat::Dev | ForkFormat::Uuid) | None) => false,
            _ => off < literal / 8,
        };
        check.that(fits, || format!("forkoff is {off} with data format {}", self.format))
    }

    fn verify_forks(&self, check: &Check, geo: &Geometry) -> Result<()> {
        match self.file_type() {
            0 => {}
            mode::REGULAR | mode::DIR | mode::SYMLINK => self.verify_data_fork(check, geo)?,
            _ => check.equal("format", self.format, ForkFormat::Dev.to_disk())?,
        }
        if self.forkoff != 0 {
            return self.verify_fork(check, geo, Fork::Attr);
        }
        let unused = [0, ForkFormat::Extents.to_disk()].contains(&self.aformat);
        check.that(unused, || format!("aformat is {} without forkoff", self.aformat))?;
        check.equal("attribute extents", self.extent_count(Fork::Attr), 0)
    }

    fn verify_data_fork(&self, check: &Check, geo: &Geometry) -> Result<()> {
        let format = self.fork_format(Fork::Data);
        let room = self.fork_range(Fork::Data, geo.inode.size as usize).len() as u64;
        let size = self.size.get();
        let (fits, local) = (size <= room, format == Some(ForkFormat::Local));
        let kind = self.file_type();
        let right = match kind {
            mode::DIR => size == 0 || fits == local,
            mode::SYMLINK => fits || !local,
            _ => !local,
        };
        check.that(right, || format!("size {size} with data format {}", self.format))?;
        self.verify_fork(check, geo, Fork::Data)
    }

    fn verify_fork(&self, check: &Check, geo: &Geometry, fork: Fork) -> Result<()> {
        let room = self.fork_range(fork, geo.inode.size as usize).len();
        let count = self.extent_count(fork);
        let most = match self.fork_format(fork) {
            Some(ForkFormat::Local) => 0,
            Some(ForkFormat::Extents) => (room / size_of::<DiskExtent>()) as u64,
            Some(ForkFormat::Btree) => max_extents(fork, self.has_large_counts()),
            Some(ForkFormat::MetaBtree) if geo.features.metadir && fork == Fork::Data => 0,
            _ => {
                let number = self.format_number(fork);
                return Err(check.fail(format!("{fork:?} fork format is {number}")));
            }
        };
        check.that(count <= most, || {
            format!("{count} extents in the {fork:?} fork, at most {most} fit its format")
        })
    }

    fn verify_flags(&self, check: &Check, geo: &Geometry) -> Result<()> {
        let flags = self.di_flags2();
        let has = |flag| flags.contains(flag);
        let reflink = flags.intersects(DiFlags2::REFLINK | DiFlags2::COWEXTSIZE);
        check.that(geo.features.reflink || !reflink, || "reflink without the feature".into())?;
        let regular = self.file_type() == mode::REGULAR;
        check.that(regular || !has(DiFlags2::REFLINK), || "reflink, but not a file".into())?;
        check.that(geo.features.bigtime || !has(DiFlags2::BIGTIME), || {
            "bigtime without the feature".into()
        })?;
        check.that(geo.features.metadir || !has(DiFlags2::METADATA), || {
            "metadata without the feature".into()
        })?;
        let realtime = self.di_flags().contains(DiFlags::REALTIME) && self.mode.get() != 0;
        check.that(!realtime || geo.features.realtime, || "realtime without a device".into())
    }

    fn verify_hints(&self, check: &Check, geo: &Geometry) -> Result<()> {
        let flags = self.di_flags();
        let hint = flags.contains(DiFlags::EXTSIZE);
        let inherited = flags.contains(DiFlags::EXTSZINHERIT);
        let kind = self.file_type();
        let placed = (!hint || kind == mode::REGULAR) && (!inherited || kind == mode::DIR);
        check.that(placed, || "extent size hint on the wrong type of file".into())?;
        let realtime = flags.contains(DiFlags::REALTIME);
        let extsize = self.extsize.get();
        self.verify_hint(check, geo, "extsize", extsize, hint || inherited, realtime)?;
        let cow = self.di_flags2().contains(DiFlags2::COWEXTSIZE);
        check.that(!cow || matches!(kind, mode::REGULAR | mode::DIR), || {
            "copy-on-write hint on the wrong type of file".into()
        })?;
        if self.di_flags2().contains(DiFlags2::METADATA) {
            return Ok(()); // The field counts used blocks there.
        }
        self.verify_hint(check, geo, "cowextsize", self.cowextsize.get(), cow, realtime)
    }

    fn verify_hint(
        &self,
        check: &Check,
        geo: &Geometry,
        name: &str,
        blocks: u32,
        used: bool,
        realtime: bool,
    ) -> Result<()> {
        // A freed inode keeps its hint but loses its flags.
        let set = used == (blocks != 0) || (!used && self.mode.get() == 0);
        let most = if realtime { super::extent::MAX_LEN } else { geo.ag_blocks / 2 };
        let short = u64::from(blocks) <= u64::from(most.min(super::extent::MAX_LEN));
        check.that(set && short, || format!("{name} is {blocks}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As GNU date prints the ends of the two ranges (see the comments in xfs_format.h).
    #[test]
    fn timestamps_at_the_ends() {
        let start = Timestamp { seconds: i32::MIN.into(), nanos: 0 };
        assert_eq!(Timestamp::decode(0, true), start);
        assert_eq!(Timestamp::decode(0x8000_0000_0000_0000, false), start);
        // Jul  2 20:20:24 UTC 2486
        assert_eq!(Timestamp::BIGTIME_MAX, 16_299_260_424);
        let late = Timestamp { seconds: i64::MAX, nanos: 5 };
        assert_eq!(Timestamp::decode(late.encode(true), true).seconds, 16_299_260_424);
        assert_eq!(Timestamp::decode(late.encode(false), false).seconds, i32::MAX.into());
    }

    proptest! {
        #[test]
        fn timestamps_survive(seconds in i32::MIN..=i32::MAX, nanos in 0u32..1_000_000_000) {
            let time = Timestamp { seconds: seconds.into(), nanos };
            prop_assert_eq!(Timestamp::decode(time.encode(true), true), time);
            prop_assert_eq!(Timestamp::decode(time.encode(false), false), time);
        }
    }
}
