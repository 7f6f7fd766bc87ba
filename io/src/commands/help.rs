//! help: what commands there are and how they are called.

use super::{Command, Scope, TABLE, find, one_line};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "help",
    alias: Some("?"),
    arguments: (0, Some(1)),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "[command]",
    summary: "help for one or all commands",
    help: "",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    match arguments.get(1) {
        None => {
            for command in TABLE.iter().filter(|c| !c.expert || session.expert) {
                println!("{}", one_line(command));
            }
            println!("\nUse 'help commandname' for extended help.");
        }
        Some(name) => match find(name).filter(|c| !c.expert || session.expert) {
            Some(command) => {
                println!("{}", one_line(command));
                if !command.help.is_empty() {
                    println!("{}\n", command.help);
                }
            }
            None => println!("command {name} not found"),
        },
    }
    Ok(())
}
