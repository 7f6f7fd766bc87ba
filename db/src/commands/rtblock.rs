//! `rtblock`: move to a block of the realtime section.

use super::{Command, number};
use crate::session::{Session, Source};
use crate::types::Type;
use anyhow::{Context, Result};

/// The command.
pub const COMMAND: Command = Command {
    name: "rtblock",
    alias: Some("rtbno"),
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[rtbno]",
    summary: "set address to rtblock value",
    help: "\
Moves to a block of the realtime section: with realtime groups, the group in the upper bits
and the block in the group in the lower `rgblklog` bits. Without an argument, tells the
current one.

 Example:

 'rtblock 1023' - sets the file position to the 1023rd block on the realtime
 volume. The filesystem block size is specified in the superblock and set
 during mkfs time.

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(text) = args.first() else {
        return Ok(format!("current rtblock is {}\n", current(session)?));
    };
    let block = number(text).filter(|&block| block < session.geo.realtime.blocks);
    let block = block.with_context(|| format!("bad rtblock {text}"))?;
    session.go_realtime_block(Type::Data, block)?;
    Ok(String::new())
}

/// The realtime block that the cursor is at.
///
/// # Errors
///
/// An error is returned if the cursor is not in the realtime section.
pub fn current(session: &Session) -> Result<u64> {
    let cursor = session.cursor.as_ref().filter(|cursor| match cursor.source {
        // Without a device of its own the section is taken to be on this one.
        Source::Data => session.realtime.is_none(),
        source => source == Source::Realtime,
    });
    let block = cursor.and_then(|cursor| session.geo.daddr_rt_block(cursor.daddr));
    block.context("cursor does not point to rt device")
}
