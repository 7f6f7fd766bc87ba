//! `print`: show fields, or bytes where there are no fields.

use super::Command;
use crate::fields::{json as fields_as_json, path, print as fields};
use crate::json;
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "print",
    alias: Some("p"),
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[value]... [--json]",
    summary: "print field values",
    help: "\
Prints the fields of what is at the cursor, or those that are named: components joined
by dots, an array element or a range of them in brackets. --json prints a JSON document
(schema: print.json).

 Examples:

 sb 0
 print dblocks agcount
 agfl 0
 print bno[0-7]
 inode 128
 print core.size u3.bmx[2].startblock
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut args = args.to_vec();
    let as_json = json::wanted(session, &mut args);
    let cursor = session.cursor.as_ref().context("no current type")?;
    let place = session.place().context("no current type")?;
    let kind = cursor.kind;
    let Some(table) = kind.fields(&session.geo) else {
        return match kind {
            Type::Inodata | Type::Log => bail!("no print function for type {}", kind.name()),
            _ if as_json => Ok(document(kind, "bytes", fields_as_json::bytes(cursor.data()))),
            _ if kind.is_text() => Ok(text(cursor.data())),
            _ => Ok(hex(cursor.data())),
        };
    };
    let paths = args.iter().map(|path| path::select(table, &place, path));
    let selections = paths.collect::<Result<Vec<_>, _>>().map_err(|text| anyhow!(text))?;
    if as_json {
        return Ok(match args.is_empty() {
            true => document(kind, "fields", fields_as_json::all(table, &place)),
            false => document(kind, "selected", fields_as_json::selected(&selections)),
        });
    }
    let mut out = String::new();
    if args.is_empty() {
        fields::all(table, &place, "", &mut out);
        if out.is_empty() && kind == Type::Dir3 {
            out.push_str(" = Unrecognized metadata or type mismatch\n");
        }
    }
    for selection in &selections {
        fields::selection(selection, &mut out);
    }
    Ok(out)
}

/// A JSON document of what an object of this type holds.
fn document(kind: Type, name: &str, value: Value) -> String {
    json::document("print", &serde_json::json!({ "type": kind.name(), name: value }))
}

/// Words of four bytes, eight to a line.
fn hex(data: &[u8]) -> String {
    let mut out = String::new();
    let digits = digits(data.len());
    for (row, bytes) in data.chunks(32).enumerate() {
        let _ = write!(out, "{:0digits$x}:", row * 32);
        for word in bytes.chunks(4) {
            out.push(' ');
            for byte in word {
                let _ = write!(out, "{byte:02x}");
            }
        }
        out.push('\n');
    }
    out
}

/// Hexadecimal digits of the last offset in `len` bytes.
fn digits(len: usize) -> usize {
    (len.saturating_sub(1).max(1).ilog2() / 4 + 1) as usize
}

/// Single bytes, sixteen to a line, with letters and digits beside them.
fn text(data: &[u8]) -> String {
    let mut out = String::new();
    let digits = digits(data.len());
    for (row, bytes) in data.chunks(16).enumerate() {
        let _ = write!(out, "{:0digits$x}: ", row * 16);
        for byte in bytes {
            let _ = write!(out, " {byte:02x}");
        }
        out.push_str("  ");
        for byte in bytes {
            out.push(if byte.is_ascii_alphanumeric() { char::from(*byte) } else { '.' });
        }
        out.push('\n');
    }
    out
}
