//! reflink and dedupe: let the current file share blocks with another.

use std::time::{Duration, Instant};

use super::{Command, Failed, Flags, Named, Scope, UsageError};
use crate::numbers;
use crate::session::{Complaint, Session};
use crate::target::{Deduped, Handle, OpenFlags, Remap};

pub const REFLINK: Command = Command {
    name: "reflink",
    alias: None,
    arguments: (1, None),
    scope: Scope::Current,
    xfs_only: false,
    expert: false,
    usage: "infile [src_off dst_off len]",
    summary: "reflinks an entire file, or a number of bytes at a specified offset",
    help: "
 Lets a range of the open file share the blocks of a range of infile, which replaces what
 was there. A later write to either file goes to new blocks, and the other keeps its
 contents. Both files are in one filesystem; ranges are in whole blocks, but may end with
 infile.

 Example:
 'reflink some_file 0 4096 32768' - 32768 bytes from the beginning of some_file become
                                    those at 4096 in the open file
 'reflink some_file' - the open file becomes a copy of some_file

 -C   -- print timing in condensed form
 -q   -- quiet: print nothing",
    run: reflink,
};

pub const DEDUPE: Command = Command {
    name: "dedupe",
    arguments: (4, None),
    usage: "infile src_off dst_off len",
    summary: "dedupes a number of bytes at a specified offset",
    help: "
 Lets a range of the open file share the blocks of a range of infile, if both hold the same
 bytes; otherwise nothing changes.

 Example:
 'dedupe some_file 0 4096 32768' - 32768 bytes from the beginning of some_file, if they
                                   are those at 4096 in the open file

 -C   -- print timing in condensed form
 -q   -- quiet: print nothing",
    run: dedupe,
    ..REFLINK
};

/// Source and ranges, from `infile src_off dst_off len`.
fn range(session: &Session, [source, target, length]: [&String; 3]) -> anyhow::Result<Remap> {
    let number = |text: &str, message: &str| {
        let value = session.signed(text).and_then(|value| u64::try_from(value).ok());
        value.ok_or_else(|| anyhow::Error::from(Complaint(format!("{message} argument -- {text}"))))
    };
    Ok(Remap {
        source_offset: number(source, "non-numeric src offset")?,
        offset: number(target, "non-numeric dest offset")?,
        length: number(length, "non-positive length")?,
    })
}

fn open_source(session: &mut Session, path: &str) -> anyhow::Result<Handle> {
    let how = OpenFlags { read_only: true, ..Default::default() };
    session.target.open(path, &how).named(path)
}

/// Prints how many bytes were linked or deduplicated.
fn report(flags: &Flags, verb: &str, range: &Remap, done: u64, ops: u64, elapsed: Duration) {
    if flags.has('q') {
        return;
    }
    if !flags.has('C') {
        println!("{verb} {done}/{} bytes at offset {}", range.length, range.offset);
    }
    println!("{}", numbers::timing(done, ops, elapsed, flags.has('C')));
}

fn reflink(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&REFLINK, arguments, "Cq")?;
    let (path, part) = match flags.rest.as_slice() {
        [path] => (path, None),
        [path, a, b, c] => (path, Some(range(session, [a, b, c])?)),
        _ => return Err(UsageError(&REFLINK).into()),
    };
    let file = session.handle()?;
    let source = open_source(session, path)?;
    let start = Instant::now();
    let result = session.target.clone_range(file, source, part);
    let elapsed = start.elapsed();
    session.target.close(source)?;
    if let Err(error) = result {
        // As in xfsprogs, what the kernel refuses does not count for the exit status.
        let request = if part.is_some() { "XFS_IOC_CLONE_RANGE" } else { "XFS_IOC_CLONE" };
        eprintln!("{}", Failed::new(request, error));
        return Ok(());
    }
    let range = part.unwrap_or(Remap { source_offset: 0, offset: 0, length: 0 });
    report(&flags, "linked", &range, range.length, 1, elapsed);
    Ok(())
}

fn dedupe(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&DEDUPE, arguments, "Cq")?;
    let [path, a, b, c] = flags.rest.as_slice() else {
        return Err(UsageError(&DEDUPE).into());
    };
    let range = range(session, [a, b, c])?;
    let file = session.handle()?;
    let source = open_source(session, path)?;
    let start = Instant::now();
    let mut pass = Pass { done: 0, ops: 0 };
    let result = pass.run(session, file, source, &range);
    let elapsed = start.elapsed();
    session.target.close(source)?;
    result?;
    if pass.ops > 0 {
        report(&flags, "deduped", &range, pass.done, pass.ops, elapsed);
    }
    Ok(())
}

/// What dedupe did so far: the kernel may do less than it was asked for.
struct Pass {
    done: u64,
    ops: u64,
}

impl Pass {
    /// Requests until all is done or one fails; then no request counts.
    fn run(
        &mut self,
        session: &mut Session,
        file: Handle,
        source: Handle,
        range: &Remap,
    ) -> anyhow::Result<()> {
        const REQUEST: &str = "XFS_IOC_FILE_EXTENT_SAME";
        loop {
            let rest = Remap {
                source_offset: range.source_offset.wrapping_add(self.done),
                offset: range.offset.wrapping_add(self.done),
                length: range.length - self.done,
            };
            self.ops += 1;
            match session.target.dedupe_range(file, source, &rest).named(REQUEST)? {
                Deduped::Same(bytes) => {
                    self.done += bytes.min(rest.length);
                    if bytes == 0 || self.done >= range.length {
                        return Ok(());
                    }
                }
                Deduped::Differs => {
                    eprintln!("{REQUEST}: Extents did not match.");
                    self.ops = 0;
                    return Ok(());
                }
                Deduped::Refused(error) => {
                    eprintln!("{}", Failed::new(REQUEST, error));
                    self.ops = 0;
                    return Ok(());
                }
            }
        }
    }
}
