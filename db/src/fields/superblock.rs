//! Fields of the superblock.

use super::{Field, Kind, Link, Place, crc, dec, hex, nul, uuid};
use crate::types::Type;
use libfs::format::features::Incompat;

const fn inode(name: &'static str, at: usize) -> Field {
    nul(name, 64, at).link(Link::Inode)
}

fn has_metadir(place: &Place) -> bool {
    let incompat = Incompat::from_bits_retain(place.root_number::<4>(216) as u32);
    incompat.contains(Incompat::METADIR)
}

fn has_zoned(place: &Place) -> bool {
    let incompat = Incompat::from_bits_retain(place.root_number::<4>(216) as u32);
    incompat.contains(Incompat::ZONED)
}

/// The superblock.
pub static FIELDS: &[Field] = &[
    hex("magicnum", 32, 0),
    dec("blocksize", 32, 4),
    nul("dblocks", 64, 8),
    nul("rblocks", 64, 16),
    nul("rextents", 64, 24),
    uuid("uuid", 32),
    nul("logstart", 64, 48).link(Link::FsBlock(Type::Log)),
    inode("rootino", 56),
    inode("rbmino", 64),
    inode("rsumino", 72),
    nul("rextsize", 32, 80),
    nul("agblocks", 32, 84),
    nul("agcount", 32, 88),
    dec("rbmblocks", 32, 92),
    dec("logblocks", 32, 96),
    hex("versionnum", 16, 100),
    dec("sectsize", 16, 102),
    dec("inodesize", 16, 104),
    dec("inopblock", 16, 106),
    Field::new("fname", Kind::Text(|_| 12), 108),
    dec("blocklog", 8, 120),
    dec("sectlog", 8, 121),
    dec("inodelog", 8, 122),
    dec("inopblog", 8, 123),
    dec("agblklog", 8, 124),
    dec("rextslog", 8, 125),
    dec("inprogress", 8, 126),
    dec("imax_pct", 8, 127),
    dec("icount", 64, 128),
    dec("ifree", 64, 136),
    dec("fdblocks", 64, 144),
    dec("frextents", 64, 152),
    inode("uquotino", 160),
    inode("gquotino", 168),
    hex("qflags", 16, 176),
    hex("flags", 8, 178),
    dec("shared_vn", 8, 179),
    dec("inoalignmt", 32, 180),
    dec("unit", 32, 184),
    dec("width", 32, 188),
    dec("dirblklog", 8, 192),
    dec("logsectlog", 8, 193),
    dec("logsectsize", 16, 194),
    dec("logsunit", 32, 196),
    hex("features2", 32, 200),
    hex("bad_features2", 32, 204),
    hex("features_compat", 32, 208),
    hex("features_ro_compat", 32, 212),
    hex("features_incompat", 32, 216),
    hex("features_log_incompat", 32, 220),
    crc("crc", 224),
    dec("spino_align", 32, 228),
    inode("pquotino", 232),
    hex("lsn", 64, 240),
    uuid("meta_uuid", 248),
    inode("metadirino", 264).when(has_metadir),
    dec("rgcount", 32, 272).when(has_metadir),
    dec("rgextents", 32, 276).when(has_metadir),
    dec("rgblklog", 8, 280).when(has_metadir),
    dec("pad", 8, 281).when(has_metadir),
    dec("rtstart", 64, 288).when(has_zoned),
    dec("rtreserved", 64, 296).when(has_zoned),
];
