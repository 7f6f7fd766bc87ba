//! Field paths: names joined by dots, each with an index or a range of them.

use super::{Field, Kind, Place};

/// What a path selects: elements of a field, in one or more structures.
pub struct Selection<'a> {
    /// Each structure with the elements selected in it.
    pub parts: Vec<Part<'a>>,
}

/// Elements of a field of one structure.
pub struct Part<'a> {
    /// The path that leads to the structure.
    pub prefix: String,
    /// The structure.
    pub place: Place<'a>,
    /// The field.
    pub field: &'static Field,
    /// First element, counted from 0.
    pub low: usize,
    /// Number of elements.
    pub count: usize,
    /// The range as it was asked for.
    pub asked: Option<(u64, u64)>,
}

/// One component of a path.
struct Component {
    name: String,
    range: Option<(u64, u64)>,
}

/// Finds what `path` selects among `fields` of the structure at `place`.
///
/// # Errors
///
/// The message xfs_db 7.2 prints is returned if the path is malformed, or does not name
/// anything in this structure.
pub fn select<'a>(
    fields: &'static [Field],
    place: &Place<'a>,
    path: &str,
) -> Result<Selection<'a>, String> {
    let bad = || format!("bad syntax in field name {path}");
    let components = parse(path).ok_or_else(bad)?;
    let (last, leading) = components.split_last().ok_or_else(bad)?;
    let mut structures = vec![(String::new(), *place, fields)];
    for component in leading {
        let mut inner = Vec::new();
        for part in parts(component, &structures)? {
            inner.extend(structures_of(&part)?);
        }
        structures = inner;
    }
    Ok(Selection { parts: parts(last, &structures)? })
}

/// A structure: the path that leads to it, its place and its fields.
type Structure<'a> = (String, Place<'a>, &'static [Field]);

/// The elements that a component names in each of the structures. Structures of one array
/// can differ; those that lack the field drop out.
fn parts<'a>(component: &Component, structures: &[Structure<'a>]) -> Result<Vec<Part<'a>>, String> {
    let mut parts = Vec::new();
    for (prefix, place, fields) in structures {
        let named = |field: &&Field| field.name == component.name && field.count(place) > 0;
        let Some(field) = fields.iter().find(named) else { continue };
        let (low, count) = bounds(field, component, field.count(place))?;
        parts.push(Part {
            prefix: prefix.clone(),
            place: *place,
            field,
            low,
            count,
            asked: component.range,
        });
    }
    if parts.is_empty() {
        return Err(format!("field {} not found", component.name));
    }
    Ok(parts)
}

/// The structures that the elements of a field are.
fn structures_of<'a>(part: &Part<'a>) -> Result<Vec<Structure<'a>>, String> {
    let (Kind::Group(children, _) | Kind::Row(children, _)) = part.field.kind else {
        return Err(format!("field {} has no subfields", part.field.name));
    };
    let structures = (part.low..part.low + part.count).map(|index| {
        let place = part.place.at(part.field.position(&part.place, index));
        (format!("{}{}.", part.prefix, part.name(index)), place, children)
    });
    Ok(structures.collect())
}

impl Part<'_> {
    /// The field's name with the index of element `index`, if it is an array.
    fn name(&self, index: usize) -> String {
        if self.field.is_array() {
            format!("{}[{}]", self.field.name, index + self.field.first)
        } else {
            self.field.name.into()
        }
    }
}

/// First element, counted from 0, and number of elements that a component asks for.
fn bounds(field: &Field, component: &Component, total: usize) -> Result<(usize, usize), String> {
    let name = field.name;
    let Some((low, high)) = component.range else { return Ok((0, total)) };
    if !field.is_array() {
        return Err(format!("field {name} is not an array"));
    }
    let (first, end) = (field.first as u64, (field.first + total) as u64);
    if low < first || high >= end {
        let which =
            if low == high { format!("index {low}") } else { format!("indices {low}-{high}") };
        return Err(format!("{which} for field {name} out of range {first}-{}", end - 1));
    }
    Ok(((low - first) as usize, (high + 1).saturating_sub(low) as usize))
}

fn parse(path: &str) -> Option<Vec<Component>> {
    path.split('.').map(parse_component).collect()
}

fn parse_component(text: &str) -> Option<Component> {
    let (name, range) = match text.split_once('[') {
        Some((name, rest)) => (name, Some(parse_range(rest.strip_suffix(']')?)?)),
        None => (text, None),
    };
    let known = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    (starts && name.chars().all(known)).then(|| Component { name: name.into(), range })
}

fn parse_range(text: &str) -> Option<(u64, u64)> {
    match text.split_once('-') {
        Some((low, high)) => Some((parse_index(low)?, parse_index(high)?)),
        None => parse_index(text).map(|index| (index, index)),
    }
}

fn parse_index(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX - 1))
}
