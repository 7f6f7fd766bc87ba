//! Changing a field of the structure at the cursor.

use super::bits::Span;
use super::{Mode, store};
use crate::fields::inode::has_bigtime;
use crate::fields::path::{self, Part};
use crate::fields::{Field, Kind, Place, print};
use crate::program::explain;
use crate::session::Session;
use anyhow::{Context, Result, anyhow, bail};

/// Gives the first field that `path` selects the value that `change` makes of the one it has,
/// writes the structure and returns what was selected, printed. A structure that cannot be
/// written is told of, and stays as it was.
///
/// # Errors
///
/// An error is returned if the path selects nothing, or `change` fails.
pub fn change(
    session: &mut Session,
    path: &str,
    mode: Mode,
    change: impl FnOnce(Vec<u8>, Span) -> Result<Vec<u8>>,
) -> Result<String> {
    let before = session.cursor.clone().context("no current type")?;
    let geo = session.geo.clone();
    let table = before.kind.fields(&geo).context("no current type")?;
    let place = Place { data: before.data(), geo: &geo, crc_ok: before.crc_ok, start: 0 };
    let mut selection = path::select(table, &place, path).map_err(|text| {
        let syntax = text.starts_with("bad syntax");
        let verdict =
            if syntax { format!("unable to parse '{path}'.") } else { "parsing error".into() };
        anyhow!("{text}\n{verdict}")
    })?;
    let span = span(selection.parts.first().context("parsing error")?);
    let value = change(span.get(before.data()), span)?;
    let cursor = session.cursor.as_mut().context("no current type")?;
    span.set(cursor.data_mut(), &value);
    let mut out = String::new();
    if let Err(error) = store(session, mode) {
        out = format!("{}\n", explain(&error));
    }
    let Some(after) = session.cursor.clone() else { bail!("no current type") };
    for part in &mut selection.parts {
        part.place.data = after.data();
        part.place.crc_ok = after.crc_ok;
    }
    // A field that the change took away prints as nothing.
    let gone = |part: &&Part| part.field.count(&part.place) == 0;
    if let Some(part) = selection.parts.first().filter(gone) {
        return Ok(format!("{out}{}{} = \n", part.prefix, part.field.name));
    }
    print::selection(&selection, &mut out);
    Ok(out)
}

/// Where the elements are that a part of a selection names. A structure that is there once
/// stands for its first field.
fn span(part: &Part) -> Span {
    let (mut field, mut place, mut low, mut count) = (part.field, part.place, part.low, part.count);
    while let Kind::Group(children, 0) | Kind::Row(children, 0) = field.kind {
        let inner = place.at(field.position(&place, low));
        let Some(first) = children.iter().find(|child| child.count(&inner) > 0) else { break };
        (field, place, low, count) = (first, inner, 0, first.count(&inner));
    }
    // Both parts of a time are the whole of it where it is one number of nanoseconds.
    if matches!(field.kind, Kind::Seconds | Kind::Nanos) && has_bigtime(&place) {
        return Span { start: place.start, bits: 64 };
    }
    let width = match field.kind {
        Kind::Text(len) => len(&place).saturating_mul(8),
        _ => field.kind.width(),
    };
    let end = place.data.len() * 8;
    let start = field.position(&place, low).min(end);
    Span { start, bits: width.saturating_mul(count).min(end - start) }
}

/// The path of the checksum among `fields`.
pub fn crc_path(fields: &[Field], place: &Place) -> Option<String> {
    fields.iter().filter(|field| !field.is_array() && field.count(place) > 0).find_map(|field| {
        match field.kind {
            Kind::Crc => Some(field.name.to_owned()),
            Kind::Group(children, _) => {
                let inner = place.at(field.position(place, 0));
                Some(format!("{}.{}", field.name, crc_path(children, &inner)?))
            }
            _ => None,
        }
    })
}
