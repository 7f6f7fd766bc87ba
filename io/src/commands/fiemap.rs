//! fiemap: where the current file's blocks are, as FIEMAP reports them.

use libfs::filesystem::Mapping;

use super::bmap::{print_list, range};
use super::{Command, Flags};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "fiemap",
    alias: None,
    arguments: (0, None),
    needs_file: true,
    expert: false,
    usage: "[-alev] [-n nx] [offset [len]]",
    summary: "print block mapping for a file",
    help: "
 Lists the extents and holes of the current file in units of 512 bytes, all of it or
 the part from offset on.
 -a -- the attribute fork instead of the data fork
 -l -- with the length of each extent
 -n -- at most this many extents
 -e -- accepted; there are no delayed allocations here
 -v -- as a table with FIEMAP's flags",
    run,
};

const LAST: u32 = 0x1;
const UNWRITTEN: u32 = 0x800;
const SHARED: u32 = 0x2000;

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "alen:v")?;
    let file = session.file()?.clone();
    let from = flags.rest.first().map_or(Ok(0), |t| session.number(t, "offset"))? / 512;
    let len = flags.rest.get(1).map_or(Ok(u64::MAX), |t| session.number(t, "length"))?;
    let to = from.saturating_add(len.div_ceil(512));
    let mut extents = session.filesystem.mappings(file.ino, flags.has('a'))?;
    if !extents.iter().any(|e| e.start.is_some()) {
        extents.clear();
    }
    let last = extents.iter().rposition(|e| e.start.is_some()).map(|i| extents[i].offset);
    extents.retain(|e| e.offset < to && e.offset + e.len > from);
    if let Some(count) = flags.value('n') {
        extents.truncate(session.number(count, "extent count")? as usize);
    }
    println!("{}:", file.path);
    if flags.has('v') {
        print_table(&extents, last);
    } else {
        print_list(&extents, flags.has('l'));
    }
    Ok(())
}

fn print_table(extents: &[Mapping], last: Option<u64>) {
    if extents.is_empty() {
        return;
    }
    let offsets: Vec<String> =
        extents.iter().map(|e| format!("[{}]:", range(e.offset, e.len))).collect();
    let places: Vec<String> =
        extents.iter().map(|e| e.start.map_or("hole".into(), |s| range(s, e.len))).collect();
    let widest = |column: &[String]| column.iter().map(String::len).max().unwrap_or(0).max(16);
    let (offset, place) = (widest(&offsets), widest(&places));
    println!(
        "{:>4}: {:<offset$} {:<place$} {:>5} FLAGS",
        "EXT", "FILE-OFFSET", "BLOCK-RANGE", "TOTAL"
    );
    for (i, extent) in extents.iter().enumerate() {
        let line =
            format!("{i:>4}: {:<offset$} {:<place$} {:>5}", offsets[i], places[i], extent.len);
        if extent.start.is_none() {
            println!("{line}");
            continue;
        }
        let mut bits = 0;
        bits |= if extent.unwritten { UNWRITTEN } else { 0 };
        bits |= if extent.shared { SHARED } else { 0 };
        bits |= if Some(extent.offset) == last { LAST } else { 0 };
        println!("{line} {:>5}", format!("0x{bits:x}"));
    }
}
