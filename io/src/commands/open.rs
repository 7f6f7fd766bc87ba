//! open: add a file to the table.

use super::{Command, Flags, Named, Scope, stat};
use crate::session::Session;
use crate::target::OpenFlags;

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
 -m -- permissions of a file that is created, in octal (default 0600)
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
    let mode = octal(flags.value('m').unwrap_or("0600"));
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
    anyhow::ensure!(!(open.temporary && open.read_only), "-T and -r options are incompatible");
    let reference = OpenFlags {
        path_only: open.path_only,
        no_follow: open.no_follow,
        mode,
        ..Default::default()
    };
    anyhow::ensure!(
        !(open.path_only || open.no_follow) || open == reference,
        "-P and -L are incompatible with the other options"
    );
    session.open_file(path, open).named(path)
}

/// Permissions in octal, as far as the digits go.
pub fn octal(text: &str) -> u16 {
    let end = text.find(|c: char| !c.is_digit(8)).unwrap_or(text.len());
    u16::from_str_radix(&text[..end], 8).unwrap_or(0)
}
