//! Fields of the realtime section: its superblock, and blocks of the bitmap and the summary of a
//! realtime group.

use super::{Field, Kind, Link, Place, crc, dec, hex, nul, uuid};
use crate::types::Type;

/// Superblock of the realtime section.
pub static RTSB: &[Field] = &[
    hex("magicnum", 32, 0),
    crc("crc", 4),
    dec("pad", 32, 8),
    Field::new("fname", Kind::Text(|_| 12), 12),
    uuid("uuid", 24),
    uuid("meta_uuid", 40),
];

const HEADER: usize = 48;

fn words(place: &Place) -> usize {
    place.data.len().saturating_sub(HEADER) / 4
}

/// A block of a bitmap.
pub static RGBITMAP: &[Field] = &[
    hex("magicnum", 32, 0),
    crc("crc", 4),
    nul("owner", 64, 8),
    nul("bno", 64, 16).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 24),
    uuid("uuid", 32),
    hex("rtwords", 32, HEADER).many(words).link(Link::Unknown("rtword")),
];

/// A block of a summary.
pub static RGSUMMARY: &[Field] = &[
    hex("magicnum", 32, 0),
    crc("crc", 4),
    nul("owner", 64, 8),
    nul("bno", 64, 16).link(Link::FsBlock(Type::Bmapbtd)),
    hex("lsn", 64, 24),
    uuid("uuid", 32),
    dec("suminfo", 32, HEADER).many(words).link(Link::Unknown("suminfo")),
];
