//! `btheight`: how high btrees get.

use super::{Command, number};
use crate::getopt::{self, Given};
use crate::session::Session;
use anyhow::{Context, Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "btheight",
    alias: None,
    min_args: 1,
    max_args: None,
    expert: false,
    args: "[-b blksz] [-n recs] [-w max|-w min] btree types...",
    summary: "compute btree heights",
    help: "\
Computes how many blocks and levels a btree of so many records has: with full blocks,
blocks that are three quarters full, and blocks that are half full. The types are named
after the options; besides those of XFS any other can be given as
record_bytes:key_bytes:pointer_bytes:header, with a header of short, long, shortcrc or
longcrc.

Options:
  -b bytes  -- Size of a block; that of the filesystem otherwise.
  -n count  -- Records to store.
  -w max    -- Only with full blocks.
  -w avg    -- Only with blocks that are three quarters full.
  -w min    -- Only with blocks that are half full.
  -w absmax -- Most levels that the tree has on any filesystem.

Types of btrees:
  all bnobt cntbt inobt finobt bmapbt refcountbt rmapbt rtrmapbt rtrefcountbt
",
    run,
};

/// Sizes in bytes of what a btree is made of.
#[derive(Clone, Copy)]
struct Layout {
    record: u64,
    key: u64,
    pointer: u64,
    header: u64,
    /// Most levels on any filesystem, if it is a btree of XFS.
    highest: Option<u32>,
}

const fn layout(record: u64, key: u64, pointer: u64, header: u64, highest: u32) -> Layout {
    Layout { record, key, pointer, header, highest: Some(highest) }
}

/// Headers of blocks by the name of their kind.
const HEADERS: [(&str, u64); 4] = [("short", 16), ("long", 24), ("shortcrc", 56), ("longcrc", 72)];

/// The btrees of XFS. Keys of the reverse mapping trees are pairs of a low and a high key.
const TREES: [(&str, Layout); 9] = [
    ("bnobt", layout(8, 8, 4, 56, 7)),
    ("cntbt", layout(8, 8, 4, 56, 7)),
    ("inobt", layout(16, 4, 4, 56, 6)),
    ("finobt", layout(16, 4, 4, 56, 6)),
    ("bmapbt", layout(16, 8, 8, 72, 14)),
    ("refcountbt", layout(12, 4, 4, 56, 6)),
    ("rmapbt", layout(24, 40, 4, 56, 10)),
    ("rtrmapbt", layout(24, 40, 8, 72, 21)),
    ("rtrefcountbt", layout(12, 4, 8, 72, 6)),
];

/// How full blocks are: the name of the case, and steps by which the number of records that
/// fit is reduced, each rounded down.
type Fill = (&'static str, &'static [(u64, u64)]);

const BEST: Fill = ("best", &[]);
const AVERAGE: Fill = ("average", &[(3, 4)]);
const WORST: Fill = ("worst", &[(1, 2)]);
/// After the average, 7.2 halves that instead of what fits.
const WORST_OF_ALL: Fill = ("worst", &[(3, 4), (1, 2)]);

/// Smallest block that is considered.
const SMALLEST: u64 = 128;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse("btheight", args, "b:n:w:").inspect_err(|error| eprintln!("{error}"));
    let Ok(given) = given else { return Ok(super::help::explain(&COMMAND)) };
    let fills: &[_] = match given.value('w') {
        None => &[BEST, AVERAGE, WORST_OF_ALL],
        Some("max") => &[BEST],
        Some("avg") => &[AVERAGE],
        Some("min") => &[WORST],
        Some("absmax") => &[],
        Some(_) => return Ok(super::help::explain(&COMMAND)),
    };
    if given.words.is_empty() {
        return Ok(super::help::explain(&COMMAND));
    }
    if let Err(error) = report(session, &given, fills) {
        eprintln!("{error}");
    }
    Ok(String::new())
}

fn report(session: &mut Session, given: &Given, fills: &[Fill]) -> Result<()> {
    let block = match given.value('b') {
        None => u64::from(session.geo.block_size),
        Some(text) => size(text).unwrap_or(0),
    };
    if block < SMALLEST {
        bail!("The smallest block size this command will consider is {SMALLEST} bytes.");
    }
    let records = match given.value('n') {
        None => 0,
        Some(text) => number(text).with_context(|| format!("{text}: {OUT_OF_RANGE}"))?,
    };
    if records == 0 && !fills.is_empty() {
        bail!("Number of records must be greater than zero.");
    }
    for word in &given.words {
        let all = TREES.map(|(name, _)| name);
        let names: &[&str] = if *word == "all" { &all } else { &[word] };
        for name in names {
            let layout = match find(name, block) {
                Ok(layout) => layout,
                Err(error) => {
                    eprintln!("{error}");
                    continue;
                }
            };
            if fills.is_empty() {
                let highest = layout.highest.map(|levels| levels.to_string());
                let highest = highest.as_deref().unwrap_or("Don't know how to report max height.");
                session.show(&format!("{name}: {highest}\n"));
            }
            for fill in fills {
                match levels(name, layout, block, records, *fill) {
                    Ok(text) => session.show(&text),
                    Err(error) => {
                        eprintln!("{error}");
                        break;
                    }
                }
            }
        }
    }
    Ok(())
}

const OUT_OF_RANGE: &str = "Numerical result out of range";

/// A number of bytes with k, m, g or t behind it.
fn size(text: &str) -> Option<u64> {
    let shift = |letter: char| "kmgt".find(letter.to_ascii_lowercase()).map(|at| (at + 1) * 10);
    let last = text.chars().last()?;
    match shift(last) {
        Some(shift) => number(text.strip_suffix(last)?)?.checked_mul(1 << shift),
        None => number(text),
    }
}

/// The btree with this name, or of this description.
fn find(name: &str, block: u64) -> Result<Layout> {
    if let Some((_, known)) = TREES.iter().find(|(known, _)| *known == name) {
        return Ok(*known);
    }
    let parts: Vec<&str> = name.split(':').collect();
    let bytes = |text: &str| {
        let value = number(text).filter(|&bytes| bytes <= u64::from(u16::MAX));
        value.with_context(|| format!("{text}: {OUT_OF_RANGE}"))
    };
    let (record, key, pointer, header) = match parts.as_slice() {
        [_] => bail!("{name}: expected a btree geometry specification."),
        [_, _] | [_, _, _] => bail!("{name}: header type not found."),
        [record, key, pointer, header] => (bytes(record)?, bytes(key)?, bytes(pointer)?, *header),
        _ => bail!("{name}: unrecognized raw btree geometry."),
    };
    for (what, bytes) in [("record", record), ("key", key), ("pointer", pointer)] {
        if bytes == 0 {
            bail!("{name}: {what} size cannot be zero.");
        }
    }
    let known = HEADERS.iter().find(|(known, _)| *known == header);
    let (_, header) =
        known.with_context(|| format!("{header}: unrecognized btree header type."))?;
    let room = block.saturating_sub(*header);
    for (what, bytes) in [("record", record), ("key", key), ("pointer", pointer)] {
        if bytes > room {
            bail!("{name}: {what} size must be less than selected block size ({room} bytes).");
        }
    }
    Ok(Layout { record, key, pointer, header: *header, highest: None })
}

/// The levels of a btree whose blocks are as full as `fill` says.
fn levels(
    name: &str,
    layout: Layout,
    block: u64,
    records: u64,
    (fill, steps): Fill,
) -> Result<String> {
    let room = block.saturating_sub(layout.header);
    let reduced = |fit: u64| steps.iter().fold(fit, |fit, (part, of)| fit * part / of);
    let leaf = reduced(room / layout.record);
    let node = reduced(room / (layout.key + layout.pointer));
    for (what, count, least) in [("leaf", leaf, 1), ("node", node, 2)] {
        if count < least {
            bail!(
                "{name}: cannot calculate {fill} case scenario due to {what} geometry underflow."
            );
        }
    }
    let mut out = format!(
        "{name}: {fill} case per {block}-byte block: {leaf} records (leaf) / {node} keyptrs (node)\n"
    );
    let (mut level, mut count, mut total) = (0, records, 0u64);
    loop {
        let per_block = if level == 0 { leaf } else { node };
        let blocks = count.wrapping_add(per_block - 1) / per_block;
        let s = |count: u64| if count == 1 { "" } else { "s" };
        let line =
            format!("level {level}: {count} record{}, {blocks} block{}\n", s(count), s(blocks));
        out.push_str(&line);
        total = total.wrapping_add(blocks);
        level += 1;
        count = blocks;
        if blocks <= 1 {
            let end = format!("{level} level{}, {total} block{} total\n", s(level), s(total));
            return Ok(out + &end);
        }
    }
}
