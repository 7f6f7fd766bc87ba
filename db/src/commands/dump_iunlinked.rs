//! `dump_iunlinked`: inodes without names.

use super::{Command, number};
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::format::ag::{AGI_CRC_OFFSET, Agi, UNLINKED_BUCKETS};
use libfs::format::checksum;
use libfs::format::geometry::{Fork, Ino};
use libfs::format::inode::{DiFlags, Dinode};
use std::collections::HashSet;

/// The command.
pub const COMMAND: Command = Command {
    name: "dump_iunlinked",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-a agno] [-b bucket] [-q] [-v]",
    summary: "dump chain of unlinked inode buckets",
    help: "\
Lists the inodes that have no names but are still in use, by group and hash bucket, as the
AGIs and the inodes chain them.

Options:
  -a agno   -- Only of this group.
  -b bucket -- Only this bucket.
  -q        -- Only the inodes, not empty buckets and ends of chains.
  -v        -- With the blocks that each inode has.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse("dump_iunlinked", args, "a:b:qv");
    let Ok(given) = given.inspect_err(|error| eprintln!("{error}")) else {
        bail!("Bad option for dump_iunlinked command.");
    };
    let chosen = |letter| given.value(letter).map(|text| number(text).unwrap_or(0) as u32);
    let (groups, buckets) = (session.geo.ag_count, UNLINKED_BUCKETS as u32);
    if let Some(agno) = chosen('a').filter(|&agno| agno >= groups) {
        bail!("Unknown AG {agno}, agcount is {groups}.");
    }
    if let Some(bucket) = chosen('b').filter(|&bucket| bucket >= buckets) {
        bail!("Unknown bucket {bucket}, max is {}.", buckets - 1);
    }
    let range = |chosen: Option<u32>, all: u32| match chosen {
        Some(only) => only..only + 1,
        None => 0..all,
    };
    let style = Style { quiet: given.has('q'), verbose: given.has('v') };
    for agno in range(chosen('a'), groups) {
        let agi = match header(session, agno) {
            Ok(agi) => agi,
            Err(error) => {
                session.show(&format!("AGI {agno}: {error:#}\n"));
                continue;
            }
        };
        for bucket in range(chosen('b'), buckets) {
            if let Some(head) = agi.unlinked.get(bucket as usize) {
                chain(session, (agno, bucket), head.get(), style);
            }
        }
    }
    Ok(String::new())
}

/// The AGI of a group, if it is sound.
fn header(session: &Session, agno: u32) -> Result<Agi> {
    let sector = session.read(session.geo.agi_daddr(agno), session.geo.sector_size as usize)?;
    if !checksum::verify(&sector, AGI_CRC_OFFSET) {
        bail!("wrong checksum");
    }
    let agi = *Agi::view(&sector)?;
    agi.verify(&session.geo, agno)?;
    Ok(agi)
}

#[derive(Clone, Copy)]
struct Style {
    quiet: bool,
    verbose: bool,
}

/// What the list ends with.
const NULL: u32 = u32::MAX;

fn chain(session: &mut Session, (agno, bucket): (u32, u32), head: u32, style: Style) {
    let mut prefix = format!("AG {agno} bucket {bucket}");
    let mut seen = HashSet::new();
    let mut next = head;
    while next != NULL {
        let ino = session.geo.ino(agno, next);
        let found = if seen.insert(next) {
            session.inode_core(ino)
        } else {
            Err(anyhow!("the list comes back to it"))
        };
        let (core, blocks) = match found {
            Ok(core) => (core, style.verbose.then(|| blocks(session, ino, &core))),
            Err(error) => return eprintln!("AG {agno} bucket {bucket}: inode {ino}: {error:#}"),
        };
        session.show(&format!("{prefix} agino {next}{}\n", blocks.unwrap_or_default()));
        prefix = format!("    [{}]", seen.len() - 1);
        next = core.next_unlinked.get();
    }
    if !style.quiet {
        session.show(&format!("{prefix} agino NULL\n"));
    }
}

/// The blocks of an inode on the data device and in the realtime section.
fn blocks(session: &Session, ino: Ino, core: &Dinode) -> String {
    let all = core.nblocks.get();
    let realtime = if core.di_flags().contains(DiFlags::REALTIME) {
        let extents = session.mapping_of(ino, Fork::Data).map(|mapping| mapping.extents);
        extents.unwrap_or_default().iter().map(|extent| extent.len).sum()
    } else {
        0
    };
    format!(" blocks {} rtblocks {realtime}", all.saturating_sub(realtime))
}
