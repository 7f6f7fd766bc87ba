//! `help`: list the commands, or explain one.

use super::{Command, find, known};
use crate::session::Session;
use anyhow::Result;

/// The command.
pub const COMMAND: Command = Command {
    name: "help",
    alias: Some("?"),
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[command]",
    summary: "help for one or all commands",
    help: "\
Lists every command, or explains one.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if let Some(name) = args.first() {
        let command = find(session, name)?;
        let indented = command.help.lines().map(|line| format!(" {}\n", line.trim_start()));
        return Ok(format!("{}\n{}\n", line(command), indented.collect::<String>()));
    }
    let lines = known(session).map(line).collect::<String>();
    Ok(format!("{lines}\nUse 'help commandname' for extended help.\n"))
}

fn line(command: &Command) -> String {
    let args = if command.args.is_empty() { String::new() } else { format!(" {}", command.args) };
    format!("{}{args} -- {}\n", command.name, command.summary)
}
