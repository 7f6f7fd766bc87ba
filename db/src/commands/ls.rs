//! `ls`: what directories hold.

use super::Command;
use crate::files::{Tree, reason};
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, bail};
use libfs::dir::{self, DirEntry};
use libfs::format::dir::{ALIGN, entry_size, hash_entry};
use libfs::format::inode::mode;
use std::io::Write;
use std::ops::ControlFlow;

/// The command.
pub const COMMAND: Command = Command {
    name: "ls",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-i] [paths...]",
    summary: "list directory contents",
    help: "\
Lists directories: those that are named, or the one the cursor is on. Each entry is a line
of position in the directory, inode number, type, hash of the name, length of the name,
name, and whether it is a name that may be.

Options:
  -i -- Print the inode numbers of what is named, or of where the cursor is.
  -m -- Start absolute paths at the root of the metadata directories.
",
    run,
};

/// Names of the file types in directories, by number.
const TYPES: [&str; 9] = [
    "unknown",
    "regular",
    "directory",
    "chardev",
    "blkdev",
    "fifo",
    "socket",
    "symlink",
    "whiteout",
];

/// Bytes that are printed at a time.
const TOGETHER: usize = 1 << 16;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Ok(given) = getopt::parse("ls", args, "im").inspect_err(|error| eprintln!("{error}"))
    else {
        return Ok(super::help::explain(&COMMAND));
    };
    let tree = if given.has('m') { Tree::Metadata } else { Tree::Files };
    let listed = if given.words.is_empty() {
        here(session, given.has('i'))
    } else {
        given.words.iter().try_for_each(|path| named(session, tree, path, given.has('i')))
    };
    listed.inspect_err(|_| session.exit_status = 1)?;
    Ok(String::new())
}

fn here(session: &mut Session, number: bool) -> Result<()> {
    if !number {
        return list(session, None);
    }
    let Some(ino) = session.inode_at_cursor() else { bail!("No such file or directory") };
    session.show(&format!("{ino}\n"));
    Ok(())
}

fn named(session: &mut Session, tree: Tree, path: &str, number: bool) -> Result<()> {
    session.push();
    let listed = session
        .go_path(tree, path)
        .and_then(|()| if number { here(session, true) } else { list(session, Some(path)) });
    session.pop();
    listed
}

/// Lists the directory that the cursor is on.
fn list(session: &mut Session, path: Option<&str>) -> Result<()> {
    let prefix = path.map(|path| format!("{path}: ")).unwrap_or_default();
    let Some(ino) = session.inode_at_cursor() else { bail!("{prefix}Not a directory") };
    let mut files = session.files()?;
    let why = |error: libfs::Error| anyhow::anyhow!("{prefix}{}", reason(&error));
    if session.inode_core(ino)?.file_type() != mode::DIR {
        bail!("{prefix}Not a directory");
    }
    let directory = files.iget(ino.0).map_err(why)?;
    if let Some(path) = path {
        session.show(&format!("{path}:\n"));
    }
    // In directories of several blocks, the position is that of the next entry.
    let next = files.inode(directory).core.size > u64::from(session.geo.dir.block_size);
    let mut out = Vec::new();
    let each = |entry: DirEntry| {
        line(session, &entry, next, &mut out);
        if out.len() >= TOGETHER {
            session.show_bytes(&out);
            out.clear();
        }
        Ok(ControlFlow::Continue(()))
    };
    let listed = dir::for_each(&mut files, directory, each);
    session.show_bytes(&out);
    listed.map_err(why)
}

fn line(session: &Session, entry: &DirEntry, next: bool, out: &mut Vec<u8>) {
    let kind = TYPES.get(usize::from(entry.ftype)).unwrap_or(&"unknown");
    let hash = hash_entry(&entry.name, &session.geo);
    let len = entry.name.len();
    let good = !entry.name.iter().any(|byte| [b'/', 0].contains(byte));
    let size = entry_size(len, session.geo.features.ftype) / ALIGN;
    let cookie = entry.cookie as usize + if next { size } else { 0 };
    let ino = entry.ino;
    let _ = write!(out, "{cookie:<10} {ino:<18} {kind:<14} {hash:#010x} {len:3} ");
    out.extend(&entry.name);
    out.extend(if good { &b" (good)\n"[..] } else { b" (corrupt)\n" });
}
