//! `dquot`: move to the quota record of a user, group or project.

use super::{Command, number};
use crate::files::Tree;
use crate::getopt;
use crate::session::{Cursor, Session};
use crate::types::Type;
use anyhow::{Context, Result, bail};
use libfs::format::dquot::DiskDquot;
use libfs::format::geometry::{Fork, Ino};

/// The command.
pub const COMMAND: Command = Command {
    name: "dquot",
    alias: None,
    min_args: 1,
    max_args: Some(2),
    expert: false,
    args: "[-g|-p|-u] id",
    summary: "set current address to a group, project or user quota block for given ID",
    help: "\
Moves to the quota record of a group (-g), a project (-p) or a user (-u, the default).
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse_or_refuse("dquot", args, "gpu")?;
    let kind = *KINDS.iter().rev().find(|kind| given.has(kind.option)).unwrap_or(&KINDS[0]);
    let name = kind.name;
    let &[text] = given.words.as_slice() else {
        bail!("dquot command requires one {name} id argument");
    };
    let ino = session.quota_inode(kind)?;
    let ino = ino.with_context(|| format!("no {name} quota inode present"))?;
    let id = number(text).with_context(|| format!("bad {name} id for dquot {text}"))? as u32;
    let before = session.ino.replace(ino);
    let record = find(session, id);
    session.ino = before;
    session.set(record.with_context(|| format!("no {name} quota data for id {id}"))?);
    session.note_visit();
    Ok(String::new())
}

/// A kind of quota.
#[derive(Clone, Copy)]
struct Kind {
    option: char,
    name: &'static str,
    /// Which of the quota files in the superblock.
    file: usize,
}

const KINDS: [Kind; 3] = [
    Kind { option: 'u', name: "user", file: 2 },
    Kind { option: 'g', name: "group", file: 3 },
    Kind { option: 'p', name: "project", file: 4 },
];

/// The record `id` of the quota file that is the current inode.
fn find(session: &mut Session, id: u32) -> Option<Cursor> {
    let size = size_of::<DiskDquot>();
    let per_block = DiskDquot::per_block(session.geo.block_size).max(1);
    let block = u64::from(id / per_block);
    let found = session.file_block(Fork::Data, Type::Dqblk, block, "").ok()?;
    Some(Cursor { offset: (id % per_block) as usize * size, len: size, ..found })
}

impl Session {
    /// The file of a kind of quota: the superblock names it, or the metadata directory has it.
    fn quota_inode(&self, kind: Kind) -> Result<Option<Ino>> {
        if !self.geo.features.metadir {
            let named = self.geo.internal_inodes.get(kind.file).copied();
            return Ok(named.filter(|&ino| ino != Ino::NULL));
        }
        let mut files = self.files()?;
        let found = self.resolve(&mut files, Tree::Metadata, &format!("/quota/{}", kind.name));
        Ok(found.ok())
    }
}
