//! mmap, munmap, mread, mwrite, msync, mremap: parts of mounted files in memory.

use rustix::mm::MsyncFlags;

use super::file::atoi;
use super::pread::dump;
use super::{Command, Flags, Named, Scope, UsageError};
use crate::session::{Complaint, Mapped, Session};
use crate::target::Protection;
use crate::transfer;

pub const MMAP: Command = Command {
    name: "mmap",
    alias: Some("mm"),
    arguments: (0, None),
    scope: Scope::Session,
    xfs_only: false,
    expert: false,
    usage: "[N] | [-rwxS] [-s size] [off len]",
    summary: "mmap a range in the current file, show mappings",
    help: "
 Maps a part of the current file (a mounted one) into memory, or lists the mappings, after
 making number N the current one. Without -r, -w and -x the mapping is for all three.

 -r -- for reading (PROT_READ)
 -w -- for writing (PROT_WRITE)
 -x -- for executing (PROT_EXEC)
 -S -- with MAP_SYNC and MAP_SHARED_VALIDATE
 -s <size> -- where so much address space is free",
    run: mmap,
};

pub const MUNMAP: Command = Command {
    name: "munmap",
    alias: Some("mu"),
    arguments: (0, Some(0)),
    scope: Scope::Each,
    usage: "",
    summary: "unmaps the current memory mapping",
    help: "",
    run: munmap,
    ..MMAP
};

pub const MREAD: Command = Command {
    name: "mread",
    alias: Some("mr"),
    arguments: (0, None),
    scope: Scope::Each,
    usage: "[-r] [off len]",
    summary: "reads data from a region in the current memory mapping",
    help: "
 Reads from the current mapping, all of it or len bytes at off of the file.

 -f -- dump what was read, with offsets in the file
 -r -- from the end to the start
 -v -- dump what was read, with offsets in the mapping",
    run: mread,
    ..MMAP
};

pub const MWRITE: Command = Command {
    name: "mwrite",
    alias: Some("mw"),
    arguments: (0, None),
    scope: Scope::Each,
    usage: "[-r] [-S seed] [off len]",
    summary: "writes data into a region in the current memory mapping",
    help: "
 Stores a byte (X) in the current mapping, over all of it or len bytes at off of the file.

 -S -- the byte to store
 -r -- from the end to the start",
    run: mwrite,
    ..MMAP
};

pub const MSYNC: Command = Command {
    name: "msync",
    alias: Some("ms"),
    arguments: (0, None),
    scope: Scope::Each,
    usage: "[-ais] [off len]",
    summary: "flush a region in the current memory mapping",
    help: "
 Writes back what was stored in the current mapping.

 -a -- only start it (MS_ASYNC)
 -i -- let go of other mappings' copies (MS_INVALIDATE)
 -s -- wait until it is written (MS_SYNC)",
    run: msync,
    ..MMAP
};

pub const MREMAP: Command = Command {
    name: "mremap",
    alias: Some("mrm"),
    arguments: (1, Some(3)),
    scope: Scope::Each,
    usage: "[-m|-f <new_address>] newsize",
    summary: "alters the size of the current memory mapping",
    help: "
 Makes the current mapping longer or shorter.

 -f <new_address> -- to this address (MREMAP_FIXED and MREMAP_MAYMOVE)
 -m -- it may move (MREMAP_MAYMOVE)",
    run: mremap,
    ..MMAP
};

/// Prints the mappings; the current one is in brackets.
pub fn list(session: &Session) {
    for (i, mapped) in session.mappings.iter().enumerate() {
        let (open, close) = if i == session.mapping { ('[', ']') } else { (' ', ' ') };
        let start = mapped.memory.address();
        let end = start + mapped.memory.len();
        let letter = |set, letter| if set { letter } else { '-' };
        let Protection { read, write, execute } = mapped.protection;
        println!(
            "{open}{i:03}{close} 0x{start:x} - 0x{end:x} {}{}{}  {:>14} ({} : {})",
            letter(read, 'r'),
            letter(write, 'w'),
            letter(execute, 'x'),
            mapped.path,
            mapped.offset,
            mapped.memory.len()
        );
    }
}

/// Says that there are no mappings, and that there is nothing to be done.
fn none(session: &Session) -> bool {
    if session.mappings.is_empty() {
        eprintln!("no mapped regions, try 'help mmap'");
    }
    session.mappings.is_empty()
}

fn mmap(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if arguments.len() <= 2 {
        if none(session) {
            session.exit_code = 1;
            return Ok(());
        }
        if let Some(text) = arguments.get(1) {
            let number = atoi(text);
            match usize::try_from(number) {
                Ok(index) if index < session.mappings.len() => session.mapping = index,
                _ => {
                    let last = session.mappings.len();
                    let words = format!("value {number} is out of range (0-{last})");
                    return Err(Complaint(words).into());
                }
            }
        }
        list(session);
        return Ok(());
    }
    let flags = Flags::parse(&MMAP, arguments, "rwxSs:")?;
    let [offset, length] = flags.rest.as_slice() else { return Err(UsageError(&MMAP).into()) };
    let reserve = match flags.value('s') {
        Some(text) => session.number(text, "length")?,
        None => 0,
    };
    let offset = session.number(offset, "offset")?;
    let length = session.number(length, "length")?;
    let all = !(flags.has('r') || flags.has('w') || flags.has('x'));
    let protection = Protection {
        read: all || flags.has('r'),
        write: all || flags.has('w'),
        execute: all || flags.has('x'),
    };
    if session.files.is_empty() {
        eprintln!("no files are open, try 'help open'");
        return Ok(());
    }
    let file = session.file()?.clone();
    let (length, reserve) = (usize::try_from(length)?, usize::try_from(reserve)?);
    let synchronous = flags.has('S');
    let host = session.host()?;
    let memory = host.map(file.handle, offset, length, protection, synchronous, reserve);
    let memory = memory.named("mmap")?;
    session.mappings.push(Mapped { path: file.path, offset, protection, memory });
    session.mapping = session.mappings.len() - 1;
    Ok(())
}

fn munmap(session: &mut Session, _: &[String]) -> anyhow::Result<()> {
    if none(session) {
        return Ok(());
    }
    session.mappings.remove(session.mapping);
    session.mapping = session.mapping.min(session.mappings.len().saturating_sub(1));
    list(session);
    Ok(())
}

/// The part of the current mapping that the arguments name by file offset and length, or all
/// of it.
fn range(
    session: &mut Session,
    command: &'static Command,
    words: &[String],
) -> anyhow::Result<(usize, usize)> {
    let mapped = &session.mappings[session.mapping];
    let (start, size) = (mapped.offset, mapped.memory.len() as u64);
    let (offset, length) = match words {
        [] => (start, size),
        [offset, length] => (session.number(offset, "offset")?, session.number(length, "length")?),
        _ => return Err(UsageError(command).into()),
    };
    let complain = |words: String| Err(Complaint(words).into());
    let Some(within) = offset.checked_sub(start) else {
        return complain(format!("offset ({offset}) is before start of mapping ({start})"));
    };
    if within >= size || within.saturating_add(length) > size {
        let place = format!("range ({offset}:{within})");
        return complain(format!("{place} is beyond mapping ({start}:{size})"));
    }
    Ok((usize::try_from(within)?, usize::try_from(length)?))
}

/// Bytes read and dumped at a time.
const PAGE: usize = 4096;

fn mread(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if none(session) {
        return Ok(());
    }
    let flags = Flags::parse(&MREAD, arguments, "frv")?;
    let (start, length) = range(session, &MREAD, &flags.rest)?;
    let mapped = &session.mappings[session.mapping];
    let shown = flags.last(&['f', 'v']);
    let base = if shown == Some('f') { mapped.offset } else { 0 };
    let mut done = 0;
    while done < length {
        let count = PAGE.min(length - done);
        let backwards = flags.has('r');
        let at = if backwards { start + length - done - count } else { start + done };
        let mut bytes = vec![0; count];
        mapped.memory.read(at, &mut bytes, backwards).named("mread")?;
        if backwards {
            bytes.reverse();
        }
        if shown.is_some() {
            dump(base + at as u64, &bytes)?;
        }
        done += count;
    }
    Ok(())
}

fn mwrite(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if none(session) {
        return Ok(());
    }
    let flags = Flags::parse(&MWRITE, arguments, "rS:")?;
    let byte = match flags.value('S') {
        Some(text) => transfer::seed(text)? as u8,
        None => b'X',
    };
    let (start, length) = range(session, &MWRITE, &flags.rest)?;
    let mapped = &mut session.mappings[session.mapping];
    mapped.memory.fill(start, length, byte, flags.has('r')).named("mwrite")
}

fn msync(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if none(session) {
        return Ok(());
    }
    let flags = Flags::parse(&MSYNC, arguments, "ais")?;
    let mut bits = MsyncFlags::empty();
    bits.set(MsyncFlags::ASYNC, flags.has('a'));
    bits.set(MsyncFlags::INVALIDATE, flags.has('i'));
    bits.set(MsyncFlags::SYNC, flags.has('s'));
    let (start, length) = range(session, &MSYNC, &flags.rest)?;
    session.mappings[session.mapping].memory.sync(start, length, bits).named("msync")
}

fn mremap(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    if none(session) {
        return Ok(());
    }
    let flags = Flags::parse(&MREMAP, arguments, "f:m")?;
    let [size] = flags.rest.as_slice() else { return Err(UsageError(&MREMAP).into()) };
    let size = usize::try_from(session.number(size, "offset")?)?;
    let address = match flags.value('f') {
        Some(text) => Some(usize::try_from(session.number(text, "offset")?)?),
        None => None,
    };
    let taken = |address: usize| {
        session.mappings.iter().any(|mapped| {
            let start = mapped.memory.address();
            address < start + mapped.memory.len() && start < address.saturating_add(size)
        })
    };
    anyhow::ensure!(!address.is_some_and(taken), "mremap: Invalid argument");
    let memory = &mut session.mappings[session.mapping].memory;
    match address {
        Some(address) => memory.move_to(address, size).named("mremap"),
        None => memory.resize(size, flags.has('m')).named("mremap"),
    }
}
