//! `attr_get`: the value of an extended attribute.

use super::Command;
use crate::attributes::{self, Space};
use crate::files::reason;
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::{Errno, xattr};

/// The command.
pub const COMMAND: Command = Command {
    name: "attr_get",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: true,
    args: "[-r|-s|-u|-p|-Z] name",
    summary: "get the named attribute on the current inode",
    help: "\
Prints the value of an extended attribute of the inode that the cursor is on.

A namespace can be chosen:
  -r -- trusted attributes ('root').
  -u -- user attributes (this is the default).
  -s -- security attributes ('secure').
  -p -- parent pointers.
  -Z -- filesystem properties: trusted attributes whose name begins with xfs:.

  -N file -- Take the name from this file.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let ino = attributes::at_cursor(session)?;
    let given = getopt::parse_or_refuse("attr_get", args, "rusZpN:")?;
    let space = Space::of(&given);
    let name = match (given.value('N'), given.words.as_slice()) {
        (Some(path), []) => match std::fs::read(path) {
            Ok(name) => space.stored(&name),
            Err(error) => {
                eprintln!("{path}: {error}");
                return Ok(String::new());
            }
        },
        (None, [name]) => space.stored(name.as_bytes()),
        (None, []) => bail!("too few options for attr_get (no name given)"),
        _ => bail!("too many options for attr_get (only one name)"),
    };
    let mut files = session.files()?;
    let inode = files.iget(ino.0).map_err(|_| anyhow!("failed to iget inode {ino}"))?;
    let shown = String::from_utf8_lossy(&name);
    let why = |reason: &str| anyhow!("failed to get attr {shown} on inode {ino}: {reason}");
    let value = xattr::get(&mut files, inode, space.namespace(), &name);
    let value = value.map_err(|error| why(reason(&error)))?;
    let value = value.ok_or_else(|| why(Errno::ENODATA.desc()))?;
    if space == Space::Properties {
        session.show(&format!("{}=", shown.trim_start_matches("xfs:")));
    }
    session.show_bytes(attributes::text(&value));
    Ok("\n".into())
}
