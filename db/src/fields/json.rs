//! Fields as JSON, by the same tables: a structure is an object, an array an array.

use super::path::Selection;
use super::print::{format_name, timestamp};
use super::{Base, Field, Kind, Null, Place, dquot};
use libfs::format::inode::MetafileType;
use serde_json::{Map, Value, json};
use std::fmt::Write;

/// Every field of a structure, those that are only printed by name included.
pub fn all(fields: &[Field], place: &Place) -> Value {
    let present = fields.iter().filter(|field| field.count(place) > 0);
    let entries = present.map(|field| {
        let value = elements(field, place, 0, field.count(place));
        (field.name.to_owned(), value)
    });
    Value::Object(entries.collect::<Map<_, _>>())
}

/// What paths select: each part with the path that leads to it, and the index of its first
/// element if it is an array.
pub fn selected(selections: &[Selection]) -> Value {
    let parts = selections.iter().flat_map(|selection| &selection.parts);
    let values = parts.map(|part| {
        let path = format!("{}{}", part.prefix, part.field.name);
        let value = elements(part.field, &part.place, part.low, part.count);
        if part.field.is_array() {
            json!({ "path": path, "first": part.low + part.field.first, "value": value })
        } else {
            json!({ "path": path, "value": value })
        }
    });
    values.collect()
}

/// Bytes that have no fields, in hexadecimal.
pub fn bytes(data: &[u8]) -> Value {
    let mut text = String::with_capacity(data.len() * 2);
    for byte in data {
        let _ = write!(text, "{byte:02x}");
    }
    Value::String(text)
}

/// `count` elements of a field from `low` on: an array if the field is one.
fn elements(field: &Field, place: &Place, low: usize, count: usize) -> Value {
    let element = |index| {
        let at = field.position(place, index);
        match field.kind {
            Kind::Group(fields, _) | Kind::Row(fields, _) => all(fields, &place.at(at)),
            _ => value(&field.kind, place, at),
        }
    };
    if field.is_array() {
        return (low..low.saturating_add(count)).map(element).collect();
    }
    element(low)
}

/// The value at bit `at`; what means "none" is null.
fn value(kind: &Kind, place: &Place, at: usize) -> Value {
    match kind {
        Kind::Number(bits, base, null) => {
            let value = place.bits(at, *bits);
            let ones = value == u64::MAX >> (64 - bits);
            match (null, base) {
                (Null::Named | Null::Skipped | Null::ZeroSkipped, _) if ones => Value::Null,
                (_, Base::Signed) => json!((value << (64 - bits)) as i64 >> (64 - bits)),
                _ => json!(value),
            }
        }
        // Printed as the number that its bytes are in disk order.
        Kind::Crc => json!({ "value": place.bits(at, 32), "correct": place.crc_ok }),
        Kind::Uuid => {
            let high = u128::from(place.bits(at, 64)) << 64;
            let uuid = uuid::Uuid::from_u128(high | u128::from(place.bits(at + 64, 64)));
            json!(uuid.to_string())
        }
        Kind::Text(len) => text(place, at, len(&place.at(place.start))),
        Kind::Seconds => json!(timestamp(place, at).seconds),
        Kind::Nanos => json!(timestamp(place, at).nanos),
        Kind::QuotaTimer => json!(dquot::seconds(place, place.bits(at, 32) as u32)),
        Kind::Format => {
            let number = place.bits(at, 8);
            json!({ "number": number, "name": format_name(number as u8) })
        }
        Kind::MetaType => {
            let number = place.bits(at, 16);
            let kind = u16::try_from(number).ok().and_then(MetafileType::from_disk);
            json!({ "number": number, "name": kind.map(MetafileType::name) })
        }
        Kind::Group(..) | Kind::Row(..) => Value::Null,
    }
}

/// Text as a string if it is UTF-8, else its bytes.
fn text(place: &Place, at: usize, len: usize) -> Value {
    let rest = place.data.get(at / 8..).unwrap_or(&[]);
    let found = rest.get(..len.min(rest.len())).unwrap_or(&[]);
    match std::str::from_utf8(found) {
        Ok(text) => json!(text),
        Err(_) => json!({ "bytes": bytes(found) }),
    }
}
