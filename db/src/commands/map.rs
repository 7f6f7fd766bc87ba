//! `map`: a picture of the allocation groups.

use super::{Command, number};
use crate::getopt;
use crate::map::{self, Strip, svg, terminal};
use crate::session::Session;
use crate::usage::{self, Request};
use anyhow::{Context, Result, anyhow, bail};
use libfs::format::superblock::Dsb;
use libfs::scan::Scanner;
use std::io::IsTerminal;

/// The command.
pub const COMMAND: Command = Command {
    name: "map",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-w columns] [-a agno]... [-o file.svg]",
    summary: "draw what the allocation groups are used for",
    help: "\
Draws each allocation group as a line: where its log, metadata, data, shared and free blocks
are, all counted anew.
 -a agno       only this group; may be repeated
 -o file.svg   draw a picture for a browser, where colors tell shares of single cells and
               by how many files blocks are shared
 -w columns    width of a full group, 1 to 10000 (64; 880 in a file)
",
    run,
};

const USAGE: &str = "map arguments: [-w columns] [-a agno]... [-o file.svg]";

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse("map", args, "a:o:w:").map_err(|error| {
        eprintln!("{error}");
        anyhow!(USAGE)
    })?;
    if !given.words.is_empty() {
        bail!(USAGE);
    }
    let file = given.value('o');
    let columns = match given.value('w').map(number) {
        None if file.is_some() => svg::WIDTH,
        None => 64,
        Some(width) => {
            let width = width.and_then(|width| usize::try_from(width).ok());
            width.filter(|width| (1..=10_000).contains(width)).context(USAGE)?
        }
    };
    let chosen = given.options.iter().filter(|option| option.0 == 'a');
    let chosen =
        chosen.map(|option| number(option.1).context(USAGE)).collect::<Result<Vec<_>>>()?;
    let strips = strips(session, columns, &chosen)?;
    let title = title(session)?;
    let Some(file) = file else {
        return Ok(terminal::draw(&title, &strips, std::io::stdout().is_terminal()));
    };
    std::fs::write(file, svg::draw(&title, &strips, columns)).with_context(|| file.to_owned())?;
    Ok(format!("{} groups drawn in {file}\n", strips.len()))
}

/// The groups as cells; complaints about contradictions are left to `blockget`.
fn strips(session: &Session, columns: usize, chosen: &[u64]) -> Result<Vec<Strip>> {
    let geo = &session.geo;
    let silent = |_: &libfs::Error| {};
    let scanner = Scanner::new(&*session.device, geo).on_damage(&silent);
    let usage = usage::count(scanner, &Request::default(), "", &mut |_| {});
    let groups =
        (0..geo.ag_count).filter(|agno| chosen.is_empty() || chosen.contains(&u64::from(*agno)));
    groups
        .map(|agno| {
            let headers = scanner.ag_headers(agno)?;
            let mut shared = Vec::new();
            scanner.reference_counts(&headers, &mut |refcount| {
                shared.push(refcount);
                Ok(())
            })?;
            Ok(map::strip(&usage, &shared, geo, agno, columns))
        })
        .collect()
}

/// What the picture is of.
fn title(session: &Session) -> Result<String> {
    let geo = &session.geo;
    let sector = session.read(0, geo.sector_size as usize)?;
    let sb = Dsb::view(&sector)?;
    let label = String::from_utf8_lossy(sb.label()).into_owned();
    let name = if label.is_empty() { session.device_name() } else { label };
    let mebibytes = (geo.data_blocks << geo.block_log) >> 20;
    Ok(format!(
        "{name}: {mebibytes} MiB, {} groups of {} blocks of {} bytes",
        geo.ag_count, geo.ag_blocks, geo.block_size
    ))
}
