//! `blockget`: count what every block is used for.

use super::{Command, number};
use crate::getopt;
use crate::session::Session;
use crate::usage::{self, Request, Usage};
use anyhow::{Result, bail};
use libfs::journal::{LogArea, LogState, find_ends};
use libfs::scan::Scanner;

/// The command.
pub const COMMAND: Command = Command {
    name: "blockget",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-s|-v] [-n] [-t] [-b bno]... [-i ino] ...",
    summary: "get block usage and check consistency",
    help: "\
Reads all metadata, keeps what each block is used for, for `blockuse` and `ncheck`, and tells
what contradicts: blocks with two uses, headers that claim other sums, entries for impossible
inodes. `blockfree` forgets it all again.
 -b bno   tell everything about this filesystem block; may be repeated
 -i ino   tell everything about this inode; may be repeated
 -n       keep the names of inodes
 -p       begin each message with the name of the filesystem
 -s       tell of severe errors only
 -v       tell everything
",
    run,
};

const DIRTY: &str = "\
ERROR: The filesystem has valuable metadata changes in a log which needs to
be replayed.  Mount the filesystem to replay the log, and unmount it before
re-running xfs_db.  If the filesystem is a snapshot of a mounted filesystem,
you may need to give mount the nouuid option.  If you are unable to mount
the filesystem, then use the xfs_repair -L option to destroy the log and
attempt a repair.  Note that destroying the log may cause corruption --
please attempt a mount of the filesystem before doing this.";

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if session.usage.is_some() {
        bail!("already have block usage information");
    }
    if is_dirty(session) {
        session.exit_status = 1;
        bail!(DIRTY);
    }
    let given = match getopt::parse("blockget", args, "b:i:npstv") {
        Ok(given) => given,
        Err(error) => {
            // As in xfs_db 7.2 there is then something to be freed.
            session.usage = Some(Usage::new(&session.geo, false));
            eprintln!("{error}");
            bail!("bad option for blockget command");
        }
    };
    let mut request = Request::default();
    let mut prefix = String::new();
    for (letter, value) in given.options {
        match letter {
            'b' => request.blocks.push(number(value).unwrap_or(0)),
            'i' => request.inodes.push(number(value).unwrap_or(0)),
            'n' => request.names = true,
            'p' => prefix = session.device_name(),
            's' => request.severe_only = true,
            'v' => request.verbose = true,
            _ => {}
        }
    }
    count(session, &request, &prefix);
    Ok(String::new())
}

/// Counts, and keeps what was found in the session.
pub fn count(session: &mut Session, request: &Request, prefix: &str) {
    let (device, geo) = (session.device.clone(), session.geo.clone());
    let report = |error: &libfs::Error| eprintln!("{error}");
    let scanner = Scanner::new(&*device, &geo).on_damage(&report);
    let usage = usage::count(scanner, request, prefix, &mut |text| session.show_bytes(text));
    if usage.serious {
        session.exit_status = 2;
    }
    session.usage = Some(usage);
}

/// Whether the log, if it can be read, has changes that are not in place yet.
pub fn is_dirty(session: &Session) -> bool {
    let dirty = |ends: libfs::Result<libfs::journal::LogEnds>| {
        ends.is_ok_and(|ends| ends.state == LogState::Dirty)
    };
    match (&session.log_device, LogArea::internal(&session.geo)) {
        (_, Ok(area)) => dirty(find_ends(&*session.device, area)),
        (Some(device), Err(_)) => {
            LogArea::external(&session.geo).is_ok_and(|area| dirty(find_ends(&**device, area)))
        }
        (None, Err(_)) => false,
    }
}
