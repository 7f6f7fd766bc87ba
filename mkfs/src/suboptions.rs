//! The suboptions of mkfs.xfs (`-d agcount=4,size=1g`) as one table, which parsing,
//! checking and refusing follow.

use libfs::mkfs::Sizes;

use crate::number;
use crate::usage::Refusal;

const MEBI: i64 = 1 << 20;
const GIBI: i64 = 1 << 30;
const U32_MAX: i64 = u32::MAX as i64;
const I32_MAX: i64 = i32::MAX as i64;

/// What a suboption's value is.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A plain number between two limits.
    Number(i64, i64),
    /// A power of two between two limits.
    PowerOfTwo(i64, i64),
    /// A size with unit suffix between two limits.
    Size(i64, i64),
    /// A power of two with unit suffix between two limits.
    SizePowerOfTwo(i64, i64),
    /// Words.
    Text,
}

/// One suboption.
#[derive(Debug)]
pub struct Suboption {
    /// Letter of the option.
    pub letter: char,
    /// Its name.
    pub name: &'static str,
    /// Its values.
    pub kind: Kind,
    /// The value when none is given; `None`: one must be given.
    pub default: Option<i64>,
    /// Suboptions it cannot go with, as `letter name`.
    pub conflicts: &'static [(char, &'static str)],
}

const fn flag(letter: char, name: &'static str) -> Suboption {
    Suboption { letter, name, kind: Kind::Number(0, 1), default: Some(1), conflicts: &[] }
}

const fn value(letter: char, name: &'static str, kind: Kind) -> Suboption {
    Suboption { letter, name, kind, default: None, conflicts: &[] }
}

impl Suboption {
    const fn not_with(mut self, conflicts: &'static [(char, &'static str)]) -> Self {
        self.conflicts = conflicts;
        self
    }

    const fn or(mut self, default: i64) -> Self {
        self.default = Some(default);
        self
    }
}

const SECTOR: Kind = Kind::SizePowerOfTwo(512, 32768);
const STRIPE_BY_UNITS: &[(char, &str)] = &[('d', "noalign"), ('d', "su"), ('d', "sw")];
const STRIPE_BY_SECTORS: &[(char, &str)] = &[('d', "noalign"), ('d', "sunit"), ('d', "swidth")];

/// Every suboption there is.
pub static TABLE: &[Suboption] = &[
    value('b', "size", Kind::SizePowerOfTwo(512, 65536)),
    value('c', "options", Kind::Text),
    value('c', "defaults", Kind::Text),
    value('c', "makecfg", Kind::Text),
    value('d', "agcount", Kind::Number(1, U32_MAX - 1))
        .not_with(&[('d', "agsize"), ('d', "concurrency")]),
    flag('d', "file"),
    value('d', "name", Kind::Text),
    value('d', "size", Kind::Size(16 * MEBI, i64::MAX)),
    value('d', "sunit", Kind::Number(0, U32_MAX)).not_with(STRIPE_BY_UNITS),
    value('d', "swidth", Kind::Number(0, U32_MAX)).not_with(STRIPE_BY_UNITS),
    value('d', "agsize", Kind::Size(16 * MEBI, 1024 * GIBI))
        .not_with(&[('d', "agcount"), ('d', "concurrency")]),
    value('d', "su", Kind::Size(0, U32_MAX)).not_with(STRIPE_BY_SECTORS),
    value('d', "sw", Kind::Number(0, U32_MAX)).not_with(STRIPE_BY_SECTORS),
    value('d', "sectsize", SECTOR).not_with(&[('s', "size"), ('s', "sectsize")]),
    flag('d', "noalign").not_with(&[('d', "su"), ('d', "sw"), ('d', "sunit"), ('d', "swidth")]),
    flag('d', "rtinherit"),
    value('d', "projinherit", Kind::Number(0, U32_MAX)),
    value('d', "extszinherit", Kind::Number(0, U32_MAX)),
    value('d', "cowextsize", Kind::Number(0, U32_MAX)),
    flag('d', "daxinherit"),
    value('d', "concurrency", Kind::Number(0, I32_MAX))
        .or(1)
        .not_with(&[('d', "agcount"), ('d', "agsize")]),
    flag('i', "align"),
    value('i', "maxpct", Kind::Number(0, 100)),
    value('i', "perblock", Kind::PowerOfTwo(2, 256)).not_with(&[('i', "size")]),
    value('i', "size", Kind::PowerOfTwo(256, 2048)).not_with(&[('i', "perblock")]),
    value('i', "attr", Kind::Number(0, 2)),
    flag('i', "projid32bit"),
    flag('i', "sparse"),
    flag('i', "nrext64"),
    flag('i', "exchange"),
    value('i', "max_atomic_write", Kind::Size(1, GIBI)),
    value('l', "agnum", Kind::Number(0, U32_MAX)).not_with(&[('l', "logdev")]),
    flag('l', "internal").not_with(&[('l', "file"), ('l', "logdev"), ('l', "sectsize")]),
    value('l', "size", Kind::Size(2 * MEBI, 2 * GIBI - 10 * MEBI))
        .not_with(&[('l', "concurrency")]),
    value('l', "version", Kind::Number(1, 2)),
    value('l', "sunit", Kind::Number(1, 512)).not_with(&[('l', "su")]),
    value('l', "su", Kind::Size(512, 256 << 10)).not_with(&[('l', "sunit")]),
    value('l', "logdev", Kind::Text).not_with(&[
        ('l', "agnum"),
        ('l', "name"),
        ('l', "internal"),
        ('l', "concurrency"),
    ]),
    value('l', "sectsize", SECTOR).not_with(&[('l', "internal")]),
    flag('l', "file").not_with(&[('l', "internal"), ('l', "concurrency")]),
    value('l', "name", Kind::Text).not_with(&[('l', "agnum"), ('l', "logdev"), ('l', "internal")]),
    flag('l', "lazy-count"),
    value('l', "concurrency", Kind::Number(0, I32_MAX)).or(1).not_with(&[
        ('l', "size"),
        ('l', "file"),
        ('l', "logdev"),
    ]),
    flag('m', "crc"),
    flag('m', "finobt"),
    value('m', "uuid", Kind::Text),
    flag('m', "rmapbt"),
    flag('m', "reflink"),
    flag('m', "inobtcount"),
    flag('m', "bigtime"),
    flag('m', "autofsck"),
    flag('m', "metadir"),
    flag('m', "uquota").not_with(&[('m', "uqnoenforce")]),
    flag('m', "gquota").not_with(&[('m', "gqnoenforce")]),
    flag('m', "pquota").not_with(&[('m', "pqnoenforce")]),
    flag('m', "uqnoenforce").not_with(&[('m', "uquota")]),
    flag('m', "gqnoenforce").not_with(&[('m', "gquota")]),
    flag('m', "pqnoenforce").not_with(&[('m', "pquota")]),
    value('n', "size", Kind::SizePowerOfTwo(4096, 65536)),
    value('n', "version", Kind::Number(2, 2)),
    flag('n', "ftype"),
    flag('n', "parent"),
    value('r', "extsize", Kind::Size(4096, GIBI)),
    value('r', "size", Kind::Size(0, i64::MAX)),
    value('r', "rtdev", Kind::Text).not_with(&[('r', "name"), ('r', "start")]),
    flag('r', "file"),
    value('r', "name", Kind::Text).not_with(&[('r', "rtdev"), ('r', "start")]),
    flag('r', "noalign"),
    value('r', "rgcount", Kind::Number(1, U32_MAX))
        .not_with(&[('r', "rgsize"), ('r', "concurrency")]),
    value('r', "rgsize", Kind::Size(0, i64::MAX))
        .not_with(&[('r', "rgcount"), ('r', "concurrency")]),
    value('r', "concurrency", Kind::Size(0, I32_MAX))
        .or(1)
        .not_with(&[('r', "rgcount"), ('r', "rgsize")]),
    flag('r', "zoned"),
    value('r', "start", Kind::Size(0, i64::MAX)).not_with(&[('r', "rtdev"), ('r', "name")]),
    value('r', "reserved", Kind::Size(0, i64::MAX)),
    value('s', "size", SECTOR).not_with(&[('s', "sectsize"), ('d', "sectsize")]),
    value('s', "sectsize", SECTOR).not_with(&[('s', "size"), ('d', "sectsize")]),
];

/// The suboption `name` of option `letter`.
pub fn find(letter: char, name: &str) -> Option<&'static Suboption> {
    TABLE.iter().find(|option| option.letter == letter && option.name == name)
}

/// Which suboptions were given: as words, or already as numbers. Some are taken as words
/// first and turned into numbers when block and sector size are known.
#[derive(Debug, Default)]
pub struct Seen {
    words: Vec<(char, &'static str)>,
    numbers: Vec<(char, &'static str)>,
}

impl Seen {
    /// Whether a suboption was given.
    pub fn has(&self, letter: char, name: &str) -> bool {
        self.words.iter().chain(&self.numbers).any(|seen| *seen == (letter, name))
    }

    fn note(&mut self, option: &Suboption, word: bool) -> Result<(), Refusal> {
        let this = (option.letter, option.name);
        let list = if word { &mut self.words } else { &mut self.numbers };
        if list.contains(&this) {
            return Err(Refusal::with_usage(format!(
                "-{} {} option respecified",
                option.letter, option.name
            )));
        }
        list.push(this);
        match option.conflicts.iter().find(|(letter, name)| self.has(*letter, name)) {
            None => Ok(()),
            Some((letter, name)) => Err(Refusal::with_usage(format!(
                "Cannot specify both -{letter} {name} and -{} {}",
                option.letter, option.name
            ))),
        }
    }

    /// Takes the words of a suboption.
    pub fn words(&mut self, option: &Suboption, words: Option<&str>) -> Result<String, Refusal> {
        self.note(option, true)?;
        words.filter(|words| !words.is_empty()).map(str::to_owned).ok_or_else(|| missing(option))
    }

    /// Takes the value of a suboption as a number. Without `sizes`, suffixes for blocks and
    /// sectors are refused.
    pub fn number(
        &mut self,
        option: &Suboption,
        words: Option<&str>,
        sizes: Option<Sizes>,
    ) -> Result<i64, Refusal> {
        self.note(option, false)?;
        let Some(words) = words.filter(|words| !words.is_empty()) else {
            return option.default.ok_or_else(|| missing(option));
        };
        let (block, sector) = sizes.map_or((0, 0), |sizes| (sizes.block, sizes.sector));
        let (min, max, power, suffixes) = match option.kind {
            Kind::Number(min, max) => (min, max, false, false),
            Kind::PowerOfTwo(min, max) => (min, max, true, false),
            Kind::Size(min, max) => (min, max, false, true),
            Kind::SizePowerOfTwo(min, max) => (min, max, true, true),
            Kind::Text => (0, 0, false, false),
        };
        let value = if suffixes {
            number::size(words, block, sector)
                .filter(|value| *value != -1)
                .ok_or_else(|| illegal(option, words, "Not a valid value or illegal suffix"))?
        } else {
            let number = number::leading(words);
            let (value, rest) =
                number.ok_or_else(|| illegal(option, words, "Value not recognized as number."))?;
            if !rest.is_empty() {
                return Err(illegal(option, words, "Unit suffixes are not allowed."));
            }
            value
        };
        if value < min {
            return Err(illegal(option, words, "Value is too small."));
        }
        if value > max {
            return Err(illegal(option, words, "Value is too large."));
        }
        if power && value & (value - 1) != 0 {
            return Err(illegal(option, words, "Value must be a power of 2."));
        }
        Ok(value)
    }
}

/// The refusal of a suboption that lacks its value.
pub fn missing(option: &Suboption) -> Refusal {
    Refusal::with_usage(format!("-{} {} option requires a value", option.letter, option.name))
}

fn illegal(option: &Suboption, words: &str, reason: &str) -> Refusal {
    Refusal::with_usage(format!(
        "Invalid value {words} for -{} {} option. {reason}",
        option.letter, option.name
    ))
}

/// The comma-separated pieces of an option's argument, each with its suboption's name
/// and value.
pub fn split(argument: &str) -> impl Iterator<Item = (&str, &str, Option<&str>)> {
    // As C's getsubopt: nothing behind the last comma is no piece, but before one is.
    let pieces =
        argument.split_inclusive(',').map(|piece| piece.strip_suffix(',').unwrap_or(piece));
    pieces.map(|piece| match piece.split_once('=') {
        Some((name, value)) => (piece, name, Some(value)),
        None => (piece, piece, None),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conflicts_name_each_other_in_the_table() {
        for option in TABLE {
            for (letter, name) in option.conflicts {
                assert!(find(*letter, name).is_some(), "{letter} {name}");
            }
        }
    }

    #[test]
    fn pieces_are_split_at_commas() {
        let pieces: Vec<_> = split("size=1g,file,name=a=b,").collect();
        assert_eq!(
            pieces,
            [
                ("size=1g", "size", Some("1g")),
                ("file", "file", None),
                ("name=a=b", "name", Some("a=b"))
            ]
        );
        assert_eq!(split("").count(), 0);
        assert_eq!(split(",").collect::<Vec<_>>(), [("", "", None)]);
    }
}
