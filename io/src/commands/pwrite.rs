//! pwrite: write a pattern, or a host file, into the current file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Instant;

use libfs::{Errno, Error};

use super::{Command, Flags};
use crate::numbers;
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "pwrite",
    alias: Some("w"),
    arguments: (2, None),
    needs_file: true,
    expert: false,
    usage: "[-i infile [-s skip]] [-b bs] [-S seed] [-qwWDOC] off len",
    summary: "writes a number of bytes at a specified offset",
    help: "
 Writes len bytes at off, block by block, from a pattern or from a file of the host.
 -q   -- quiet: print nothing
 -S   -- byte to fill the buffer with (default 0xcd)
 -b   -- size of each write (default 4096 bytes)
 -i   -- file of the host to take the data from
 -s   -- bytes to skip at the start of that file
 -w   -- make the data durable at the end (in the timing, too)
 -W   -- make everything durable at the end (in the timing, too)
 -D   -- every write is durable when it returns
 -O   -- write once and print how much was written
 -C   -- print timing in condensed form",
    run,
};

/// Where the bytes come from.
enum Source {
    Pattern(Vec<u8>),
    Host { file: File, at: u64, buffer: Vec<u8> },
}

impl Source {
    fn next(&mut self, len: usize) -> anyhow::Result<&[u8]> {
        match self {
            Source::Pattern(buffer) => Ok(&buffer[..len]),
            Source::Host { file, at, buffer } => {
                let n = file.read_at(&mut buffer[..len], *at)?;
                *at += n as u64;
                Ok(&buffer[..n])
            }
        }
    }
}

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "qS:b:i:s:wWDOC")?;
    let [offset, length] = flags.rest.as_slice() else {
        return Err(super::UsageError(&COMMAND).into());
    };
    let offset = session.number(offset, "offset")?;
    let length = session.number(length, "length")?;
    let block = match flags.value('b') {
        Some(text) => session.number(text, "bsize")?,
        None => 4096,
    };
    anyhow::ensure!(block > 0 && block <= 1 << 30, "bad block size -- {block}");
    let mut source = source(session, &flags, block as usize)?;
    let file = session.file()?.clone();
    if file.flags.read_only {
        return Err(Error::os(Errno::EBADF, "pwrite").into());
    }
    let start = Instant::now();
    let mut at = if file.flags.append { session.filesystem.stat(file.ino)?.size } else { offset };
    let (mut written, mut ops) = (0, 0);
    while written < length {
        let data = source.next(block.min(length - written) as usize)?;
        if data.is_empty() {
            break;
        }
        session.filesystem.write(file.ino, at, data)?;
        at += data.len() as u64;
        written += data.len() as u64;
        ops += 1;
        if flags.has('D') || file.flags.sync {
            session.filesystem.sync()?;
        }
        if flags.has('O') {
            break;
        }
    }
    if flags.has('w') || flags.has('W') {
        session.filesystem.sync()?;
    }
    let elapsed = start.elapsed();
    if flags.has('q') {
        return Ok(());
    }
    if !flags.has('C') {
        println!("wrote {written}/{length} bytes at offset {offset}");
    }
    println!("{}", numbers::timing(written, ops, elapsed, flags.has('C')));
    Ok(())
}

fn source(session: &Session, flags: &Flags, block: usize) -> anyhow::Result<Source> {
    if let Some(path) = flags.value('i') {
        let file = File::open(path).map_err(|e| anyhow::anyhow!("{path}: {e}"))?;
        let at = match flags.value('s') {
            Some(text) => session.number(text, "skip")?,
            None => 0,
        };
        return Ok(Source::Host { file, at, buffer: vec![0; block] });
    }
    let seed = match flags.value('S') {
        Some(text) => session.number(text, "seed")? as u8,
        None => 0xcd,
    };
    Ok(Source::Pattern(vec![seed; block]))
}
