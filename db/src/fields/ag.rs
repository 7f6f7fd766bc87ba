//! Fields of the headers of an allocation group.

use super::{Base, Field, Kind, Link, Null, crc, dec, hex, nul, uuid};
use crate::types::Type;

const fn root(name: &'static str, at: usize, to: Type) -> Field {
    nul(name, 32, at).link(Link::AgBlock(to))
}

/// A root that a filesystem may not have: zero prints as nothing.
const fn optional_root(name: &'static str, at: usize, to: Type) -> Field {
    let kind = Kind::Number(32, Base::Decimal, Null::ZeroSkipped);
    Field::new(name, kind, at).link(Link::AgBlock(to))
}

/// Free space header.
pub static AGF: &[Field] = &[
    hex("magicnum", 32, 0),
    dec("versionnum", 32, 4),
    nul("seqno", 32, 8),
    nul("length", 32, 12),
    root("bnoroot", 16, Type::Bnobt),
    root("cntroot", 20, Type::Cntbt),
    optional_root("rmaproot", 24, Type::Rmapbt),
    optional_root("refcntroot", 88, Type::Refcntbt),
    dec("bnolevel", 32, 28),
    dec("cntlevel", 32, 32),
    dec("rmaplevel", 32, 36),
    dec("refcntlevel", 32, 92),
    dec("rmapblocks", 32, 80),
    dec("refcntblocks", 32, 84),
    dec("flfirst", 32, 40),
    dec("fllast", 32, 44),
    dec("flcount", 32, 48),
    dec("freeblks", 32, 52),
    dec("longest", 32, 56),
    dec("btreeblks", 32, 60),
    uuid("uuid", 64),
    hex("lsn", 64, 208),
    crc("crc", 216),
];

/// Inode header.
pub static AGI: &[Field] = &[
    hex("magicnum", 32, 0),
    dec("versionnum", 32, 4),
    nul("seqno", 32, 8),
    nul("length", 32, 12),
    nul("count", 32, 16),
    root("root", 20, Type::Inobt),
    dec("level", 32, 24),
    nul("freecount", 32, 28),
    nul("newino", 32, 32).link(Link::AgInode),
    nul("dirino", 32, 36).link(Link::AgInode),
    Field::new("unlinked", Kind::Number(32, Base::Decimal, Null::Skipped), 40).many(|_| 64),
    uuid("uuid", 296),
    crc("crc", 312),
    hex("lsn", 64, 320),
    root("free_root", 328, Type::Finobt),
    dec("free_level", 32, 332),
    dec("ino_blocks", 32, 336),
    dec("fino_blocks", 32, 340),
];

/// Free list.
pub static AGFL: &[Field] = &[
    hex("magicnum", 32, 0),
    nul("seqno", 32, 4),
    uuid("uuid", 8),
    hex("lsn", 64, 24),
    crc("crc", 32),
    Field::new("bno", Kind::Number(32, Base::Decimal, Null::ZeroSkipped), 36)
        .many(|place| place.geo.agfl_size() as usize)
        .link(Link::AgBlock(Type::Data)),
];
