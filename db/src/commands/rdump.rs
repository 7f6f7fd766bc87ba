//! `rdump`: copy files out of the filesystem.

use super::Command;
use crate::getopt;
use crate::rdump::Copy;
use crate::session::Session;
use anyhow::{Result, bail};
use std::path::Path;

/// The command.
pub const COMMAND: Command = Command {
    name: "rdump",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-s] [paths...] dest_directory",
    summary: "recover files out of a filesystem",
    help: "\
Copies files out of the filesystem into a directory: those that are named, or all. Of a
single directory that is named, what it holds is copied. Owners, modes, times, links, holes,
extended attributes and access control lists come along where the host can take them;
what cannot be read is left out with a message.

Options:
  -s -- Stop at the first thing that cannot be read.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse("rdump", args, "s").inspect_err(|error| eprintln!("{error}"));
    let Ok(given) = given else { return Ok(super::help::explain(&COMMAND)) };
    let Some((destination, paths)) = given.words.split_last() else {
        bail!("Must supply destination directory.");
    };
    let destination = Path::new(destination);
    let mut copy = match Copy::new(session, given.has('s'), destination) {
        Ok(copy) => copy,
        Err(error) => {
            eprintln!("{}: {error:#}", destination.display());
            session.exit_status = 1;
            return Ok(String::new());
        }
    };
    let paths = if paths.is_empty() { &["/"] } else { paths };
    let mut failed = false;
    for path in paths {
        let copied = copy.path(path, destination, paths.len() == 1);
        if let Err(error) = copied {
            eprintln!("{error:#}");
            failed = true;
            if copy.strict {
                break;
            }
        }
    }
    copy.summarize(destination);
    failed |= copy.failed;
    session.exit_status |= u8::from(failed);
    Ok(String::new())
}
