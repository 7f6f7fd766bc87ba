//! `path`: go to the inode that a path names.

use super::Command;
use crate::files::Tree;
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "path",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: false,
    args: "",
    summary: "navigate to an inode by path",
    help: "\
Moves to the inode that a path names. A relative path starts at the directory the cursor
is on; symbolic links are not followed. A path with spaces is put in double quotes.

Options:
  -m -- Start an absolute path at the root of the metadata directories.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Ok(given) = getopt::parse("path", args, "m").inspect_err(|error| eprintln!("{error}"))
    else {
        return Ok(super::help::explain(&COMMAND));
    };
    let &[path] = given.words.as_slice() else { bail!("Only supply one path.") };
    let tree = if given.has('m') { Tree::Metadata } else { Tree::Files };
    session.go_path(tree, path).inspect_err(|_| session.exit_status = 1)?;
    Ok(String::new())
}
