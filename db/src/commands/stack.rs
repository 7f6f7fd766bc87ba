//! `stack`: the positions that `push` stored.

use super::Command;
use crate::session::Session;
use anyhow::Result;

/// The command.
pub const COMMAND: Command = Command {
    name: "stack",
    alias: None,
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "view the location stack",
    help: "\
Shows the positions that `push` stored, the current one first. `ring` shows those that
were passed without being stored.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    let entries = session.stack();
    let numbered = entries.iter().rev().enumerate().rev();
    Ok(numbered.map(|(at, place)| format!("{}: \n{}", at + 1, session.describe(place))).collect())
}
