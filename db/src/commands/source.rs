//! `source`: run commands from a file.

use super::Command;
use crate::program::execute;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "source",
    alias: None,
    min_args: 1,
    max_args: Some(1),
    expert: false,
    args: "source-file",
    summary: "get commands from source-file",
    help: "\
Runs the commands in a file, one to a line. The file may name others in the same way;
`quit` in one ends all of them.
",
    run,
};

/// Files that are being read within each other, at most.
const DEPTH: usize = 100;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let path = args.first().copied().unwrap_or_default();
    let text = std::fs::read(path).map_err(|_| anyhow!("can't open {path}"))?;
    if session.sources >= DEPTH {
        bail!("{path} is the {DEPTH}th file within files");
    }
    session.sources += 1;
    for line in String::from_utf8_lossy(&text).lines() {
        execute(session, line);
        if session.done {
            break;
        }
    }
    session.sources -= 1;
    Ok(String::new())
}
