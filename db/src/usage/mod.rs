//! What every block is used for, counted from all metadata, and what contradicts on the way:
//! the commands `blockget`, `blockuse`, `ncheck` and `check`.
//!
//! Everything is read once, in the order of xfs_db 7.2, whose messages these are, so that
//! complaints come in the same order.

mod blocks;
mod claim;
mod directory;
mod groups;
mod inode;
mod inodes;
mod links;
mod report;
mod trees;

pub use blocks::{Blocks, Kind, Run, Use};
pub use inodes::Inodes;

use libfs::format::geometry::Geometry;
use libfs::scan::Scanner;
use report::Report;

/// What is to be counted and told.
#[derive(Debug, Default)]
pub struct Request {
    /// Keep names.
    pub names: bool,
    /// Tell everything.
    pub verbose: bool,
    /// Complain about what makes no sense of the sums only.
    pub severe_only: bool,
    /// Blocks about which everything is told.
    pub blocks: Vec<u64>,
    /// Inodes about which everything is told.
    pub inodes: Vec<u64>,
    /// Compare links with what inodes say, and look for blocks that nothing claims: more
    /// than xfs_db 7.2 does.
    pub thorough: bool,
}

/// What was counted.
#[derive(Debug)]
pub struct Usage {
    /// Blocks of each allocation group.
    pub groups: Vec<Blocks>,
    /// Blocks of the realtime section.
    pub realtime: Blocks,
    /// Inodes.
    pub inodes: Inodes,
    /// Complaints that there were.
    pub complaints: u64,
    /// The sums make no sense.
    pub serious: bool,
}

impl Usage {
    /// Nothing counted yet.
    pub fn new(geo: &Geometry, names: bool) -> Self {
        let groups = (0..geo.ag_count).map(|_| Blocks::default()).collect();
        let inodes = Inodes::new(names);
        Usage { groups, realtime: Blocks::default(), inodes, complaints: 0, serious: false }
    }
}

/// A count that is going on.
struct Count<'a> {
    scanner: Scanner<'a>,
    geo: &'a Geometry,
    report: Report<'a>,
    usage: Usage,
    /// The inode that is looked at may share blocks.
    shares_blocks: bool,
    /// Inodes are kept: names or links are needed.
    tracks_inodes: bool,
}

/// Counts all blocks; what is to be told goes to `show`, each line after `prefix`.
pub fn count(
    scanner: Scanner<'_>,
    request: &Request,
    prefix: &str,
    show: &mut dyn FnMut(&[u8]),
) -> Usage {
    let geo = scanner.geometry();
    let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}: ") };
    let tracks_inodes =
        request.names || request.verbose || request.thorough || !request.inodes.is_empty();
    let mut count = Count {
        scanner,
        geo,
        report: Report::new(request, prefix, show),
        usage: Usage::new(geo, request.names),
        shares_blocks: false,
        tracks_inodes,
    };
    for agno in 0..geo.ag_count {
        count.group(agno);
    }
    if request.thorough && !count.report.serious {
        count.check_links();
        count.check_unclaimed();
    }
    count.report.flush();
    count.usage.complaints = count.report.complaints;
    count.usage.serious = count.report.serious;
    count.usage
}
