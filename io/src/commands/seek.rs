//! seek: find data and holes in the current file.

use libfs::Errno;

use super::{Command, Flags, Named, Scope, UsageError};
use crate::session::Session;
use crate::target::Seek;

pub const COMMAND: Command = Command {
    name: "seek",
    alias: None,
    arguments: (2, Some(5)),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "-a | -d | -h [-r] off",
    summary: "locate the next data and/or hole",
    help: "
 Prints where the next data or hole at or behind off begins. There is a hole at the end of
 every file; EOF stands for nothing found before it.

 -a -- both data and holes
 -d -- the next data
 -h -- the next hole
 -r -- all of them to the end of the file
 -s -- with the offset from where it was looked for",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "adhrs")?;
    let wrong = || anyhow::Error::from(UsageError(&COMMAND));
    let [offset] = flags.rest.as_slice() else { return Err(wrong()) };
    let data = flags.has('a') || flags.has('d');
    let hole = flags.has('a') || flags.has('h');
    if !data && !hole {
        return Err(wrong());
    }
    let start = session.number(offset, "offset").map_err(|_| wrong())?;
    let mut found = Vec::new();
    // With -r, from one boundary to the next; data and holes take turns.
    let first_data = find(session, start, Seek::Data)?;
    let first_hole = find(session, start, Seek::Hole)?;
    let mut what = match (data, hole) {
        (true, true) if first_hole == Some(start) => Seek::Hole,
        (true, _) => Seek::Data,
        _ => Seek::Hole,
    };
    let mut at = start;
    let mut shown = 0;
    loop {
        let result = match (what, at == start) {
            (Seek::Data, true) => first_data,
            (Seek::Hole, true) => first_hole,
            (what, _) => find(session, at, what)?,
        };
        // The end of the file is told only when nothing else was found.
        let told = result.is_some() || found.is_empty();
        if told && ((what == Seek::Data && data) || (what == Seek::Hole && hole)) {
            found.push((what, at, result));
            shown += 1;
        }
        let enough = if data && hole { 2 } else { 1 };
        let Some(next) = result else { break };
        if !flags.has('r') && shown >= enough {
            break;
        }
        at = next;
        what = if what == Seek::Data { Seek::Hole } else { Seek::Data };
    }
    print(&found, flags.has('s'));
    Ok(())
}

/// Where the next data or hole is; `None` behind the end of the file.
fn find(session: &mut Session, offset: u64, what: Seek) -> anyhow::Result<Option<u64>> {
    let file = session.handle()?;
    match session.target.seek(file, offset, what) {
        Ok(offset) => Ok(Some(offset)),
        Err(error) if error.errno() == Errno::ENXIO => Ok(None),
        Err(error) => Err(error).named("lseek"),
    }
}

fn print(found: &[(Seek, u64, Option<u64>)], starts: bool) {
    println!("Whence\t{}Result", if starts { "Start\t" } else { "" });
    for (what, start, result) in found {
        let name = if *what == Seek::Data { "DATA" } else { "HOLE" };
        let start = if starts { format!("{start}\t") } else { String::new() };
        let result = result.map_or("EOF".to_string(), |offset| offset.to_string());
        println!("{name}\t{start}{result}");
    }
}
