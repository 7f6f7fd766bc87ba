//! pread: read from the current file, and dump what was read.

use std::io::Write;
use std::time::Instant;

use super::{Command, Flags};
use crate::numbers;
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "pread",
    alias: Some("r"),
    arguments: (2, None),
    needs_file: true,
    expert: false,
    usage: "[-b bs] [-qvC] off len",
    summary: "reads a number of bytes at a specified offset",
    help: "
 Reads len bytes at off, block by block.
 -b   -- size of each read (default 4096 bytes)
 -q   -- quiet: print nothing
 -v   -- dump what was read
 -C   -- print timing in condensed form",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "b:qvC")?;
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
    let ino = session.file()?.ino;
    let mut buffer = vec![0; block as usize];
    let start = Instant::now();
    let (mut done, mut ops) = (0, 0);
    while done < length {
        let want = block.min(length - done) as usize;
        let got = session.filesystem.read(ino, offset + done, &mut buffer[..want])?;
        if got == 0 {
            break;
        }
        if flags.has('v') && !flags.has('q') {
            dump(offset + done, &buffer[..got])?;
        }
        done += got as u64;
        ops += 1;
    }
    let elapsed = start.elapsed();
    if flags.has('q') {
        return Ok(());
    }
    if !flags.has('C') {
        println!("read {done}/{length} bytes at offset {offset}");
    }
    println!("{}", numbers::timing(done, ops, elapsed, flags.has('C')));
    Ok(())
}

/// Sixteen bytes a line: offset, hexadecimal, characters.
fn dump(offset: u64, data: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for (i, line) in data.chunks(16).enumerate() {
        let hex: String = line.iter().map(|b| format!("{b:02x} ")).collect();
        let text: String =
            line.iter().map(|&b| if b.is_ascii_graphic() { b as char } else { '.' }).collect();
        writeln!(out, "{:08x}:  {hex} {text}", offset + 16 * i as u64)?;
    }
    Ok(())
}
