//! `attr_list`: names of extended attributes.

use super::Command;
use crate::attributes::{self, Space};
use crate::files::reason;
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::xattr;

/// The command.
pub const COMMAND: Command = Command {
    name: "attr_list",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "[-r|-s|-u|-p|-Z] [-v]",
    summary: "list attributes on the current inode",
    help: "\
Lists the names of the extended attributes of the inode that the cursor is on; with -v
their values, too.

A namespace can be chosen:
  -r -- trusted attributes ('root').
  -u -- user attributes (this is the default).
  -s -- security attributes ('secure').
  -p -- parent pointers.
  -Z -- filesystem properties: trusted attributes whose name begins with xfs:.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let ino = attributes::at_cursor(session)?;
    let given = getopt::parse_or_refuse("attr_list", args, "rusZpv")?;
    if !given.words.is_empty() {
        bail!("too many options for attr_list (no name needed)");
    }
    let space = Space::of(&given);
    let mut files = session.files()?;
    let inode = files.iget(ino.0);
    let inode = inode.map_err(|error| anyhow!("failed to iget inode {ino}: {}", reason(&error)))?;
    let why = |error| anyhow!("walking attributes of inode {ino}: {}", reason(&error));
    for found in xattr::list(&mut files, inode).map_err(why)? {
        let Some(name) = space.shown(&found) else { continue };
        let mut out = name.to_vec();
        if given.has('v') {
            let value = match found.value {
                Some(value) => Some(value),
                None => xattr::get(&mut files, inode, found.namespace, &found.name).map_err(why)?,
            };
            out.push(b'=');
            out.extend(attributes::text(&value.unwrap_or_default()));
        }
        out.push(b'\n');
        session.show_bytes(&out);
    }
    Ok(String::new())
}
