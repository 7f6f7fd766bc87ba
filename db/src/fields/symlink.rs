//! Fields of a block with part of a symbolic link's target.

use super::{Field, Kind, Link, Place, crc, dec, hex, nul, uuid};
use crate::types::Type;
use libfs::format::symlink::MAGIC;

fn is_symlink(place: &Place) -> bool {
    place.root_number::<4>(0) as u32 == MAGIC
}

/// A block of a symbolic link.
pub static FIELDS: &[Field] = &[
    hex("magic", 32, 0),
    dec("offset", 32, 4),
    dec("bytes", 32, 8),
    crc("crc", 12),
    uuid("uuid", 16),
    nul("owner", 64, 32),
    nul("bno", 64, 40).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 48),
    Field::new("data", Kind::Text(|place| place.root_number::<4>(8) as usize), 56).when(is_symlink),
];
