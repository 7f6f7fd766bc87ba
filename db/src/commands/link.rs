//! `link`: make a directory entry.

use super::Command;
use crate::files::{Tree, reason};
use crate::getopt;
use crate::session::Session;
use crate::types::Type;
use crate::write::{structure, value};
use anyhow::{Context, Result, bail};
use libfs::file::namespace;
use libfs::format::geometry::Ino;

/// The command.
pub const COMMAND: Command = Command {
    name: "link",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "[-i ino] [-m] [-p path] [-t ftype] name",
    summary: "create directory link",
    help: "
 Makes an entry of the directory at the cursor, through the log, which leads to the file given.
 Nobody asks whether the name is a good one or is there already.

  -i ino -- leads to this inode
  -p path -- leads to what has this path
  -m -- the path is one of the metadata directories
  -t type -- says that it is of this type, whatever it is

",
    run,
};

/// Names of file types, by the number that entries have, from 1 on.
const TYPES: [&str; 8] = ["reg", "dir", "cdev", "bdev", "fifo", "sock", "symlink", "whiteout"];

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let status = std::mem::replace(&mut session.exit_status, 1);
    let given = getopt::parse("link", args, "i:mp:t:").map_err(|error| {
        eprintln!("{error}");
        anyhow::anyhow!("{}", COMMAND.help)
    })?;
    let dir = directory(session)?;
    let ftype = given.value('t').map(|name| {
        let known = TYPES.iter().position(|known| *known == name);
        known.map(|at| at as u8 + 1).with_context(|| format!("{name}: unknown file type"))
    });
    let ftype = ftype.transpose()?;
    let target = match (given.value('i'), given.value('p')) {
        (Some(text), None) => value::number(text).context("link failed: Invalid argument")?,
        (_, Some(path)) => {
            let tree = if given.has('m') { Tree::Metadata } else { Tree::Files };
            find(session, tree, path)?
        }
        (None, None) => bail!("link: need to specify child via -i or -p"),
    };
    let [name] = given.words[..] else { bail!("link: need directory entry name") };
    let linked = structure::change(session, |filesystem| {
        let mount = filesystem.mount();
        let (dir, inode) = (mount.iget(dir.0)?, mount.iget(target)?);
        namespace::add_entry(mount, dir, name.as_bytes(), inode, ftype)
    });
    linked.map_err(|error| failed("link", &error))?;
    session.exit_status = status;
    Ok(String::new())
}

/// The inode that a path names, once the log is replayed.
fn find(session: &mut Session, tree: Tree, path: &str) -> Result<u64> {
    session.check_tree(tree)?;
    structure::change(session, |_| Ok(()))?;
    let mut files = session.files()?;
    match session.resolve(&mut files, tree, path) {
        Ok(found) => Ok(found.0),
        Err(error) => bail!("{path}: {}", reason(&error)),
    }
}

/// The inode at the cursor.
///
/// # Errors
///
/// An error is returned if the cursor is on something else.
pub fn directory(session: &Session) -> Result<Ino> {
    let at_inode = session.cursor.as_ref().is_some_and(|cursor| cursor.kind == Type::Inode);
    session.ino.filter(|_| at_inode).context("io cursor does not point to an inode.")
}

/// That something could not be done, and why.
pub fn failed(what: &str, error: &anyhow::Error) -> anyhow::Error {
    match error.downcast_ref::<libfs::Error>() {
        Some(libfs::Error::Os { errno, .. }) => anyhow::anyhow!("{what} failed: {}", errno.desc()),
        _ => anyhow::anyhow!("{what} failed: {}", crate::program::explain(error)),
    }
}
