//! `echo`: print words.

use super::Command;
use crate::session::Session;
use anyhow::Result;

/// The command.
pub const COMMAND: Command = Command {
    name: "echo",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[args]...",
    summary: "echo arguments",
    help: "\
Prints its arguments, to tell apart the output of several commands.
",
    run,
};

fn run(_: &mut Session, args: &[&str]) -> Result<String> {
    let words = args.iter().map(|word| format!("{word} "));
    Ok(words.collect::<String>() + "\n")
}
