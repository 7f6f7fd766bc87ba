//! `inode`: make an inode the current one.

use super::{Command, number};
use crate::session::Session;
use anyhow::{Context, Result};
use libfs::format::geometry::Ino;

/// The command.
pub const COMMAND: Command = Command {
    name: "inode",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[inode#]",
    summary: "set current inode",
    help: "\
Moves to an inode. Commands about files (bmap, dblock, ablock) then work on it, also
after the cursor moved on. Without an argument, tells which inode that is.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(text) = args.first() else {
        let ino = session.ino.context("no current inode")?;
        return Ok(format!("current inode number is {ino}\n"));
    };
    let ino = number(text).with_context(|| format!("bad value for inode number {text}"))?;
    session.go_inode(Ino(ino))?;
    Ok(String::new())
}
