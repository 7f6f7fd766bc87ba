//! falloc, fpunch, fzero, fwzero, finsert, fcollapse, funshare, resvsp, unresvsp and zero:
//! space for a part of a file, through fallocate(2); allocsp and freesp, which are no more.

use super::{Command, Flags, Named, Scope, UsageError};
use crate::session::{Complaint, Session};
use crate::target::Allocate;
use libfs::{Errno, Error};

pub const FALLOC: Command = Command {
    name: "falloc",
    alias: None,
    arguments: (2, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-c] [-k] [-p] [-u] off len",
    summary: "allocates space associated with part of a file via fallocate",
    help: "
 Allocates unwritten space where the range has none, or changes the range in another way.
 Offsets and lengths are in bytes.

 -c -- collapse: remove the range, and move up what lies behind it
 -i -- insert: make room for the range, and move down what lies behind it
 -k -- keep the file's size
 -p -- punch: give back the range's space
 -u -- unshare: give the file its own copy of shared blocks",
    run: |session, arguments| {
        let known = without_unknown_options(arguments);
        let flags = Flags::parse(&FALLOC, &known, OPTIONS)?;
        let [offset, length] = flags.rest.as_slice() else {
            return Err(UsageError(&FALLOC).into());
        };
        // The last option alone counts.
        let how = match flags.last(&['c', 'i', 'k', 'p', 'u']) {
            Some('c') => Allocate::Collapse,
            Some('i') => Allocate::Insert,
            Some('p') => Allocate::Punch,
            Some('u') => Allocate::Unshare,
            last => Allocate::Fill { keep_size: last == Some('k') },
        };
        allocate(session, how, "fallocate", [offset, length])
    },
};

/// Letters of falloc's options.
const OPTIONS: &str = "cikpu";

/// Complains about options that falloc does not have, as xfsprogs does, and takes them out:
/// the rest of the command counts all the same.
fn without_unknown_options(arguments: &[String]) -> Vec<String> {
    let mut options_end = false;
    let mut kept = Vec::new();
    for word in arguments {
        options_end |= word == "--";
        let Some(letters) = word.strip_prefix('-').filter(|l| !options_end && !l.is_empty()) else {
            kept.push(word.clone());
            continue;
        };
        let (known, unknown): (String, String) =
            letters.chars().partition(|letter| OPTIONS.contains(*letter));
        for letter in unknown.chars() {
            eprintln!("falloc: invalid option -- '{letter}'");
            println!("{}", UsageError(&FALLOC));
        }
        if !known.is_empty() {
            kept.push(format!("-{known}"));
        }
    }
    kept
}

pub const FZERO: Command = Command {
    name: "fzero",
    arguments: (2, Some(3)),
    usage: "[-k] off len",
    summary: "zeroes space and eliminates holes by preallocating",
    help: "
 Makes the range read as zeros, with space allocated for all of it.

 -k -- keep the file's size",
    run: |session, arguments| {
        // As in xfsprogs, no failure counts for the exit status.
        match zero(session, arguments) {
            Err(error) if error.is::<Complaint>() || error.is::<UsageError>() => {
                println!("{error}");
            }
            Err(error) => eprintln!("{error}"),
            Ok(()) => {}
        }
        Ok(())
    },
    ..FALLOC
};

fn zero(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&FZERO, arguments, "k")?;
    let [offset, length] = flags.rest.as_slice() else {
        return Err(UsageError(&FZERO).into());
    };
    let how = Allocate::Zero { keep_size: flags.has('k') };
    allocate(session, how, "fallocate", [offset, length])
}

/// The commands that take an offset and a length and nothing else.
const PLAIN: Command = Command { arguments: (2, Some(2)), usage: "off len", help: "", ..FALLOC };

pub const FPUNCH: Command = Command {
    name: "fpunch",
    summary: "de-allocates space associated with part of a file via fallocate",
    run: |session, range| plain(session, Allocate::Punch, "fallocate", range),
    ..PLAIN
};

pub const FCOLLAPSE: Command = Command {
    name: "fcollapse",
    summary: "de-allocates space and eliminates the hole by shifting extents",
    run: |session, range| plain(session, Allocate::Collapse, "fallocate", range),
    ..PLAIN
};

pub const FINSERT: Command = Command {
    name: "finsert",
    summary: "creates new space for writing within file by shifting extents",
    run: |session, range| plain(session, Allocate::Insert, "fallocate", range),
    ..PLAIN
};

pub const FUNSHARE: Command = Command {
    name: "funshare",
    summary: "unshares shared blocks within the range",
    run: |session, range| plain(session, Allocate::Unshare, "fallocate", range),
    ..PLAIN
};

pub const FWZERO: Command = Command {
    name: "fwzero",
    summary: "zeroes space and eliminates holes by allocating and submitting write zeroes",
    run: |session, range| plain(session, Allocate::WriteZeroes, "fallocate", range),
    ..PLAIN
};

// The XFS requests of these names are fallocate by another name since Linux 5.5, and keep
// the size of the file.

pub const RESVSP: Command = Command {
    name: "resvsp",
    summary: "reserves space associated with part of a file",
    run: |session, range| {
        plain(session, Allocate::Fill { keep_size: true }, "XFS_IOC_RESVSP64", range)
    },
    ..PLAIN
};

pub const UNRESVSP: Command = Command {
    name: "unresvsp",
    xfs_only: true,
    summary: "frees reserved space associated with part of a file",
    run: |session, range| plain(session, Allocate::Punch, "XFS_IOC_UNRESVSP64", range),
    ..PLAIN
};

pub const ZERO: Command = Command {
    name: "zero",
    xfs_only: true,
    summary: "Converts the given range of a file to allocated zeros",
    run: |session, range| {
        plain(session, Allocate::Zero { keep_size: true }, "XFS_IOC_ZERO_RANGE", range)
    },
    ..PLAIN
};

// Linux forgot these two in 5.17. Scripts that try them look at the error.

pub const ALLOCSP: Command = Command {
    name: "allocsp",
    xfs_only: true,
    summary: "allocates zeroed space for part of a file",
    run: |session, range| forgotten(session, "XFS_IOC_ALLOCSP64", range),
    ..PLAIN
};

pub const FREESP: Command = Command {
    name: "freesp",
    xfs_only: true,
    summary: "frees space associated with part of a file",
    run: |session, range| forgotten(session, "XFS_IOC_FREESP64", range),
    ..PLAIN
};

fn forgotten(session: &mut Session, name: &str, arguments: &[String]) -> anyhow::Result<()> {
    for (text, what) in arguments.iter().skip(1).zip(["offset", "length"]) {
        session.number(text, what)?;
    }
    Err(Error::os(Errno::ENOTTY, "a request that Linux forgot")).named(name)
}

fn plain(
    session: &mut Session,
    how: Allocate,
    name: &str,
    arguments: &[String],
) -> anyhow::Result<()> {
    let [_, offset, length] = arguments else { anyhow::bail!("{name}: two arguments") };
    allocate(session, how, name, [offset, length])
}

fn allocate(
    session: &mut Session,
    how: Allocate,
    name: &str,
    [offset, length]: [&str; 2],
) -> anyhow::Result<()> {
    let offset = session.number(offset, "offset")?;
    let length = session.number(length, "length")?;
    let file = session.handle()?;
    session.target.allocate(file, how, offset, length).named(name)
}
