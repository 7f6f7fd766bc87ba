//! shutdown: stop at once, as a power cut would.

use super::{Command, Flags, Named, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "shutdown",
    alias: None,
    arguments: (0, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: true,
    usage: "[-f]",
    summary: "shuts down the filesystem where the current file resides",
    help: "
 Stops the filesystem: nothing more is written, and its log stays dirty. What was changed
 since the last fsync is lost, as in a power cut.

 -f -- Write what the log holds in memory first",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "fv")?;
    let file = session.handle().ok();
    if file.is_none() && session.target.image().is_none() {
        eprintln!("no files are open, try 'help open'");
        return Ok(());
    }
    session.target.shut_down(file, flags.has('f')).named("XFS_IOC_GOINGDOWN")
}
