//! The two file formats of metadata dumps, as xfsprogs writes them: facts observed in dumps
//! of xfsprogs 7.2 and described in its `xfs_metadump.h`. All numbers are big-endian.
//!
//! Version 1 is a sequence of groups: an index block of 512 bytes (header and disk addresses)
//! and then the sectors of 512 bytes that it lists. A group that is not full is the last.
//! Version 2 is a header and then extents to the end of the file: address, length in
//! sectors, bytes.

use crate::format::assert_layout;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XFSM": start of every index block of version 1.
pub const MAGIC_V1: u32 = 0x5846_534d;
/// "XMD2": start of a dump of version 2.
pub const MAGIC_V2: u32 = 0x584d_4432;
/// log2 of the bytes of a sector in a dump.
pub const SECTOR_LOG: u8 = 9;
/// Bytes of a sector in a dump.
pub const SECTOR: usize = 1 << SECTOR_LOG;

/// A flag of an index block's `info`: the others mean something.
pub const V1_HAS_FLAGS: u8 = 1 << 0;
/// Flag of version 1: names and values are obfuscated.
pub const V1_OBFUSCATED: u8 = 1 << 1;
/// Flag of version 1: bytes that are not in use were copied too.
pub const V1_FULL_BLOCKS: u8 = 1 << 2;
/// Flag of version 1: the log held changes.
pub const V1_DIRTY_LOG: u8 = 1 << 3;

/// Compatible flag of version 2: names and values are obfuscated.
pub const V2_OBFUSCATED: u32 = 1 << 0;
/// Compatible flag of version 2: bytes that are not in use were copied too.
pub const V2_FULL_BLOCKS: u32 = 1 << 1;
/// Compatible flag of version 2: the log held changes.
pub const V2_DIRTY_LOG: u32 = 1 << 2;
/// Compatible flag of version 2: extents of an external log are there.
pub const V2_EXTERNAL_LOG: u32 = 1 << 3;
/// Incompatible flag of version 2: extents of the realtime device are there.
pub const V2_REALTIME: u32 = 1 << 0;

/// Bits of an extent's address that are a disk address; those above number the device.
pub const V2_DADDR_BITS: u32 = 54;

/// Start of an index block of version 1 (`struct xfs_metablock`); the disk addresses follow.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct IndexHeader {
    /// [`MAGIC_V1`].
    pub magic: U32,
    /// Sectors in this group.
    pub count: U16,
    /// log2 of the bytes of a sector and of the index block: [`SECTOR_LOG`].
    pub blocklog: u8,
    /// Flags of version 1.
    pub info: u8,
}

assert_layout!(IndexHeader, 8, count @ 4, blocklog @ 6, info @ 7);

/// Start of a dump of version 2 (`struct xfs_metadump_header`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct HeaderV2 {
    /// [`MAGIC_V2`].
    pub magic: U32,
    /// 2.
    pub version: U32,
    /// Flags that need not be understood.
    pub compat: U32,
    /// Flags that must be understood.
    pub incompat: U32,
    /// Zero.
    pub reserved: U64,
}

assert_layout!(HeaderV2, 24, compat @ 8, incompat @ 12, reserved @ 16);

/// Before the bytes of an extent of version 2 (`struct xfs_meta_extent`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExtentHeader {
    /// Device and disk address.
    pub address: U64,
    /// Sectors.
    pub len: U32,
}

assert_layout!(ExtentHeader, 12, len @ 8);

/// Sectors that an index block of `bytes` bytes can list.
pub const fn index_capacity(bytes: usize) -> usize {
    bytes.saturating_sub(size_of::<IndexHeader>()) / size_of::<U64>()
}

/// Which device a piece of a dump is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Section {
    /// The data device.
    Data,
    /// An external log.
    Log,
    /// The realtime device.
    Realtime,
}

impl Section {
    /// Its number in version 2.
    pub const fn to_disk(self) -> u64 {
        match self {
            Section::Data => 0,
            Section::Log => 1,
            Section::Realtime => 2,
        }
    }

    /// The section with this number.
    pub const fn from_disk(number: u64) -> Option<Self> {
        match number {
            0 => Some(Section::Data),
            1 => Some(Section::Log),
            2 => Some(Section::Realtime),
            _ => None,
        }
    }
}

/// The format of a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// Sectors of the data device, in groups.
    V1,
    /// Extents of all devices.
    V2,
}

/// What a dump says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Info {
    /// Its format.
    pub version: Version,
    /// Whether the flags below are known: old dumps have none.
    pub has_flags: bool,
    /// Names and values are obfuscated.
    pub obfuscated: bool,
    /// Bytes that are not in use were copied too.
    pub full_blocks: bool,
    /// The log held changes.
    pub dirty_log: bool,
    /// An external log is in the dump.
    pub external_log: bool,
    /// The realtime device's metadata is in the dump.
    pub realtime: bool,
}

impl Info {
    /// What the flags in an index block of version 1 say.
    pub fn from_v1(info: u8) -> Self {
        let has = |flag| info & flag != 0;
        Info {
            version: Version::V1,
            has_flags: has(V1_HAS_FLAGS),
            obfuscated: has(V1_OBFUSCATED),
            full_blocks: has(V1_FULL_BLOCKS),
            dirty_log: has(V1_DIRTY_LOG),
            external_log: false,
            realtime: false,
        }
    }

    /// What the header of version 2 says.
    pub fn from_v2(header: &HeaderV2) -> Self {
        let has = |flag| header.compat.get() & flag != 0;
        Info {
            version: Version::V2,
            has_flags: true,
            obfuscated: has(V2_OBFUSCATED),
            full_blocks: has(V2_FULL_BLOCKS),
            dirty_log: has(V2_DIRTY_LOG),
            external_log: has(V2_EXTERNAL_LOG),
            realtime: header.incompat.get() & V2_REALTIME != 0,
        }
    }

    /// The flags of an index block of version 1.
    pub fn to_v1(self) -> u8 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        flag(self.has_flags, V1_HAS_FLAGS)
            | flag(self.obfuscated, V1_OBFUSCATED)
            | flag(self.full_blocks, V1_FULL_BLOCKS)
            | flag(self.dirty_log, V1_DIRTY_LOG)
    }

    /// The header of version 2.
    pub fn to_v2(self) -> HeaderV2 {
        let flag = |set: bool, flag| if set { flag } else { 0 };
        let compat = flag(self.obfuscated, V2_OBFUSCATED)
            | flag(self.full_blocks, V2_FULL_BLOCKS)
            | flag(self.dirty_log, V2_DIRTY_LOG)
            | flag(self.external_log, V2_EXTERNAL_LOG);
        HeaderV2 {
            magic: MAGIC_V2.into(),
            version: 2.into(),
            compat: compat.into(),
            incompat: flag(self.realtime, V2_REALTIME).into(),
            reserved: 0.into(),
        }
    }
}
