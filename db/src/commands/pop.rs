//! `pop`: go back to the position that the last `push` stored.

use super::Command;
use crate::session::Session;
use anyhow::Result;

/// The command.
pub const COMMAND: Command = Command {
    name: "pop",
    alias: None,
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "pop location from the stack",
    help: "\
Goes back to the position that the last `push` stored, and takes it off the stack.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    session.pop();
    Ok(String::new())
}
