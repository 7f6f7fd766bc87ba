//! `frag`: how fragmented files are.

use super::Command;
use crate::getopt;
use crate::json;
use crate::session::Session;
use anyhow::{Result, anyhow};
use libfs::format::extent;
use libfs::format::geometry::{Fork, Geometry, Ino};
use libfs::format::inode::mode;
use libfs::scan::{Inode, Scanner};
use serde_json::{Value, json};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "frag",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-a] [-d] [-f] [-l] [-q] [-R] [-r] [-v] [--json]",
    summary: "get file fragmentation data",
    help: "\
Compares the number of extents that files have with the least they could have. What is
looked at:
 -a             attribute forks
 -d             directories
 -f             regular files
 -l             symbolic links
 -q             quota files, with -f
 -R             realtime bitmap and summary, with -f
 -r             realtime files, with -f
All of them if none is named. With -v each inode is listed; --json prints a JSON document
(schema: frag.json).
",
    run,
};

const USAGE: &str = "bad option for frag command";
const KINDS: &str = "adflqRr";

/// What is looked at.
struct Request {
    kinds: String,
    list: bool,
}

/// Numbers of extents.
#[derive(Default, Clone, Copy)]
struct Count {
    actual: u64,
    ideal: u64,
}

impl Count {
    fn add(&mut self, other: Count) {
        self.actual = self.actual.saturating_add(other.actual);
        self.ideal = self.ideal.saturating_add(other.ideal);
    }

    /// Extents that need not be, in percent of all.
    fn factor(&self) -> f64 {
        if self.actual == 0 {
            return 0.0;
        }
        self.actual.saturating_sub(self.ideal) as f64 * 100.0 / self.actual as f64
    }
}

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut args = args.to_vec();
    let as_json = json::wanted(session, &mut args);
    let request = parse(&args)?;
    let scanner = session.scanner();
    let groups = scanner.by_group(|agno| look(&scanner, agno, &request))?;
    let mut total = Count::default();
    groups.iter().for_each(|(sum, _)| total.add(*sum));
    let inodes = groups.iter().flat_map(|(_, inodes)| inodes);
    if as_json {
        let inodes = inodes.map(
            |(ino, count)| json!({ "ino": ino.0, "actual": count.actual, "ideal": count.ideal }),
        );
        let mut data =
            json!({ "actual": total.actual, "ideal": total.ideal, "factor": total.factor() });
        if request.list {
            data["inodes"] = Value::from_iter(inodes);
        }
        return Ok(json::document("frag", &data));
    }
    let mut out = String::new();
    for (ino, count) in inodes {
        let _ = writeln!(out, "inode {ino} actual {} ideal {}", count.actual, count.ideal);
    }
    let average = match total.ideal {
        0 => "-nan".into(),
        ideal => format!("{:.2}", total.actual as f64 / ideal as f64),
    };
    let _ = writeln!(
        out,
        "actual {}, ideal {}, fragmentation factor {:.2}%\n\
         Note, this number is largely meaningless.\n\
         Files on this filesystem average {average} extents per file",
        total.actual,
        total.ideal,
        total.factor(),
    );
    Ok(out)
}

fn parse(args: &[&str]) -> Result<Request> {
    let given = getopt::parse("frag", args, "adflqRrv").map_err(|error| {
        eprintln!("{error}");
        anyhow!(USAGE)
    })?;
    let letters = given.options.iter().map(|option| option.0);
    let mut kinds: String = letters.filter(|&letter| letter != 'v').collect();
    if kinds.is_empty() {
        kinds = KINDS.into();
    }
    Ok(Request { kinds, list: given.has('v') })
}

impl Request {
    fn has(&self, kind: char) -> bool {
        self.kinds.contains(kind)
    }

    /// Whether the data fork of an inode is looked at.
    fn wants_data(&self, geo: &Geometry, inode: &Inode<'_>) -> bool {
        match inode.core.file_type() {
            mode::DIR => self.has('d'),
            mode::SYMLINK => self.has('l'),
            mode::REGULAR => {
                let special = if inode.is_realtime() { Some('r') } else { special(geo, inode) };
                special.is_none_or(|kind| self.has(kind)) && self.has('f')
            }
            _ => false,
        }
    }
}

/// The option that is needed to look at a file that the superblock names. Files of the
/// metadata directory count as regular files, as they do for xfsprogs.
fn special(geo: &Geometry, inode: &Inode<'_>) -> Option<char> {
    let index = geo.internal_inodes.iter().position(|&ino| ino == inode.ino)?;
    Some(if index < 2 { 'R' } else { 'q' })
}

/// The sum of a group, and its inodes if they are to be listed.
fn look(
    scanner: &Scanner<'_>,
    agno: u32,
    request: &Request,
) -> libfs::Result<(Count, Vec<(Ino, Count)>)> {
    let (mut sum, mut inodes) = (Count::default(), Vec::new());
    let headers = scanner.ag_headers(agno)?;
    scanner.inodes(&headers, &mut |inode| {
        let data = request.wants_data(scanner.geometry(), inode);
        let attr = request.has('a') && inode.core.forkoff != 0;
        let mut count = Count::default();
        for fork in data.then_some(Fork::Data).into_iter().chain(attr.then_some(Fork::Attr)) {
            count.add(count_extents(scanner, inode, fork)?);
        }
        sum.add(count);
        if request.list && (data || attr) {
            inodes.push((inode.ino, count));
        }
        Ok(())
    })?;
    Ok((sum, inodes))
}

/// The extents that a fork has and the least it could have: neighbours in the file can be one
/// extent, up to its greatest length.
fn count_extents(scanner: &Scanner<'_>, inode: &Inode<'_>, fork: Fork) -> libfs::Result<Count> {
    let mut count = Count::default();
    let (mut end, mut run) = (None, 0u64);
    let needs = |run: u64| run.div_ceil(u64::from(extent::MAX_LEN));
    scanner.fork_extents(inode, fork, &mut |extent| {
        count.actual += 1;
        if end != Some(extent.offset) {
            count.ideal += needs(run);
            run = 0;
        }
        run = run.saturating_add(extent.len);
        end = Some(extent.end());
        Ok(())
    })?;
    count.ideal += needs(run);
    Ok(count)
}
