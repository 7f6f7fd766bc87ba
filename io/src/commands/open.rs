//! open: add a file to the table.

use super::{Command, Flags, reason, stat};
use crate::session::{OpenFlags, Session};

pub const COMMAND: Command = Command {
    name: "open",
    alias: Some("o"),
    arguments: (0, None),
    needs_file: false,
    expert: false,
    usage: "[-adfrst] [-m mode] [path]",
    summary: "open the file specified by path",
    help: "
 Opens a file of the filesystem and makes it the current one. Without arguments,
 shows the current file as stat does.
 -a -- writes go to the end of the file (O_APPEND)
 -d -- mark the file as opened for direct I/O
 -f -- create the file if it does not exist
 -m -- permissions of a file that is created, in octal (default 0600)
 -r -- open for reading only
 -s -- every write is durable when it returns (O_SYNC)
 -t -- truncate the file to nothing",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if arguments.len() == 1 {
        return (stat::COMMAND.run)(session, &arguments[..1]);
    }
    let flags = Flags::parse(&COMMAND, arguments, "adfm:rst")?;
    let [path] = flags.rest.as_slice() else {
        return Err(super::UsageError(&COMMAND).into());
    };
    let mode = flags.value('m').unwrap_or("0600");
    let Ok(mode) = u16::from_str_radix(mode, 8) else {
        anyhow::bail!("non-octal mode -- {mode}");
    };
    let open = OpenFlags {
        create: flags.has('f'),
        truncate: flags.has('t'),
        read_only: flags.has('r'),
        append: flags.has('a'),
        sync: flags.has('s'),
        direct: flags.has('d'),
        mode,
    };
    session.open_file(path, open).map_err(|error| anyhow::anyhow!("{path}: {}", reason(&error)))
}
