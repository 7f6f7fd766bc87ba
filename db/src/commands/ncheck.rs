//! `ncheck`: the names of inodes.

use super::{Command, number};
use crate::getopt;
use crate::session::Session;
use anyhow::{Result, anyhow, bail};
use libfs::format::geometry::Ino;
use libfs::format::superblock::Dsb;
use std::io::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "ncheck",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-s] [-i ino] ...",
    summary: "print inode-name pairs",
    help: "\
Prints the number and the path of all inodes, or of those given with -i, as `blockget -n`
found them; directories end in `/.`. With -s only set-user-ID, set-group-ID and special
files.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let usage = session.usage.as_ref().filter(|usage| usage.inodes.has_names());
    let Some(usage) = usage else { bail!("must run blockget -n first") };
    let given = getopt::parse("ncheck", args, "i:s").map_err(|error| {
        eprintln!("{error}");
        anyhow!("bad option -? for ncheck command")
    })?;
    let chosen = given.options.iter().filter(|option| option.0 == 'i');
    let chosen: Vec<Ino> = chosen.map(|option| Ino(number(option.1).unwrap_or(0))).collect();
    let inodes = if chosen.is_empty() {
        let sector = session.read(0, session.geo.sector_size as usize)?;
        usage.inodes.in_order(&session.geo, Dsb::view(&sector)?.icount.get())
    } else {
        chosen
    };
    let only_special = given.has('s');
    let mut out = Vec::new();
    for ino in inodes {
        let info = usage.inodes.find(ino);
        if only_special && !info.is_some_and(|info| info.is_special) {
            continue;
        }
        if let Some(path) = usage.inodes.path(ino) {
            // Writing to memory does not fail.
            let _ = write!(out, "{:>11} ", ino.0);
            out.extend_from_slice(&path);
            if info.is_some_and(|info| info.is_dir) {
                out.extend_from_slice(b"/.");
            }
            out.push(b'\n');
        }
    }
    session.show_bytes(&out);
    Ok(String::new())
}
