//! `blockfree`: forget what blocks are used for.

use super::Command;
use crate::session::Session;
use anyhow::{Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "blockfree",
    alias: None,
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "free block usage information",
    help: "\
Forgets what `blockget` found, so that it can be run again.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    if session.usage.take().is_none() {
        bail!("block usage information not allocated");
    }
    Ok(String::new())
}
