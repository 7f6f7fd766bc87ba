//! `daddr`: move to a disk address.

use super::{Command, number};
use crate::getopt;
use crate::session::{Session, Source};
use crate::types::Type;
use anyhow::{Context, Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "daddr",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[d]",
    summary: "set address to daddr value",
    help: "\
Moves to a disk address, counted in 512-byte units from the start of the device. Without
an argument, tells the current one. With -r the address is on the realtime device, with -l
on the device of the log.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = match getopt::parse("daddr", args, "lr") {
        Ok(given) if given.words.len() < 2 => given,
        Ok(_) => return Ok(COMMAND.help.to_owned()),
        Err(error) => {
            eprintln!("{error}");
            return Ok(COMMAND.help.to_owned());
        }
    };
    let Some(&text) = given.words.first() else {
        return Ok(match &session.cursor {
            Some(cursor) => {
                format!("{} daddr is {}\n", cursor.source.device_name(), cursor.object_daddr())
            }
            None => "current daddr is 0\n".into(),
        });
    };
    let geo = &session.geo;
    let (source, blocks) = match given.options.last() {
        Some(('r', _)) => (session.realtime_source(), geo.realtime.blocks),
        Some(('l', _)) if geo.log.start.is_some() => bail!("filesystem has internal log"),
        Some(('l', _)) => (Source::Log, geo.log.blocks.into()),
        _ => (Source::Data, geo.data_blocks),
    };
    let end = blocks.saturating_mul(geo.daddrs_per_block());
    let daddr = number(text).filter(|&daddr| daddr < end);
    // The message names the first argument, whatever it is.
    let daddr = daddr.with_context(|| format!("bad daddr {}", args.first().unwrap_or(&text)))?;
    session.go_on(source, Type::Data, daddr, session.geo.sector_size as usize)?;
    Ok(String::new())
}
