//! `btdump`: the records of a btree.

use super::{Command, run_words};
use crate::getopt;
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, bail};
use libfs::At;
use libfs::format::da::{ATTR_LEAF_MAGIC, DIR_LEAF1_MAGIC, DIR_LEAFN_MAGIC, NODE_MAGIC, Node};
use libfs::format::geometry::Fork;
use libfs::format::inode::{ForkFormat, MetafileType};
use std::collections::HashSet;

/// The command.
pub const COMMAND: Command = Command {
    name: "btdump",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-a] [-i]",
    summary: "dump btree",
    help: "\
Prints the records of the btree that the cursor is on, from there downward; of the data
fork's btree if the cursor is on an inode; or of the index of a directory or of attributes.

Options:
  -a -- The attribute fork's btree.
  -i -- Inner blocks, too.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let kind = session.cursor.as_ref().context("no current type")?.kind;
    let given = getopt::parse_or_refuse("btdump", args, "ai")?;
    if !given.words.is_empty() {
        bail!("bad options for btdump command");
    }
    let (attributes, inner) = (given.has('a'), given.has('i'));
    if attributes && kind != Type::Inode {
        bail!("attrfork flag doesn't apply here");
    }
    let dump = match kind {
        Type::Inode => fork,
        Type::Dir3 | Type::Attr3 => index,
        kind if root_of(kind).is_some() => tree,
        kind => bail!("type \"{}\" is not a btree type or inode", kind.name()),
    };
    session.push();
    let dumped = dump(session, attributes, inner);
    session.pop();
    dumped?;
    Ok(String::new())
}

/// Byte offset and length of the right sibling in blocks of a btree type.
fn root_of(kind: Type) -> Option<(usize, usize)> {
    match kind.name() {
        "bnobt" | "cntbt" | "inobt" | "finobt" | "rmapbt" | "refcntbt" => Some((12, 4)),
        "bmapbta" | "bmapbtd" | "rtrmapbt" | "rtrefcntbt" => Some((16, 8)),
        _ => None,
    }
}

/// The btree whose root is in a fork of the inode at the cursor.
fn fork(session: &mut Session, attributes: bool, inner: bool) -> Result<()> {
    let (core, bytes) = session.current_inode()?;
    let which = if attributes { Fork::Attr } else { Fork::Data };
    let kind = MetafileType::from_disk(core.metatype.get());
    let root = match (core.fork_format(which), kind) {
        (Some(ForkFormat::Btree), _) if attributes && core.forkoff != 0 => "a.bmbt",
        (Some(ForkFormat::Btree), _) if !attributes => "u3.bmbt",
        (Some(ForkFormat::MetaBtree), Some(MetafileType::RtRmap)) if !attributes => "u3.rtrmapbt",
        (Some(ForkFormat::MetaBtree), Some(MetafileType::RtRefcount)) if !attributes => {
            "u3.rtrefcbt"
        }
        _ => bail!("{} fork not in btree format", if attributes { "attr" } else { "data" }),
    };
    let space = core.fork(which, &bytes);
    let number = |at: usize| space.get(at..at + 2).map_or(0, |b| u16::from_be_bytes([b[0], b[1]]));
    let (level, records) = (number(0), number(2));
    if level == 0 {
        if records > 0 {
            print(session, &[&format!("{root}.recs")]);
        }
        return Ok(());
    }
    if inner {
        print(session, &[&format!("{root}.keys")]);
        print(session, &[&format!("{root}.ptrs")]);
    }
    if records == 0 {
        return Ok(());
    }
    run_words(session, &["addr", &format!("{root}.ptrs[1]")])?;
    tree(session, attributes, inner)
}

/// The btree below the block at the cursor, level by level.
fn tree(session: &mut Session, _: bool, inner: bool) -> Result<()> {
    let mut seen = HashSet::new();
    loop {
        let first = session.cursor.clone();
        let level = header(session).map_or(0, |(level, _)| level);
        let fields: &[&str] = if level > 0 { &["keys", "ptrs"] } else { &["recs"] };
        let mut count = 0;
        // Levels and siblings can lead anywhere: each block is printed once.
        while let Some(daddr) =
            session.cursor.as_ref().map(|at| at.daddr).filter(|at| seen.insert(*at))
        {
            count += 1;
            if level == 0 || inner {
                title(session, level, count, daddr);
                print(session, fields);
            }
            let Some((_, true)) = header(session) else { break };
            if let Err(error) = run_words(session, &["addr", "rightsib"]) {
                session.show(&format!("{error:#}\n"));
                break;
            }
        }
        if level == 0 {
            return Ok(());
        }
        session.cursor = first;
        run_words(session, &["addr", "ptrs[1]"])?;
        let below = session.cursor.as_ref().map(|at| at.daddr);
        if below.is_none_or(|daddr| seen.contains(&daddr)) {
            return Ok(());
        }
    }
}

/// Level of the btree block at the cursor, and whether it has a right sibling.
fn header(session: &Session) -> Option<(u16, bool)> {
    let cursor = session.cursor.as_ref()?;
    let (at, len) = root_of(cursor.kind)?;
    let level = u16::from_be_bytes(*cursor.data().get(4..)?.first_chunk()?);
    let sibling = cursor.data().get(at..at + len)?;
    Some((level, sibling.iter().any(|byte| *byte != 0xff)))
}

/// The index of a directory or of attributes below the block at the cursor, level by level.
fn index(session: &mut Session, _: bool, inner: bool) -> Result<()> {
    let directory = session.cursor.as_ref().is_some_and(|at| at.kind == Type::Dir3);
    let (which, kind) =
        if directory { (Fork::Data, Type::Dir3) } else { (Fork::Attr, Type::Attr3) };
    let mut seen = HashSet::new();
    loop {
        let Some(first) = index_block(session) else {
            bail!("Current location is not part of a dir/attr btree.");
        };
        let mut block = first;
        let mut count = 0;
        while let Some(daddr) =
            session.cursor.as_ref().map(|at| at.daddr).filter(|at| seen.insert(*at))
        {
            count += 1;
            if block.level == 0 || inner {
                title(session, block.level, count, daddr);
                print(session, block.fields(directory));
            }
            if block.next == 0 {
                break;
            }
            session.go_file_block(which, kind, block.next.into(), "block is unmapped")?;
            match index_block(session) {
                Some(next) => block = next,
                None => break,
            }
        }
        let Some(below) = first.below else { return Ok(()) };
        session.go_file_block(which, kind, below.into(), "block is unmapped")?;
        if session.cursor.as_ref().is_none_or(|at| seen.contains(&at.daddr)) {
            return Ok(());
        }
    }
}

/// A block of the index of a directory or of attributes.
#[derive(Clone, Copy)]
struct IndexBlock {
    level: u16,
    /// File block of the right sibling, 0 if there is none.
    next: u32,
    /// File block of the first child.
    below: Option<u32>,
}

impl IndexBlock {
    fn fields(&self, directory: bool) -> &'static [&'static str] {
        match (self.level, directory) {
            (0, true) => &["lents"],
            (0, false) => &["entries", "nvlist"],
            (_, true) => &["nbtree"],
            (_, false) => &["btree"],
        }
    }
}

/// The block at the cursor, if it is part of an index.
fn index_block(session: &Session) -> Option<IndexBlock> {
    let data = session.cursor.as_ref()?.data();
    let next = u32::from_be_bytes(*data.first_chunk()?);
    let magic = u16::from_be_bytes(*data.get(8..)?.first_chunk()?);
    if [ATTR_LEAF_MAGIC, DIR_LEAF1_MAGIC, DIR_LEAFN_MAGIC].contains(&magic) {
        return Some(IndexBlock { level: 0, next, below: None });
    }
    if magic != NODE_MAGIC {
        return None;
    }
    let node = Node::view(data, At::Byte(0)).ok()?;
    let below = node.entries.first().map(|entry| entry.before.get());
    Some(IndexBlock { level: node.header.level.get(), next, below })
}

fn title(session: &mut Session, level: u16, count: usize, daddr: u64) {
    let name = session.cursor.as_ref().map_or("none", |at| at.kind.name());
    session.show(&format!("{name} level {level} block {count} daddr {daddr}\n"));
}

/// Prints fields of what is at the cursor.
fn print(session: &mut Session, fields: &[&str]) {
    for field in fields {
        match run_words(session, &["print", field]) {
            Ok(text) => session.show(&text),
            Err(error) => session.show(&format!("{error:#}\n")),
        }
    }
}
