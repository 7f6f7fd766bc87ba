//! `rtconvert`: tell one form of address in the realtime section as another.

use super::Command;
use crate::convert::{Request, Unit, parse, result};
use crate::session::{BASIC_BLOCK, Session};
use anyhow::{Result, bail};
use libfs::format::geometry::Geometry;
use libfs::format::realtime::WORD_BITS;

/// The command.
pub const COMMAND: Command = Command {
    name: "rtconvert",
    alias: None,
    min_args: 3,
    max_args: Some(9),
    expert: false,
    args: "type num [type num]... type",
    summary: "convert from one realtime address form to another",
    help: "\
Tells the place in the realtime section that the first types and numbers add up to as the
last type. The types, with other names that they have:
 rgblock, rgbno -- block in a realtime group
 rgnumber, rgno -- realtime group
 bboff, daddroff -- byte in a disk address
 blkoff, rtboff -- byte in a block
 byte, fsbyte -- byte in the section
 daddr, bb -- disk address in units of 512 bytes
 rtblock, rtb, rtbno -- realtime block
 rtx, rtextent -- realtime extent
 rbmblock, rbmb -- block of the bitmap
 rbmword, rbmw -- word in a block of the bitmap
 rsumblock, rsmb -- block of the summary
 rsuminfo, rsmi -- counter in a block of the summary
 rsumlog, rsml -- log2 of the length of the runs that a counter counts
",
    run,
};

static UNITS: &[Unit] = &[
    Unit { names: &["rgblock", "rgbno"], after: &["rgnumber"] },
    Unit { names: &["rgnumber", "rgno"], after: &["rgblock"] },
    Unit {
        names: &["bboff", "daddroff"],
        after: &["rgblock", "rgnumber", "daddr", "rtblock", "rtx"],
    },
    Unit { names: &["blkoff", "rtboff"], after: &["rgblock", "rgnumber", "rtblock", "rtx"] },
    Unit { names: &["byte", "fsbyte"], after: &[] },
    Unit { names: &["daddr", "bb"], after: &["bboff"] },
    Unit { names: &["rtblock", "rtb", "rtbno"], after: &["bboff", "blkoff"] },
    Unit { names: &["rtx", "rtextent"], after: &[] },
    Unit { names: &["rbmblock", "rbmb"], after: &["rgnumber", "rbmword"] },
    Unit { names: &["rbmword", "rbmw"], after: &["rgnumber", "rbmblock"] },
    Unit { names: &["rsumblock", "rsmb"], after: &["rsuminfo", "rsumlog"] },
    Unit { names: &["rsuminfo", "rsmi"], after: &["rsumlog"] },
    Unit {
        names: &["rsumlog", "rsml"],
        after: &[
            "rgblock", "rgnumber", "bboff", "blkoff", "byte", "daddr", "rtblock", "rtx",
            "rbmblock", "rbmword",
        ],
    },
];

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let request = parse("rtconvert", UNITS, args)?;
    let geo = session.geo.clone();
    for name in missing(&request) {
        session.show(&format!("need to set {name}\n"));
    }
    let byte = request.given.iter().fold(summarised(&geo, &request), |sum, &(name, value)| {
        sum.wrapping_add(place(&geo, name, value))
    });
    if wants_log(&request) {
        return Ok(result(0));
    }
    if request.wanted == "rsumlog" {
        bail!("cannot convert to rsumlog");
    }
    Ok(result(told(&geo, &request, byte)))
}

/// Whether a counter is wanted, but not of which length of runs.
fn wants_log(request: &Request) -> bool {
    matches!(request.wanted, "rsumblock" | "rsuminfo") && request.given("rsumlog").is_none()
}

/// What should have been given as well: it takes three numbers to name a counter of the summary.
fn missing(request: &Request) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if request.given("rsumblock").is_some() {
        let other = ["rsumlog", "rsuminfo"].into_iter();
        missing.extend(other.filter(|name| request.given(name).is_none()).take(1));
    }
    missing.extend(wants_log(request).then_some("rsumlog"));
    missing
}

/// Bytes that a bit of the bitmap stands for.
fn extent_bytes(geo: &Geometry) -> u64 {
    u64::from(geo.realtime.extent_size).wrapping_mul(geo.block_size.into()).max(1)
}

/// Realtime extents that a block of the bitmap describes.
fn extents_per_block(geo: &Geometry) -> u64 {
    u64::from(geo.realtime.words_per_block) * u64::from(WORD_BITS)
}

/// The byte where an address starts; those in the summary are left to [`summarised`].
fn place(geo: &Geometry, name: &str, value: u64) -> u64 {
    let extent = extent_bytes(geo);
    match name {
        "rgblock" => value.wrapping_mul(geo.block_size.into()),
        "rgnumber" if geo.realtime.has_groups => {
            let group = geo.rt_block_daddr(geo.rt_block(value as u32, 0));
            group.wrapping_mul(BASIC_BLOCK as u64)
        }
        "daddr" => value.wrapping_mul(BASIC_BLOCK as u64),
        "rtblock" => geo.rt_block_daddr(value).wrapping_mul(BASIC_BLOCK as u64),
        "rtx" => value.wrapping_mul(extent),
        "rbmblock" => value.wrapping_mul(extents_per_block(geo)).wrapping_mul(extent),
        "rbmword" => value.wrapping_mul(WORD_BITS.into()).wrapping_mul(extent),
        "bboff" | "blkoff" | "byte" => value,
        _ => 0,
    }
}

/// The byte that a counter of the summary is about: counters are in lines, one for each length
/// of runs, with a counter for each block of the bitmap.
fn summarised(geo: &Geometry, request: &Request) -> u64 {
    let (Some(log), Some(info), Some(block)) =
        (request.given("rsumlog"), request.given("rsuminfo"), request.given("rsumblock"))
    else {
        return 0;
    };
    let words = u64::from(geo.realtime.words_per_block);
    let counter = block.wrapping_mul(words).wrapping_add(info);
    let before = log.wrapping_mul(geo.realtime.bitmap_blocks);
    place(geo, "rbmblock", counter.wrapping_sub(before))
}

/// A byte as the wanted kind of address.
fn told(geo: &Geometry, request: &Request, byte: u64) -> u64 {
    let extent = byte / extent_bytes(geo);
    let words = u64::from(geo.realtime.words_per_block);
    let daddr = byte / BASIC_BLOCK as u64;
    let block = geo.daddr_rt_block(daddr).unwrap_or(0);
    let groups = geo.realtime.has_groups;
    let (group, inside) = if groups { geo.rt_block_parts(block) } else { (0, 0) };
    // Each group has a bitmap and a summary of its own.
    let bit = if groups { extent % geo.realtime.group_extents.max(1) } else { extent };
    let counter = request
        .given("rsumlog")
        .unwrap_or(0)
        .wrapping_mul(geo.realtime.bitmap_blocks)
        .wrapping_add(bit / extents_per_block(geo));
    match request.wanted {
        "rgblock" => inside.into(),
        "rgnumber" => group.into(),
        "bboff" => byte % BASIC_BLOCK as u64,
        "blkoff" => byte % u64::from(geo.block_size),
        "daddr" => daddr,
        "rtblock" => block,
        "rtx" => extent,
        "rbmblock" => bit / extents_per_block(geo),
        "rbmword" => bit / u64::from(WORD_BITS) % words,
        "rsumblock" => counter / words,
        "rsuminfo" => counter % words,
        _ => byte,
    }
}
