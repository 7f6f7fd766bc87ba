//! `parent`: where the names of a file are.

use super::Command;
use crate::files::{Tree, reason};
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::parent;

/// The command.
pub const COMMAND: Command = Command {
    name: "parent",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-m] [paths...]",
    summary: "list parent pointers",
    help: "\
Lists the names of files, those that are named or the one the cursor is on, as their
parent pointers have them: a line of the directory's inode number and generation, length
of the name, and name.

Options:
  -m -- Start absolute paths at the root of the metadata directories.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Ok(given) = getopt::parse("parent", args, "m").inspect_err(|error| eprintln!("{error}"))
    else {
        return Ok(super::help::explain(&COMMAND));
    };
    let tree = if given.has('m') { Tree::Metadata } else { Tree::Files };
    let listed = if given.words.is_empty() {
        list(session, None)
    } else {
        given.words.iter().try_for_each(|path| named(session, tree, path))
    };
    listed.inspect_err(|_| session.exit_status = 1)?;
    Ok(String::new())
}

fn named(session: &mut Session, tree: Tree, path: &str) -> Result<()> {
    session.push();
    let listed = session.go_path(tree, path).and_then(|()| list(session, Some(path)));
    session.pop();
    listed
}

/// Lists the names of the inode that the cursor is on.
fn list(session: &mut Session, path: Option<&str>) -> Result<()> {
    let prefix = path.map(|path| format!("{path}: ")).unwrap_or_default();
    if !session.geo.features.parent {
        return Ok(());
    }
    let Some(ino) = session.inode_at_cursor() else { bail!("{prefix}Not a directory") };
    let mut files = session.files()?;
    let why = |error: libfs::Error| anyhow!("{prefix}{}", reason(&error));
    let inode = files.iget(ino.0).map_err(why)?;
    if let Some(path) = path {
        session.show(&format!("{path}:\n"));
    }
    for name in parent::list(&mut files, inode).map_err(why)? {
        let (ino, generation, len) = (name.ino, name.generation, name.name.len());
        session.show(&format!("{ino:18}:{generation:#010x} {len:3} "));
        session.show_bytes(&name.name);
        session.show("\n");
    }
    Ok(())
}
