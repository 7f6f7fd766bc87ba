//! Fields of a quota record.

use super::{Field, Kind, Place, crc, dec, hex, uuid};
use libfs::format::dquot::DquotType;

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
    Field::new("itimer", Kind::QuotaTimer, 56),
    Field::new("btimer", Kind::QuotaTimer, 60),
    dec("iwarns", 16, 64),
    dec("bwarns", 16, 66),
    dec("pad0", 32, 68).hidden(),
    dec("rtb_hardlimit", 64, 72),
    dec("rtb_softlimit", 64, 80),
    dec("rtbcount", 64, 88),
    Field::new("rtbtimer", Kind::QuotaTimer, 96),
    dec("rtbwarns", 16, 100),
    dec("pad", 16, 102).hidden(),
];

/// Seconds since 1970 that a timer of the record means: with large timestamps it counts units
/// of four seconds.
pub fn seconds(place: &Place, timer: u32) -> i64 {
    let kind = DquotType::from_bits_retain(place.root_number::<1>(3) as u8);
    i64::from(timer) << if kind.contains(DquotType::BIGTIME) { 2 } else { 0 }
}
