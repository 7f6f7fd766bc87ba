//! `debug`: a number that is kept.

use super::{Command, number};
use crate::session::Session;
use anyhow::{Context, Result};

/// The command.
pub const COMMAND: Command = Command {
    name: "debug",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[flagbits]",
    summary: "set debug option bits",
    help: "\
Stores a number and prints it; xfs_db of xfsprogs has bits for its implementors in it,
here none means anything.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if let Some(text) = args.first() {
        let bits = number(text).with_context(|| format!("bad value for debug {text}"))?;
        session.debug = bits as i64;
    }
    Ok(format!("debug = {}\n", session.debug))
}
