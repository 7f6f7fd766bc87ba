//! exchangerange: swap contents with another file, all or nothing.

use std::time::Instant;

use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::ExchangeRange;

use super::{Command, Flags, reason};
use crate::numbers;
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "exchangerange",
    alias: None,
    arguments: (1, None),
    needs_file: true,
    expert: false,
    usage: "[-Ccfntw] [-d dest_offset] [-s src_offset] [-l length] <donorfile>",
    summary: "Exchange contents between files.",
    help: "
 Exchanges contents of the current file and another file of the same filesystem. A crash
 at any moment leaves both old or both new.
 -C   -- Print timing information in a condensed format
 -c   -- Commit: exchange only if the open file has not changed meanwhile
 -d N -- Start at this offset of the open file
 -f   -- Flush the exchange to disk before returning
 -l N -- Exchange this many bytes instead of everything to the end of both files
 -n   -- Dry run: check everything, change nothing
 -s N -- Start at this offset of the other file
 -t   -- Print timing information
 -w   -- Exchange only what is written in the other file",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "Ccd:fl:ns:tw")?;
    let [donor] = flags.rest.as_slice() else {
        return Err(super::UsageError(&COMMAND).into());
    };
    let number = |letter, what| match flags.value(letter) {
        Some(text) => session.number(text, what),
        None => Ok(0),
    };
    let mut options = ExchangeFlags::empty();
    options.set(ExchangeFlags::DSYNC, flags.has('f'));
    options.set(ExchangeFlags::DRY_RUN, flags.has('n'));
    options.set(ExchangeFlags::FILE1_WRITTEN, flags.has('w'));
    options.set(ExchangeFlags::TO_EOF, flags.value('l').is_none());
    let range = ExchangeRange {
        file1_offset: number('s', "src_offset")?,
        file2_offset: number('d', "dest_offset")?,
        length: number('l', "length")?,
        flags: options,
    };
    let file = session.file()?.clone();
    let donor_ino = match session.filesystem.lookup(donor) {
        Ok(ino) => ino,
        Err(error) => {
            eprintln!("{donor}: {}", reason(&error));
            return Ok(());
        }
    };
    if file.flags.read_only {
        return Err(libfs::Error::os(libfs::Errno::EBADF, "exchangerange").into());
    }
    // -c samples the open file and exchanges if it is still as sampled. A device is open to
    // one process alone, so nothing can come between the two.
    let start = Instant::now();
    session.filesystem.exchange_range(donor_ino, file.ino, &range)?;
    let elapsed = start.elapsed();
    if flags.has('t') || flags.has('C') {
        let length = match flags.value('l') {
            Some(_) => range.length,
            None => session.filesystem.stat(file.ino)?.size.saturating_sub(range.file2_offset),
        };
        if !flags.has('C') {
            println!("exchangerange {length}/{length} bytes at offset {}", range.file2_offset);
        }
        println!("{}", numbers::timing(length, 1, elapsed, flags.has('C')));
    }
    Ok(())
}
