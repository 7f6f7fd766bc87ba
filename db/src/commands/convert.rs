//! `convert`: tell one form of address as another.

use super::Command;
use crate::convert::{Request, Unit, parse, result};
use crate::session::{BASIC_BLOCK, Session};
use anyhow::Result;
use libfs::format::geometry::{FsBlock, Geometry, Ino};

/// The command.
pub const COMMAND: Command = Command {
    name: "convert",
    alias: None,
    min_args: 3,
    max_args: Some(9),
    expert: false,
    args: "type num [type num]... type",
    summary: "convert from one address form to another",
    help: "\
Tells the place that the first types and numbers add up to as the last type. The types, with
other names that they have:
 agblock, agbno -- block in an allocation group
 agino, aginode -- inode in an allocation group
 agnumber, agno -- allocation group
 bboff, daddroff -- byte in a disk address
 blkoff, fsboff, agboff -- byte in a block
 byte, fsbyte -- byte in the filesystem
 daddr, bb -- disk address in units of 512 bytes
 fsblock, fsb, fsbno -- block of the filesystem (see `fsblock`)
 ino, inode -- inode
 inoidx, offset -- index of an inode in its block
 inooff, inodeoff -- byte in an inode
",
    run,
};

static UNITS: &[Unit] = &[
    Unit {
        names: &["agblock", "agbno"],
        after: &["agnumber", "bboff", "blkoff", "inoidx", "inooff"],
    },
    Unit { names: &["agino", "aginode"], after: &["agnumber", "inooff"] },
    Unit {
        names: &["agnumber", "agno"],
        after: &["agblock", "agino", "bboff", "blkoff", "inoidx", "inooff"],
    },
    Unit { names: &["bboff", "daddroff"], after: &["agblock", "agnumber", "daddr", "fsblock"] },
    Unit { names: &["blkoff", "fsboff", "agboff"], after: &["agblock", "agnumber", "fsblock"] },
    Unit { names: &["byte", "fsbyte"], after: &[] },
    Unit { names: &["daddr", "bb"], after: &["bboff"] },
    Unit { names: &["fsblock", "fsb", "fsbno"], after: &["bboff", "blkoff", "inoidx", "inooff"] },
    Unit { names: &["ino", "inode"], after: &["inooff"] },
    Unit { names: &["inoidx", "offset"], after: &["agblock", "agnumber", "fsblock", "inooff"] },
    Unit {
        names: &["inooff", "inodeoff"],
        after: &["agblock", "agino", "agnumber", "ino", "inoidx"],
    },
];

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let request = parse("convert", UNITS, args)?;
    let geo = &session.geo;
    let byte = request
        .given
        .iter()
        .fold(0, |sum: u64, &(name, value)| sum.wrapping_add(place(geo, name, value)));
    Ok(result(told(geo, &request, byte)))
}

/// The byte where an address starts.
fn place(geo: &Geometry, name: &str, value: u64) -> u64 {
    let block = u64::from(geo.block_size);
    let per_block = u64::from(geo.inode.per_block).max(1);
    let in_group = |agino: u64| {
        let inside = (agino % per_block).wrapping_mul(geo.inode.size.into());
        (agino / per_block).wrapping_mul(block).wrapping_add(inside)
    };
    let group = |agno: u64| agno.wrapping_mul(geo.ag_blocks.into()).wrapping_mul(block);
    match name {
        "agblock" => value.wrapping_mul(block),
        "agino" => in_group(value),
        "agnumber" => group(value),
        "daddr" => value.wrapping_mul(BASIC_BLOCK as u64),
        "fsblock" => {
            let (agno, agbno) = geo.fsblock_parts(FsBlock(value));
            group(agno.into()).wrapping_add(u64::from(agbno).wrapping_mul(block))
        }
        "ino" => {
            let (agno, agino) = geo.ino_parts(Ino(value));
            group(agno.into()).wrapping_add(in_group(agino.into()))
        }
        "inoidx" => value.wrapping_mul(geo.inode.size.into()),
        _ => value,
    }
}

/// A byte as the wanted kind of address.
fn told(geo: &Geometry, request: &Request, byte: u64) -> u64 {
    let block = u64::from(geo.block_size);
    let blocks = u64::from(geo.ag_blocks).max(1);
    let size = u64::from(geo.inode.size).max(1);
    let (agno, agbno) = (byte / block / blocks, (byte / block % blocks) as u32);
    let fsblock = geo.fsblock(agno as u32, agbno).0;
    let index = byte % block / size;
    let per_block = u64::from(geo.inode.per_block);
    match request.wanted {
        "agblock" => agbno.into(),
        "agino" => u64::from(agbno) * per_block + index,
        "agnumber" => agno,
        "bboff" => byte % BASIC_BLOCK as u64,
        "blkoff" => byte % block,
        "daddr" => byte / BASIC_BLOCK as u64,
        "fsblock" => fsblock,
        "ino" => fsblock.wrapping_mul(per_block).wrapping_add(index),
        "inoidx" => index,
        "inooff" => byte % size,
        _ => byte,
    }
}
