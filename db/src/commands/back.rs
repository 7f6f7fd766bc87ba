//! `back`: go to the place visited before.

use super::Command;
use crate::session::Session;
use anyhow::Result;

/// The command.
pub const COMMAND: Command = Command {
    name: "back",
    alias: Some("b"),
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "move to the previous location in the position ring",
    help: "\
Moves to the place that was visited before this one, as the ring has it. At the oldest
place nothing happens.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    session.step(false)?;
    Ok(String::new())
}
