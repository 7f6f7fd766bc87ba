//! utimes, chmod: the current file's times and permissions.

use super::{Command, Flags, Named, Scope, UsageError};
use crate::session::Session;

pub const UTIMES: Command = Command {
    name: "utimes",
    alias: None,
    arguments: (4, Some(4)),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "atime_sec atime_nsec mtime_sec mtime_nsec",
    summary: "Update file times of the current file",
    help: "
 Sets the times of last access and of last change, each in seconds since 1970 and
 nanoseconds.",
    run: |session, arguments| {
        let time = |seconds: &str, nanoseconds: &str, name: &str| {
            let both = (session.signed(seconds), session.signed(nanoseconds));
            let (Some(seconds), Some(nanoseconds)) = both else {
                anyhow::bail!("Bad value for {name}");
            };
            Ok((seconds, nanoseconds))
        };
        let atime = time(&arguments[1], &arguments[2], "atime")?;
        let mtime = time(&arguments[3], &arguments[4], "mtime")?;
        let file = session.handle()?;
        session.target.set_times(file, atime, mtime).named("futimens")
    },
};

pub const CHMOD: Command = Command {
    name: "chmod",
    alias: None,
    arguments: (1, Some(1)),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "-r | -w",
    summary: "change the read/write permissions on the currently open file",
    help: "
 Sets the permissions of the current file. The open file keeps what it was opened for.

 -r -- for reading only (0444)
 -w -- for reading and writing (0664)",
    run: chmod,
};

fn chmod(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&CHMOD, arguments, "rw")?;
    let mode = match flags.last(&['r', 'w']) {
        Some('r') => 0o444,
        Some(_) => 0o664,
        None => return Err(UsageError(&CHMOD).into()),
    };
    let file = session.handle()?;
    session.target.set_mode(file, mode).named("fchmod")
}
