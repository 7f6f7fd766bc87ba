//! mkdir: make a directory in the filesystem.

use super::{Command, Flags, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "mkdir",
    alias: None,
    arguments: (1, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "[-m mode] path...",
    summary: "make directories in the filesystem",
    help: "
 Makes each directory; its parent must exist.
 -m -- permissions in octal (default 0755)",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "m:")?;
    let mode = flags.value('m').unwrap_or("0755");
    let Ok(mode) = u16::from_str_radix(mode, 8) else { anyhow::bail!("non-octal mode -- {mode}") };
    for path in &flags.rest {
        session.image()?.filesystem.make_directory(path, mode)?;
    }
    Ok(())
}
