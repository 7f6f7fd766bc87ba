//! `logblock`: move to a block of the log.

use super::{Command, number};
use crate::session::{Session, Source};
use crate::types::Type;
use anyhow::{Context, Result};
use libfs::format::geometry::FsBlock;

/// The command.
pub const COMMAND: Command = Command {
    name: "logblock",
    alias: Some("lsblock"),
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[logbno]",
    summary: "set address to logblock value",
    help: "\
Moves to a block of the log, wherever that is. Without an argument, tells the current one.

 Example:

 'logblock 1023' - sets the file position to the 1023rd log block.
 The external log device or the block offset within the internal log will be
 chosen as appropriate.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let blocks = u64::from(session.geo.log.blocks);
    let first = session.geo.log.start.map_or(0, |start| start.0);
    let Some(text) = args.first() else {
        let current = current(session, first).filter(|&block| block < blocks);
        let on_data = session.cursor.as_ref().is_some_and(|cursor| cursor.source == Source::Data);
        let block = current.context(match on_data && first != 0 {
            true => "current address not within internal log",
            false => "current address does not point to log",
        })?;
        return Ok(format!("current logblock is {block}\n"));
    };
    let block = number(text).filter(|&block| block < blocks);
    let block = block.with_context(|| format!("bad logblock {text}"))?;
    if first != 0 {
        session.go_block(Type::Data, FsBlock(first + block))?;
    } else {
        let daddr = block.saturating_mul(session.geo.daddrs_per_block());
        session.go_on(Source::Log, Type::Data, daddr, session.geo.block_size as usize)?;
    }
    Ok(String::new())
}

/// The block of the log that the cursor is at, if it is not before the log, which starts at
/// `first` of the data device, or is on a device of its own.
fn current(session: &Session, first: u64) -> Option<u64> {
    let cursor = session.cursor.as_ref()?;
    match (cursor.source, first) {
        (Source::Log, 0) => Some(cursor.daddr / session.geo.daddrs_per_block()),
        (Source::Data, 1..) => session.geo.daddr_fsblock(cursor.daddr).0.checked_sub(first),
        _ => None,
    }
}
