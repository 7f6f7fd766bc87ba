//! `hash`: the hash of a name.

use super::{Command, number};
use crate::getopt;
use crate::session::Session;
use anyhow::Result;
use libfs::format::attr;
use libfs::format::dir::{hash_entry, hash_name};
use libfs::format::geometry::Ino;

/// The command.
pub const COMMAND: Command = Command {
    name: "hash",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: false,
    args: "string",
    summary: "calculate hash value",
    help: "\
Prints the hash by which directories and attributes index a name.
Usage: hash [-d|-p parent_ino] <string>
  -d     -- As directories do, which fold case on filesystems without case.
  -p ino -- As parent pointers to this directory do.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Ok(given) = getopt::parse("hash", args, "dp:").inspect_err(|error| eprintln!("{error}"))
    else {
        session.exit_status = 1;
        return Ok(super::help::explain(&COMMAND));
    };
    let geo = &session.geo;
    let parent = given.value('p').map(|text| Ino(number(text).unwrap_or(0)));
    let hash = |name: &&str| match parent {
        Some(parent) => attr::parent::hash(name.as_bytes(), parent, geo),
        None if given.has('d') => hash_entry(name.as_bytes(), geo),
        None => hash_name(name.as_bytes()),
    };
    Ok(given.words.iter().map(|name| format!("{:#x}\n", hash(name))).collect())
}
