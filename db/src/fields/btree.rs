//! Fields of btree blocks. Records and keys are rows; pointers follow the room for keys.

use super::{Base, Field, Kind, Link, Null, Place, crc, dec, hex, nul, uuid};
use crate::types::Type;
use libfs::format::btree_block::BtreeKind;

/// Records of a leaf, or pairs of an inner block, as many as can be there.
fn entries(place: &Place, kind: BtreeKind, leaf: bool) -> usize {
    let level = place.root_number::<2>(4);
    if (level == 0) != leaf {
        return 0;
    }
    let most = place.geo.max_records(kind, leaf) as usize;
    (place.root_number::<2>(6) as usize).min(most)
}

fn pointer(place: &Place, kind: BtreeKind, index: usize) -> usize {
    kind.ptr_offset(index, place.geo.max_records(kind, false) as usize) * 8
}

/// The fields of one kind of block with 32-bit pointers.
macro_rules! short_form {
    ($name:ident, $kind:expr, $type:expr, $record:expr, $key:expr) => {
        short_form!($name, $kind, $type, $record, $key, $type);
    };
    ($name:ident, $kind:expr, $type:expr, $record:expr, $key:expr, $sibling:expr) => {
        /// Fields of a block of this tree.
        pub static $name: &[Field] = &[
            hex("magic", 32, 0),
            dec("level", 16, 4),
            dec("numrecs", 16, 6),
            nul("leftsib", 32, 8).link(Link::AgBlock($sibling)),
            nul("rightsib", 32, 12).link(Link::AgBlock($sibling)),
            nul("bno", 64, 16).link(Link::FsBlock($sibling)),
            hex("lsn", 64, 24),
            uuid("uuid", 32),
            nul("owner", 32, 48),
            crc("crc", 52),
            Field::new("recs", Kind::Row($record, $kind.record_len()), $kind.header_len())
                .many(|place| entries(place, $kind, true))
                .counted_from_one(),
            Field::new("keys", Kind::Row($key, $kind.key_len()), $kind.header_len())
                .many(|place| entries(place, $kind, false))
                .counted_from_one(),
            dec("ptrs", 32, 0)
                .at_func(|place, index| pointer(place, $kind, index))
                .many(|place| entries(place, $kind, false))
                .counted_from_one()
                .link(Link::AgBlock($type)),
        ];
    };
}

short_form!(BNOBT, BtreeKind::Bno, Type::Bnobt, FREE_EXTENT, FREE_EXTENT);
short_form!(CNTBT, BtreeKind::Cnt, Type::Cntbt, FREE_EXTENT, FREE_BY_SIZE);
short_form!(INOBT, BtreeKind::Ino, Type::Inobt, INODES, INODES_KEY);
// xfs_db takes the siblings of a block of the free inode tree for blocks of the other one.
short_form!(FINOBT, BtreeKind::Fino, Type::Finobt, INODES, INODES_KEY, Type::Inobt);
short_form!(INOBT_FULL, BtreeKind::Ino, Type::Inobt, FULL_INODES, INODES_KEY);
short_form!(FINOBT_FULL, BtreeKind::Fino, Type::Finobt, FULL_INODES, INODES_KEY, Type::Inobt);
short_form!(RMAPBT, BtreeKind::Rmap, Type::Rmapbt, RMAP, RMAP_KEY);
short_form!(REFCNTBT, BtreeKind::Refcount, Type::Refcntbt, REFCOUNT, REFCOUNT_KEY);

const fn ag_block(name: &'static str, at: usize) -> Field {
    nul(name, 32, at).link(Link::AgBlock(Type::Data))
}

static FREE_EXTENT: &[Field] = &[ag_block("startblock", 0), dec("blockcount", 32, 4)];

/// The key that sorts by size, length first as it compares, not as it lies.
static FREE_BY_SIZE: &[Field] = &[dec("blockcount", 32, 4), ag_block("startblock", 0)];

static INODES: &[Field] = &[
    nul("startino", 32, 0).link(Link::AgInode),
    hex("holemask", 16, 4),
    dec("count", 8, 6),
    dec("freecount", 8, 7),
    hex("free", 64, 8),
];

static FULL_INODES: &[Field] = &[
    nul("startino", 32, 0).link(Link::AgInode),
    Field::new("freecount", Kind::Number(32, Base::Signed, Null::Plain), 4),
    hex("free", 64, 8),
];

static INODES_KEY: &[Field] = &[nul("startino", 32, 0).link(Link::AgInode)];

/// Offset and flags of a reverse mapping, in the 64 bits at byte `$at`.
macro_rules! rmap_offset {
    ($offset:literal, $unwritten:literal, $attr:literal, $btree:literal, $at:expr) => {
        [
            dec($offset, 54, 0).at_bit($at * 8 + 10),
            dec($unwritten, 1, 0).at_bit($at * 8 + 2),
            dec($attr, 1, 0).at_bit($at * 8),
            dec($btree, 1, 0).at_bit($at * 8 + 1),
        ]
    };
}

const fn owner(name: &'static str, at: usize) -> Field {
    Field::new(name, Kind::Number(64, Base::Signed, Null::Plain), at)
}

const RECORD_OFFSET: [Field; 4] = rmap_offset!("offset", "extentflag", "attrfork", "bmbtblock", 16);
const LOW_OFFSET: [Field; 4] = rmap_offset!("offset", "extentflag", "attrfork", "bmbtblock", 12);
const HIGH_OFFSET: [Field; 4] =
    rmap_offset!("offset_hi", "extentflag_hi", "attrfork_hi", "bmbtblock_hi", 32);

/// Reverse mapping.
static RMAP: &[Field] = &[
    ag_block("startblock", 0),
    dec("blockcount", 32, 4),
    owner("owner", 8),
    RECORD_OFFSET[0],
    RECORD_OFFSET[1],
    RECORD_OFFSET[2],
    RECORD_OFFSET[3],
];

/// Key of reverse mappings.
static RMAP_KEY: &[Field] = &[
    ag_block("startblock", 0),
    owner("owner", 4),
    LOW_OFFSET[0],
    LOW_OFFSET[1],
    LOW_OFFSET[2],
    LOW_OFFSET[3],
    ag_block("startblock_hi", 20),
    owner("owner_hi", 24),
    HIGH_OFFSET[0],
    HIGH_OFFSET[1],
    HIGH_OFFSET[2],
    HIGH_OFFSET[3],
];

/// A block of a realtime group, which xfs_db does not go to.
const fn group_block(name: &'static str, at: usize) -> Field {
    nul(name, 32, at).link(Link::Unknown("rgblock"))
}

/// Reverse mapping in a realtime group.
pub static RTRMAP: &[Field] = &[
    group_block("startblock", 0),
    dec("blockcount", 32, 4),
    owner("owner", 8),
    RECORD_OFFSET[0],
    RECORD_OFFSET[1],
    RECORD_OFFSET[2],
    RECORD_OFFSET[3],
];

/// Key of reverse mappings in a realtime group.
pub static RTRMAP_KEY: &[Field] = &[
    group_block("startblock", 0),
    owner("owner", 4),
    LOW_OFFSET[0],
    LOW_OFFSET[2],
    LOW_OFFSET[3],
    group_block("startblock_hi", 20),
    owner("owner_hi", 24),
    HIGH_OFFSET[0],
    HIGH_OFFSET[2],
    HIGH_OFFSET[3],
];

const fn refcount_start(name: &'static str) -> Field {
    nul(name, 31, 0).at_bit(1).link(Link::AgBlock(Type::Data))
}

/// Reference count.
static REFCOUNT: &[Field] = &[
    refcount_start("startblock"),
    dec("blockcount", 32, 4),
    dec("refcount", 32, 8).link(Link::Unknown("uint32d")),
    dec("cowflag", 1, 0).link(Link::Unknown("ccowflag")),
];

/// Key of reference counts.
static REFCOUNT_KEY: &[Field] =
    &[refcount_start("startblock"), dec("cowflag", 1, 0).link(Link::Unknown("ccowflag"))];

const fn group_refcount_start(name: &'static str) -> Field {
    nul(name, 31, 0).at_bit(1).link(Link::Unknown("crgblock"))
}

/// Reference count in a realtime group.
pub static RTREFCOUNT: &[Field] = &[
    group_refcount_start("startblock"),
    dec("blockcount", 32, 4),
    dec("refcount", 32, 8).link(Link::Unknown("uint32d")),
    dec("cowflag", 1, 0).link(Link::Unknown("ccowflag")),
];

/// Key of reference counts in a realtime group.
pub static RTREFCOUNT_KEY: &[Field] =
    &[group_refcount_start("startblock"), dec("cowflag", 1, 0).link(Link::Unknown("ccowflag"))];

/// Bits of an extent record.
macro_rules! extent_record {
    ($offset:expr, $block:expr) => {
        &[
            dec("startoff", 54, 0).at_bit(1).link($offset),
            dec("startblock", 52, 0).at_bit(55).link($block),
            dec("blockcount", 21, 0).at_bit(107),
            dec("extentflag", 1, 0),
        ]
    };
}

/// An extent record of a data fork.
pub static DATA_EXTENT: &[Field] = extent_record!(Link::FileData, Link::FileFsBlock);
/// An extent record of an attribute fork.
pub static ATTR_EXTENT: &[Field] = extent_record!(Link::AttrBlock, Link::FsBlock(Type::Attr3));

/// Key of a data fork's tree.
pub static DATA_KEY: &[Field] = &[dec("startoff", 64, 0).link(Link::FileData)];
/// Key of the root of a fork's tree, from which xfs_db leads nowhere.
pub static ROOT_KEY: &[Field] = &[dec("startoff", 64, 0)];
/// Key of an attribute fork's tree.
pub static ATTR_KEY: &[Field] = &[dec("startoff", 64, 0).link(Link::AttrBlock)];

/// The fields of one kind of block with 64-bit pointers.
macro_rules! long_form {
    ($name:ident, $kind:expr, $type:expr, $record:expr, $key:expr, $itself:expr) => {
        /// Fields of a block of this tree.
        pub static $name: &[Field] = &[
            hex("magic", 32, 0),
            dec("level", 16, 4),
            dec("numrecs", 16, 6),
            nul("leftsib", 64, 8).link(Link::FsBlock($type)),
            nul("rightsib", 64, 16).link(Link::FsBlock($type)),
            nul("bno", 64, 24).link(Link::FsBlock($itself)),
            hex("lsn", 64, 32),
            uuid("uuid", 40),
            nul("owner", 64, 56),
            crc("crc", 64),
            Field::new("recs", Kind::Row($record, $kind.record_len()), $kind.header_len())
                .many(|place| entries(place, $kind, true))
                .counted_from_one(),
            Field::new("keys", Kind::Row($key, $kind.key_len()), $kind.header_len())
                .many(|place| entries(place, $kind, false))
                .counted_from_one(),
            dec("ptrs", 64, 0)
                .at_func(|place, index| pointer(place, $kind, index))
                .many(|place| entries(place, $kind, false))
                .counted_from_one()
                .link(Link::FsBlock($type)),
        ];
    };
}

long_form!(BMAPBTD, BtreeKind::Bmap, Type::Bmapbtd, DATA_EXTENT, DATA_KEY, Type::Bmapbtd);
long_form!(BMAPBTA, BtreeKind::Bmap, Type::Bmapbta, ATTR_EXTENT, ATTR_KEY, Type::Bmapbtd);
long_form!(RTRMAPBT, BtreeKind::RtRmap, Type::Rtrmapbt, RTRMAP, RTRMAP_KEY, Type::Rtrmapbt);
long_form!(
    RTREFCNTBT,
    BtreeKind::RtRefcount,
    Type::Rtrefcntbt,
    RTREFCOUNT,
    RTREFCOUNT_KEY,
    Type::Rtrefcntbt
);
