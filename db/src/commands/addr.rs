//! `addr`: follow a field to what it refers to, or tell where the cursor is.

use super::Command;
use crate::fields::path::{Part, select};
use crate::fields::{self, Field, Kind, Link};
use crate::positions::Place;
use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, anyhow, bail};
use libfs::format::geometry::{Fork, FsBlock, Ino};

/// The command.
pub const COMMAND: Command = Command {
    name: "addr",
    alias: Some("a"),
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[field-expression]",
    summary: "set current address",
    help: "\
Moves to what a field of the current object refers to, and takes it for what it should
be. Without an argument, tells where the cursor is.

 Examples:

 sb
 addr rootino
 agf 1
 addr bnoroot
 inode 140
 addr u3.bmx[0].startblock
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    match args.first() {
        None => Ok(describe(session)),
        Some(path) => follow(session, path).map(|()| String::new()),
    }
}

fn describe(session: &Session) -> String {
    match session.stack().first() {
        Some(place) => format!("current\n{}", session.describe(place)),
        None => {
            format!("current\n{}", session.describe(&Place::default()).replace("fsbno", "fsbno?"))
        }
    }
}

fn follow(session: &mut Session, path: &str) -> Result<()> {
    let cursor = session.cursor.as_ref().context("no current type")?;
    let place = session.place().context("no current type")?;
    let kind = cursor.kind;
    let table = kind.fields(&session.geo);
    let table = table.with_context(|| format!("no fields for type {}", kind.name()))?;
    let selection = select(table, &place, path).map_err(|text| anyhow!(text))?;
    let part = selection.parts.first().context("no current type")?;
    let (field, place) = first_value(part);
    let (link, name) = (field.link, field.name);
    let low = if std::ptr::eq(field, part.field) { part.low } else { 0 };
    let (value, null) = value(field, &place, low);
    match link {
        Link::None => bail!("no next type for field {name}"),
        Link::Unknown(kind) => bail!("no addr function for field {name} (type {kind})"),
        Link::Inode | Link::AgInode if null => bail!("null inode number, cannot set new addr"),
        // Block 0 is never behind another.
        Link::DirBlock if null || value == 0 => {
            bail!("null directory block number, cannot set new addr")
        }
        Link::AttrBlock if null => {
            bail!("null attribute block number, cannot set new addr")
        }
        Link::AttrSibling if null || value == 0 => {
            bail!("null attribute block number, cannot set new addr")
        }
        _ if null => bail!("null block number, cannot set new addr"),
        _ => go(session, link, value),
    }
}

/// The first field that is a value or a row of them, inside the structures selected: a row as a
/// whole leads nowhere.
fn first_value<'a>(part: &Part<'a>) -> (&'static Field, fields::Place<'a>) {
    let (mut field, mut place, mut low) = (part.field, part.place, part.low);
    while let Kind::Group(children, _) = field.kind {
        let inner = place.at(field.position(&place, low));
        let Some(first) = children.iter().find(|child| child.count(&inner) > 0) else { break };
        (field, place, low) = (first, inner, 0);
    }
    (field, place)
}

/// Element `index` of a field, and whether it means "none".
fn value(field: &Field, place: &fields::Place, index: usize) -> (u64, bool) {
    let Kind::Number(bits, ..) = field.kind else { return (0, true) };
    let value = place.bits(field.position(place, index), bits);
    (value, value == u64::MAX >> (64 - bits))
}

fn go(session: &mut Session, link: Link, value: u64) -> Result<()> {
    match link {
        Link::AgBlock(kind) => {
            let agbno = value as u32;
            let daddr = session.geo.agblock_daddr(session.agno, agbno);
            session.go(kind, daddr, session.geo.block_size as usize)
        }
        Link::FsBlock(kind) => session.go_block(kind, FsBlock(value)),
        Link::FileFsBlock => {
            let kind = session.file_type()?;
            session.go_block(kind, FsBlock(value))
        }
        Link::FileData => {
            let kind = session.file_type()?;
            session.go_file_block(Fork::Data, kind, value, "file block is unmapped")
        }
        Link::DirBlock => {
            session.go_file_block(Fork::Data, Type::Dir3, value, "directory block is unmapped")
        }
        Link::AttrBlock | Link::AttrSibling => {
            session.go_file_block(Fork::Attr, Type::Attr3, value, "attribute block is unmapped")
        }
        Link::AgInode => session.go_inode(session.geo.ino(session.agno, value as u32)),
        Link::Inode => session.go_inode(Ino(value)),
        Link::None | Link::Unknown(_) => Ok(()),
    }
}
