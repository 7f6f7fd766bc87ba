//! bmap: where the current file's blocks are, with allocation group columns.

use super::{Command, Failed, Flags, Scope};
use crate::session::Session;
use crate::target::{Extent, Fork, Geometry, Place};

pub const COMMAND: Command = Command {
    name: "bmap",
    alias: None,
    arguments: (0, None),
    scope: Scope::Each,
    xfs_only: true,
    expert: false,
    usage: "[-acelpv] [-n nx]",
    summary: "print block mapping for an XFS file",
    help: "
 Lists the extents and holes of the current file in units of 512 bytes:
     extent: [startoffset..endoffset]: startblock..endblock

 -a -- the attribute fork instead of the data fork
 -c -- the copy-on-write fork instead of the data fork
       (of mounted files only where the kernel is built for debugging)
 -e -- show delayed allocations instead of writing them first
 -l -- with the length of each extent
 -n -- at most this many extents
 -p -- with unwritten extents (with -v, show which are)
 -v -- with allocation groups; twice: with a legend of the flags",
    run,
};

/// Flags of a row, as octal digits.
const SHARED: u32 = 0o100000;
const UNWRITTEN: u32 = 0o010000;
const BEGIN_UNIT: u32 = 0o001000;
const END_UNIT: u32 = 0o000100;
const BEGIN_WIDTH: u32 = 0o000010;
const END_WIDTH: u32 = 0o000001;

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "acdeln:pvV")?;
    let file = session.file()?.clone();
    let fork = match flags.last(&['a', 'c']) {
        Some('a') => Fork::Attributes,
        Some('c') => Fork::CopyOnWrite,
        _ => Fork::Data,
    };
    let delayed = flags.has('e') || fork == Fork::CopyOnWrite;
    let listed = session.target.extents(file.handle, fork, flags.has('p'), delayed);
    let mut extents = listed.map_err(|error| {
        let iflags = match fork {
            Fork::Data => 0,
            Fork::Attributes => 0x1,
            Fork::CopyOnWrite => 0x20,
        } | if flags.has('p') { 0x4 } else { 0 }
            | if delayed { 0x8 } else { 0 };
        let path = &file.path;
        Failed::new(
            &format!("xfs_io: xfsctl(XFS_IOC_GETBMAPX) iflags=0x{iflags:x} [\"{path}\"]"),
            error,
        )
    })?;
    let most = flags.value('n').and_then(|text| text.parse::<usize>().ok()).unwrap_or(0);
    if most > 0 {
        extents.truncate(most);
    }
    if extents.is_empty() {
        println!("{}: no extents", file.path);
        return Ok(());
    }
    println!("{}:", file.path);
    if flags.has('v') {
        let geometry = session.target.geometry(file.handle).unwrap_or_default();
        print_table(&extents, &geometry, flags.has('p'), flags.count('v') > 1);
    } else {
        print_list(&extents, flags.has('l'));
    }
    Ok(())
}

/// `first..last` of a range.
pub fn range(start: u64, len: u64) -> String {
    // Nothing at all is shown as [0..-1].
    format!("{start}..{}", (start + len) as i64 - 1)
}

/// One extent a line; shared with fiemap.
pub fn print_list(extents: &[Extent], lengths: bool) {
    for (i, extent) in extents.iter().enumerate() {
        let place = place(extent);
        let length = if lengths { format!(" {} blocks", extent.length) } else { String::new() };
        println!("\t{i}: [{}]: {place}{length}", range(extent.offset, extent.length));
    }
}

/// Where an extent is, in words.
pub fn place(extent: &Extent) -> String {
    match extent.place {
        Place::Hole => "hole".to_string(),
        Place::Delayed => "delalloc".to_string(),
        Place::At(start) => range(start, extent.length),
    }
}

fn flag_bits(extent: &Extent, geometry: &Geometry) -> u32 {
    let Place::At(start) = extent.place else { return 0 };
    let mut bits = 0;
    if extent.unwritten {
        bits |= UNWRITTEN;
    }
    if extent.shared {
        bits |= SHARED;
    }
    let blocks = u64::from(geometry.block_size) / 512;
    let stripes = [
        (geometry.stripe_unit, BEGIN_UNIT, END_UNIT),
        (geometry.stripe_width, BEGIN_WIDTH, END_WIDTH),
    ];
    for (size, begin, end) in stripes {
        let size = u64::from(size) * blocks;
        if size > 0 && !start.is_multiple_of(size) {
            bits |= begin;
        }
        if size > 0 && !(start + extent.length).is_multiple_of(size) {
            bits |= end;
        }
    }
    bits
}

/// The table of -v. Flags have a column with -p and where there are stripes; without, they stand
/// where there are any.
fn print_table(extents: &[Extent], geometry: &Geometry, unwritten: bool, legend: bool) {
    let ag_size = u64::from(geometry.ag_blocks) * u64::from(geometry.block_size) / 512;
    let rows: Vec<[String; 5]> = extents.iter().map(|e| row(e, ag_size.max(1))).collect();
    let width = |column: usize, least: usize| {
        rows.iter().map(|r| r[column].len()).max().unwrap_or(0).max(least)
    };
    let (offset, place, ag, within, total) =
        (width(0, 16), width(1, 16), width(2, 2), width(3, 16), width(4, 5));
    let column = unwritten || geometry.stripe_unit > 0;
    let header = if column { " FLAGS" } else { "" };
    println!(
        "{:>4}: {:<offset$} {:<place$} {:>ag$} {:<within$} {:>total$}{header}",
        "EXT", "FILE-OFFSET", "BLOCK-RANGE", "AG", "AG-OFFSET", "TOTAL"
    );
    for (i, (row, extent)) in rows.iter().zip(extents).enumerate() {
        let [a, b, c, d, e] = row;
        let line = format!("{i:>4}: {a:<offset$} {b:<place$} {c:>ag$} {d:<within$} {e:>total$}");
        let bits = flag_bits(extent, geometry);
        match extent.place {
            Place::At(_) if unwritten || bits != 0 => println!("{line} {bits:06o}"),
            _ => println!("{line}"),
        }
    }
    if legend && column {
        println!(" FLAG Values:");
        println!("    {SHARED:07o} Shared extent");
        println!("    {UNWRITTEN:07o} Unwritten preallocated extent");
        println!("    {BEGIN_UNIT:07o} Doesn't begin on stripe unit");
        println!("    {END_UNIT:07o} Doesn't end   on stripe unit");
        println!("    {BEGIN_WIDTH:07o} Doesn't begin on stripe width");
        println!("    {END_WIDTH:07o} Doesn't end   on stripe width");
    }
}

fn row(extent: &Extent, ag_size: u64) -> [String; 5] {
    let offset = format!("[{}]:", range(extent.offset, extent.length));
    let (ag, within) = match extent.place {
        Place::At(start) => {
            let inside = range(start % ag_size, extent.length);
            ((start / ag_size).to_string(), format!("({inside})"))
        }
        _ => (String::new(), String::new()),
    };
    [offset, place(extent), ag, within, extent.length.to_string()]
}
