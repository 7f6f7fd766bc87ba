//! `version`: what features the superblock names.

use super::{Command, number};
use crate::session::Session;
use anyhow::{Result, bail};
use libfs::format::features::{Incompat, RoCompat};
use libfs::format::superblock::Dsb;

/// The command.
pub const COMMAND: Command = Command {
    name: "version",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[feature | [vnum fnum]]",
    summary: "set feature bit(s) in the sb version field",
    help: "\
Prints the version of the filesystem and its features, by the superblock. With two
numbers, prints what these would mean as versionnum and features2.
",
    run,
};

/// Names of features by the bit of versionnum; those of version 5 that are always on
/// are marked.
const BY_VERSION: [(u32, bool, &str); 12] = [
    (0x20, false, "NLINK"),
    (0x200, false, "SHARED"),
    (0x2000, false, "DIRV2"),
    (0x10, false, "ATTR"),
    (0x40, false, "QUOTA"),
    (0x80, true, "ALIGN"),
    (0x100, false, "DALIGN"),
    (0x400, true, "LOGV2"),
    (0x1000, true, "EXTFLG"),
    (0x800, false, "SECTOR"),
    (0x4000, false, "ASCII_CI"),
    (MORE_BITS, false, "MOREBITS"),
];

/// The bit of versionnum that says that features2 counts.
const MORE_BITS: u32 = 0x8000;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let dsb = session.superblock()?;
    match args {
        [] | [_, _, _, ..] => Ok(line(&dsb, dsb.versionnum.get().into(), dsb.features2.get())),
        [feature] => {
            session.check_expert()?;
            let always = match *feature {
                "extflg" => "unwritten extents",
                "log2" => "Version 2 logs",
                _ => bail!("{}: Cannot change {feature} on v5 superblocks.", session.program),
            };
            session.show(&format!("{always} always enabled for v5 superblocks.\n"));
            Ok(line(&dsb, dsb.versionnum.get().into(), dsb.features2.get()))
        }
        [version, features] => {
            // What is not a number counts as 0.
            let value = |text: &str| number(text).unwrap_or(0) as u32;
            Ok(line(&dsb, value(version), value(features)))
        }
    }
}

fn line(dsb: &Dsb, version: u32, features2: u32) -> String {
    let version = version & 0xffff;
    format!("versionnum [{version:#x}+{features2:#x}] = {}\n", names(dsb, version, features2))
}

/// The features that such a superblock would have; those of version 5 are taken from `dsb`.
fn names(dsb: &Dsb, version: u32, features2: u32) -> String {
    let number = version & 0xf;
    let new = number == 5;
    let mut names = vec![if (1..=5).contains(&number) { format!("V{number}") } else { "".into() }];
    let mut add = |present: bool, name: &str| {
        if present {
            names.push(name.to_owned());
        }
    };
    for (bit, always, name) in BY_VERSION {
        add(version & bit != 0 || new && always, name);
    }
    let second = |bit: u32| version & MORE_BITS != 0 && features2 & bit != 0;
    add(new || second(0x2), "LAZYSBCOUNT");
    add(new || second(0x80), "PROJID32BIT");
    add(new, "CRC");
    let incompat = dsb.incompat();
    add(if new { incompat.contains(Incompat::FTYPE) } else { second(0x200) }, "FTYPE");
    if new {
        let read_only = dsb.ro_compat();
        add(read_only.contains(RoCompat::FINOBT), "FINOBT");
        add(incompat.contains(Incompat::SPINODES), "SPARSE_INODES");
        add(incompat.contains(Incompat::META_UUID), "META_UUID");
        add(read_only.contains(RoCompat::RMAPBT), "RMAPBT");
        add(read_only.contains(RoCompat::REFLINK), "REFLINK");
        add(read_only.contains(RoCompat::INOBTCNT), "INOBTCNT");
        add(incompat.contains(Incompat::BIGTIME), "BIGTIME");
        add(incompat.contains(Incompat::NEEDSREPAIR), "NEEDSREPAIR");
        add(incompat.contains(Incompat::NREXT64), "NREXT64");
        add(incompat.contains(Incompat::EXCHRANGE), "EXCHANGE");
        add(incompat.contains(Incompat::PARENT), "PARENT");
        add(incompat.contains(Incompat::METADIR), "METADIR");
    }
    names.join(",")
}
