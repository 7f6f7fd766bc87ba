//! `fsmap`: who owns the blocks, by the reverse mapping btrees.

use super::{Command, number};
use crate::getopt;
use crate::json;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::format::btree_record::{Rmap, RmapFlags};
use serde_json::{Value, json};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "fsmap",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-r] [start_fsb] [end_fsb] [--json]",
    summary: "display reverse mapping(s)",
    help: "\
Lists what the reverse mapping btrees say of the blocks from `start_fsb` to `end_fsb`, both
filesystem blocks: group and block, length in blocks, owner (an inode, or less than 0 for
the filesystem's own: -3 headers, -4 log, -5 free space, -6 inode btrees, -7 inodes, -8
reference counts, -9 staged for copy on write), offset in the file, whether the blocks are
of the extent btree or of the attribute fork, and whether they are unwritten. With -r of the
realtime groups. With --json as a JSON document (schema: fsmap.json).
",
    run,
};

/// What is asked for.
struct Request {
    realtime: bool,
    start: u64,
    end: u64,
}

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut args = args.to_vec();
    let as_json = json::wanted(session, &mut args);
    if !session.geo.features.rmapbt {
        bail!("Filesystem does not support reverse mapping btree.");
    }
    let Some(request) = parse(session, &args)? else {
        session.exit_status = 1;
        bail!("Too many arguments to fsmap.");
    };
    let mut list = Vec::new();
    let mut shown = 0;
    let (first, _) = request.parts(session, request.start);
    let (last, _) = request.parts(session, request.end);
    for group in first..last.saturating_add(1).min(request.group_count(session)) {
        let found = request.query(session, group)?;
        if as_json {
            list.extend(found.iter().map(|rmap| document(group, rmap)));
            continue;
        }
        let mut text = String::new();
        for rmap in &found {
            write_line(&mut text, shown, group, rmap);
            shown += 1;
        }
        session.show(&text);
    }
    if as_json {
        let data = json!({ "realtime": request.realtime, "mappings": list });
        return Ok(json::document("fsmap", &data));
    }
    Ok(String::new())
}

/// What the arguments ask for; `None` if there are too many.
fn parse(session: &Session, args: &[&str]) -> Result<Option<Request>> {
    let given = getopt::parse("fsmap", args, "r").map_err(|error| {
        eprintln!("{error}");
        anyhow!("Bad option for fsmap command.")
    })?;
    let (realtime, rest) = (given.has('r'), given.words);
    let bound = |name: &str, text: Option<&&str>, default| match text {
        None => Ok(default),
        Some(text) => match number(text) {
            Some(block) => Ok(block),
            None => bail!("Bad fsmap {name} {text}."),
        },
    };
    let start = bound("start_fsb", rest.first(), 0)?;
    if let Some(text) = rest.first()
        // Realtime blocks are compared with the size of the data device, too.
        && start >= session.geo.data_blocks
    {
        bail!("Bad fsmap start_fsb {text}.");
    }
    let end = bound("end_fsb", rest.get(1), u64::MAX)?;
    Ok((rest.len() <= 2).then_some(Request { realtime, start, end }))
}

impl Request {
    fn parts(&self, session: &Session, block: u64) -> (u32, u32) {
        let geo = &session.geo;
        if self.realtime {
            return geo.rt_block_parts(block);
        }
        geo.fsblock_parts(libfs::format::geometry::FsBlock(block))
    }

    fn group_count(&self, session: &Session) -> u32 {
        let geo = &session.geo;
        if self.realtime { geo.realtime.group_count } else { geo.ag_count }
    }

    /// The mappings of a group that have blocks between the bounds.
    fn query(&self, session: &Session, group: u32) -> Result<Vec<Rmap>> {
        let (first, low) = self.parts(session, self.start);
        let (last, high) = self.parts(session, self.end);
        let low = if group == first { low } else { 0 };
        let high = if group == last { high } else { u32::MAX };
        if low > high {
            let tree = if self.realtime { "rt fsmap" } else { "fsmap" };
            bail!("Error 22 while querying {tree} btree.");
        }
        let mut found = Vec::new();
        let mut add = |rmap: Rmap| {
            if rmap.startblock <= high && rmap.high_key().startblock >= low {
                found.push(rmap);
            }
            Ok(())
        };
        let scanner = session.scanner();
        if self.realtime {
            scanner.realtime_reverse_mappings(group, &mut add)?;
        } else {
            scanner.reverse_mappings(&scanner.ag_headers(group)?, &mut add)?;
        }
        Ok(found)
    }
}

fn write_line(out: &mut String, index: u64, group: u32, rmap: &Rmap) {
    let flag = |flag| u8::from(rmap.flags.contains(flag));
    let _ = writeln!(
        out,
        "{index}: {group}/{} len {} owner {} offset {} bmbt {} attrfork {} extflag {}",
        rmap.startblock,
        rmap.len,
        rmap.owner as i64,
        rmap.offset,
        flag(RmapFlags::BMBT_BLOCK),
        flag(RmapFlags::ATTR_FORK),
        flag(RmapFlags::UNWRITTEN),
    );
}

fn document(group: u32, rmap: &Rmap) -> Value {
    json!({
        "group": group,
        "block": rmap.startblock,
        "blocks": rmap.len,
        "owner": rmap.owner as i64,
        "offset": rmap.offset,
        "bmbt": rmap.flags.contains(RmapFlags::BMBT_BLOCK),
        "attrfork": rmap.flags.contains(RmapFlags::ATTR_FORK),
        "unwritten": rmap.flags.contains(RmapFlags::UNWRITTEN),
    })
}
