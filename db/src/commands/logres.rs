//! `logres`: what transactions reserve in the log.

use super::Command;
use crate::session::Session;
use anyhow::Result;
use libfs::format::log_reservation::{Reservations, largest_reservation};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "logres",
    alias: None,
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "dump log reservations",
    help: "\
Prints what each kind of transaction reserves in the log: bytes, how many transactions it
usually rolls into, and whether it may roll (flag 4). The last line is what decides the
smallest log.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    let mut out = String::new();
    for (number, of) in Reservations::new(&session.geo).numbered().iter().enumerate() {
        let flags = if of.permanent { 4 } else { 0 };
        let _ = writeln!(
            out,
            "type {number} logres {} logcount {} flags {flags:#x}",
            of.log_bytes, of.log_count
        );
    }
    let largest = largest_reservation(&session.geo);
    let _ = writeln!(out, "minlogsize logres {} logcount {}", largest.log_bytes, largest.log_count);
    Ok(out)
}
