//! file, print: show the table of open files, or choose the current one.

use super::{Command, Scope, mmap};
use crate::session::{Complaint, Session};

pub const FILE: Command = Command {
    name: "file",
    alias: Some("f"),
    arguments: (0, Some(1)),
    scope: Scope::Current,
    xfs_only: false,
    expert: false,
    usage: "[N]",
    summary: "set the current file",
    help: "",
    run,
};

pub const PRINT: Command = Command {
    name: "print",
    alias: Some("p"),
    arguments: (0, Some(0)),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "",
    summary: "list current open files and memory mappings",
    help: "",
    run: |session, _| {
        list(session);
        mmap::list(session);
        Ok(())
    },
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if let Some(text) = arguments.get(1) {
        let number = atoi(text);
        match usize::try_from(number) {
            Ok(index) if index < session.files.len() => session.current = index,
            _ => {
                let last = session.files.len().saturating_sub(1);
                let complaint = format!("value {number} is out of range (0-{last})");
                return Err(Complaint(complaint).into());
            }
        }
    }
    list(session);
    Ok(())
}

/// A number as atoi(3) reads it: what is none is 0.
pub fn atoi(text: &str) -> i64 {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '-').unwrap_or(text.len());
    text[..end].parse().unwrap_or(0)
}

/// Prints the table; the current file is in brackets.
pub fn list(session: &Session) {
    for (i, file) in session.files.iter().enumerate() {
        let (open, close) = if i == session.current { ('[', ']') } else { (' ', ' ') };
        let kind = if file.foreign { "foreign" } else { "xfs" };
        println!("{open}{i:03}{close} {:<14} ({kind},{})", file.path, file.describe_flags());
    }
}
