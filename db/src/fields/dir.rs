//! Fields of directories: in the inode, and in blocks of each kind.

use super::{Base, Field, Kind, Link, Null, Place, crc, dec, hex, nul, uuid};
use crate::types::Type;
use libfs::format::da;
use libfs::format::dir::data::{BLOCK_MAGIC, DATA_MAGIC};
use libfs::format::dir::{entry_size, free};

/// A directory in an inode.
pub static SHORT: &[Field] = &[
    Field::new("hdr", Kind::Group(SHORT_HEADER, 0), 0),
    Field::new("list", Kind::Group(SHORT_ENTRY, 0), 0)
        .many(|place| place.number::<1>(0) as usize)
        .at_func(|place, index| short_entry(place, index) * 8),
];

static SHORT_HEADER: &[Field] =
    &[dec("count", 8, 0), dec("i8count", 8, 1), Field::new("parent", Kind::Group(SHORT_INO, 0), 2)];

static SHORT_INO: &[Field] = &[
    dec("i8", 64, 0).when(is_wide).link(Link::Inode),
    dec("i4", 32, 0).when(|place| !is_wide(place)).link(Link::Inode),
];

static SHORT_ENTRY: &[Field] = &[
    dec("namelen", 8, 0),
    hex("offset", 16, 1),
    Field::new("name", Kind::Text(|place| place.number::<1>(0) as usize), 3),
    Field::new("inumber", Kind::Group(SHORT_INO, 0), 0).at_func(|place, _| {
        let ftype = usize::from(place.geo.features.ftype);
        (3 + place.number::<1>(0) as usize + ftype) * 8
    }),
    dec("filetype", 8, 0)
        .when(|place| place.geo.features.ftype)
        .at_func(|place, _| (3 + place.number::<1>(0) as usize) * 8),
];

/// Start of the directory in an inode: right after the core.
const SHORT_START: usize = libfs::format::inode::CORE_SIZE;

fn is_wide(place: &Place) -> bool {
    place.root_number::<1>(SHORT_START + 1) != 0
}

/// Byte offset of entry `index` in the list. Entries follow each other without padding.
fn short_entry(place: &Place, index: usize) -> usize {
    let ino = if is_wide(place) { 8 } else { 4 };
    let ftype = usize::from(place.geo.features.ftype);
    (0..index).fold(2 + ino, |at, _| at + 3 + place.number::<1>(at) as usize + ftype + ino)
}

fn magic32(place: &Place) -> u32 {
    place.root_number::<4>(0) as u32
}

fn magic16(place: &Place) -> u16 {
    place.root_number::<2>(8) as u16
}

fn is_block(place: &Place) -> bool {
    magic32(place) == BLOCK_MAGIC
}

fn is_data(place: &Place) -> bool {
    magic32(place) == DATA_MAGIC
}

fn is_free(place: &Place) -> bool {
    magic32(place) == free::MAGIC
}

fn is_single_leaf(place: &Place) -> bool {
    magic16(place) == da::DIR_LEAF1_MAGIC
}

fn is_leaf(place: &Place) -> bool {
    is_single_leaf(place) || magic16(place) == da::DIR_LEAFN_MAGIC
}

fn is_node(place: &Place) -> bool {
    magic16(place) == da::NODE_MAGIC
}

const HEADER: usize = 64;
const LEAF_ENTRY: usize = 8;

/// A directory block of any kind; which fields are there depends on the magic number.
pub static FIELDS: &[Field] = &[
    Field::new("bhdr", Kind::Group(DATA_HEADER, 0), 0).when(is_block),
    Field::new("bu", Kind::Group(ITEM, 0), 0)
        .many(|place| if is_block(place) { item_count(place) } else { 0 })
        .at_func(|place, index| item(place, index) * 8),
    Field::new("bleaf", Kind::Group(LEAF, LEAF_ENTRY), 0)
        .many(|place| if is_block(place) { block_leaves(place) } else { 0 })
        .at_func(|place, index| (data_end(place) + index * LEAF_ENTRY) * 8),
    Field::new("btail", Kind::Group(BLOCK_TAIL, 0), 0)
        .when(is_block)
        .at_func(|place, _| place.data.len().saturating_sub(8) * 8),
    Field::new("dhdr", Kind::Group(DATA_HEADER, 0), 0).when(is_data),
    Field::new("du", Kind::Group(ITEM, 0), 0)
        .many(|place| if is_data(place) { item_count(place) } else { 0 })
        .at_func(|place, index| item(place, index) * 8),
    Field::new("lhdr", Kind::Group(LEAF_HEADER, 0), 0).when(is_leaf),
    hex("lbests", 16, 0)
        .many(|place| if is_single_leaf(place) { best_count(place) } else { 0 })
        .at_func(|place, index| {
            (place.data.len().saturating_sub(4 + best_count(place) * 2) + index * 2) * 8
        }),
    Field::new("lents", Kind::Group(LEAF, LEAF_ENTRY), HEADER).many(|place| {
        let room = place.data.len().saturating_sub(HEADER) / LEAF_ENTRY;
        if is_leaf(place) { (place.root_number::<2>(56) as usize).min(room) } else { 0 }
    }),
    Field::new("ltail", Kind::Group(LEAF_TAIL, 0), 0)
        .when(is_single_leaf)
        .at_func(|place, _| place.data.len().saturating_sub(4) * 8),
    Field::new("nhdr", Kind::Group(NODE_HEADER, 0), 0).when(is_node),
    Field::new("nbtree", Kind::Row(NODE_ENTRY, 8), HEADER)
        .many(|place| if is_node(place) { node_count(place) } else { 0 }),
    Field::new("fhdr", Kind::Group(FREE_HEADER, 0), 0).when(is_free),
    Field::new("fbests", Kind::Number(16, Base::Hex, Null::OnlyZeroSkipped), HEADER).many(
        |place| {
            let room = place.data.len().saturating_sub(HEADER) / 2;
            if is_free(place) { (place.root_number::<4>(52) as usize).min(room) } else { 0 }
        },
    ),
];

/// Entries of an inner block of a hash-ordered tree.
pub fn node_count(place: &Place) -> usize {
    let room = place.data.len().saturating_sub(HEADER) / 8;
    (place.root_number::<2>(56) as usize).min(room)
}

static BLOCK_HEADER: &[Field] = &[
    hex("magic", 32, 0),
    crc("crc", 4),
    nul("bno", 64, 8).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 16),
    uuid("uuid", 24),
    nul("owner", 64, 40),
];

static DATA_HEADER: &[Field] = &[
    Field::new("hdr", Kind::Group(BLOCK_HEADER, 0), 0),
    Field::new("bestfree", Kind::Group(BEST_FREE, 4), 48).many(|_| 3),
];

static BEST_FREE: &[Field] = &[hex("offset", 16, 0), hex("length", 16, 2)];

static LEAF: &[Field] = &[hex("hashval", 32, 0), hex("address", 32, 4)];

static BLOCK_TAIL: &[Field] = &[dec("count", 32, 0), dec("stale", 32, 4)];

static LEAF_TAIL: &[Field] = &[dec("bestcount", 32, 0)];

/// Header shared by blocks of directories' trees.
static BLOCK_INFO: &[Field] = &[
    Field::new("hdr", Kind::Group(SIBLINGS, 0), 0),
    crc("crc", 12),
    nul("bno", 64, 16).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 24),
    uuid("uuid", 32),
    nul("owner", 64, 48),
];

static SIBLINGS: &[Field] = &[
    dec("forw", 32, 0).link(Link::DirBlock),
    dec("back", 32, 4).link(Link::DirBlock),
    hex("magic", 16, 8),
];

static LEAF_HEADER: &[Field] = &[
    Field::new("info", Kind::Group(BLOCK_INFO, 0), 0),
    dec("count", 16, 56),
    dec("stale", 16, 58),
];

static NODE_HEADER: &[Field] = &[
    Field::new("info", Kind::Group(BLOCK_INFO, 0), 0),
    dec("count", 16, 56),
    dec("level", 16, 58),
];

static NODE_ENTRY: &[Field] = &[hex("hashval", 32, 0), dec("before", 32, 4).link(Link::DirBlock)];

static FREE_HEADER: &[Field] = &[
    Field::new("hdr", Kind::Group(BLOCK_HEADER, 0), 0),
    dec("firstdb", 32, 48),
    dec("nvalid", 32, 52),
    dec("nused", 32, 56),
];

/// A name or a hole.
static ITEM: &[Field] = &[
    hex("freetag", 16, 0).when(is_hole),
    nul("inumber", 64, 0).when(is_entry).link(Link::Inode),
    hex("length", 16, 2).when(is_hole),
    dec("namelen", 8, 8).when(is_entry),
    Field::new("name", Kind::Text(|place| place.number::<1>(8) as usize), 9).when(is_entry),
    dec("filetype", 8, 0).when(|place| place.geo.features.ftype).at_func(|place, _| {
        if is_hole(place) {
            // xfs_db 7.2 prints a type for holes too: the first byte of the tag.
            return tag_offset(place) * 8;
        }
        (9 + place.number::<1>(8) as usize) * 8
    }),
    hex("tag", 16, 0).at_func(|place, _| tag_offset(place) * 8),
];

fn is_hole(place: &Place) -> bool {
    place.number::<2>(0) == 0xffff
}

fn is_entry(place: &Place) -> bool {
    !is_hole(place)
}

fn tag_offset(place: &Place) -> usize {
    item_size(place, place.byte()).saturating_sub(2)
}

/// Bytes of the name or hole at byte `at` of the block.
fn item_size(place: &Place, at: usize) -> usize {
    if place.root_number::<2>(at) == 0xffff {
        return place.root_number::<2>(at + 2) as usize;
    }
    entry_size(place.root_number::<1>(at + 8) as usize, place.geo.features.ftype)
}

/// Byte where names and holes end.
fn data_end(place: &Place) -> usize {
    if !is_block(place) {
        return place.data.len();
    }
    place.data.len().saturating_sub(8 + block_leaves(place) * LEAF_ENTRY)
}

/// Leaf entries at the end of a block, if so many fit.
fn block_leaves(place: &Place) -> usize {
    let count = place.root_number::<4>(place.data.len().saturating_sub(8)) as usize;
    let room = place.data.len().saturating_sub(HEADER + 8) / LEAF_ENTRY;
    if count > room { 0 } else { count }
}

/// Byte offsets of names and holes: each is at least 8 bytes long, or the walk ends.
fn items(place: &Place) -> impl Iterator<Item = usize> {
    let end = data_end(place);
    std::iter::successors(Some(HEADER), move |&at| {
        let size = item_size(place, at);
        (size >= 8).then_some(at + size)
    })
    .take_while(move |&at| at < end)
}

fn item_count(place: &Place) -> usize {
    items(place).count()
}

fn item(place: &Place, index: usize) -> usize {
    items(place).nth(index).unwrap_or(place.data.len())
}

fn best_count(place: &Place) -> usize {
    let count = place.root_number::<4>(place.data.len().saturating_sub(4)) as usize;
    count.min(place.data.len().saturating_sub(HEADER + 4) / 2)
}
