//! `rtextent`: move to a realtime extent.

use super::{Command, number, rtblock};
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result};

/// The command.
pub const COMMAND: Command = Command {
    name: "rtextent",
    alias: Some("rtx"),
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[rtxno]",
    summary: "set address to rtextent value",
    help: "\
Moves to the first block of a realtime extent, counted from the start of the realtime
section. Without an argument, tells the current one.

 Example:

 'rtextent 10' - sets the file position to the 10th extent on the realtime
 volume. The realtime extent size is specified in the superblock and set
 during mkfs or growfs time.

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let realtime = session.geo.realtime;
    let size = u64::from(realtime.extent_size);
    let Some(text) = args.first() else {
        return Ok(format!("current rtextent is {}\n", rtblock::current(session)? / size));
    };
    let extent = number(text).filter(|&extent| extent < realtime.extents);
    let extent = extent.with_context(|| format!("bad rtextent {text}"))?;
    let daddr = session.geo.rt_block_daddr(extent.saturating_mul(size));
    let len = size.saturating_mul(session.geo.block_size.into());
    let len = usize::try_from(len).context("realtime extents are too large")?;
    session.go_on(session.realtime_source(), Type::Data, daddr, len)?;
    Ok(String::new())
}
