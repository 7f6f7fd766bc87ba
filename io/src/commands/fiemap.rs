//! fiemap: where the current file's blocks are, as FIEMAP reports them.

use super::bmap::{place, print_list, range};
use super::{Command, Failed, Flags, Scope};
use crate::session::Session;
use crate::target::{Extent, FiemapExtent, FiemapRequest, Place};

pub const COMMAND: Command = Command {
    name: "fiemap",
    alias: None,
    arguments: (0, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-alev] [-n nx] [offset [len]]",
    summary: "print block mapping for a file",
    help: "
 Lists the extents and holes of the current file in units of 512 bytes, all of it or
 the part from offset on.

 -a -- the attribute fork instead of the data fork
 -l -- with the length of each extent
 -n -- at most this many extents
 -e -- show delayed allocations instead of writing them first
 -v -- as a table with FIEMAP's flags",
    run,
};

/// FIEMAP_EXTENT_DELALLOC of `linux/fiemap.h`.
const DELALLOC: u32 = 0x4;

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&COMMAND, arguments, "aeln:v")?;
    let file = session.file()?.clone();
    let start = flags.rest.first().map_or(Ok(0), |t| session.number(t, "offset"))?;
    let length = flags.rest.get(1).map(|t| session.number(t, "len")).transpose()?;
    println!("{}:", file.path);
    let request = FiemapRequest {
        start,
        length: length.unwrap_or(u64::MAX - start),
        attributes: flags.has('a'),
        sync: !flags.has('e'),
    };
    let found = session.target.fiemap(file.handle, &request).map_err(|error| {
        Failed::new(&format!("xfs_io: ioctl(FS_IOC_FIEMAP) [\"{}\"]", file.path), error)
    })?;
    // Behind the last extent there is a hole as far as the file and the range go.
    let end = if request.attributes {
        0
    } else {
        let size = session.target.size(file.handle)?;
        size.min(start.saturating_add(request.length))
    };
    let mut rows = rows(&found, start, end);
    if let Some(text) = flags.value('n') {
        session.fiemap_most = text.parse().unwrap_or(0);
    }
    if session.fiemap_most > 0 {
        rows.truncate(session.fiemap_most);
    }
    if flags.has('v') {
        print_table(&rows);
    } else {
        let extents: Vec<Extent> = rows.iter().map(|(extent, _)| *extent).collect();
        print_list(&extents, flags.has('l'));
    }
    Ok(())
}

/// The extents with the holes between `start` and `end` (bytes), and their flags.
fn rows(found: &[FiemapExtent], start: u64, end: u64) -> Vec<(Extent, u32)> {
    let mut rows = Vec::new();
    if found.is_empty() {
        return rows;
    }
    let hole = |from: u64, to: u64| {
        let place = Place::Hole;
        let (offset, length) = (from / 512, (to - from) / 512);
        (Extent { offset, length, place, unwritten: false, shared: false }, 0)
    };
    let mut at = start;
    for extent in found {
        if extent.logical > at {
            rows.push(hole(at, extent.logical));
        }
        let delayed = extent.flags & DELALLOC != 0;
        let mapped = Extent {
            offset: extent.logical / 512,
            length: extent.length / 512,
            place: if delayed { Place::Delayed } else { Place::At(extent.physical / 512) },
            unwritten: false,
            shared: false,
        };
        rows.push((mapped, extent.flags));
        at = extent.logical.saturating_add(extent.length);
    }
    if at < end {
        rows.push(hole(at, end));
    }
    rows
}

fn print_table(rows: &[(Extent, u32)]) {
    if rows.is_empty() {
        return;
    }
    let offsets: Vec<String> =
        rows.iter().map(|(e, _)| format!("[{}]:", range(e.offset, e.length))).collect();
    let places: Vec<String> = rows.iter().map(|(e, _)| place(e)).collect();
    let widest = |column: &[String]| column.iter().map(String::len).max().unwrap_or(0).max(16);
    let (offset, place) = (widest(&offsets), widest(&places));
    println!(
        "{:>4}: {:<offset$} {:<place$} {:>5} FLAGS",
        "EXT", "FILE-OFFSET", "BLOCK-RANGE", "TOTAL"
    );
    for (i, (extent, flags)) in rows.iter().enumerate() {
        let (a, b, length) = (&offsets[i], &places[i], extent.length);
        let line = format!("{i:>4}: {a:<offset$} {b:<place$} {length:>5}");
        if extent.place == Place::Hole {
            println!("{line}");
        } else {
            println!("{line} {:>5}", format!("0x{flags:x}"));
        }
    }
}
