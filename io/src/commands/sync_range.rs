//! sync_range: write out a part of the current file.

use super::{Command, Flags, Named, Scope, UsageError};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "sync_range",
    alias: None,
    arguments: (2, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-abw] off len",
    summary: "Control writeback on a range of a file",
    help: "
 Starts or waits for the writing of a part of the current file; without options, starts it.

 -a -- wait for the writing afterwards (SYNC_FILE_RANGE_WAIT_AFTER)
 -b -- wait for earlier writing before (SYNC_FILE_RANGE_WAIT_BEFORE)
 -w -- start the writing (SYNC_FILE_RANGE_WRITE)",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "abw")?;
    let [offset, length] = flags.rest.as_slice() else { return Err(UsageError(&COMMAND).into()) };
    let mut bits = 0;
    for (letter, bit) in [('b', 1), ('w', 2), ('a', 4)] {
        bits |= if flags.has(letter) { bit } else { 0 };
    }
    let bits = if bits == 0 { 2 } else { bits };
    let offset = session.number(offset, "offset")?;
    let length = session.number(length, "length")?;
    let file = session.handle()?;
    session.target.sync_range(file, offset, length, bits).named("sync_file_range")
}
