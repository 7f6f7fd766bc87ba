//! ls: list a directory of the filesystem.

use super::{Command, Flags, Scope, stat::date};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "ls",
    alias: None,
    arguments: (0, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "[-l] [path]",
    summary: "list a directory of the filesystem",
    help: "
 Lists the names in a directory (the root without a path), sorted.
 -l -- with inode number, mode, links, owner, size and modification time",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "l")?;
    let path = flags.rest.first().map_or("/", String::as_str);
    let ino = session.image()?.filesystem.lookup(path)?;
    let mut entries = session.image()?.filesystem.read_directory(ino)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    for entry in entries {
        if entry.name == b"." || entry.name == b".." {
            continue;
        }
        let name = String::from_utf8_lossy(&entry.name);
        if !flags.has('l') {
            println!("{name}");
            continue;
        }
        let stat = session.image()?.filesystem.stat(entry.ino)?;
        println!(
            "{:>10} {:06o} {:>4} {:>5} {:>5} {:>14} {} {name}",
            stat.ino,
            stat.mode,
            stat.nlink,
            stat.uid,
            stat.gid,
            stat.size,
            date(stat.mtime.0)
        );
    }
    Ok(())
}
