//! `attr_remove`: take an extended attribute from the inode.

use super::{Command, attr_set};
use crate::session::Session;
use crate::write::{attribute, structure};
use anyhow::Result;
use libfs::xattr;

/// The command.
pub const COMMAND: Command = Command {
    name: "attr_remove",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: true,
    args: "[-r|-s|-u|-p|-Z] [-n] name",
    summary: "remove the named attribute from the current inode",
    help: "
 Removes an extended attribute of the inode at the cursor, through the log.

  -r, -u, -s, -p -- of root, of users (if none is given), of security, a parent pointer
  -Z -- a property of the filesystem
  -N file -- the name is what the file holds
  -n -- changes nothing: there are no old attributes in version 5

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let named = attribute::named(session, "attr_remove", args, "", 0)?;
    let removed = structure::change(session, |filesystem| {
        let mount = filesystem.mount();
        let inode = mount.iget(named.ino.0)?;
        xattr::remove(mount, inode, named.namespace, &named.name)
    });
    removed.map_err(|error| attr_set::failed(session, "remove attr", "from", &named, &error))?;
    Ok(String::new())
}
