//! `fsblock`: move to a filesystem block.

use super::{Command, number};
use crate::session::{Session, Source};
use crate::types::Type;
use anyhow::{Context, Result};
use libfs::format::geometry::FsBlock;

/// The command.
pub const COMMAND: Command = Command {
    name: "fsblock",
    alias: Some("fsb"),
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[fsb]",
    summary: "set address to fsblock value",
    help: "\
Moves to a filesystem block: allocation group number in the upper bits, block in the
group in the lower `agblklog` bits. Without an argument, tells the current one.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(text) = args.first() else {
        let cursor = session.cursor.as_ref().filter(|cursor| cursor.source == Source::Data);
        let cursor = cursor.context("cursor does not point to data device")?;
        let block = session.geo.daddr_fsblock(cursor.object_daddr());
        return Ok(format!("current fsblock is {block}\n"));
    };
    let bad = || format!("bad fsblock {text}");
    let block = FsBlock(number(text).with_context(bad)?);
    let (agno, agbno) = session.geo.fsblock_parts(block);
    (agno < session.geo.ag_count && agbno < session.geo.ag_size(agno))
        .then_some(())
        .with_context(bad)?;
    session.go_block(Type::Data, block)?;
    Ok(String::new())
}
