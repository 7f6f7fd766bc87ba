//! `untorn_write_max`: how large untorn writes can be.

use super::{Command, decimal};
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, bail};
use libfs::format::log_reservation::untorn_costs;

/// The command.
pub const COMMAND: Command = Command {
    name: "untorn_write_max",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "",
    summary: "compute untorn write max",
    help: "\
Computes how untorn writes by copy on write fit the log.
Options:
  -b blocks -- Bytes of log that an untorn write of so many blocks takes.
  -l bytes  -- Most blocks that an untorn write can have in so much log.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Ok(given) =
        getopt::parse("untorn_write_max", args, "b:l:").inspect_err(|error| eprintln!("{error}"))
    else {
        return Ok(super::help::explain(&COMMAND));
    };
    // As the fields of xfs_db 7.2, all numbers have 32 bits.
    let value = |letter| given.value(letter).map_or(0, |text| decimal(text) as u32);
    let (blocks, bytes) = (value('b'), value('l'));
    if (blocks, bytes) == (0, 0) {
        bail!("untorn_write_max needs -l or -b option");
    }
    if !session.geo.features.reflink {
        bail!("untorn write emulation not supported");
    }
    let (step, extent) = untorn_costs(&session.geo);
    let costs = format!("step_size: {step}\nper_intent: {extent}\n");
    let (step, extent) = (step as u32, extent as u32);
    if blocks != 0 {
        let bytes = blocks.wrapping_mul(extent).wrapping_add(step);
        return Ok(format!("desired_max: {blocks}\n{costs}logres: {bytes}\n"));
    }
    let most = bytes.saturating_sub(step).checked_div(extent).unwrap_or(0);
    Ok(format!("logres: {bytes}\n{costs}max_awu: {most}\n"))
}
