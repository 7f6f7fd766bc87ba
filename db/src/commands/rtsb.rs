//! `rtsb`: move to the superblock of the realtime section.

use super::Command;
use crate::session::Session;
use crate::types::Type;
use anyhow::{Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "rtsb",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "",
    summary: "set current address to realtime sb header",
    help: "\
Moves to the superblock of the realtime section, which is in its first block where there
are realtime groups.

 Example:

 'rtsb' - set location to realtime superblock, set type to 'rtsb'
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let source = session.realtime_source();
    if !session.geo.realtime.has_groups {
        bail!("command rtsb not found");
    }
    if !args.is_empty() {
        bail!("bad argument count {} to rtsb, expected 0 arguments", args.len());
    }
    session.go_on(source, Type::Rtsb, 0, session.geo.block_size as usize)?;
    Ok(String::new())
}
