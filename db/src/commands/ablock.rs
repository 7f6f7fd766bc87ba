//! `ablock`: move to a block of the current inode's attr fork.

use super::{Command, number};
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, bail};
use libfs::format::geometry::Fork;
use libfs::format::inode::ForkFormat;

/// The command.
pub const COMMAND: Command = Command {
    name: "ablock",
    alias: None,
    min_args: 1,
    max_args: Some(1),
    expert: false,
    args: "filoff",
    summary: "set address to file offset (attr fork)",
    help: "\
Moves to a block of the current inode's attr fork, counted in filesystem blocks from its
start.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let text = args.first().copied().unwrap_or_default();
    session.ino.context("no current inode")?;
    let block = number(text).with_context(|| format!("bad block number {text}"))?;
    let (core, _) = session.current_inode()?;
    let local = core.fork_format(Fork::Attr) == Some(ForkFormat::Local);
    if core.forkoff == 0 || !local && core.extent_count(Fork::Attr) == 0 {
        bail!("no attribute data for file");
    }
    let kind = Type::Attr3;
    session.go_file_block(Fork::Attr, kind, block, "file attr block is unmapped")?;
    Ok(String::new())
}
