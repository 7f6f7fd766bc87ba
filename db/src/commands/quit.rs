//! `quit`: leave.

use super::Command;

/// The command.
pub const COMMAND: Command = Command {
    name: "quit",
    alias: Some("q"),
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "exit xfs_db",
    help: "\
Leaves the program.
",
    run: |session, _| {
        session.done = true;
        Ok(String::new())
    },
};
