//! copy_range: copy bytes from another file into the current one.

use super::{Command, Failed, Flags, Named, Scope, UsageError};
use crate::session::{Complaint, Session};
use crate::target::{Handle, OpenFlags, Remap};

pub const COMMAND: Command = Command {
    name: "copy_range",
    alias: None,
    arguments: (1, Some(8)),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-s src_off] [-d dst_off] [-l len] src_file | -f N",
    summary: "Copy a range of data between two files",
    help: "
 Copies bytes from a file into the open file, over what is there. Blocks are shared where
 that is possible.

 Example:
 'copy_range -s 100 -d 200 -l 300 some_file' - copies 300 bytes from some_file at offset
                                               100 to offset 200 of the open file
 'copy_range some_file' - copies all of some_file to the beginning of the open file
 'copy_range -f 2' - copies all of open file 2 to the beginning of the open file",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "s:d:l:f:")?;
    let number = |letter, what: &str| match flags.value(letter) {
        None => Ok(None),
        Some(text) => match session.signed(text) {
            Some(value) if value >= 0 => Ok(Some(value as u64)),
            _ => Err(Complaint(format!("invalid {what} -- {text}"))),
        },
    };
    let source_offset = number('s', "source offset")?;
    let offset = number('d', "destination offset")?.unwrap_or(0);
    let length = number('l', "length")?;
    let file = session.handle()?;
    let (source, opened) = match (flags.value('f'), flags.rest.as_slice()) {
        (Some(text), []) => (table_entry(session, text)?, false),
        (None, [path]) => {
            let how = OpenFlags { read_only: true, ..Default::default() };
            (session.target.open(path, &how).named(path)?, true)
        }
        _ => return Err(UsageError(&COMMAND).into()),
    };
    let length = match length {
        Some(length) => length,
        None => {
            let size = session.target.size(source).named("copy_range")?;
            size.saturating_sub(source_offset.unwrap_or(0))
        }
    };
    let range = Remap { source_offset: source_offset.unwrap_or(0), offset, length };
    let result = copy(session, file, source, range);
    if opened {
        session.target.close(source)?;
    }
    if let Err(error) = result {
        // As in xfsprogs, this ends the run but does not count for the exit status.
        eprintln!("{}", Failed::new("copy_range", error));
        session.quit = true;
    }
    Ok(())
}

/// Entry `text` of the table of open files.
fn table_entry(session: &Session, text: &str) -> anyhow::Result<Handle> {
    let entry = text.parse().ok().and_then(|index: usize| session.files.get(index));
    match entry {
        Some(file) => Ok(file.handle),
        None => {
            let last = session.files.len().saturating_sub(1);
            Err(Complaint(format!("value {text} is out of range (0-{last})")).into())
        }
    }
}

/// Copies until all is done, or the source ends.
fn copy(session: &mut Session, file: Handle, source: Handle, range: Remap) -> libfs::Result<()> {
    let mut rest = range;
    loop {
        let copied = session.target.copy_range(file, source, &rest)?;
        rest.source_offset += copied;
        rest.offset += copied;
        rest.length = rest.length.saturating_sub(copied);
        if copied == 0 || rest.length == 0 {
            return Ok(());
        }
    }
}
