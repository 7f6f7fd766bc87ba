//! truncate: set the size of the current file.

use super::Command;
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "truncate",
    alias: Some("t"),
    arguments: (1, Some(1)),
    needs_file: true,
    expert: false,
    usage: "off",
    summary: "truncates the current file at the given offset",
    help: "",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let size = session.number(&arguments[1], "truncate")?;
    let file = session.file()?;
    if file.flags.read_only {
        return Err(libfs::Error::os(libfs::Errno::EINVAL, "truncate").into());
    }
    let ino = file.ino;
    session.filesystem.truncate(ino, size)?;
    Ok(())
}
