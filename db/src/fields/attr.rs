//! Fields of extended attributes: in the inode, and in blocks of each kind.

use super::dir::node_count;
use super::{Field, Kind, Link, Place, crc, dec, flag, hex, nul, uuid};
use crate::types::Type;
use libfs::format::attr::{AttrFlags, remote};
use libfs::format::da;

/// Attributes in an inode.
pub static SHORT: &[Field] = &[
    Field::new("hdr", Kind::Group(SHORT_HEADER, 0), 0),
    Field::new("list", Kind::Group(SHORT_ENTRY, 0), 0)
        .many(|place| place.number::<1>(2) as usize)
        .at_func(|place, index| short_entry(place, index) * 8),
];

static SHORT_HEADER: &[Field] = &[dec("totsize", 16, 0), dec("count", 8, 2)];

/// Byte offset of entry `index` in the list.
fn short_entry(place: &Place, index: usize) -> usize {
    (0..index).fold(4, |at, _| {
        at + 3 + place.number::<1>(at) as usize + place.number::<1>(at + 1) as usize
    })
}

static SHORT_ENTRY: &[Field] = &[
    dec("namelen", 8, 0),
    dec("valuelen", 8, 1),
    hex("flags", 8, 2).hidden(),
    flag("root", 2 * 8 + 6),
    flag("secure", 2 * 8 + 5),
    flag("parent", 2 * 8 + 4),
    Field::new("name", Kind::Text(|place| place.number::<1>(0) as usize), 3),
    Field::new("parent_dir", Kind::Group(PARENT, 0), 0)
        .when(short_is_parent)
        .at_func(|place, _| (3 + place.number::<1>(0) as usize) * 8),
    Field::new("value", Kind::Text(short_value_text), 0)
        .when(|place| !short_is_parent(place) && place.number::<1>(1) > 0)
        .at_func(|place, _| (3 + place.number::<1>(0) as usize) * 8),
];

fn short_is_parent(place: &Place) -> bool {
    AttrFlags::from_bits_retain(place.number::<1>(2) as u8).contains(AttrFlags::PARENT)
}

fn short_value_text(place: &Place) -> usize {
    place.number::<1>(1) as usize
}

static PARENT: &[Field] = &[nul("inumber", 64, 0).link(Link::Inode), dec("gen", 32, 8)];

fn magic16(place: &Place) -> u16 {
    place.root_number::<2>(8) as u16
}

fn is_leaf(place: &Place) -> bool {
    magic16(place) == da::ATTR_LEAF_MAGIC
}

fn is_node(place: &Place) -> bool {
    magic16(place) == da::NODE_MAGIC
}

fn is_remote(place: &Place) -> bool {
    place.root_number::<4>(0) as u32 == remote::MAGIC
}

const LEAF_HEADER_SIZE: usize = 80;

/// A block of an attribute fork; which fields are there depends on the magic number.
pub static FIELDS: &[Field] = &[
    Field::new("hdr", Kind::Group(LEAF_HEADER, 0), 0).when(is_leaf),
    Field::new("hdr", Kind::Group(NODE_HEADER, 0), 0).when(is_node),
    Field::new("hdr", Kind::Group(REMOTE_HEADER, 0), 0).when(is_remote),
    Field::new("data", Kind::Text(|place| place.root_number::<4>(8) as usize), 56).when(is_remote),
    Field::new("entries", Kind::Row(ENTRY, 8), LEAF_HEADER_SIZE).many(leaf_count),
    Field::new("btree", Kind::Row(NODE_ENTRY, 8), 64)
        .many(|place| if is_node(place) { node_count(place) } else { 0 }),
    Field::new("nvlist", Kind::Group(NAME_VALUE, 0), 0)
        .many(leaf_count)
        .at_func(|place, index| name_index(place, index) * 8),
];

fn leaf_count(place: &Place) -> usize {
    let room = place.data.len().saturating_sub(LEAF_HEADER_SIZE) / 8;
    if is_leaf(place) { (place.root_number::<2>(56) as usize).min(room) } else { 0 }
}

fn name_index(place: &Place, index: usize) -> usize {
    place.root_number::<2>(LEAF_HEADER_SIZE + index * 8 + 4) as usize
}

static BLOCK_INFO: &[Field] = &[
    Field::new("hdr", Kind::Group(SIBLINGS, 0), 0),
    crc("crc", 12),
    nul("bno", 64, 16).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 24),
    uuid("uuid", 32),
    nul("owner", 64, 48),
];

static SIBLINGS: &[Field] = &[
    dec("forw", 32, 0).link(Link::AttrSibling),
    dec("back", 32, 4).link(Link::AttrSibling),
    hex("magic", 16, 8),
];

static LEAF_HEADER: &[Field] = &[
    Field::new("info", Kind::Group(BLOCK_INFO, 0), 0),
    dec("count", 16, 56),
    dec("usedbytes", 16, 58),
    dec("firstused", 16, 60),
    dec("holes", 8, 62),
    Field::new("freemap", Kind::Row(FREE_RUN, 4), 64).many(|_| 3),
];

static FREE_RUN: &[Field] = &[dec("base", 16, 0), dec("size", 16, 2)];

static NODE_HEADER: &[Field] = &[
    Field::new("info", Kind::Group(BLOCK_INFO, 0), 0),
    dec("count", 16, 56),
    dec("level", 16, 58),
];

static NODE_ENTRY: &[Field] =
    &[hex("hashval", 32, 0), dec("before", 32, 4).link(Link::AttrSibling)];

static REMOTE_HEADER: &[Field] = &[
    hex("magic", 32, 0),
    dec("offset", 32, 4),
    dec("bytes", 32, 8),
    crc("crc", 12),
    uuid("uuid", 16),
    nul("owner", 64, 32),
    nul("bno", 64, 40).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 48),
];

static ENTRY: &[Field] = &[
    hex("hashval", 32, 0),
    dec("nameidx", 16, 4),
    hex("flags", 8, 6).hidden(),
    flag("incomplete", 6 * 8),
    flag("root", 6 * 8 + 6),
    flag("secure", 6 * 8 + 5),
    flag("local", 6 * 8 + 7),
    flag("parent", 6 * 8 + 4),
];

/// Flags of the entry whose name starts where `place` does.
fn entry_flags(place: &Place) -> AttrFlags {
    let here = place.byte();
    (0..leaf_count(place))
        .find(|&index| name_index(place, index) == here)
        .map(|index| place.root_number::<1>(LEAF_HEADER_SIZE + index * 8 + 6) as u8)
        .map_or(AttrFlags::empty(), AttrFlags::from_bits_retain)
}

fn is_local(place: &Place) -> bool {
    entry_flags(place).contains(AttrFlags::LOCAL)
}

fn is_elsewhere(place: &Place) -> bool {
    !is_local(place)
}

fn is_parent(place: &Place) -> bool {
    is_local(place) && entry_flags(place).contains(AttrFlags::PARENT)
}

static NAME_VALUE: &[Field] = &[
    hex("valueblk", 32, 0).when(is_elsewhere),
    dec("valuelen", 16, 0).when(is_local),
    dec("valuelen", 32, 4).when(is_elsewhere),
    dec("namelen", 8, 2).when(is_local),
    dec("namelen", 8, 8).when(is_elsewhere),
    Field::new("name", Kind::Text(|place| place.number::<1>(2) as usize), 3).when(is_local),
    Field::new("name", Kind::Text(|place| place.number::<1>(8) as usize), 9).when(is_elsewhere),
    Field::new("parent_dir", Kind::Group(PARENT, 0), 0)
        .when(is_parent)
        .at_func(|place, _| (3 + place.number::<1>(2) as usize) * 8),
    Field::new("value", Kind::Text(|place| place.number::<2>(0) as usize), 0)
        .when(|place| is_local(place) && !is_parent(place) && place.number::<2>(0) > 0)
        .at_func(|place, _| (3 + place.number::<1>(2) as usize) * 8),
];
