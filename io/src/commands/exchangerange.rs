//! exchangerange: swap contents with another file, all or nothing.

use std::time::Instant;

use libfs::file::exchange::ExchangeFlags;

use super::{Command, Failed, Flags, Named, Scope};
use crate::numbers;
use crate::session::Session;
use crate::target::{Exchange, OpenFlags};

pub const COMMAND: Command = Command {
    name: "exchangerange",
    alias: None,
    arguments: (1, None),
    scope: Scope::Current,
    xfs_only: true,
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
    let file = session.handle()?;
    let mut exchange = Exchange {
        donor: 0,
        donor_offset: number('s', "supplied file offset")?,
        offset: number('d', "open file offset")?,
        length: number('l', "length")?,
        flags: options,
    };
    let size = session.target.size(file).named("exchangerange")?;
    if flags.value('l').is_none() {
        exchange.length = size;
    }
    exchange.donor = match session.target.open(donor, &OpenFlags::default()) {
        Ok(donor) => donor,
        Err(error) => {
            // Not a failure of the program, in xfsprogs.
            eprintln!("{}", Failed::new(donor, error));
            return Ok(());
        }
    };
    let start = Instant::now();
    let result = if flags.has('c') {
        let seen = session.target.start_commit(file);
        seen.and_then(|seen| session.target.commit_range(file, &exchange, &seen))
    } else {
        session.target.exchange_range(file, &exchange)
    };
    let elapsed = start.elapsed();
    session.target.close(exchange.donor)?;
    result.named("exchangerange")?;
    if flags.has('t') {
        let length = exchange.length;
        if !flags.has('C') {
            println!("exchangerange {length}/{length} bytes at offset {}", exchange.offset);
        }
        println!("{}", numbers::timing(length, 1, elapsed, flags.has('C')));
    }
    Ok(())
}
