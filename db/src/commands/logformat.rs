//! `logformat`: clear the log.

use super::Command;
use crate::getopt;
use crate::session::Session;
use crate::write::{structure, value};
use anyhow::{Result, anyhow, bail};
use libfs::filesystem::identity;

/// The command.
pub const COMMAND: Command = Command {
    name: "logformat",
    alias: None,
    min_args: 0,
    max_args: Some(4),
    expert: true,
    args: "[-c cycle] [-s sunit]",
    summary: "reformat the log",
    help: "
 Clears the log, which must hold nothing to be replayed, and begins it anew in a cycle (-c; the
 one it is in if none is given) with records padded to a log stripe unit in bytes (-s; that
 of the superblock if none is given).

",
    run,
};

/// Largest log stripe unit in bytes.
const MAX_UNIT: u64 = 256 * 1024;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse("logformat", args, "c:s:").map_err(|error| {
        eprintln!("{error}");
        anyhow!("invalid option")
    })?;
    let number = |letter| given.value(letter).map(|text| value::number(text).unwrap_or(0));
    let cycle = number('c').map(|cycle| u32::try_from(cycle).unwrap_or(0));
    if cycle == Some(0) {
        bail!("invalid cycle");
    }
    let block = u64::from(session.geo.block_size);
    let unit = number('s');
    if unit.is_some_and(|unit| unit > MAX_UNIT || !unit.is_multiple_of(block)) {
        bail!("invalid log stripe unit");
    }
    if !session.read_only && structure::log_is_dirty(session)? {
        session.exit_status = 1;
        bail!("The log is dirty. Please mount to replay the log.");
    }
    let unit = unit.map(|unit| unit as u32);
    let (cycle, unit) =
        structure::change_in_place(session, |devices| identity::clear_log(devices, cycle, unit))?;
    Ok(format!("Formatting the log to cycle {cycle}, stripe unit {unit} bytes.\n"))
}
