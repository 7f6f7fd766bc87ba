//! rm: remove names from the filesystem.

use super::{Command, Flags, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "rm",
    alias: None,
    arguments: (1, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "[-d] path...",
    summary: "remove files from the filesystem",
    help: "
 Removes each name. A file that is open goes when it is closed.
 -d -- remove empty directories",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "d")?;
    for path in &flags.rest {
        if flags.has('d') {
            session.image()?.filesystem.remove_directory(path)?;
        } else {
            session.image()?.filesystem.unlink(path)?;
        }
    }
    Ok(())
}
