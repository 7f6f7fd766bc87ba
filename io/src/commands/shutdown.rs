//! shutdown: stop at once, as a power cut would.

use super::{Command, Flags};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "shutdown",
    alias: None,
    arguments: (0, None),
    needs_file: false,
    expert: true,
    usage: "[-f]",
    summary: "shuts down the filesystem where the current file resides",
    help: "
 Stops the filesystem: nothing more is written, and its log stays dirty. What was changed
 since the last fsync is lost, as in a power cut.
 -f -- write what the log holds in memory first",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "f")?;
    session.filesystem.shut_down(flags.has('f'))?;
    Ok(())
}
