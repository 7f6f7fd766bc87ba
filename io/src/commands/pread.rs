//! pread: read from the current file, and dump what was read.

use std::io::Write;
use std::time::Instant;

use super::{Command, Flags, Named, Scope, UsageError};
use crate::numbers;
use crate::session::Session;
use crate::target::{Handle, TransferFlags};
use crate::transfer::{self, Buffer, Order, Plan};

pub const COMMAND: Command = Command {
    name: "pread",
    alias: Some("r"),
    arguments: (2, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-b bs] [-qUv] [-i N] [-FBR [-Z N]] off len",
    summary: "reads a number of bytes at a specified offset",
    help: "
 Reads len bytes at off, block by block.

 -q   -- quiet mode, print nothing
 -b   -- size of each read (default: the block size)
 -B   -- from off backwards, block by block
 -F   -- from off forwards (default)
 -v   -- dump what was read (forward reads)
 -R   -- blocks in a random order
 -Z N -- seed of the random order
 -V N -- read N vectors of the block size at once (preadv2)
 -U   -- leave nothing in the page cache (RWF_DONTCACHE)
 -C   -- print timing in condensed form",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "b:BCFRquUvV:Z:")?;
    let [offset, length] = flags.rest.as_slice() else { return Err(UsageError(&COMMAND).into()) };
    // What is no number stands for -1: an offset that the kernel refuses, a length that goes to
    // the end of the file.
    let offset = session.signed(offset).unwrap_or(-1);
    let length = session.signed(length).unwrap_or(-1);
    let file = session.handle()?;
    let length = match u64::try_from(length) {
        Ok(length) => length,
        Err(_) => {
            let size = session.target.size(file).named("fstat")?;
            size.saturating_sub(offset.max(0) as u64)
        }
    };
    let mut plan = Plan::parse(session, &flags, [offset as u64, length], None)?;
    let how = TransferFlags { dontcache: flags.has('U'), ..Default::default() };
    if how.dontcache && plan.vectors == 0 {
        println!("preadv2 flags require vectored I/O (-V)");
        return Err(UsageError(&COMMAND).into());
    }
    let mut buffer = Buffer::new(plan.buffer_len(), 0xab);
    let dump = flags.has('v');
    let start = Instant::now();
    let (done, ops) = match plan.order {
        Order::Forward => forward(session, file, &plan, how, &mut buffer, dump)?,
        Order::Backward | Order::Random => {
            let size = session.target.size(file).named("lseek")?;
            plan.offset = plan.offset.min(size);
            if plan.order == Order::Random {
                plan.length = plan.length.min(size - plan.offset);
            }
            by_plan(session, file, &plan, how, &mut buffer)?
        }
    };
    let elapsed = start.elapsed();
    if flags.has('q') {
        return Ok(());
    }
    let asked = if plan.order == Order::Backward { plan.backward_length() } else { plan.length };
    if !flags.has('C') {
        println!("read {done}/{asked} bytes at offset {}", plan.offset);
    }
    println!("{}", numbers::timing(done, ops, elapsed, flags.has('C')));
    Ok(())
}

/// From the first byte to the last; returns bytes read and the number of reads.
fn forward(
    session: &mut Session,
    file: Handle,
    plan: &Plan,
    how: TransferFlags,
    buffer: &mut Buffer,
    dumped: bool,
) -> anyhow::Result<(u64, u64)> {
    let (mut done, mut ops) = (0, 0);
    while done < plan.length {
        let count = (plan.buffer_len() as u64).min(plan.length - done) as usize;
        let offset = plan.offset.wrapping_add(done);
        let got = read(session, file, plan, how, buffer, (offset, count))?;
        if got == 0 {
            break;
        }
        if dumped {
            let mut at = 0;
            // Each vector begins a line.
            for piece in buffer.bytes()[..got].chunks(plan.block) {
                dump(offset + at, piece)?;
                at += piece.len() as u64;
            }
        }
        done += got as u64;
        ops += 1;
    }
    Ok((done, ops))
}

/// At the offsets of the plan.
fn by_plan(
    session: &mut Session,
    file: Handle,
    plan: &Plan,
    how: TransferFlags,
    buffer: &mut Buffer,
) -> anyhow::Result<(u64, u64)> {
    let (mut done, mut ops) = (0, 0);
    for request in plan.requests() {
        let got = read(session, file, plan, how, buffer, request)?;
        if got == 0 {
            break;
        }
        done += got as u64;
        ops += 1;
        if got < request.1 {
            break;
        }
    }
    Ok((done, ops))
}

fn read(
    session: &mut Session,
    file: Handle,
    plan: &Plan,
    how: TransferFlags,
    buffer: &mut Buffer,
    (offset, count): (u64, usize),
) -> anyhow::Result<usize> {
    let lengths = plan.pieces(count);
    let mut pieces = transfer::split_mut(buffer.bytes_mut(), &lengths);
    session.target.read(file, offset, &mut pieces, how).named("pread")
}

/// Sixteen bytes a line: offset, hexadecimal, characters.
pub fn dump(offset: u64, data: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for (i, line) in data.chunks(16).enumerate() {
        let hex: String = line.iter().map(|b| format!("{b:02x} ")).collect();
        let text: String =
            line.iter().map(|&b| if b.is_ascii_alphanumeric() { b as char } else { '.' }).collect();
        writeln!(out, "{:08x}:  {hex} {text}", offset + 16 * i as u64)?;
    }
    out.flush()
}
