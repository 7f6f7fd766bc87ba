//! open: add a file to the table.

use libfs::Errno;

use super::{Command, Failed, Flags, Scope, stat};
use crate::session::Session;
use crate::target::OpenFlags;
use crate::transfer;

pub const COMMAND: Command = Command {
    name: "open",
    alias: Some("o"),
    arguments: (0, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "[-acdrstxRTPL] [-m mode] [path]",
    summary: "open the file specified by path",
    help: "
 Opens a file and makes it the current one. Without arguments, shows the current file as
 stat does.

 -a -- every write goes to the end of the file (O_APPEND)
 -d -- direct I/O, past the page cache (O_DIRECT)
 -f -- create the file if it does not exist (O_CREAT)
 -m -- permissions of a file that is created (default 0600)
 -n -- do not wait (O_NONBLOCK)
 -r -- open for reading only (O_RDONLY)
 -s -- every write is durable when it returns (O_SYNC)
 -t -- truncate the file to nothing (O_TRUNC)
 -A -- staged mode: what is written is seen by nobody until fsync makes all of it
       part of the file at once (with -D only)
 -R -- mark the file as one of the realtime volume once it is open
 -T -- a new file without a name, in the directory path (O_TMPFILE)
 -P -- a reference to the file, not open for reading or writing (O_PATH)
 -L -- do not follow a symbolic link (O_NOFOLLOW)",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if arguments.len() == 1 {
        if session.files.is_empty() {
            eprintln!("no files are open, try 'help open'");
            return Ok(());
        }
        return (stat::COMMAND.run)(session, &arguments[..1]);
    }
    let flags = Flags::parse(&COMMAND, arguments, "aAdfm:nrstxRTPL")?;
    let [path] = flags.rest.as_slice() else {
        return Err(super::UsageError(&COMMAND).into());
    };
    let Some(mode) = permissions(flags.value('m').unwrap_or("0600")) else {
        session.exit_code = 1;
        return Ok(());
    };
    let open = OpenFlags {
        create: flags.has('f'),
        truncate: flags.has('t'),
        read_only: flags.has('r'),
        append: flags.has('a'),
        sync: flags.has('s'),
        direct: flags.has('d'),
        nonblocking: flags.has('n'),
        temporary: flags.has('T'),
        path_only: flags.has('P'),
        no_follow: flags.has('L'),
        realtime: flags.has('R'),
        staged: flags.has('A'),
        mode,
    };
    if let Some(complaint) = contradiction(&open) {
        // This ends the run, as in xfsprogs.
        session.quit = true;
        anyhow::bail!(complaint);
    }
    open_file(session, path, open)
}

/// Why these flags cannot go together.
fn contradiction(open: &OpenFlags) -> Option<&'static str> {
    if open.temporary && open.read_only {
        return Some("-T and -r options are incompatible");
    }
    let reference = OpenFlags {
        path_only: open.path_only,
        no_follow: open.no_follow,
        mode: open.mode,
        ..Default::default()
    };
    if (open.path_only || open.no_follow) && *open != reference {
        return Some("-P and -L are incompatible with the other options");
    }
    None
}

/// Opens a file for the table; an error is under the name that xfsprogs gives it.
pub fn open_file(session: &mut Session, path: &str, flags: OpenFlags) -> anyhow::Result<()> {
    session.open_file(path, flags).map_err(|error| {
        // xfsprogs looks at the path before it opens it.
        let looked =
            matches!(error.errno(), Errno::ENOTDIR | Errno::ENAMETOOLONG) && !flags.temporary;
        Failed::new(if looked { "stat" } else { path }, error).into()
    })
}

/// Permissions of a new file as strtoul(3) reads them: octal with a leading 0, hexadecimal
/// with 0x, else decimal.
pub fn permissions(text: &str) -> Option<u16> {
    let mode = transfer::unsigned(text);
    if mode.is_none() {
        println!("non-numeric mode -- {text}");
    }
    mode.map(|mode| mode as u16)
}
