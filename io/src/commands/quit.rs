//! quit: end the session.

use super::{Command, Scope};

pub const COMMAND: Command = Command {
    name: "quit",
    alias: Some("q"),
    arguments: (0, Some(0)),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "",
    summary: "exit the program",
    help: "",
    run: |session, _| {
        session.quit = true;
        Ok(())
    },
};
