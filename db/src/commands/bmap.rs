//! `bmap`: list the extents of the current inode.

use super::{Command, number};
use crate::session::Session;
use anyhow::{Context, Result, bail};
use libfs::format::geometry::{Fork, FsBlock, Geometry};
use libfs::format::inode::{DiFlags, ForkFormat};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "bmap",
    alias: None,
    min_args: 0,
    max_args: Some(3),
    expert: false,
    args: "[-ad] [block [len]]",
    summary: "show block map for current file",
    help: "\
Lists the extents of the current inode: offset in the file, first block (also as
allocation group and block in it) and length in blocks, and 1 for unwritten ones. Of the
attribute fork with -a, the data fork with -d, or of both; all of the fork, or `len`
blocks from `block` on.
",
    run,
};

/// What to list.
#[derive(Default)]
struct Request {
    forks: Vec<(Fork, &'static str)>,
    all: bool,
    numbers: Vec<u64>,
}

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    session.ino.context("no current inode")?;
    let request = parse(args)?;
    session.complain_of_inode();
    let mut out = String::new();
    let start = request.numbers.first().copied().unwrap_or(0);
    let len = request.numbers.get(1).copied().unwrap_or(if request.numbers.is_empty() {
        u64::MAX
    } else {
        1
    });
    let end = start.saturating_add(len);
    let (core, _) = session.current_inode()?;
    for (fork, name) in request.forks {
        // Without options only the forks that have extents are listed.
        if request.all && core.extent_count(fork) == 0 {
            continue;
        }
        if !is_indexable(core.fork_format(fork)) {
            let number = core.format_number(fork);
            let _ = writeln!(out, "{name} fork format {number} does not support indexable blocks");
            continue;
        }
        for extent in session.mapping(fork)?.extents {
            let (low, high) = (extent.offset.max(start), extent.end().min(end));
            if low >= high {
                continue;
            }
            let block = FsBlock(extent.start.0 + (low - extent.offset));
            let realtime = fork == Fork::Data && core.di_flags().contains(DiFlags::REALTIME);
            let _ = writeln!(
                out,
                "{name} offset {low} startblock {block} {}count {} flag {}",
                group_and_block(&session.geo, block, realtime),
                high - low,
                u8::from(extent.unwritten)
            );
        }
    }
    Ok(out)
}

/// The group of a block and where it is in the group; without groups nothing.
fn group_and_block(geo: &Geometry, block: FsBlock, realtime: bool) -> String {
    let (group, inside) = match realtime {
        false => geo.fsblock_parts(block),
        true if geo.realtime.has_groups => geo.rt_block_parts(block.0),
        true => return String::new(),
    };
    format!("({group}/{inside}) ")
}

fn is_indexable(format: Option<ForkFormat>) -> bool {
    matches!(format, Some(ForkFormat::Local | ForkFormat::Extents | ForkFormat::Btree))
}

fn parse(args: &[&str]) -> Result<Request> {
    let (data, attr) = ((Fork::Data, "data"), (Fork::Attr, "attr"));
    let mut request = Request::default();
    for arg in args {
        match (arg.strip_prefix('-'), request.numbers.len()) {
            (Some(options), 0) => {
                for option in options.chars() {
                    request.forks.push(match option {
                        'd' => data,
                        'a' => attr,
                        _ => bail!("bad option for bmap command"),
                    });
                }
            }
            (_, 0) => {
                let block =
                    number(arg).with_context(|| format!("bad block number for bmap {arg}"))?;
                request.numbers.push(block);
            }
            _ => {
                let len = number(arg).with_context(|| format!("bad len for bmap {arg}"))?;
                request.numbers.push(len);
            }
        }
    }
    // Forks are listed in this order whatever the order of the options.
    let asked = request.forks;
    request.all = asked.is_empty();
    let wanted = |fork: &(Fork, &str)| asked.is_empty() || asked.iter().any(|f| f.0 == fork.0);
    request.forks = [data, attr].into_iter().filter(wanted).collect();
    Ok(request)
}
