//! What `convert` and `rtconvert` share: pairs of a kind of address and a number, which add up to
//! a place in bytes, and a kind of address to tell that place as.

use crate::commands::number;
use anyhow::{Context, Result, bail};

/// A kind of address.
pub struct Unit {
    /// Its names.
    pub names: &'static [&'static str],
    /// Names of the kinds that may have been given before it.
    pub after: &'static [&'static str],
}

impl Unit {
    /// The first of its names.
    pub fn name(&self) -> &'static str {
        self.names.first().copied().unwrap_or_default()
    }
}

/// What was asked for.
pub struct Request {
    /// Kinds of address with their numbers, by their first names.
    pub given: Vec<(&'static str, u64)>,
    /// The kind wanted.
    pub wanted: &'static str,
}

impl Request {
    /// The number given of a kind, if it was.
    pub fn given(&self, name: &str) -> Option<u64> {
        self.given.iter().find(|(given, _)| *given == name).map(|(_, value)| *value)
    }
}

/// Understands the arguments of `command`.
///
/// # Errors
///
/// An error with the message of xfs_db 7.2 is returned if kinds are unknown or do not go
/// together, or something is not a number.
pub fn parse(command: &str, units: &'static [Unit], args: &[&str]) -> Result<Request> {
    if args.len().is_multiple_of(2) {
        bail!("bad argument count {} to {command}, expected 3,5,7,9 arguments", args.len());
    }
    let find = |name: &str| {
        let found = units.iter().find(|unit| unit.names.contains(&name));
        found.with_context(|| format!("unknown conversion type {name}"))
    };
    let (pairs, last) = args.as_chunks::<2>();
    let wanted = find(last.first().copied().unwrap_or_default())?.name();
    let mut given: Vec<(&'static str, u64)> = Vec::new();
    for [name, text] in pairs {
        let unit = find(name)?;
        if unit.name() == wanted {
            bail!("result type same as argument");
        }
        if given.iter().any(|(before, _)| !unit.after.contains(before)) {
            bail!("conflicting conversion type {name}");
        }
        let value = number(text).with_context(|| format!("{text} is not a number"))?;
        given.push((unit.name(), value));
    }
    Ok(Request { given, wanted })
}

/// The line that tells the result.
pub fn result(value: u64) -> String {
    format!("{value:#x} ({})\n", value as i64)
}
