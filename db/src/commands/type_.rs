//! `type`: take what is at the cursor for something else.

use super::Command;
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, bail};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "type",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[newtype]",
    summary: "set/show current data type",
    help: "\
Takes what is at the cursor for a structure of another type; `data` and `text` print it
in hexadecimal. Without an argument, tells the current type and lists all.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if let Some(name) = args.first() {
        let kind = Type::from_name(name).with_context(|| format!("no such type {name}"))?;
        if session.cursor.is_none() {
            bail!("no current object");
        }
        session.set_type(kind)?;
        return Ok(String::new());
    }
    let mut out = match &session.cursor {
        Some(cursor) => format!("current type is \"{}\"\n", cursor.kind.name()),
        None => "no current type\n".into(),
    };
    out.push_str("\n supported types are:\n ");
    for (index, kind) in Type::ALL.iter().enumerate() {
        let _ = match (index + 1 == Type::ALL.len(), (index + 1) % 8) {
            (true, _) => writeln!(out, "{}", kind.name()),
            (_, 0) => write!(out, "{}, \n ", kind.name()),
            _ => write!(out, "{}, ", kind.name()),
        };
    }
    out.push('\n');
    Ok(out)
}
