//! bmap: where the current file's blocks are, with allocation group columns.

use libfs::filesystem::Mapping;

use super::{Command, Flags};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "bmap",
    alias: None,
    arguments: (0, None),
    needs_file: true,
    expert: false,
    usage: "[-aelpv] [-n nx]",
    summary: "print block mapping for an XFS file",
    help: "
 Lists the extents and holes of the current file in units of 512 bytes:
     extent: [startoffset..endoffset]: startblock..endblock
 -a -- the attribute fork instead of the data fork
 -e -- accepted; there are no delayed allocations here
 -l -- with the length of each extent
 -n -- at most this many extents
 -p -- show which extents are unwritten
 -v -- with allocation groups; twice: with a legend of the flags",
    run,
};

const UNWRITTEN: u32 = 0o010000;
const SHARED: u32 = 0o100000;

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "aeln:pv")?;
    let file = session.file()?.clone();
    let mut extents = session.filesystem.mappings(file.ino, flags.has('a'))?;
    if let Some(count) = flags.value('n') {
        extents.truncate(session.number(count, "extent count")? as usize);
    }
    if !extents.iter().any(|e| e.start.is_some()) && !extents.iter().any(|e| e.len > 0) {
        println!("{}: no extents", file.path);
        return Ok(());
    }
    println!("{}:", file.path);
    if flags.has('v') {
        let ag = u64::from(session.filesystem.geometry().ag_blocks);
        let ag = ag * u64::from(session.filesystem.geometry().block_size) / 512;
        print_table(&extents, ag, flags.has('p'), flags.count('v') > 1);
    } else {
        print_list(&extents, flags.has('l'));
    }
    Ok(())
}

/// `[first..last]` of a range.
pub fn range(start: u64, len: u64) -> String {
    format!("{start}..{}", (start + len).saturating_sub(1))
}

/// One extent a line; shared with fiemap.
pub fn print_list(extents: &[Mapping], lengths: bool) {
    for (i, extent) in extents.iter().enumerate() {
        let place = extent.start.map_or("hole".to_string(), |start| range(start, extent.len));
        let length = if lengths { format!(" {} blocks", extent.len) } else { String::new() };
        println!("\t{i}: [{}]: {place}{length}", range(extent.offset, extent.len));
    }
}

fn flag_bits(extent: &Mapping, unwritten: bool) -> u32 {
    let mut bits = 0;
    if extent.unwritten && unwritten {
        bits |= UNWRITTEN;
    }
    if extent.shared {
        bits |= SHARED;
    }
    bits
}

fn print_table(extents: &[Mapping], ag_size: u64, unwritten: bool, legend: bool) {
    let rows: Vec<[String; 6]> = extents.iter().map(|e| row(e, ag_size)).collect();
    let width = |column: usize, least: usize| {
        rows.iter().map(|r| r[column].len()).max().unwrap_or(0).max(least)
    };
    let (offset, place, ag, within, total) =
        (width(0, 16), width(1, 16), width(2, 2), width(3, 16), width(4, 5));
    let show_flags = unwritten || legend || extents.iter().any(|e| flag_bits(e, unwritten) != 0);
    let header_flags = if unwritten || legend { " FLAGS" } else { "" };
    println!(
        "{:>4}: {:<offset$} {:<place$} {:>ag$} {:<within$} {:>total$}{header_flags}",
        "EXT", "FILE-OFFSET", "BLOCK-RANGE", "AG", "AG-OFFSET", "TOTAL"
    );
    for (i, (row, extent)) in rows.iter().zip(extents).enumerate() {
        let [a, b, c, d, e, _] = row;
        let line = format!("{i:>4}: {a:<offset$} {b:<place$} {c:>ag$} {d:<within$} {e:>total$}");
        let bits = flag_bits(extent, unwritten);
        let flagged =
            show_flags && extent.start.is_some() && (!header_flags.is_empty() || bits != 0);
        println!("{line}{}", if flagged { format!(" {bits:06o}") } else { String::new() });
    }
    if legend {
        println!(" FLAG Values:");
        println!("    {SHARED:07o} Shared extent");
        println!("    {UNWRITTEN:07o} Unwritten preallocated extent");
        println!("    0001000 Doesn't begin on stripe unit");
        println!("    0000100 Doesn't end   on stripe unit");
        println!("    0000010 Doesn't begin on stripe width");
        println!("    0000001 Doesn't end   on stripe width");
    }
}

fn row(extent: &Mapping, ag_size: u64) -> [String; 6] {
    let offset = format!("[{}]:", range(extent.offset, extent.len));
    let total = extent.len.to_string();
    let Some(start) = extent.start else {
        return [offset, "hole".into(), String::new(), String::new(), total, String::new()];
    };
    let (ag, within) = (start / ag_size, start % ag_size);
    let inside = format!("({})", range(within, extent.len));
    [offset, range(start, extent.len), ag.to_string(), inside, total, String::new()]
}
