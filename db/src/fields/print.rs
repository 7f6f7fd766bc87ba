//! Printing fields by their tables.

use super::path::Selection;
use super::{Base, Field, Kind, Null, Place};
use jiff::Timestamp as Instant;
use jiff::tz::TimeZone;
use libfs::format::inode::{ForkFormat, Timestamp};
use std::fmt::Write;

/// Prints every field of a structure, one to a line, names prefixed with `prefix`.
pub fn all(fields: &[Field], place: &Place, prefix: &str, out: &mut String) {
    for field in fields.iter().filter(|field| !field.hidden) {
        let count = field.count(place);
        if count > 0 {
            range(field, place, prefix, 0, count, out);
        }
    }
}

/// Prints what a path selects.
pub fn selection(selection: &Selection, out: &mut String) {
    for part in &selection.parts {
        if let (0, Some((low, high))) = (part.count, part.asked) {
            // A range that ends before it starts is empty, and shown as it was asked for.
            let _ = write!(out, "{}{}[{low}-{high}] = ", part.prefix, part.field.name);
            values(part.field, &part.place, part.low, 0, out);
            out.push('\n');
            continue;
        }
        range(part.field, &part.place, &part.prefix, part.low, part.count, out);
    }
}

/// Prints `count` elements of a field from `low` on, counted from 0.
fn range(field: &Field, place: &Place, prefix: &str, low: usize, count: usize, out: &mut String) {
    if let Kind::Group(children, _) = field.kind {
        for index in low..low + count {
            let inner = place.at(field.position(place, index));
            let subscript =
                if field.is_array() { format!("[{}]", index + field.first) } else { String::new() };
            let before = out.len();
            all(children, &inner, &format!("{prefix}{}{subscript}.", field.name), out);
            if out.len() == before {
                let _ = writeln!(out, "{prefix}{}{subscript} = (empty)", field.name);
            }
        }
        return;
    }
    let _ = write!(out, "{prefix}{}{} = ", field.name, subscript(field, low, count));
    values(field, place, low, count, out);
    out.push('\n');
}

/// The indices of an array as in `recs[1-3]`; nothing for a single field.
fn subscript(field: &Field, low: usize, count: usize) -> String {
    let first = low + field.first;
    match count {
        _ if !field.is_array() => String::new(),
        1 => format!("[{first}]"),
        _ => format!("[{first}-{}]", (first + count).wrapping_sub(1)),
    }
}

fn values(field: &Field, place: &Place, low: usize, count: usize, out: &mut String) {
    if let Kind::Row(columns, _) = field.kind {
        return rows(field, columns, place, low, count, out);
    }
    for index in low..low + count {
        let at = field.position(place, index);
        let text = value(&field.kind, place, at);
        let Some(text) = text else { continue };
        if count > 1 {
            let _ = write!(out, "{}:", index + field.first);
        }
        out.push_str(&text);
        if index + 1 < low + count {
            out.push(' ');
        }
    }
}

fn rows(
    field: &Field,
    columns: &[Field],
    place: &Place,
    low: usize,
    count: usize,
    out: &mut String,
) {
    let shown = || columns.iter().filter(|column| !column.hidden);
    let names: Vec<_> = shown().map(|column| column.name).collect();
    let _ = write!(out, "[{}] ", names.join(","));
    for index in low..low + count {
        let row = place.at(field.position(place, index));
        let cells: Vec<_> = shown()
            .map(|column| value(&column.kind, &row, column.position(&row, 0)).unwrap_or_default())
            .collect();
        let _ = write!(out, "\n{}:[{}]", index + field.first, cells.join(","));
        if index + 1 < low + count {
            out.push(' ');
        }
    }
}

/// The text of one value at bit `at`; `None` where nothing at all is to be printed.
fn value(kind: &Kind, place: &Place, at: usize) -> Option<String> {
    Some(match kind {
        Kind::Number(bits, base, null) => {
            let value = place.bits(at, *bits);
            let ones = value == u64::MAX >> (64 - bits);
            match (null, value) {
                (Null::Skipped, _) if ones => return None,
                (Null::ZeroSkipped | Null::OnlyZeroSkipped, 0) => return None,
                (Null::Named | Null::ZeroSkipped, _) if ones => "null".into(),
                _ => number(value, *bits, *base),
            }
        }
        Kind::Crc => {
            // The field is little-endian, but xfs_db prints its bytes in disk order.
            let stored = place.bits(at, 32);
            let verdict = match place.crc_ok {
                Some(true) => "correct",
                Some(false) => "bad",
                None => "unchecked",
            };
            format!("{} ({verdict})", number(stored, 32, Base::Hex))
        }
        Kind::Uuid => {
            let bytes =
                (u128::from(place.bits(at, 64)) << 64) | u128::from(place.bits(at + 64, 64));
            uuid::Uuid::from_u128(bytes).to_string()
        }
        Kind::Text(len) => quoted(place, at, len(&place.at(place.start))),
        Kind::Seconds => local_time(timestamp(place, at).seconds),
        Kind::Nanos => timestamp(place, at).nanos.to_string(),
        Kind::QuotaTimer => match place.bits(at, 32) as u32 {
            0 => "0".into(),
            timer => local_time(super::dquot::seconds(place, timer)),
        },
        Kind::Format => {
            let format = place.bits(at, 8);
            match format_name(format as u8) {
                Some(name) => format!("{format} ({name})"),
                None => format.to_string(),
            }
        }
        Kind::MetaType => {
            let number = place.bits(at, 16);
            format!("{number} ({})", metafile_name(number))
        }
        Kind::Group(..) | Kind::Row(..) => return None,
    })
}

/// A number as C's printf would print it.
fn number(value: u64, bits: usize, base: Base) -> String {
    match base {
        Base::Decimal => value.to_string(),
        Base::Signed => {
            let unused = 64 - bits;
            ((value << unused) as i64 >> unused).to_string()
        }
        Base::Hex if value == 0 => "0".into(),
        Base::Hex => format!("{value:#x}"),
        Base::Octal if value == 0 => "0".into(),
        Base::Octal => format!("0{value:o}"),
    }
}

/// Text in quotes, what is not printable escaped.
fn quoted(place: &Place, at: usize, len: usize) -> String {
    let start = at / 8;
    let mut text = String::from("\"");
    for byte in place.data.get(start..).unwrap_or(&[]).iter().take(len) {
        match byte {
            b'\\' | b'"' | b'\'' | b'?' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            // Seven control characters in a row are \a to \g: not C's letters, but xfs_db's.
            7..=13 => {
                text.push('\\');
                text.push(char::from(b'a' + byte - 7));
            }
            0x20..=0x7e => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\{byte:03o}");
            }
        }
    }
    text.push('"');
    text
}

/// The timestamp at bit `at`.
pub fn timestamp(place: &Place, at: usize) -> Timestamp {
    Timestamp::decode(place.bits(at, 64), super::inode::has_bigtime(place))
}

/// A time as C's ctime prints it, in the local time zone.
pub fn local_time(seconds: i64) -> String {
    match Instant::from_second(seconds) {
        Ok(instant) => {
            instant.to_zoned(TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string()
        }
        Err(_) => seconds.to_string(),
    }
}

/// The name of a format of a fork.
pub fn format_name(number: u8) -> Option<&'static str> {
    Some(match ForkFormat::from_disk(number)? {
        ForkFormat::Dev => "dev",
        ForkFormat::Local => "local",
        ForkFormat::Extents => "extents",
        ForkFormat::Btree => "btree",
        ForkFormat::Uuid => "uuid",
        ForkFormat::MetaBtree => "meta_btree",
    })
}

fn metafile_name(number: u64) -> &'static str {
    const NAMES: [&str; 9] = [
        "unknown",
        "dir",
        "usrquota",
        "grpquota",
        "prjquota",
        "rtbitmap",
        "rtsummary",
        "rtrmap",
        "rtrefcount",
    ];
    usize::try_from(number).ok().and_then(|index| NAMES.get(index)).unwrap_or(&"unknown")
}
