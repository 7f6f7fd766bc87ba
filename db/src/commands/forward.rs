//! `forward`: go to the place visited after this one.

use super::Command;
use crate::session::Session;
use anyhow::Result;

/// The command.
pub const COMMAND: Command = Command {
    name: "forward",
    alias: Some("f"),
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "move forward to next entry in the position ring",
    help: "\
Moves to the place that was visited after this one, as the ring has it. At the latest
place nothing happens.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    session.step(true)?;
    Ok(String::new())
}
