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
        return Ok(line(name, command) + &explain(command));
    }
    let lines = known(session).map(|command| line(command.name, command)).collect::<String>();
    Ok(format!("{lines}\nUse 'help commandname' for extended help.\n"))
}

/// The long text about a command, as it is also printed after wrong options.
pub fn explain(command: &Command) -> String {
    let lines = command.help.lines().map(|line| format!(" {line}"));
    let lines = lines.map(|line| line.trim_end().to_owned() + "\n");
    format!("\n{}\n", lines.collect::<String>())
}

/// One line about a command that was asked for by `name`.
fn line(name: &str, command: &Command) -> String {
    let args = if command.args.is_empty() { String::new() } else { format!(" {}", command.args) };
    format!("{name}{args} -- {}\n", command.summary)
}
