//! `attr_set`: give the inode an extended attribute.

use super::Command;
use crate::files::reason;
use crate::session::Session;
use crate::write::{attribute, structure};
use anyhow::{Result, anyhow};
use libfs::xattr::{self, SetMode};

/// The command.
pub const COMMAND: Command = Command {
    name: "attr_set",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: true,
    args: "[-r|-s|-u|-p|-Z] [-n] [-R|-C] [-v n] name",
    summary: "set the named attribute on the current inode",
    help: "
 Sets an extended attribute of the inode at the cursor, through the log. The value is the word
 after the name, or nothing.

  -r, -u, -s, -p -- of root, of users (if none is given), of security, a parent pointer
  -Z -- a property of the filesystem
  -C -- it must not exist
  -R -- it must exist
  -v n -- the value is n letters
  -V file -- the value is what the file holds
  -N file -- the name is what the file holds
  -n -- changes nothing: there are no old attributes in version 5

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let named = attribute::named(session, "attr_set", args, "RCv:V:", 1)?;
    let value = attribute::value("attr_set", &named)?;
    let last = named.given.options.iter().rev().find_map(|(letter, _)| match letter {
        'C' => Some(SetMode::Create),
        'R' => Some(SetMode::Replace),
        _ => None,
    });
    let mode = if named.given.has('C') { SetMode::Create } else { last.unwrap_or(SetMode::Any) };
    let set = structure::change(session, |filesystem| {
        let mount = filesystem.mount();
        let inode = mount.iget(named.ino.0)?;
        xattr::set(mount, inode, named.namespace, &named.name, &value, mode)
    });
    match set {
        Ok(()) => Ok(named.property.map_or(String::new(), |property| {
            format!("{property}={}\n", String::from_utf8_lossy(&value))
        })),
        Err(error) => Err(failed(session, "set attr", "on", &named, &error)),
    }
}

/// That an attribute could not be changed. xfs_db 7.2 exits with status 0 all the same.
pub fn failed(
    session: &mut Session,
    doing: &str,
    of: &str,
    named: &attribute::Named,
    error: &anyhow::Error,
) -> anyhow::Error {
    let Some(cause) = error.downcast_ref::<libfs::Error>() else {
        return anyhow!("{}", crate::program::explain(error));
    };
    if matches!(cause, libfs::Error::Os { .. }) {
        session.exit_status = 0;
    }
    let name = String::from_utf8_lossy(&named.name);
    anyhow!("failed to {doing} {name} {of} inode {}: {}", named.ino, reason(cause))
}
