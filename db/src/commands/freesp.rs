//! `freesp`: a histogram of free extents by size.

use super::Command;
use crate::getopt::{self, leading_number};
use crate::json;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::format::btree_block::BtreeKind;
use libfs::format::btree_record::FreeExtent;
use libfs::format::geometry::Geometry;
use libfs::scan::Scanner;
use serde_json::{Value, json};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "freesp",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-bcds] [-A alignment] [-a agno]... [-e binsize] [-h h1]... [-m binmult] [--json]",
    summary: "summarize free space for filesystem",
    help: "\
Counts the free extents of the filesystem, or of the groups given with -a, in classes by
length. Blocks of the free lists count as extents of one block.
 -A alignment   only extents that start at a multiple of it, in blocks of their group
 -a agno        only this group; may be repeated
 -b             each class ends at twice where it starts (as -m 2; what is done without)
 -c             walk the tree by size instead of the tree by block
 -d             list each extent
 -e binsize     classes of equal width
 -h h1          a class starts at h1 blocks; may be repeated
 -m binmult     each class ends at binmult times where it starts
 -s             add totals
 --json         the same as a JSON document (schema: freesp.json)
",
    run,
};

const USAGE: &str = "freesp arguments: [-bcds] [-a agno] [-e binsize] [-h h1]... [-m binmult]";

/// What is asked for.
struct Request {
    /// Empty for all groups.
    groups: Vec<i64>,
    tree: BtreeKind,
    list: bool,
    summary: bool,
    alignment: u64,
    classes: Classes,
}

/// Where classes start.
enum Classes {
    Multiples(i64),
    Equal(i64),
    At(Vec<i64>),
}

/// Extents of up to `high` blocks.
struct Class {
    low: u64,
    high: u64,
    extents: u64,
    blocks: u64,
}

/// A free extent and its group.
type Found = (u32, FreeExtent);

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut args = args.to_vec();
    let as_json = json::wanted(session, &mut args);
    let request = parse(&args)?;
    let mut classes = request.classes.make(session.geo.ag_blocks);
    let found = gather(&session.scanner(), &request)?;
    for (_, extent) in found.iter().flatten() {
        let len = u64::from(extent.len);
        if let Some(class) = classes.iter_mut().find(|class| len <= class.high) {
            class.extents += 1;
            class.blocks += len;
        }
    }
    let total: u64 = found.iter().flatten().map(|(_, extent)| u64::from(extent.len)).sum();
    let count = found.iter().map(|group| group.len() as u64).sum();
    if as_json {
        return Ok(json::document("freesp", &document(&request, &found, &classes, count, total)));
    }
    Ok(text(&request, &found, &classes, count, total))
}

fn parse(args: &[&str]) -> Result<Request> {
    let mut request = Request {
        groups: Vec::new(),
        tree: BtreeKind::Bno,
        list: false,
        summary: false,
        alignment: 0,
        classes: Classes::Multiples(2),
    };
    let given = getopt::parse("freesp", args, "A:a:bcde:h:m:s").map_err(|error| {
        eprintln!("{error}");
        anyhow!(USAGE)
    })?;
    let mut chosen = None;
    for (letter, value) in given.options {
        let value = leading_number(value);
        match letter {
            'A' => request.alignment = u64::try_from(value).unwrap_or(0),
            'a' => request.groups.push(value),
            'c' => request.tree = BtreeKind::Cnt,
            'd' => request.list = true,
            's' => request.summary = true,
            // One way to choose classes; only -h may be repeated.
            _ if chosen.is_some_and(|chosen| chosen != 'h' || letter != 'h') => bail!(USAGE),
            _ => {
                chosen = Some(letter);
                request.classes.choose(letter, value)?;
            }
        }
    }
    if given.words.is_empty() { Ok(request) } else { bail!(USAGE) }
}

impl Classes {
    fn choose(&mut self, letter: char, value: i64) -> Result<()> {
        match (letter, &mut *self) {
            ('h', Classes::At(starts)) => starts.push(value),
            ('h', _) => *self = Classes::At(vec![value]),
            // There would be no end of classes.
            ('e', _) if value < 0 => bail!(USAGE),
            ('m', _) if value == 1 => bail!(USAGE),
            ('e', _) => *self = Classes::Equal(value),
            ('m', _) => *self = Classes::Multiples(value),
            _ => *self = Classes::Multiples(2),
        }
        Ok(())
    }

    /// The classes of extents of up to `longest` blocks.
    fn make(&self, longest: u32) -> Vec<Class> {
        let longest = i64::from(longest);
        let mut starts = vec![1];
        match self {
            // Without a step there is but one class.
            Classes::Multiples(0) | Classes::Equal(0) => {}
            Classes::Multiples(factor) => {
                let next = |&start: &i64| start.checked_mul(*factor);
                let below = |start: &i64| *start < longest;
                starts = std::iter::successors(Some(1i64), next).take_while(below).collect();
            }
            Classes::Equal(step) => {
                let step = usize::try_from(*step).unwrap_or(usize::MAX);
                starts = (1..longest).step_by(step).collect();
            }
            Classes::At(given) => starts.extend(given.iter().filter(|&&start| start > 0)),
        }
        starts.sort_unstable();
        starts.dedup();
        let ends = starts.iter().skip(1).map(|next| next - 1).chain([longest]);
        let number = |number: i64| u64::try_from(number).unwrap_or(0);
        let bounds = starts.iter().zip(ends);
        bounds
            .map(|(&low, high)| Class {
                low: number(low),
                high: number(high),
                extents: 0,
                blocks: 0,
            })
            .collect()
    }
}

/// The free extents that count, by group.
fn gather(scanner: &Scanner<'_>, request: &Request) -> Result<Vec<Vec<Found>>> {
    let geo = scanner.geometry();
    Ok(scanner.by_group(|agno| {
        if !request.groups.is_empty() && !request.groups.contains(&agno.into()) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let headers = scanner.ag_headers(agno)?;
        let mut add = |extent: FreeExtent| {
            if request.counts(geo, agno, &extent) {
                found.push((agno, extent));
            }
        };
        for start in headers.free_list(geo)? {
            add(FreeExtent { start, len: 1 });
        }
        scanner.free_space(&headers, request.tree, &mut |extent| {
            add(extent);
            Ok(())
        })?;
        Ok(found)
    })?)
}

impl Request {
    fn counts(&self, geo: &Geometry, agno: u32, extent: &FreeExtent) -> bool {
        let block = geo.fsblock(agno, extent.start).0;
        self.alignment == 0 || block.is_multiple_of(self.alignment)
    }
}

fn text(
    request: &Request,
    found: &[Vec<Found>],
    classes: &[Class],
    count: u64,
    total: u64,
) -> String {
    let mut out = String::new();
    if request.list {
        out.push_str("    agno    agbno      len\n");
        for (agno, extent) in found.iter().flatten() {
            let _ = writeln!(out, "{agno:8} {:8} {:8}", extent.start, extent.len);
        }
    }
    let _ = writeln!(
        out,
        "{:>7} {:>7} {:>7} {:>6} {:>6} {:>6} {:>6}",
        "from", "to", "extents", "blocks", "pct", "blkcdf", "extcdf"
    );
    let percent = |part: u64, whole: u64| part as f64 * 100.0 / whole as f64;
    let (mut extents_left, mut blocks_left) = (count, total);
    for class in classes {
        if class.extents > 0 {
            let _ = writeln!(
                out,
                "{:7} {:7} {:7} {:6} {:6.2} {:6.2} {:6.2}",
                class.low,
                class.high,
                class.extents,
                class.blocks,
                percent(class.blocks, total),
                percent(blocks_left, total),
                percent(extents_left, count),
            );
        }
        extents_left = extents_left.saturating_sub(class.extents);
        blocks_left = blocks_left.saturating_sub(class.blocks);
    }
    if request.summary {
        let average =
            if count == 0 { "-nan".into() } else { six_digits(total as f64 / count as f64) };
        let _ = writeln!(out, "total free extents {count}");
        let _ = writeln!(out, "total free blocks {total}");
        let _ = writeln!(out, "average free extent size {average}");
    }
    out
}

/// A number that is not negative as C's `%g` prints it: six digits that count.
fn six_digits(number: f64) -> String {
    let scientific = format!("{number:.5e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..6).contains(&exponent) {
        let decimals = usize::try_from(5 - exponent).unwrap_or(0);
        return trim(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", trim(digits), exponent.abs())
}

fn document(
    request: &Request,
    found: &[Vec<Found>],
    classes: &[Class],
    count: u64,
    total: u64,
) -> Value {
    let histogram: Vec<Value> = classes
        .iter()
        .filter(|class| class.extents > 0)
        .map(|class| {
            json!({ "from": class.low, "to": class.high, "extents": class.extents,
                "blocks": class.blocks })
        })
        .collect();
    let mut data = json!({ "histogram": histogram, "extents": count, "blocks": total });
    if request.list {
        let list = found.iter().flatten().map(
            |(agno, extent)| json!({ "agno": agno, "agbno": extent.start, "blocks": extent.len }),
        );
        data["list"] = list.collect();
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As `printf "%g\n"` of the shell has them.
    #[test]
    fn numbers_have_six_digits() {
        let numbers = [2310.375, 2166.0, 0.0, 1234567.0, 0.5, 999999.5, 192.6819672, 1e10];
        let expected = ["2310.38", "2166", "0", "1.23457e+06", "0.5", "1e+06", "192.682", "1e+10"];
        assert_eq!(numbers.map(six_digits), expected);
    }
}
