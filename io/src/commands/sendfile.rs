//! sendfile, fadvise: moving data inside the kernel, and advice to its page cache.

use std::time::Instant;

use libfs::{Errno, Error};
use rustix::fs::Advice;

use super::{Command, Flags, Named, Scope, UsageError};
use crate::numbers;
use crate::session::{Complaint, Session};
use crate::target::OpenFlags;

pub const SENDFILE: Command = Command {
    name: "sendfile",
    alias: Some("send"),
    arguments: (2, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-q] -i infile | -f N [off len]",
    summary: "Transfer data directly between file descriptors",
    help: "
 Copies a part of another file to the place where the current file (a mounted one) stands.

 -q -- quiet mode, print nothing
 -f -- the source is open file N
 -i -- the source is the file infile",
    run: sendfile,
};

pub const FADVISE: Command = Command {
    name: "fadvise",
    alias: None,
    arguments: (0, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-dnrsw] [off len]",
    summary: "advisory commands for sections of a file",
    help: "
 Tells the kernel how the current file (a mounted one) will be used; -d, -n and -w take a range.

 -d -- not any more (POSIX_FADV_DONTNEED)
 -n -- once (POSIX_FADV_NOREUSE)
 -r -- in random order (POSIX_FADV_RANDOM)
 -s -- from the start to the end (POSIX_FADV_SEQUENTIAL)
 -w -- soon (POSIX_FADV_WILLNEED)",
    run: fadvise,
};

fn sendfile(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&SENDFILE, arguments, "f:i:q")?;
    let file = session.handle()?;
    session.host()?;
    let range = match flags.rest.as_slice() {
        [] => None,
        [offset, length] => {
            Some((session.number(offset, "offset")?, session.number(length, "length")?))
        }
        _ => return Err(UsageError(&SENDFILE).into()),
    };
    let (source, opened) = match (flags.value('i'), flags.value('f')) {
        (Some(path), None) => {
            let how = OpenFlags { read_only: true, ..Default::default() };
            (session.target.open(path, &how).named(path)?, true)
        }
        (None, Some(text)) => {
            let index: usize = text.parse().unwrap_or(0);
            match session.files.get(index) {
                Some(file) => (file.handle, false),
                None => {
                    let last = session.files.len().saturating_sub(1);
                    let words = format!("value {index} is out of range (0-{last})");
                    return Err(Complaint(words).into());
                }
            }
        }
        _ => return Err(UsageError(&SENDFILE).into()),
    };
    let start = Instant::now();
    let sent = match range {
        Some(range) => Ok(range),
        None => session.target.size(source).map(|size| (0, size)),
    };
    let sent = sent.and_then(|(offset, length)| {
        let host = session.target.host();
        let host = host.ok_or_else(|| Error::os(Errno::EOPNOTSUPP, "sendfile"))?;
        Ok((offset, length, host.sendfile(file, source, offset, length)?))
    });
    let elapsed = start.elapsed();
    if opened {
        session.target.close(source)?;
    }
    let (offset, length, (bytes, calls)) = sent.named("sendfile")?;
    if !flags.has('q') {
        println!("sent {bytes}/{length} bytes at offset {offset}");
        println!("{}", numbers::timing(bytes, calls, elapsed, false));
    }
    Ok(())
}

fn fadvise(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&FADVISE, arguments, "dnrsw")?;
    let letter = flags.last(&['d', 'n', 'r', 's', 'w']);
    let advice = match letter {
        Some('d') => Advice::DontNeed,
        Some('n') => Advice::NoReuse,
        Some('r') => Advice::Random,
        Some('s') => Advice::Sequential,
        Some(_) => Advice::WillNeed,
        None => Advice::Normal,
    };
    let ranged = matches!(letter, Some('d' | 'n' | 'w'));
    let (offset, length) = match flags.rest.as_slice() {
        [] if !ranged => (0, 0),
        [offset, length] if ranged => {
            (session.number(offset, "offset")?, session.number(length, "length")?)
        }
        _ => return Err(UsageError(&FADVISE).into()),
    };
    let file = session.handle()?;
    session.host()?.advise(file, offset, length, advice).named("fadvise")
}
