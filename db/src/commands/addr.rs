//! `addr`: follow a field to what it refers to, or tell where the cursor is.

use super::Command;
use crate::fields::path::{Part, select};
use crate::fields::{Kind, Link};
use crate::session::{BASIC_BLOCK, Session};
use crate::types::Type;
use anyhow::{Context, Result, anyhow, bail};
use libfs::format::geometry::{Fork, FsBlock, Ino};

/// The command.
pub const COMMAND: Command = Command {
    name: "addr",
    alias: Some("a"),
    min_args: 0,
    max_args: Some(1),
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
    let Some(cursor) = &session.cursor else { return "--no current object--\n".into() };
    let blocks = cursor.buffer.len() / BASIC_BLOCK;
    let number = |ino: Option<Ino>| ino.map_or(-1, |ino| ino.0 as i64);
    format!(
        "current\n\tbyte offset {}, length {}\n\tbuffer block {} (fsbno {}), {blocks} bb{}\n\
         \tinode {}, dir inode {}, type {}\n",
        cursor.daddr * BASIC_BLOCK as u64 + cursor.offset as u64,
        cursor.len,
        cursor.daddr,
        session.geo.daddr_fsblock(cursor.daddr),
        if blocks == 1 { "" } else { "s" },
        number(session.ino),
        number(session.dir_ino),
        cursor.kind.name(),
    )
}

fn follow(session: &mut Session, path: &str) -> Result<()> {
    let cursor = session.cursor.as_ref().context("no current type")?;
    let place = session.place().context("no current type")?;
    let kind = cursor.kind;
    let table = kind.fields(&session.geo);
    let table = table.with_context(|| format!("no fields for type {}", kind.name()))?;
    let selection = select(table, &place, path).map_err(|text| anyhow!(text))?;
    let part = selection.parts.first().context("no current type")?;
    let link = part.field.link;
    let (value, null) = value(part);
    let name = part.field.name;
    match link {
        Link::None => bail!("no next type for field {name}"),
        Link::Inode | Link::AgInode if null => bail!("null inode number, cannot set new addr"),
        Link::DirBlock if null => bail!("null directory block number, cannot set new addr"),
        Link::AttrBlock if null => bail!("null attribute block number, cannot set new addr"),
        _ if null => bail!("null block number, cannot set new addr"),
        _ => go(session, link, value),
    }
}

/// The first value selected, and whether it means "none".
fn value(part: &Part) -> (u64, bool) {
    let Kind::Number(bits, ..) = part.field.kind else { return (0, true) };
    let at = part.field.position(&part.place, part.low);
    let value = part.place.bits(at, bits);
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
        Link::AttrBlock => {
            session.go_file_block(Fork::Attr, Type::Attr3, value, "attribute block is unmapped")
        }
        Link::AgInode => session.go_inode(session.geo.ino(session.agno, value as u32)),
        Link::Inode => session.go_inode(Ino(value)),
        Link::None => Ok(()),
    }
}
