//! `push`: store the position.

use super::{Command, find, run_words};
use crate::session::Session;
use anyhow::{Result, anyhow, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "push",
    alias: None,
    min_args: 0,
    max_args: Some(2),
    expert: false,
    args: "[command]",
    summary: "push location to the stack",
    help: "\
Stores the current position on the stack, for `pop` to come back to. A command that
moves the cursor may follow, which is done after storing.
 Example:
 push a rootino
",
    run,
};

/// Commands that may follow.
const MOVES: [&str; 19] = [
    "ablock", "addr", "agf", "agfl", "agi", "daddr", "dblock", "dquot", "fsblock", "inode",
    "label", "logblock", "rtblock", "rtextent", "rtsb", "sb", "type", "uuid", "version",
];

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(name) = args.first() else {
        session.push();
        session.refresh()?;
        return Ok(String::new());
    };
    let command = find(session, name).map_err(|_| anyhow!("no such command {name}"))?;
    if !MOVES.contains(&command.name) {
        bail!("no push form allowed for {name}");
    }
    session.push();
    run_words(session, args)
}
