//! Log items that carry disk contents: buffers, inodes, dquots, inode creation.
//!
//! An item is a list of regions. The first starts with the item's type and its number
//! of regions, in the byte order of the logging machine.

use super::intent::{DoneItem, IntentItem};
use super::wire::{Be32, LogEndian, Reader, Wire, wire_struct};
use crate::error::{At, Error, Result};

macro_rules! item_types {
    ($($(#[$meta:meta])* $name:ident = $value:literal, $text:literal;)*) => {
        /// Type of a log item (`XFS_LI_*`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum LogItemType {
            $($(#[$meta])* $name = $value,)*
        }

        impl LogItemType {
            /// Every type, in the order of their numbers.
            pub const ALL: &[LogItemType] = &[$(LogItemType::$name,)*];

            /// The type with number `value`; `None` if Linux would refuse it.
            pub fn from_number(value: u16) -> Option<Self> {
                match value {
                    $($value => Some(LogItemType::$name),)*
                    _ => None,
                }
            }

            /// XFS's short name.
            pub fn name(self) -> &'static str {
                match self {
                    $(LogItemType::$name => $text,)*
                }
            }
        }
    };
}

item_types! {
    /// Extents to free.
    Efi = 0x1236, "EFI";
    /// Extents freed.
    Efd = 0x1237, "EFD";
    /// Inode core and forks.
    Inode = 0x123b, "inode";
    /// Changed parts of a metadata block.
    Buffer = 0x123c, "buffer";
    /// Quota record.
    Dquot = 0x123d, "dquot";
    /// Quota being turned off.
    QuotaOff = 0x123e, "quotaoff";
    /// Inode chunk to initialise.
    InodeCreate = 0x123f, "icreate";
    /// Reverse mappings to update.
    Rui = 0x1240, "RUI";
    /// Reverse mappings updated.
    Rud = 0x1241, "RUD";
    /// Reference counts to update.
    Cui = 0x1242, "CUI";
    /// Reference counts updated.
    Cud = 0x1243, "CUD";
    /// File mappings to update.
    Bui = 0x1244, "BUI";
    /// File mappings updated.
    Bud = 0x1245, "BUD";
    /// Extended attribute to change.
    Attri = 0x1246, "ATTRI";
    /// Extended attribute changed.
    Attrd = 0x1247, "ATTRD";
    /// File mappings to exchange.
    Xmi = 0x1248, "XMI";
    /// File mappings exchanged.
    Xmd = 0x1249, "XMD";
    /// Realtime extents to free.
    EfiRt = 0x124a, "EFI_RT";
    /// Realtime extents freed.
    EfdRt = 0x124b, "EFD_RT";
    /// Realtime reverse mappings to update.
    RuiRt = 0x124c, "RUI_RT";
    /// Realtime reverse mappings updated.
    RudRt = 0x124d, "RUD_RT";
    /// Realtime reference counts to update.
    CuiRt = 0x124e, "CUI_RT";
    /// Realtime reference counts updated.
    CudRt = 0x124f, "CUD_RT";
}

/// Bits of [`BufferFormat::flags`] below the buffer type (`XFS_BLF_*`).
pub mod blf {
    /// The buffer holds inodes; only their unlinked-list pointers are logged in it.
    pub const INODE_BUF: u16 = 1 << 0;
    /// The blocks were freed: earlier images of the buffer must not be replayed.
    pub const CANCEL: u16 = 1 << 1;
    /// The buffer holds user dquots.
    pub const UDQUOT_BUF: u16 = 1 << 2;
    /// The buffer holds project dquots.
    pub const PDQUOT_BUF: u16 = 1 << 3;
    /// The buffer holds group dquots.
    pub const GDQUOT_BUF: u16 = 1 << 4;
    /// Bytes that one bit of the dirty map stands for.
    pub const CHUNK: usize = 128;
}

/// What a logged buffer holds (`XFS_BLFT_*`), in the top five bits of its flags.
pub mod blft {
    /// Not told.
    pub const UNKNOWN: u8 = 0;
    /// User dquots.
    pub const UDQUOT: u8 = 1;
    /// Project dquots.
    pub const PDQUOT: u8 = 2;
    /// Group dquots.
    pub const GDQUOT: u8 = 3;
    /// Any btree block of short or long pointers.
    pub const BTREE: u8 = 4;
    /// Free space header of an allocation group.
    pub const AGF: u8 = 5;
    /// Free list of an allocation group.
    pub const AGFL: u8 = 6;
    /// Inode header of an allocation group.
    pub const AGI: u8 = 7;
    /// Inode cluster.
    pub const DINO: u8 = 8;
    /// Remote symbolic link target.
    pub const SYMLINK: u8 = 9;
    /// Single-block directory.
    pub const DIR_BLOCK: u8 = 10;
    /// Directory data block.
    pub const DIR_DATA: u8 = 11;
    /// Directory free space block.
    pub const DIR_FREE: u8 = 12;
    /// The only leaf block of a directory.
    pub const DIR_LEAF1: u8 = 13;
    /// Leaf block of a node-form directory.
    pub const DIR_LEAFN: u8 = 14;
    /// Interior node of a directory or attribute tree.
    pub const DA_NODE: u8 = 15;
    /// Attribute leaf.
    pub const ATTR_LEAF: u8 = 16;
    /// Remote attribute value.
    pub const ATTR_REMOTE: u8 = 17;
    /// Superblock.
    pub const SUPERBLOCK: u8 = 18;
    /// Realtime bitmap.
    pub const RTBITMAP: u8 = 19;
    /// Realtime summary.
    pub const RTSUMMARY: u8 = 20;

    /// Name of a buffer type, as used in messages.
    pub fn name(kind: u8) -> &'static str {
        const NAMES: [&str; 21] = [
            "unknown",
            "udquot",
            "pdquot",
            "gdquot",
            "btree",
            "AGF",
            "AGFL",
            "AGI",
            "inode",
            "symlink",
            "dir block",
            "dir data",
            "dir free",
            "dir leaf1",
            "dir leafn",
            "da node",
            "attr leaf",
            "attr remote",
            "superblock",
            "rtbitmap",
            "rtsummary",
        ];
        NAMES.get(usize::from(kind)).copied().unwrap_or("unknown")
    }
}

/// Format region of a logged buffer (`xfs_buf_log_format`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferFormat {
    /// Regions of the item, this one included.
    pub size: u16,
    /// [`blf`] bits, and the buffer type in the top five bits.
    pub flags: u16,
    /// Length of the buffer in 512-byte blocks.
    pub len: u16,
    /// Address of the buffer in 512-byte blocks.
    pub blkno: i64,
    /// One bit for each 128 bytes of the buffer, lowest bit first: logged or not.
    pub map: Vec<u32>,
}

impl BufferFormat {
    /// Words a map may have on disk: 64 KiB of buffer, and one more that is padding.
    pub const MAX_MAP_WORDS: usize = 64 * 1024 / blf::CHUNK / 32 + 1;
    const BUFFER_TYPE_SHIFT: u16 = 11;

    /// The format of a buffer of `len` 512-byte blocks at `blkno` that holds `kind`
    /// ([`blft`]), with nothing marked dirty.
    pub fn new(blkno: i64, len: u16, kind: u8, flags: u16) -> Self {
        let words = (usize::from(len) * super::BASIC_BLOCK).div_ceil(blf::CHUNK * 32);
        BufferFormat {
            size: 1,
            flags: flags | u16::from(kind) << Self::BUFFER_TYPE_SHIFT,
            len,
            blkno,
            map: vec![0; words],
        }
    }

    /// What the buffer holds: see [`blft`].
    pub fn kind(&self) -> u8 {
        (self.flags >> Self::BUFFER_TYPE_SHIFT) as u8
    }

    /// Whether the item forbids replaying earlier images of the buffer.
    pub fn is_cancel(&self) -> bool {
        self.flags & blf::CANCEL != 0
    }

    /// Bytes of the buffer.
    pub fn bytes(&self) -> usize {
        usize::from(self.len) * super::BASIC_BLOCK
    }

    /// Marks 128-byte chunk `chunk` as logged; false if it is beyond the map.
    pub fn mark(&mut self, chunk: usize) -> bool {
        let word = self.map.get_mut(chunk / 32);
        word.map(|word| *word |= 1 << (chunk % 32)).is_some()
    }

    /// Whether 128-byte chunk `chunk` is logged.
    pub fn is_marked(&self, chunk: usize) -> bool {
        self.map.get(chunk / 32).is_some_and(|word| word >> (chunk % 32) & 1 != 0)
    }

    /// First marked run at or after `chunk`: its first chunk and how many chunks it has.
    pub fn next_run(&self, chunk: usize) -> Option<(usize, usize)> {
        let end = self.map.len() * 32;
        let first = (chunk..end).find(|&c| self.is_marked(c))?;
        let after = (first..end).find(|&c| !self.is_marked(c)).unwrap_or(end);
        Some((first, after - first))
    }

    fn decode(endian: LogEndian, region: &[u8]) -> Result<Self> {
        let mut reader = Reader::new(region, endian);
        let _type: u16 = reader.field()?;
        let (size, flags, len, blkno) =
            (reader.field()?, reader.field()?, reader.field()?, reader.field()?);
        let words: u32 = reader.field()?;
        if words as usize > Self::MAX_MAP_WORDS {
            let why = format!("a buffer's dirty map has {words} words");
            return Err(Error::corrupt("log item", At::Byte(0), why));
        }
        let map = (0..words).map(|_| reader.field()).collect::<Result<_>>()?;
        Ok(BufferFormat { size, flags, len, blkno, map })
    }

    fn encode(&self, endian: LogEndian) -> Vec<u8> {
        let mut out = Vec::with_capacity(24 + 4 * self.map.len());
        (LogItemType::Buffer as u16).put(endian, &mut out);
        self.size.put(endian, &mut out);
        self.flags.put(endian, &mut out);
        self.len.put(endian, &mut out);
        self.blkno.put(endian, &mut out);
        (self.map.len() as u32).put(endian, &mut out);
        self.map.iter().for_each(|word| word.put(endian, &mut out));
        out
    }
}

/// Changed parts of a metadata block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BufferItem {
    /// Which block, and which parts of it.
    pub format: BufferFormat,
    /// The parts' new contents, in disk order. Parts that touch may be one region or
    /// several.
    pub regions: Vec<Vec<u8>>,
}

impl BufferItem {
    /// Logs the chunks of `buffer` that `format` marks, one region for each run.
    pub fn from_marked(mut format: BufferFormat, buffer: &[u8]) -> Self {
        let mut regions = Vec::new();
        let mut at = 0;
        while let Some((first, count)) = format.next_run(at) {
            let from = (first * blf::CHUNK).min(buffer.len());
            let to = ((first + count) * blf::CHUNK).min(buffer.len());
            regions.push(buffer[from..to].to_vec());
            at = first + count;
        }
        format.size = 1 + regions.len() as u16;
        BufferItem { format, regions }
    }

    /// Where each region goes: byte offset in the buffer, and the bytes.
    ///
    /// An error is returned if the regions do not fit the dirty map or the buffer.
    pub fn pieces(&self) -> Result<Vec<(usize, &[u8])>> {
        let bad =
            |why: String| Error::corrupt("logged buffer", At::Daddr(self.format.blkno as u64), why);
        let mut pieces = Vec::with_capacity(self.regions.len());
        let mut at = 0;
        for region in &self.regions {
            let Some((first, count)) = self.format.next_run(at) else {
                return Err(bad(format!("region {} has no place in the dirty map", pieces.len())));
            };
            let chunks = count.min(region.len() / blf::CHUNK);
            if chunks == 0 {
                return Err(bad(format!("a region of {} bytes", region.len())));
            }
            let (offset, len) = (first * blf::CHUNK, chunks * blf::CHUNK);
            if offset + len > self.format.bytes() {
                return Err(bad(format!("chunk {first} is beyond its end")));
            }
            pieces.push((offset, &region[..len]));
            at = first + chunks;
        }
        match self.format.next_run(at) {
            Some((chunk, _)) => Err(bad(format!("chunk {chunk} is marked but not logged"))),
            None => Ok(pieces),
        }
    }
}

/// Bits of [`InodeLogFormat::fields`] (`XFS_ILOG_*`).
pub mod ilog {
    /// The core is logged (it always is; the bit says it is meant).
    pub const CORE: u32 = 0x001;
    /// Data fork in the inode: contents.
    pub const DDATA: u32 = 0x002;
    /// Data fork in the inode: extent records.
    pub const DEXT: u32 = 0x004;
    /// Data fork in the inode: root of the extent btree.
    pub const DBROOT: u32 = 0x008;
    /// Device number.
    pub const DEV: u32 = 0x010;
    /// Attribute fork in the inode: contents.
    pub const ADATA: u32 = 0x040;
    /// Attribute fork in the inode: extent records.
    pub const AEXT: u32 = 0x080;
    /// Attribute fork in the inode: root of the extent btree.
    pub const ABROOT: u32 = 0x100;
    /// The owner in the data fork's btree blocks has to be changed to this inode.
    pub const DOWNER: u32 = 0x200;
    /// The owner in the attribute fork's btree blocks has to be changed to this inode.
    pub const AOWNER: u32 = 0x400;
    /// Any form of data fork.
    pub const DFORK: u32 = DDATA | DEXT | DBROOT;
    /// Any form of attribute fork.
    pub const AFORK: u32 = ADATA | AEXT | ABROOT;
}

wire_struct! {
    /// Format region of a logged inode (`xfs_inode_log_format`).
    pub struct InodeLogFormat [56] {
        /// [`LogItemType::Inode`].
        pub ilf_type: u16,
        /// Regions of the item.
        pub ilf_size: u16,
        /// What is logged: see [`ilog`].
        pub ilf_fields: u32,
        /// Bytes of the attribute fork's region, before padding to four.
        pub ilf_asize: u16,
        /// Bytes of the data fork's region, before padding to four.
        pub ilf_dsize: u16,
        /// Padding; left out by 32-bit machines of old.
        pub ilf_pad: u32,
        /// Inode number.
        pub ilf_ino: u64,
        /// Device number, for the [`ilog::DEV`] bit, in the first four bytes.
        pub ilf_rdev: u32,
        /// Rest of what was once a union.
        pub ilf_rdev_pad: [u8; 12],
        /// Address of the inode cluster in 512-byte blocks.
        pub ilf_blkno: i64,
        /// Length of the inode cluster in 512-byte blocks.
        pub ilf_len: i32,
        /// Byte offset of the inode in its cluster.
        pub ilf_boffset: i32,
    }
}

impl InodeLogFormat {
    /// Size of the form without `ilf_pad`.
    const SIZE_32: usize = Self::SIZE - 4;

    fn decode_any(endian: LogEndian, region: &[u8]) -> Result<Self> {
        if region.len() != Self::SIZE_32 {
            return Self::decode(endian, region);
        }
        let mut padded = region.to_vec();
        padded.splice(12..12, [0; 4]);
        Self::decode(endian, &padded)
    }
}

wire_struct! {
    /// The inode core as logged (`xfs_log_dinode`): the disk inode's first 176 bytes in
    /// the logging machine's order.
    ///
    /// Encoded with [`LogEndian::Big`] it is a disk inode, but for the checksum and LSN,
    /// which are not what the disk inode should hold. The timestamps are always as the
    /// disk has them: nanoseconds with the bigtime flag, else seconds in the upper half
    /// and nanoseconds in the lower.
    pub struct LogDinode [176] {
        /// "IN".
        pub di_magic: u16,
        /// Type and permissions.
        pub di_mode: u16,
        /// 3.
        pub di_version: u8,
        /// Form of the data fork.
        pub di_format: u8,
        /// Kind of metadata file, when it is one.
        pub di_metatype: u16,
        /// Owner.
        pub di_uid: u32,
        /// Group.
        pub di_gid: u32,
        /// Number of links.
        pub di_nlink: u32,
        /// Project, lower half.
        pub di_projid_lo: u16,
        /// Project, upper half.
        pub di_projid_hi: u16,
        /// Data fork extents, with large extent counts; otherwise zero.
        pub di_big_nextents: u64,
        /// Last access.
        pub di_atime: u64,
        /// Last change of the contents.
        pub di_mtime: u64,
        /// Last change of the inode.
        pub di_ctime: u64,
        /// Bytes.
        pub di_size: u64,
        /// Filesystem blocks in use.
        pub di_nblocks: u64,
        /// Extent size hint in filesystem blocks.
        pub di_extsize: u32,
        /// Data fork extents; attribute fork extents with large extent counts.
        pub di_nextents: u32,
        /// Attribute fork extents; zero with large extent counts.
        pub di_anextents: u16,
        /// Attribute fork offset in 8-byte units.
        pub di_forkoff: u8,
        /// Form of the attribute fork.
        pub di_aformat: u8,
        /// Unused.
        pub di_dmevmask: u32,
        /// Unused.
        pub di_dmstate: u16,
        /// Flags.
        pub di_flags: u16,
        /// Generation.
        pub di_gen: u32,
        /// Next inode on the unlinked list; not recovered from here.
        pub di_next_unlinked: u32,
        /// Not recovered.
        pub di_crc: u32,
        /// Number of changes.
        pub di_changecount: u64,
        /// Not recovered.
        pub di_lsn: u64,
        /// More flags.
        pub di_flags2: u64,
        /// Copy-on-write extent size hint in filesystem blocks.
        pub di_cowextsize: u32,
        /// Zeroes.
        pub di_pad2: [u8; 12],
        /// Creation.
        pub di_crtime: u64,
        /// Inode number.
        pub di_ino: u64,
        /// Filesystem.
        pub di_uuid: [u8; 16],
    }
}

impl LogDinode {
    /// Bit of `di_flags2`: timestamps are nanoseconds.
    pub const FLAG2_BIGTIME: u64 = 1 << 3;
    /// Bit of `di_flags2`: large extent counts.
    pub const FLAG2_NREXT64: u64 = 1 << 4;

    /// Decodes a logged core. The region must have at least 176 bytes.
    pub fn from_region(endian: LogEndian, region: &[u8]) -> Result<Self> {
        let mut core = Self::decode(endian, region)?;
        core.swap_timestamp_halves(endian);
        Ok(core)
    }

    /// The region to log for this core.
    pub fn to_region(&self, endian: LogEndian) -> Vec<u8> {
        let mut core = *self;
        core.swap_timestamp_halves(endian);
        core.encode(endian)
    }

    /// Decodes the core of a disk inode (always big-endian).
    pub fn from_disk(inode: &[u8]) -> Result<Self> {
        Self::decode(LogEndian::Big, inode)
    }

    /// The core as the disk has it.
    pub fn to_disk(&self) -> Vec<u8> {
        self.encode(LogEndian::Big)
    }

    /// A timestamp that is not "big" is a pair of 32-bit numbers, so a little-endian
    /// machine logs its seconds, the first of the pair, where a 64-bit number has its
    /// lower half.
    fn swap_timestamp_halves(&mut self, endian: LogEndian) {
        if endian == LogEndian::Big || self.di_flags2 & Self::FLAG2_BIGTIME != 0 {
            return;
        }
        for time in
            [&mut self.di_atime, &mut self.di_mtime, &mut self.di_ctime, &mut self.di_crtime]
        {
            *time = time.rotate_left(32);
        }
    }
}

/// A logged inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InodeItem {
    /// Which inode, and what of it.
    pub format: InodeLogFormat,
    /// Its core.
    pub core: LogDinode,
    /// Its data fork in disk order, padded to four bytes; empty when not logged.
    pub data_fork: Vec<u8>,
    /// Its attribute fork in disk order, padded to four bytes; empty when not logged.
    pub attr_fork: Vec<u8>,
}

impl InodeItem {
    fn decode(endian: LogEndian, regions: &[Vec<u8>]) -> Result<Self> {
        let format = InodeLogFormat::decode_any(endian, region(regions, 0)?)?;
        let core = LogDinode::from_region(endian, region(regions, 1)?)?;
        let mut forks = regions.get(2..).unwrap_or_default().iter().cloned();
        let mut fork = |bits: u32| match format.ilf_fields & bits {
            0 => Vec::new(),
            _ => forks.next().unwrap_or_default(),
        };
        Ok(InodeItem { format, core, data_fork: fork(ilog::DFORK), attr_fork: fork(ilog::AFORK) })
    }

    fn encode(&self, endian: LogEndian) -> Vec<Vec<u8>> {
        let mut regions = vec![Vec::new(), self.core.to_region(endian)];
        let logged = |fork: u32| self.format.ilf_fields & fork != 0;
        if logged(ilog::DFORK) {
            regions.push(pad_to_four(self.data_fork.clone()));
        }
        if logged(ilog::AFORK) {
            regions.push(pad_to_four(self.attr_fork.clone()));
        }
        let mut format = self.format;
        format.ilf_type = LogItemType::Inode as u16;
        format.ilf_size = regions.len() as u16;
        regions[0] = format.encode(endian);
        regions
    }
}

wire_struct! {
    /// Format region of a logged dquot (`xfs_dq_logformat`).
    pub struct DquotLogFormat [24] {
        /// [`LogItemType::Dquot`].
        pub qlf_type: u16,
        /// Regions of the item: 2.
        pub qlf_size: u16,
        /// User, group or project.
        pub qlf_id: u32,
        /// Address of the dquot buffer in 512-byte blocks.
        pub qlf_blkno: i64,
        /// Length of the dquot buffer; 512-byte blocks.
        pub qlf_len: i32,
        /// Byte offset of the dquot in its buffer.
        pub qlf_boffset: u32,
    }
}

/// A logged dquot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DquotItem {
    /// Which dquot.
    pub format: DquotLogFormat,
    /// The `xfs_disk_dquot`, 104 bytes in disk order.
    pub dquot: Vec<u8>,
}

wire_struct! {
    /// Quota accounting being turned off (`xfs_qoff_logformat`); written by old Linux.
    pub struct QuotaOffLog [20] {
        /// [`LogItemType::QuotaOff`].
        pub qf_type: u16,
        /// Regions of the item: 1.
        pub qf_size: u16,
        /// Which quotas.
        pub qf_flags: u32,
        /// Nothing.
        pub qf_pad: [u8; 12],
    }
}

wire_struct! {
    /// Inode chunk to initialise (`xfs_icreate_log`).
    pub struct InodeCreateLog [28] {
        /// [`LogItemType::InodeCreate`].
        pub icl_type: u16,
        /// Regions of the item: 1.
        pub icl_size: u16,
        /// Allocation group.
        pub icl_ag: Be32,
        /// First block within it.
        pub icl_agbno: Be32,
        /// Number of inodes.
        pub icl_count: Be32,
        /// Bytes of an inode.
        pub icl_isize: Be32,
        /// Length in filesystem blocks.
        pub icl_length: Be32,
        /// Generation to give them.
        pub icl_gen: Be32,
    }
}

/// Any log item, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// Changed parts of a metadata block.
    Buffer(BufferItem),
    /// Inode core and forks.
    Inode(Box<InodeItem>),
    /// Quota record.
    Dquot(DquotItem),
    /// Inode chunk to initialise.
    InodeCreate(InodeCreateLog),
    /// Quota turned off.
    QuotaOff(QuotaOffLog),
    /// A promise to finish something.
    Intent(IntentItem),
    /// The promise kept.
    Done(DoneItem),
}

impl LogItem {
    /// Decodes an item from its regions, logged in order `endian`.
    ///
    /// An error is returned if the type is one Linux does not know, or a region is not
    /// of the size its item needs.
    pub fn decode(endian: LogEndian, regions: &[Vec<u8>]) -> Result<Self> {
        let number = u16::decode(endian, region(regions, 0)?)?;
        let Some(kind) = LogItemType::from_number(number) else {
            let why = format!("unknown item type {number:#x}");
            return Err(Error::corrupt("log item", At::Byte(0), why));
        };
        use LogItemType as T;
        Ok(match kind {
            T::Buffer => LogItem::Buffer(BufferItem {
                format: BufferFormat::decode(endian, &regions[0])?,
                regions: regions[1..].to_vec(),
            }),
            T::Inode => LogItem::Inode(Box::new(InodeItem::decode(endian, regions)?)),
            T::Dquot => LogItem::Dquot(DquotItem {
                format: DquotLogFormat::decode(endian, &regions[0])?,
                dquot: region(regions, 1)?.to_vec(),
            }),
            T::QuotaOff => LogItem::QuotaOff(QuotaOffLog::decode(endian, &regions[0])?),
            T::InodeCreate => LogItem::InodeCreate(InodeCreateLog::decode(endian, &regions[0])?),
            T::Efi
            | T::EfiRt
            | T::Rui
            | T::RuiRt
            | T::Cui
            | T::CuiRt
            | T::Bui
            | T::Attri
            | T::Xmi => LogItem::Intent(IntentItem::decode(endian, regions)?),
            T::Efd
            | T::EfdRt
            | T::Rud
            | T::RudRt
            | T::Cud
            | T::CudRt
            | T::Bud
            | T::Attrd
            | T::Xmd => LogItem::Done(DoneItem::decode(endian, regions)?),
        })
    }

    /// The item's regions, in order `endian`.
    pub fn encode(&self, endian: LogEndian) -> Vec<Vec<u8>> {
        match self {
            LogItem::Buffer(item) => {
                let format = item.format.encode(endian);
                std::iter::once(format).chain(item.regions.iter().cloned()).collect()
            }
            LogItem::Inode(item) => item.encode(endian),
            LogItem::Dquot(item) => vec![item.format.encode(endian), item.dquot.clone()],
            LogItem::InodeCreate(item) => vec![item.encode(endian)],
            LogItem::QuotaOff(item) => vec![item.encode(endian)],
            LogItem::Intent(item) => item.encode_as(endian),
            LogItem::Done(item) => item.encode_as(endian),
        }
    }

    /// The item's type.
    pub fn kind(&self) -> LogItemType {
        match self {
            LogItem::Buffer(_) => LogItemType::Buffer,
            LogItem::Inode(_) => LogItemType::Inode,
            LogItem::Dquot(_) => LogItemType::Dquot,
            LogItem::InodeCreate(_) => LogItemType::InodeCreate,
            LogItem::QuotaOff(_) => LogItemType::QuotaOff,
            LogItem::Intent(item) => item.kind().intent_type(),
            LogItem::Done(item) => item.kind.done_type(),
        }
    }
}

/// Region `index` of an item.
pub(super) fn region(regions: &[Vec<u8>], index: usize) -> Result<&[u8]> {
    regions.get(index).map(Vec::as_slice).ok_or_else(|| {
        let why = format!("an item has {} regions, not {}", regions.len(), index + 1);
        Error::corrupt("log item", At::Byte(0), why)
    })
}

/// Regions are whole 32-bit words.
pub(super) fn pad_to_four(mut region: Vec<u8>) -> Vec<u8> {
    region.resize(region.len().next_multiple_of(4), 0);
    region
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_dirty_map_become_regions_and_back() {
        let mut format = BufferFormat::new(64, 8, blft::BTREE, 0);
        for chunk in [0, 1, 2, 31] {
            assert!(format.mark(chunk));
        }
        assert!(!format.mark(32));
        let buffer: Vec<u8> = (0..4096u32).map(|i| (i / 128) as u8).collect();
        let item = BufferItem::from_marked(format, &buffer);
        assert_eq!(item.format.size, 3);
        assert_eq!(item.format.kind(), blft::BTREE);
        let pieces = item.pieces().unwrap();
        assert_eq!(
            pieces.iter().map(|p| (p.0, p.1.len())).collect::<Vec<_>>(),
            [(0, 384), (31 * 128, 128)]
        );
        for endian in [LogEndian::Little, LogEndian::Big] {
            let whole = LogItem::Buffer(item.clone());
            assert_eq!(LogItem::decode(endian, &whole.encode(endian)).unwrap(), whole);
        }
    }

    #[test]
    fn a_run_may_be_split_over_regions() {
        let mut format = BufferFormat::new(64, 8, blft::BTREE, 0);
        (0..8).for_each(|chunk| assert!(format.mark(chunk)));
        let item = BufferItem { format, regions: vec![vec![1; 512], vec![2; 512]] };
        let pieces = item.pieces().unwrap();
        assert_eq!((pieces[1].0, pieces[1].1.len()), (512, 512));
    }

    #[test]
    fn regions_that_do_not_fit_the_map_are_refused() {
        let mut format = BufferFormat::new(64, 8, blft::BTREE, 0);
        format.mark(3);
        let item = |regions| BufferItem { format: format.clone(), regions };
        assert!(item(vec![]).pieces().is_err());
        assert!(item(vec![vec![0; 100]]).pieces().is_err());
        assert!(item(vec![vec![0; 128], vec![0; 128]]).pieces().is_err());
        assert!(item(vec![vec![0; 128]]).pieces().is_ok());
    }

    #[test]
    fn old_timestamps_are_pairs_of_words_in_the_machine_order() {
        let core = LogDinode { di_atime: 0x1111_1111_2222_2222, ..LogDinode::default() };
        let region = core.to_region(LogEndian::Little);
        assert_eq!(&region[32..40], &[0x11, 0x11, 0x11, 0x11, 0x22, 0x22, 0x22, 0x22]);
        assert_eq!(LogDinode::from_region(LogEndian::Little, &region).unwrap(), core);
        let big = LogDinode { di_flags2: LogDinode::FLAG2_BIGTIME, ..core };
        let region = big.to_region(LogEndian::Little);
        assert_eq!(&region[32..40], &[0x22, 0x22, 0x22, 0x22, 0x11, 0x11, 0x11, 0x11]);
    }

    #[test]
    fn the_inode_format_of_old_32_bit_machines_is_read() {
        let format = InodeLogFormat { ilf_ino: 131, ilf_boffset: 512, ..Default::default() };
        let mut bytes = format.encode(LogEndian::Little);
        bytes.drain(12..16);
        assert_eq!(InodeLogFormat::decode_any(LogEndian::Little, &bytes).unwrap(), format);
    }
}
