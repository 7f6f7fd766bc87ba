//! `daddr`: move to a disk address.

use super::{Command, number};
use crate::session::{BASIC_BLOCK, Session};
use crate::types::Type;
use anyhow::{Context, Result};

/// The command.
pub const COMMAND: Command = Command {
    name: "daddr",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[d]",
    summary: "set address to daddr value",
    help: "\
Moves to a disk address, counted in 512-byte units from the start of the device. Without
an argument, tells the current one.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(text) = args.first() else {
        return Ok(match &session.cursor {
            Some(cursor) => {
                format!("{} daddr is {}\n", cursor.source.device_name(), cursor.object_daddr())
            }
            None => "current daddr is 0\n".into(),
        });
    };
    let end = session.geo.data_blocks.saturating_mul(session.geo.daddrs_per_block());
    let daddr = number(text).filter(|&daddr| daddr < end);
    session.go(Type::Data, daddr.with_context(|| format!("bad daddr {text}"))?, BASIC_BLOCK)?;
    Ok(String::new())
}
