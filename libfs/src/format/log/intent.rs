//! Intent items, which promise to finish a change that takes several transactions, and
//! the done items that say it was finished.

use super::item::{LogItemType, pad_to_four, region};
use super::wire::{LogEndian, Reader, Wire, wire_struct};
use crate::error::{At, Error, Result};

/// Kinds of intent; each has an intent item and a done item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntentKind {
    /// Free extents.
    ExtentFree,
    /// Free extents of the realtime device.
    ExtentFreeRt,
    /// Update reverse mappings.
    Rmap,
    /// Update reverse mappings of the realtime device.
    RmapRt,
    /// Update reference counts.
    Refcount,
    /// Update reference counts of the realtime device.
    RefcountRt,
    /// Map or unmap an extent of a file.
    Bmap,
    /// Set or remove an extended attribute.
    Attr,
    /// Exchange mappings of two files.
    Exchange,
}

impl IntentKind {
    const TYPES: [(IntentKind, LogItemType, LogItemType); 9] = [
        (IntentKind::ExtentFree, LogItemType::Efi, LogItemType::Efd),
        (IntentKind::ExtentFreeRt, LogItemType::EfiRt, LogItemType::EfdRt),
        (IntentKind::Rmap, LogItemType::Rui, LogItemType::Rud),
        (IntentKind::RmapRt, LogItemType::RuiRt, LogItemType::RudRt),
        (IntentKind::Refcount, LogItemType::Cui, LogItemType::Cud),
        (IntentKind::RefcountRt, LogItemType::CuiRt, LogItemType::CudRt),
        (IntentKind::Bmap, LogItemType::Bui, LogItemType::Bud),
        (IntentKind::Attr, LogItemType::Attri, LogItemType::Attrd),
        (IntentKind::Exchange, LogItemType::Xmi, LogItemType::Xmd),
    ];

    /// Type of the intent item.
    pub fn intent_type(self) -> LogItemType {
        Self::TYPES[self as usize].1
    }

    /// Type of the done item.
    pub fn done_type(self) -> LogItemType {
        Self::TYPES[self as usize].2
    }

    /// What finishing it does, in a few words.
    pub fn description(self) -> &'static str {
        match self {
            IntentKind::ExtentFree => "free extents",
            IntentKind::ExtentFreeRt => "free realtime extents",
            IntentKind::Rmap => "update reverse mappings",
            IntentKind::RmapRt => "update realtime reverse mappings",
            IntentKind::Refcount => "update reference counts",
            IntentKind::RefcountRt => "update realtime reference counts",
            IntentKind::Bmap => "map file extents",
            IntentKind::Attr => "change an extended attribute",
            IntentKind::Exchange => "exchange file mappings",
        }
    }
}

/// An extent to free (`xfs_extent`). The log has it padded to 16 bytes, or to 12 if a
/// 32-bit machine wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FreeExtent {
    /// First filesystem block (for realtime: block of the realtime device).
    pub start: u64,
    /// Length in blocks.
    pub len: u32,
}

wire_struct! {
    /// A mapping to change (`xfs_map_extent`), in RUI and BUI items.
    pub struct MapExtent [32] {
        /// Owner: an inode, or one of the special owners.
        pub me_owner: u64,
        /// First filesystem block.
        pub me_startblock: u64,
        /// File offset in blocks.
        pub me_startoff: u64,
        /// Length in blocks.
        pub me_len: u32,
        /// Operation in the low byte, flags above: see [`rmap_flags`] and [`bmap_flags`].
        pub me_flags: u32,
    }
}

wire_struct! {
    /// An extent whose reference counts change (`xfs_phys_extent`).
    pub struct PhysicalExtent [16] {
        /// First filesystem block.
        pub pe_startblock: u64,
        /// Length in blocks.
        pub pe_len: u32,
        /// Operation: see [`refcount_flags`].
        pub pe_flags: u32,
    }
}

/// Operations and flags of [`MapExtent::me_flags`] in reverse-mapping intents.
pub mod rmap_flags {
    /// The low byte is the operation.
    pub const TYPE_MASK: u32 = 0xff;
    /// Add a mapping.
    pub const MAP: u32 = 1;
    /// Add a mapping that may overlap others.
    pub const MAP_SHARED: u32 = 2;
    /// Remove a mapping.
    pub const UNMAP: u32 = 3;
    /// Remove a mapping that may overlap others.
    pub const UNMAP_SHARED: u32 = 4;
    /// Change between written and unwritten.
    pub const CONVERT: u32 = 5;
    /// Change between written and unwritten where others overlap.
    pub const CONVERT_SHARED: u32 = 6;
    /// Add an owner that is not an inode.
    pub const ALLOC: u32 = 7;
    /// Remove an owner that is not an inode.
    pub const FREE: u32 = 8;
    /// In the attribute fork.
    pub const ATTR_FORK: u32 = 1 << 31;
    /// A block of the extent btree.
    pub const BMBT_BLOCK: u32 = 1 << 30;
    /// Unwritten.
    pub const UNWRITTEN: u32 = 1 << 29;
    /// Everything that may be set.
    pub const ALL: u32 = TYPE_MASK | ATTR_FORK | BMBT_BLOCK | UNWRITTEN;
}

/// Operations of [`PhysicalExtent::pe_flags`].
pub mod refcount_flags {
    /// The low byte is the operation; nothing else may be set.
    pub const TYPE_MASK: u32 = 0xff;
    /// One more reference.
    pub const INCREASE: u32 = 1;
    /// One reference less.
    pub const DECREASE: u32 = 2;
    /// Record a copy-on-write staging extent.
    pub const ALLOC_COW: u32 = 3;
    /// Forget a copy-on-write staging extent.
    pub const FREE_COW: u32 = 4;
}

/// Operations and flags of [`MapExtent::me_flags`] in file-mapping intents.
pub mod bmap_flags {
    /// The low byte is the operation.
    pub const TYPE_MASK: u32 = 0xff;
    /// Map.
    pub const MAP: u32 = 1;
    /// Unmap.
    pub const UNMAP: u32 = 2;
    /// In the attribute fork.
    pub const ATTR_FORK: u32 = 1 << 31;
    /// Unwritten.
    pub const UNWRITTEN: u32 = 1 << 30;
    /// The file's data is on the realtime device.
    pub const REALTIME: u32 = 1 << 29;
    /// Everything that may be set.
    pub const ALL: u32 = TYPE_MASK | ATTR_FORK | UNWRITTEN | REALTIME;
}

/// Flags of [`ExchangeIntent::flags`] (`XFS_EXCHMAPS_*`).
pub mod exchange_flags {
    /// Exchange attribute forks, not data forks.
    pub const ATTR_FORK: u64 = 1 << 0;
    /// Set both file sizes when finished.
    pub const SET_SIZES: u64 = 1 << 1;
    /// Leave out what is not written in file 1.
    pub const INO1_WRITTEN: u64 = 1 << 2;
    /// Take the reflink flag off file 1 when finished.
    pub const CLEAR_INO1_REFLINK: u64 = 1 << 3;
    /// Take the reflink flag off file 2 when finished.
    pub const CLEAR_INO2_REFLINK: u64 = 1 << 4;
    /// Everything that may be set.
    pub const ALL: u64 =
        ATTR_FORK | SET_SIZES | INO1_WRITTEN | CLEAR_INO1_REFLINK | CLEAR_INO2_REFLINK;
}

/// What an attribute intent does (`XFS_ATTRI_OP_FLAGS_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum AttrOperation {
    /// Set an attribute that does not exist.
    Set = 1,
    /// Remove an attribute.
    Remove = 2,
    /// Set an attribute that exists.
    Replace = 3,
    /// Add a parent pointer.
    ParentSet = 4,
    /// Remove a parent pointer.
    ParentRemove = 5,
    /// Turn one parent pointer into another.
    ParentReplace = 6,
}

impl AttrOperation {
    /// The operation with this number.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => AttrOperation::Set,
            2 => AttrOperation::Remove,
            3 => AttrOperation::Replace,
            4 => AttrOperation::ParentSet,
            5 => AttrOperation::ParentRemove,
            6 => AttrOperation::ParentReplace,
            _ => return None,
        })
    }
}

/// Extended attribute to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttrIntent {
    /// Identifier that the done item repeats.
    pub id: u64,
    /// What to do.
    pub operation: AttrOperation,
    /// Inode to do it to.
    pub inode: u64,
    /// Its generation, for parent pointers; else zero.
    pub generation: u32,
    /// Namespace bits (`XFS_ATTR_ROOT` and so on).
    pub filter: u32,
    /// Name; the old one for [`AttrOperation::ParentReplace`].
    pub name: Vec<u8>,
    /// Value; empty for removals of ordinary attributes.
    pub value: Vec<u8>,
    /// New name, only for [`AttrOperation::ParentReplace`].
    pub new_name: Vec<u8>,
    /// New value, only for [`AttrOperation::ParentReplace`]; as long as `value`.
    pub new_value: Vec<u8>,
}

/// File mappings to exchange.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExchangeIntent {
    /// Identifier that the done item repeats.
    pub id: u64,
    /// First file.
    pub inode1: u64,
    /// Second file.
    pub inode2: u64,
    /// Generation of the first file.
    pub generation1: u32,
    /// Generation of the second file.
    pub generation2: u32,
    /// Offset in the first file, in blocks.
    pub start1: u64,
    /// Offset in the second file, in blocks.
    pub start2: u64,
    /// Blocks to exchange.
    pub blocks: u64,
    /// See [`exchange_flags`].
    pub flags: u64,
    /// Size to give the first file, with [`exchange_flags::SET_SIZES`].
    pub size1: u64,
    /// Size to give the second file, with [`exchange_flags::SET_SIZES`].
    pub size2: u64,
}

/// A promise to finish something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentItem {
    /// Free extents (EFI).
    ExtentFree {
        /// Of the realtime device.
        realtime: bool,
        /// Identifier that the done item repeats.
        id: u64,
        /// What to free.
        extents: Vec<FreeExtent>,
    },
    /// Update reverse mappings (RUI).
    Rmap {
        /// Of the realtime device.
        realtime: bool,
        /// Identifier that the done item repeats.
        id: u64,
        /// What to update.
        extents: Vec<MapExtent>,
    },
    /// Update reference counts (CUI).
    Refcount {
        /// Of the realtime device.
        realtime: bool,
        /// Identifier that the done item repeats.
        id: u64,
        /// What to update.
        extents: Vec<PhysicalExtent>,
    },
    /// Map or unmap file extents (BUI).
    Bmap {
        /// Identifier that the done item repeats.
        id: u64,
        /// What to map; Linux only ever logs one.
        extents: Vec<MapExtent>,
    },
    /// Change an extended attribute (ATTRI).
    Attr(AttrIntent),
    /// Exchange file mappings (XMI).
    Exchange(ExchangeIntent),
}

/// A promise kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneItem {
    /// What kind of intent it answers.
    pub kind: IntentKind,
    /// Identifier of the intent.
    pub id: u64,
    /// What was freed, for the two kinds of extent freeing; recovery does not look at it.
    pub extents: Vec<FreeExtent>,
}

wire_struct! {
    /// What EFI, EFD, RUI, CUI and BUI items begin with.
    struct ListFormat [16] {
        item_type: u16,
        size: u16,
        count: u32,
        id: u64,
    }
}

wire_struct! {
    /// Every done item but those of extent freeing.
    struct DoneFormat [16] {
        item_type: u16,
        size: u16,
        pad: u32,
        id: u64,
    }
}

wire_struct! {
    /// `xfs_attri_log_format`. The two name lengths are the halves of what is one
    /// 32-bit length for all operations but the replacing of parent pointers.
    struct AttriFormat [40] {
        alfi_type: u16,
        alfi_size: u16,
        alfi_igen: u32,
        alfi_id: u64,
        alfi_ino: u64,
        alfi_op_flags: u32,
        name_lens: [u8; 4],
        alfi_value_len: u32,
        alfi_attr_filter: u32,
    }
}

wire_struct! {
    /// `xfs_xmi_log_format`.
    struct XmiFormat [88] {
        xmi_type: u16,
        xmi_size: u16,
        pad: u32,
        xmi_id: u64,
        xmi_inode1: u64,
        xmi_inode2: u64,
        xmi_igen1: u32,
        xmi_igen2: u32,
        xmi_startoff1: u64,
        xmi_startoff2: u64,
        xmi_blockcount: u64,
        xmi_flags: u64,
        xmi_isize1: u64,
        xmi_isize2: u64,
    }
}

/// Longest name of an extended attribute.
const NAME_MAX: usize = 255;
/// Longest value of an extended attribute.
const VALUE_MAX: usize = 64 * 1024;

fn bad(why: impl Into<String>) -> Error {
    Error::corrupt("log intent item", At::Byte(0), why)
}

/// Decodes a format region with a counted list behind its header.
fn decode_list<T: Wire>(endian: LogEndian, bytes: &[u8]) -> Result<(ListFormat, Vec<T>)> {
    let mut reader = Reader::new(bytes, endian);
    let header: ListFormat = reader.field()?;
    if (header.count as usize).checked_mul(T::SIZE) != Some(reader.remaining()) {
        let why = format!("{} entries in a region of {} bytes", header.count, bytes.len());
        return Err(bad(why));
    }
    let list = (0..header.count).map(|_| reader.field()).collect::<Result<_>>()?;
    Ok((header, list))
}

/// Encodes a format region with a counted list behind its header.
fn encode_list<T: Wire>(
    endian: LogEndian,
    item_type: LogItemType,
    id: u64,
    list: &[T],
) -> Vec<Vec<u8>> {
    let header = ListFormat { item_type: item_type as u16, size: 1, count: list.len() as u32, id };
    let mut out = header.encode(endian);
    list.iter().for_each(|entry| entry.put(endian, &mut out));
    vec![out]
}

/// An extent as 64-bit and big-endian machines pad it.
struct PaddedExtent(FreeExtent);

impl Wire for PaddedExtent {
    const SIZE: usize = 16;

    fn get(reader: &mut Reader<'_>) -> Result<Self> {
        let extent = FreeExtent { start: reader.field()?, len: reader.field()? };
        reader.field::<u32>()?;
        Ok(PaddedExtent(extent))
    }

    fn put(&self, endian: LogEndian, out: &mut Vec<u8>) {
        self.0.start.put(endian, out);
        self.0.len.put(endian, out);
        0u32.put(endian, out);
    }
}

fn decode_extents(endian: LogEndian, bytes: &[u8]) -> Result<(ListFormat, Vec<FreeExtent>)> {
    let header = ListFormat::decode(endian, bytes)?;
    let list = bytes.len() - ListFormat::SIZE;
    if (header.count as usize).checked_mul(12) != Some(list) {
        let (header, extents) = decode_list::<PaddedExtent>(endian, bytes)?;
        return Ok((header, extents.into_iter().map(|padded| padded.0).collect()));
    }
    let mut reader = Reader::new(&bytes[ListFormat::SIZE..], endian);
    let extents = (0..header.count)
        .map(|_| Ok(FreeExtent { start: reader.field()?, len: reader.field()? }))
        .collect::<Result<_>>()?;
    Ok((header, extents))
}

fn encode_extents(
    endian: LogEndian,
    item_type: LogItemType,
    id: u64,
    extents: &[FreeExtent],
) -> Vec<Vec<u8>> {
    let padded: Vec<_> = extents.iter().map(|&extent| PaddedExtent(extent)).collect();
    encode_list(endian, item_type, id, &padded)
}

impl IntentItem {
    /// Which kind of intent it is.
    pub fn kind(&self) -> IntentKind {
        match self {
            IntentItem::ExtentFree { realtime: false, .. } => IntentKind::ExtentFree,
            IntentItem::ExtentFree { realtime: true, .. } => IntentKind::ExtentFreeRt,
            IntentItem::Rmap { realtime: false, .. } => IntentKind::Rmap,
            IntentItem::Rmap { realtime: true, .. } => IntentKind::RmapRt,
            IntentItem::Refcount { realtime: false, .. } => IntentKind::Refcount,
            IntentItem::Refcount { realtime: true, .. } => IntentKind::RefcountRt,
            IntentItem::Bmap { .. } => IntentKind::Bmap,
            IntentItem::Attr(_) => IntentKind::Attr,
            IntentItem::Exchange(_) => IntentKind::Exchange,
        }
    }

    /// The identifier that its done item repeats.
    pub fn id(&self) -> u64 {
        match self {
            IntentItem::ExtentFree { id, .. }
            | IntentItem::Rmap { id, .. }
            | IntentItem::Refcount { id, .. }
            | IntentItem::Bmap { id, .. } => *id,
            IntentItem::Attr(attr) => attr.id,
            IntentItem::Exchange(exchange) => exchange.id,
        }
    }

    /// The done item that answers it. `extents` of extent freeing are repeated in it.
    pub fn done(&self) -> DoneItem {
        let extents = match self {
            IntentItem::ExtentFree { extents, .. } => extents.clone(),
            _ => Vec::new(),
        };
        DoneItem { kind: self.kind(), id: self.id(), extents }
    }

    /// Decodes an intent from its regions, logged in order `endian`.
    ///
    /// An error is returned if it is not an intent, or a region has not the size that
    /// the counts and lengths in it ask for.
    pub fn decode(endian: LogEndian, regions: &[Vec<u8>]) -> Result<Self> {
        let format = region(regions, 0)?;
        let number = u16::decode(endian, format)?;
        use LogItemType as T;
        Ok(match LogItemType::from_number(number) {
            Some(kind @ (T::Efi | T::EfiRt)) => {
                let (header, extents) = decode_extents(endian, format)?;
                IntentItem::ExtentFree { realtime: kind == T::EfiRt, id: header.id, extents }
            }
            Some(kind @ (T::Rui | T::RuiRt)) => {
                let (header, extents) = decode_list(endian, format)?;
                IntentItem::Rmap { realtime: kind == T::RuiRt, id: header.id, extents }
            }
            Some(kind @ (T::Cui | T::CuiRt)) => {
                let (header, extents) = decode_list(endian, format)?;
                IntentItem::Refcount { realtime: kind == T::CuiRt, id: header.id, extents }
            }
            Some(T::Bui) => {
                let (header, extents) = decode_list(endian, format)?;
                IntentItem::Bmap { id: header.id, extents }
            }
            Some(T::Attri) => IntentItem::Attr(AttrIntent::decode(endian, regions)?),
            Some(T::Xmi) => IntentItem::Exchange(ExchangeIntent::decode(endian, format)?),
            _ => return Err(bad(format!("item type {number:#x} is not an intent"))),
        })
    }

    /// The regions to log, in this machine's order.
    pub fn encode(&self) -> Vec<Vec<u8>> {
        self.encode_as(LogEndian::NATIVE)
    }

    /// The regions to log, in order `endian`.
    pub fn encode_as(&self, endian: LogEndian) -> Vec<Vec<u8>> {
        let item_type = self.kind().intent_type();
        match self {
            IntentItem::ExtentFree { id, extents, .. } => {
                encode_extents(endian, item_type, *id, extents)
            }
            IntentItem::Rmap { id, extents, .. } | IntentItem::Bmap { id, extents } => {
                encode_list(endian, item_type, *id, extents)
            }
            IntentItem::Refcount { id, extents, .. } => {
                encode_list(endian, item_type, *id, extents)
            }
            IntentItem::Attr(attr) => attr.encode(endian),
            IntentItem::Exchange(exchange) => vec![exchange.encode(endian)],
        }
    }
}

impl DoneItem {
    /// Decodes a done item from its regions, logged in order `endian`.
    ///
    /// An error is returned if it is not a done item, or a region has the wrong size.
    pub fn decode(endian: LogEndian, regions: &[Vec<u8>]) -> Result<Self> {
        let format = region(regions, 0)?;
        let number = u16::decode(endian, format)?;
        let known = IntentKind::TYPES.iter().find(|(_, _, done)| *done as u16 == number);
        let Some(&(kind, ..)) = known else {
            return Err(bad(format!("item type {number:#x} is not a done item")));
        };
        if matches!(kind, IntentKind::ExtentFree | IntentKind::ExtentFreeRt) {
            let (header, extents) = decode_extents(endian, format)?;
            return Ok(DoneItem { kind, id: header.id, extents });
        }
        Ok(DoneItem { kind, id: DoneFormat::decode(endian, format)?.id, extents: Vec::new() })
    }

    /// The regions to log, in this machine's order.
    pub fn encode(&self) -> Vec<Vec<u8>> {
        self.encode_as(LogEndian::NATIVE)
    }

    /// The regions to log, in order `endian`.
    pub fn encode_as(&self, endian: LogEndian) -> Vec<Vec<u8>> {
        let item_type = self.kind.done_type();
        if matches!(self.kind, IntentKind::ExtentFree | IntentKind::ExtentFreeRt) {
            return encode_extents(endian, item_type, self.id, &self.extents);
        }
        let format = DoneFormat { item_type: item_type as u16, size: 1, pad: 0, id: self.id };
        vec![format.encode(endian)]
    }
}

impl AttriFormat {
    /// Lengths of the name and, when there are two, of the new name.
    fn name_lengths(&self, operation: AttrOperation, endian: LogEndian) -> Result<(usize, usize)> {
        let mut reader = Reader::new(&self.name_lens, endian);
        let lengths = if operation == AttrOperation::ParentReplace {
            (usize::from(reader.field::<u16>()?), usize::from(reader.field::<u16>()?))
        } else {
            (reader.field::<u32>()? as usize, 0)
        };
        let allowed = 1..=NAME_MAX;
        let new_is_wrong =
            operation == AttrOperation::ParentReplace && !allowed.contains(&lengths.1);
        if !allowed.contains(&lengths.0) || new_is_wrong {
            return Err(bad(format!("attribute name lengths {lengths:?}")));
        }
        Ok(lengths)
    }
}

impl AttrIntent {
    /// Whether the old and the new pointer are both logged.
    fn has_two_names(&self) -> bool {
        self.operation == AttrOperation::ParentReplace
    }

    fn decode(endian: LogEndian, regions: &[Vec<u8>]) -> Result<Self> {
        let format = AttriFormat::decode(endian, region(regions, 0)?)?;
        let Some(operation) = AttrOperation::from_number(format.alfi_op_flags) else {
            return Err(bad(format!("attribute operation {:#x}", format.alfi_op_flags)));
        };
        let (name_len, new_name_len) = format.name_lengths(operation, endian)?;
        let value_len = format.alfi_value_len as usize;
        if value_len > VALUE_MAX {
            return Err(bad(format!("attribute value of {value_len} bytes")));
        }
        let mut rest = regions[1..].iter();
        let mut bytes = |len: usize| match (len, operation) {
            (0, _) => Ok(Vec::new()),
            _ => match rest.next() {
                Some(logged) if logged.len() == len.next_multiple_of(4) => {
                    Ok(logged[..len].to_vec())
                }
                Some(logged) => Err(bad(format!(
                    "attribute name or value of {len} bytes in a region of {}",
                    logged.len()
                ))),
                None => Err(bad("attribute name or value is not logged")),
            },
        };
        let name = bytes(name_len)?;
        let new_name = bytes(new_name_len)?;
        let value_is_logged = operation != AttrOperation::Remove;
        let value = bytes(if value_is_logged { value_len } else { 0 })?;
        let two_values = operation == AttrOperation::ParentReplace;
        let new_value = bytes(if two_values { value_len } else { 0 })?;
        Ok(AttrIntent {
            id: format.alfi_id,
            operation,
            inode: format.alfi_ino,
            generation: format.alfi_igen,
            filter: format.alfi_attr_filter,
            name,
            value,
            new_name,
            new_value,
        })
    }

    fn encode(&self, endian: LogEndian) -> Vec<Vec<u8>> {
        let mut name_lens = Vec::with_capacity(4);
        if self.has_two_names() {
            (self.name.len() as u16).put(endian, &mut name_lens);
            (self.new_name.len() as u16).put(endian, &mut name_lens);
        } else {
            (self.name.len() as u32).put(endian, &mut name_lens);
        }
        let parts = [&self.name, &self.new_name, &self.value, &self.new_value];
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|part| !part.is_empty())
            .map(|part| pad_to_four(part.clone()))
            .collect();
        let format = AttriFormat {
            alfi_type: LogItemType::Attri as u16,
            alfi_size: 1 + parts.len() as u16,
            alfi_igen: self.generation,
            alfi_id: self.id,
            alfi_ino: self.inode,
            alfi_op_flags: self.operation as u32,
            name_lens: *name_lens.first_chunk().unwrap_or(&[0; 4]),
            alfi_value_len: self.value.len() as u32,
            alfi_attr_filter: self.filter,
        };
        std::iter::once(format.encode(endian)).chain(parts).collect()
    }
}

impl ExchangeIntent {
    fn decode(endian: LogEndian, bytes: &[u8]) -> Result<Self> {
        let xmi = XmiFormat::decode(endian, bytes)?;
        Ok(ExchangeIntent {
            id: xmi.xmi_id,
            inode1: xmi.xmi_inode1,
            inode2: xmi.xmi_inode2,
            generation1: xmi.xmi_igen1,
            generation2: xmi.xmi_igen2,
            start1: xmi.xmi_startoff1,
            start2: xmi.xmi_startoff2,
            blocks: xmi.xmi_blockcount,
            flags: xmi.xmi_flags,
            size1: xmi.xmi_isize1,
            size2: xmi.xmi_isize2,
        })
    }

    fn encode(&self, endian: LogEndian) -> Vec<u8> {
        XmiFormat {
            xmi_type: LogItemType::Xmi as u16,
            xmi_size: 1,
            pad: 0,
            xmi_id: self.id,
            xmi_inode1: self.inode1,
            xmi_inode2: self.inode2,
            xmi_igen1: self.generation1,
            xmi_igen2: self.generation2,
            xmi_startoff1: self.start1,
            xmi_startoff2: self.start2,
            xmi_blockcount: self.blocks,
            xmi_flags: self.flags,
            xmi_isize1: self.size1,
            xmi_isize2: self.size2,
        }
        .encode(endian)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::log::item::LogItem;

    fn samples() -> Vec<IntentItem> {
        let map = MapExtent {
            me_owner: 133,
            me_startblock: 4096,
            me_startoff: 7,
            me_len: 3,
            me_flags: rmap_flags::MAP | rmap_flags::ATTR_FORK,
        };
        let free = FreeExtent { start: 99, len: 4 };
        let physical = PhysicalExtent { pe_startblock: 7, pe_len: 8, pe_flags: 1 };
        let attr = AttrIntent {
            id: 5,
            operation: AttrOperation::Set,
            inode: 131,
            generation: 0,
            filter: 2,
            name: b"abcde".to_vec(),
            value: b"123".to_vec(),
            new_name: Vec::new(),
            new_value: Vec::new(),
        };
        let pointer = AttrIntent {
            operation: AttrOperation::ParentReplace,
            generation: 77,
            value: vec![1; 12],
            new_name: b"xyz".to_vec(),
            new_value: vec![2; 12],
            ..attr.clone()
        };
        let exchange = ExchangeIntent { id: 6, inode1: 131, inode2: 132, ..Default::default() };
        vec![
            IntentItem::ExtentFree { realtime: false, id: 1, extents: vec![free; 3] },
            IntentItem::ExtentFree { realtime: true, id: 1, extents: vec![free] },
            IntentItem::Rmap { realtime: false, id: 2, extents: vec![map; 2] },
            IntentItem::Refcount { realtime: true, id: 3, extents: vec![physical; 2] },
            IntentItem::Bmap { id: 4, extents: vec![map] },
            IntentItem::Attr(attr),
            IntentItem::Attr(pointer),
            IntentItem::Exchange(exchange),
        ]
    }

    #[test]
    fn intents_and_done_items_survive_both_byte_orders() {
        for item in samples() {
            for endian in [LogEndian::Little, LogEndian::Big] {
                let regions = item.encode_as(endian);
                assert!(regions.iter().all(|r| r.len() % 4 == 0));
                assert_eq!(u16::decode(endian, &regions[0][2..]).unwrap() as usize, regions.len());
                assert_eq!(IntentItem::decode(endian, &regions).unwrap(), item);
                let done = LogItem::Done(item.done());
                assert_eq!(LogItem::decode(endian, &done.encode(endian)).unwrap(), done);
            }
        }
    }

    #[test]
    fn every_truncation_is_an_error_and_none_panics() {
        for item in samples() {
            let whole = item.encode();
            for region in 0..whole.len() {
                for len in 0..whole[region].len() {
                    let mut cut = whole.clone();
                    cut[region].truncate(len);
                    if matches!(&item, IntentItem::ExtentFree { extents, .. }
                        if len == ListFormat::SIZE + 12 * extents.len())
                    {
                        continue; // the size of the form without padding
                    }
                    assert!(IntentItem::decode(LogEndian::NATIVE, &cut).is_err());
                }
                assert!(IntentItem::decode(LogEndian::NATIVE, &whole[..region]).is_err());
            }
        }
    }

    #[test]
    fn unpadded_extents_of_32_bit_machines_are_read() {
        let extents = vec![FreeExtent { start: 99, len: 4 }, FreeExtent { start: 5, len: 1 }];
        let item = IntentItem::ExtentFree { realtime: false, id: 1, extents };
        let mut bytes = item.encode().remove(0);
        bytes.drain(44..48);
        bytes.drain(28..32);
        assert_eq!(IntentItem::decode(LogEndian::NATIVE, &[bytes]).unwrap(), item);
    }

    #[test]
    fn kinds_stand_at_their_place_in_the_table() {
        for (i, (kind, ..)) in IntentKind::TYPES.iter().enumerate() {
            assert_eq!(*kind as usize, i);
        }
    }
}
