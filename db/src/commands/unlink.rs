//! `unlink`: remove a directory entry.

use super::{Command, link};
use crate::session::Session;
use crate::write::structure;
use anyhow::{Result, bail};
use libfs::file::namespace;

/// The command.
pub const COMMAND: Command = Command {
    name: "unlink",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "name",
    summary: "remove directory link",
    help: "
 Removes an entry of the directory at the cursor, through the log, whatever it leads to. A file
 without another name goes on the list of unlinked inodes.

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let status = std::mem::replace(&mut session.exit_status, 1);
    let dir = link::directory(session)?;
    let [name] = *args else { bail!("unlink: need directory entry name") };
    let removed = structure::change(session, |filesystem| {
        let mount = filesystem.mount();
        let dir = mount.iget(dir.0)?;
        namespace::remove_entry(mount, dir, name.as_bytes())
    });
    removed.map_err(|error| link::failed("unlink", &error))?;
    session.exit_status = status;
    Ok(String::new())
}
