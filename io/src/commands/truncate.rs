//! truncate: set the size of the current file.

use super::{Command, Named, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "truncate",
    alias: Some("t"),
    arguments: (1, Some(1)),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "off",
    summary: "truncates the current file at the given offset",
    help: "",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let size = session.number(&arguments[1], "truncate")?;
    let file = session.handle()?;
    session.target.truncate(file, size).named("ftruncate")
}
