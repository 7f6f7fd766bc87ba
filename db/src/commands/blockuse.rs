//! `blockuse`: what blocks are used for.

use super::{Command, number};
use crate::getopt;
use crate::session::Session;
use anyhow::{Context, Result, bail};
use std::io::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "blockuse",
    alias: None,
    min_args: 0,
    max_args: Some(3),
    expert: false,
    args: "[-n] [-c blockcount]",
    summary: "print usage for current block(s)",
    help: "\
Prints what the current block is used for and by which inode, as `blockget` found. With -c
for so many blocks; with -n the inode's name, too, for which `blockget -n` is needed.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(usage) = &session.usage else { bail!("must run blockget first") };
    let given = getopt::parse_or_refuse("blockuse", args, "c:n")?;
    let count = match given.value('c') {
        None => 1,
        Some(text) => number(text).with_context(|| format!("bad blockuse count {text}"))?,
    };
    let named = given.has('n');
    if named && !usage.inodes.has_names() {
        bail!("must run blockget -n first");
    }
    let geo = &session.geo;
    let daddr = session.cursor.as_ref().map_or(0, |cursor| cursor.daddr);
    let (agno, first) = geo.daddr_agblock(daddr);
    let mut out = Vec::new();
    let end = u64::from(first).saturating_add(count).min(geo.ag_blocks.into());
    for agbno in u64::from(first)..end {
        let Some(blocks) = usage.groups.get(agno as usize) else { break };
        let used = blocks.at(agbno);
        let number = geo.fsblock(agno, u32::try_from(agbno).unwrap_or(u32::MAX));
        // Writing to memory does not fail.
        let _ = write!(out, "block {number} ({agno}/{agbno}) type {}", used.kind.name());
        if let Some(ino) = used.ino() {
            let _ = write!(out, " inode {ino}");
            if let Some(path) = usage.inodes.path(ino).filter(|_| named) {
                out.push(b' ');
                out.extend_from_slice(&path);
            }
        }
        out.push(b'\n');
    }
    session.show_bytes(&out);
    Ok(String::new())
}
