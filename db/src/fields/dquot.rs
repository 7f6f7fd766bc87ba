//! Fields of a quota record.

use super::{Field, Kind, crc, dec, hex, uuid};

/// The first record of a block of them.
pub static FIELDS: &[Field] = &[
    Field::new("diskdq", Kind::Group(DISK, 0), 0),
    dec("fill", 8, 104).many(|_| 4).hidden(),
    crc("crc", 108),
    hex("lsn", 64, 112),
    uuid("uuid", 120),
];

static DISK: &[Field] = &[
    hex("magic", 16, 0),
    hex("version", 8, 2),
    hex("type", 8, 3),
    dec("id", 32, 4),
    dec("blk_hardlimit", 64, 8),
    dec("blk_softlimit", 64, 16),
    dec("ino_hardlimit", 64, 24),
    dec("ino_softlimit", 64, 32),
    dec("bcount", 64, 40),
    dec("icount", 64, 48),
    dec("itimer", 32, 56),
    dec("btimer", 32, 60),
    dec("iwarns", 16, 64),
    dec("bwarns", 16, 66),
    dec("pad0", 32, 68).hidden(),
    dec("rtb_hardlimit", 64, 72),
    dec("rtb_softlimit", 64, 80),
    dec("rtbcount", 64, 88),
    dec("rtbtimer", 32, 96),
    dec("rtbwarns", 16, 100),
    dec("pad", 16, 102).hidden(),
];
