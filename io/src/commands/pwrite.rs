//! pwrite: write a pattern, or a host file, into the current file.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::time::Instant;

use super::{Command, Flags, Named, Scope, UsageError, reason};
use crate::numbers;
use crate::session::{Complaint, Session};
use crate::target::{Handle, TransferFlags, Written};
use crate::transfer::{self, Buffer, Order, Plan};

pub const COMMAND: Command = Command {
    name: "pwrite",
    alias: Some("w"),
    arguments: (2, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-i infile [-qAdDwNOUW] [-s skip]] [-b bs] [-S seed] [-FBR [-Z N]] [-V N] off len",
    summary: "writes a number of bytes at a specified offset",
    help: "
 Writes len bytes at off, block by block, from a buffer filled with one byte or from a
 file of the host.

 -q   -- quiet mode, print nothing
 -S   -- byte that the buffer is filled with (default 0xcd)
 -i   -- file of the host to take the data from (forward writes only)
 -d   -- read that file with direct I/O
 -s   -- bytes to skip at the start of that file
 -b   -- size of each write (default: the block size)
 -w   -- fdatasync at the end (in the timing, too)
 -W   -- fsync at the end (in the timing, too)
 -B   -- from off backwards, block by block
 -F   -- from off forwards (default)
 -O   -- write once and print how much was written
 -R   -- blocks in a random order
 -Z N -- seed of the random order
 -V N -- write N vectors of the block size at once (pwritev2)
 -N   -- do not wait (RWF_NOWAIT)
 -D   -- durable when each write returns (RWF_DSYNC)
 -A   -- untorn: each write as a whole or not at all (RWF_ATOMIC)
 -U   -- leave nothing in the page cache (RWF_DONTCACHE)
 -v   -- say for each untorn write how it was done and why
 -C   -- print timing in condensed form",
    run,
};

/// Where the bytes come from.
enum Source {
    Pattern,
    Host { file: File, at: u64 },
}

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "ACb:BdDFi:NqRs:OS:UvV:wWZ:")?;
    let [offset, length] = flags.rest.as_slice() else { return Err(UsageError(&COMMAND).into()) };
    let infile = flags.value('i');
    let wrong_order = infile.is_some() && flags.last(&['F', 'B', 'R']).is_some_and(|l| l != 'F');
    if wrong_order || (infile.is_none() && (flags.has('d') || flags.value('s').is_some())) {
        return Err(UsageError(&COMMAND).into());
    }
    let fill = transfer::seed(flags.value('S').unwrap_or("0xcd"))? as u8;
    let skip = match flags.value('s').map(|text| (text, session.number(text, "skip"))) {
        Some((text, Err(_))) => {
            return Err(Complaint(format!("non-numeric skip -- {text}")).into());
        }
        Some((_, skip)) => skip?,
        None => 0,
    };
    let offset = session.number(offset, "offset")?;
    let length = session.number(length, "length")?;
    let whole = flags.has('O').then_some(length);
    let plan = Plan::parse(session, &flags, [offset, length], whole)?;
    let how = TransferFlags {
        dsync: flags.has('D'),
        nowait: flags.has('N'),
        atomic: flags.has('A'),
        dontcache: flags.has('U'),
    };
    if how != TransferFlags::default() && plan.vectors == 0 {
        println!("pwritev2 flags require vectored I/O (-V)");
        return Err(UsageError(&COMMAND).into());
    }
    let source = match infile {
        Some(path) => Source::Host { file: open_source(path, flags.has('d'))?, at: skip },
        None => Source::Pattern,
    };
    let buffer = Buffer::new(plan.buffer_len(), fill);
    let file = session.handle()?;
    let mut pass = Pass { session, file, plan: &plan, how, buffer, source, ways: Vec::new() };
    let start = Instant::now();
    let (written, ops) = match plan.order {
        Order::Forward => pass.forward(flags.has('O'))?,
        Order::Backward | Order::Random => pass.by_plan()?,
    };
    let ways = pass.ways;
    if flags.has('W') {
        session.target.fsync(file).named("fsync")?;
    }
    if flags.has('w') {
        session.target.fdatasync(file).named("fdatasync")?;
    }
    let elapsed = start.elapsed();
    if flags.has('q') {
        return Ok(());
    }
    if flags.has('v') {
        ways.iter().for_each(|way| println!("{way}"));
    }
    let asked = if plan.order == Order::Backward { plan.backward_length() } else { plan.length };
    if !flags.has('C') {
        println!("wrote {written}/{asked} bytes at offset {}", plan.offset);
    }
    println!("{}", numbers::timing(written, ops, elapsed, flags.has('C')));
    Ok(())
}

fn open_source(path: &str, direct: bool) -> anyhow::Result<File> {
    let flags = if direct { rustix::fs::OFlags::DIRECT.bits() as i32 } else { 0 };
    let opened = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
    opened.map_err(|error| libfs::Error::io(path, error)).map_err(super::os).named(path)
}

/// One command's writes.
struct Pass<'a> {
    session: &'a mut Session,
    file: Handle,
    plan: &'a Plan,
    how: TransferFlags,
    buffer: Buffer,
    source: Source,
    /// How untorn writes were done.
    ways: Vec<String>,
}

impl Pass<'_> {
    /// From the first byte to the last; returns bytes written and the number of writes.
    fn forward(&mut self, once: bool) -> anyhow::Result<(u64, u64)> {
        let (mut written, mut ops) = (0, 0);
        loop {
            let left = self.plan.length.saturating_sub(written);
            let want = (self.plan.block as u64).min(left) as usize;
            let want = if self.plan.vectors > 0 {
                (self.plan.buffer_len() as u64).min(left) as usize
            } else {
                want
            };
            let count = self.fill(want)?;
            let bytes = self.write(self.plan.offset.wrapping_add(written), count)?;
            written += bytes;
            ops += u64::from(bytes > 0 || once);
            if bytes == 0 || once || written >= self.plan.length {
                return Ok((written, ops));
            }
        }
    }

    /// At the offsets of the plan.
    fn by_plan(&mut self) -> anyhow::Result<(u64, u64)> {
        let (mut written, mut ops) = (0, 0);
        for (offset, count) in self.plan.requests() {
            let bytes = self.write(offset, count)?;
            written += bytes;
            ops += 1;
            if bytes < count as u64 {
                break;
            }
        }
        Ok((written, ops))
    }

    /// Gets the next `want` bytes into the buffer; fewer at the end of the source.
    fn fill(&mut self, want: usize) -> anyhow::Result<usize> {
        let Source::Host { file, at } = &mut self.source else { return Ok(want) };
        // Direct I/O reads whole blocks, though only part of the last is written.
        let all = self.buffer.bytes_mut();
        let count = match file.read_at(all, *at) {
            Ok(count) => count.min(want),
            Err(error) => {
                // This ends the writing, without a failure to show for it, as in xfsprogs.
                eprintln!("pread: {}", reason(&super::os(libfs::Error::io("pread", error))));
                0
            }
        };
        *at += count as u64;
        Ok(count)
    }

    fn write(&mut self, offset: u64, count: usize) -> anyhow::Result<u64> {
        let lengths = self.plan.pieces(count);
        let pieces = transfer::split(self.buffer.bytes(), &lengths);
        let written = self.session.target.write(self.file, offset, &pieces, self.how);
        let Written { bytes, way } = written.named("pwrite")?;
        self.ways.extend(way);
        Ok(bytes as u64)
    }
}
