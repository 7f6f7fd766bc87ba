//! `dblock`: move to a block of the current inode's data fork.

use super::{Command, number};
use crate::session::Session;
use anyhow::{Context, Result};
use libfs::format::geometry::Fork;
use libfs::format::inode::DiFlags;

/// The command.
pub const COMMAND: Command = Command {
    name: "dblock",
    alias: None,
    min_args: 1,
    max_args: Some(1),
    expert: false,
    args: "filoff",
    summary: "set address to file offset (data fork)",
    help: "\
Moves to a block of the current inode's data fork, counted in filesystem blocks from its
start.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let text = args.first().copied().unwrap_or_default();
    session.ino.context("no current inode")?;
    let block = number(text).with_context(|| format!("bad block number {text}"))?;
    let kind = session.file_type()?;
    let unmapped = "file data block is unmapped";
    let (core, _) = session.current_inode()?;
    if core.di_flags().contains(DiFlags::REALTIME) {
        session.go_realtime_file_block(block, unmapped)?;
    } else {
        session.go_file_block(Fork::Data, kind, block, unmapped)?;
    }
    Ok(String::new())
}
