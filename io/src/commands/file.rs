//! file: show the table of open files, or choose the current one.

use super::Command;
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "file",
    alias: Some("f"),
    arguments: (0, Some(1)),
    needs_file: true,
    expert: false,
    usage: "[N]",
    summary: "set the current file",
    help: "",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if let Some(number) = arguments.get(1) {
        match number.parse::<usize>() {
            Ok(index) if index < session.files.len() => session.current = index,
            _ => {
                println!("value {number} is out of range (0-{})", session.files.len() - 1);
                return Ok(());
            }
        }
    }
    list(session);
    Ok(())
}

/// Prints the table; the current file is in brackets.
pub fn list(session: &Session) {
    for (i, file) in session.files.iter().enumerate() {
        let (open, close) = if i == session.current { ('[', ']') } else { (' ', ' ') };
        println!("{open}{i:03}{close} {:<14} (xfs,{})", file.path, file.describe_flags());
    }
}
