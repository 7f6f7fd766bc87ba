//! The suboptions of mkfs.xfs, from its table and what its manual says of each.

use std::fmt::Write;

use anyhow::{Context, Result, ensure};
use mkfs::manual;
use mkfs::suboptions::{Kind, Suboption, TABLE};

use super::help_text::escape;

/// Those of one option, in roff.
///
/// # Errors
///
/// When there are none, or one is not described.
pub fn section(letter: &str) -> Result<String> {
    let mut out = String::new();
    for option in TABLE.iter().filter(|option| letter.starts_with(option.letter)) {
        let text = manual::describe(option.letter, option.name);
        let text = text.with_context(|| format!("-{letter} {} has no description", option.name))?;
        let value = escape(&value(option));
        let _ = writeln!(out, ".TP\n\\fB\\-{letter} {}\\fR{value}", escape(option.name));
        for line in text.lines().map(str::trim) {
            let _ = writeln!(out, "{}", escape(line));
        }
        out.push_str(&escape(&limits(option)));
        out.push_str(&escape(&exclusions(option)));
    }
    ensure!(!out.is_empty(), "mkfs.xfs has no suboptions of -{letter}");
    Ok(out)
}

/// How a value is written.
fn value(option: &Suboption) -> String {
    let value = match option.kind {
        Kind::Number(0, 1) => "0|1",
        Kind::Number(..) | Kind::PowerOfTwo(..) => "number",
        Kind::Size(..) | Kind::SizePowerOfTwo(..) => "size",
        Kind::Text => "text",
    };
    if option.default.is_some() { format!("[={value}]") } else { format!("={value}") }
}

/// Which values there are.
fn limits(option: &Suboption) -> String {
    match option.kind {
        Kind::Text | Kind::Number(0, 1) => String::new(),
        Kind::Number(low, high) if low == high => format!("Only {low} is accepted.\n"),
        Kind::Number(low, high) if high >= i64::from(i32::MAX) => match low {
            0 => String::new(),
            _ => format!("At least {low}.\n"),
        },
        Kind::Number(low, high) => format!("From {low} to {high}.\n"),
        Kind::PowerOfTwo(low, high) => format!("A power of two from {low} to {high}.\n"),
        Kind::SizePowerOfTwo(low, high) => {
            format!("A power of two from {} to {}.\n", size(low), size(high))
        }
        Kind::Size(low, high) if high >= i64::from(u32::MAX) && high != 1 << 40 => match low {
            0 | 1 => String::new(),
            _ => format!("At least {}.\n", size(low)),
        },
        Kind::Size(low, high) => format!("From {} to {}.\n", size(low), size(high)),
    }
}

/// A number of bytes in the largest unit that divides it.
fn size(bytes: i64) -> String {
    let units = [(1_i64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match units.iter().find(|(unit, _)| bytes >= *unit && bytes % unit == 0) {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} bytes"),
    }
}

/// What it cannot be given with.
fn exclusions(option: &Suboption) -> String {
    let name = |(letter, name): &(char, &str)| format!("-{letter} {name}");
    let names: Vec<String> = option.conflicts.iter().map(name).collect();
    match names.split_last() {
        None => String::new(),
        Some((last, [])) => format!("Excludes {last}.\n"),
        Some((last, rest)) => format!("Excludes {} and {last}.\n", rest.join(", ")),
    }
}
