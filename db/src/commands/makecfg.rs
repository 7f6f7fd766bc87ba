//! `makecfg`: a configuration file for mkfs.xfs.

use super::Command;
use crate::files::reason;
use crate::session::Session;
use anyhow::Result;
use libfs::inode::{DiFlags, DiFlags2};
use libfs::xattr::{self, Namespace};
use std::fmt::Display;

/// The command.
pub const COMMAND: Command = Command {
    name: "makecfg",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "",
    summary: "print mkfs.xfs configuration file",
    help: "\
Prints a configuration file for mkfs.xfs that makes a filesystem with the features of this
one, or writes it to the file that is named. The size of the filesystem is not in it.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let text = configuration(session)?;
    let Some(path) = args.first() else { return Ok(text) };
    if let Err(error) = std::fs::write(path, text) {
        eprintln!("{path}: {error}");
    }
    Ok(String::new())
}

/// Block size, inode size and directory block size that mkfs.xfs takes by itself.
const USUAL_BLOCK: u32 = 4096;
const USUAL_INODE: u32 = 512;
/// Percentages of the space for inodes that mkfs.xfs takes by itself, by size in blocks.
const USUAL_INODE_SHARE: u32 = 25;

fn configuration(session: &Session) -> Result<String> {
    let (geo, dsb) = (&session.geo, session.superblock()?);
    let features = &geo.features;
    let mut files = session.files()?;
    let root = match files.iget(geo.root_ino.0) {
        Ok(root) => root,
        Err(error) => {
            eprintln!("root: {}", reason(&error));
            return Ok(String::new());
        }
    };
    let mut out = Lines(String::new());
    out.section("block");
    out.unless("size", geo.block_size, USUAL_BLOCK);

    out.section("metadata");
    out.flag("crc", true);
    out.flag("finobt", features.finobt);
    out.flag("rmapbt", features.rmapbt);
    out.flag("reflink", features.reflink);
    out.flag("inobtcount", features.inobtcount);
    out.flag("bigtime", features.bigtime);
    out.flag("metadir", features.metadir);
    let property = xattr::get(&mut files, root, Namespace::Trusted, b"xfs:autofsck");
    if let Some(value) = property.ok().flatten() {
        out.autofsck(&String::from_utf8_lossy(&value));
    }
    if features.metadir {
        out.quota(dsb.qflags.get());
    }

    out.section("data");
    let core = &files.inode(root).core;
    let (flags, flags2) = (core.flags, core.flags2);
    if flags.contains(DiFlags::RTINHERIT) {
        out.flag("rtinherit", true);
    }
    if flags.contains(DiFlags::PROJINHERIT) {
        out.value("projinherit", core.projid);
    }
    if flags.contains(DiFlags::EXTSZINHERIT) {
        out.value("extszinherit", core.extsize);
    }
    if flags2.contains(DiFlags2::COWEXTSIZE) {
        out.value("cowextsize", core.cowextsize);
    }
    if flags2.contains(DiFlags2::DAX) {
        out.flag("daxinherit", true);
    }

    out.section("inode");
    out.flag("sparse", features.sparse_inodes);
    out.flag("nrext64", features.nrext64);
    out.flag("exchange", features.exchange);
    out.unless("size", geo.inode.size, USUAL_INODE);
    out.unless("maxpct", geo.imax_pct, USUAL_INODE_SHARE);

    out.section("log");
    out.section("naming");
    out.flag("parent", features.parent);
    out.flag("ftype", features.ftype);
    out.value("version", if features.ascii_ci { "ci" } else { "2" });
    out.unless("size", geo.dir.block_size, USUAL_BLOCK.max(geo.block_size));

    out.section("realtime");
    let extent = geo.realtime.extent_size.saturating_mul(geo.block_size);
    out.unless("extsize", extent, USUAL_BLOCK.max(geo.block_size));
    Ok(out.0)
}

/// The file.
struct Lines(String);

impl Lines {
    fn section(&mut self, name: &str) {
        let gap = if self.0.is_empty() { "" } else { "\n" };
        self.0.push_str(&format!("{gap}[{name}]\n"));
    }

    fn value(&mut self, name: &str, value: impl Display) {
        self.0.push_str(&format!("{name}={value}\n"));
    }

    fn flag(&mut self, name: &str, on: bool) {
        self.value(name, u32::from(on));
    }

    fn unless(&mut self, name: &str, value: u32, usual: u32) {
        if value != usual {
            self.value(name, value);
        }
    }

    fn autofsck(&mut self, value: &str) {
        if ["none", "check", "optimize", "repair"].contains(&value) {
            self.value("autofsck", value);
        } else {
            eprintln!("autofsck: invalid value \"{value}\"");
        }
    }

    /// Kinds of quota that are enforced come before those that are only counted.
    fn quota(&mut self, flags: u16) {
        for (kind, counted, enforced) in [("u", 0x1, 0x2), ("g", 0x40, 0x80), ("p", 0x8, 0x200)] {
            if flags & counted != 0 && flags & enforced != 0 {
                self.flag(&format!("{kind}quota"), true);
            }
        }
        for (kind, counted, enforced) in [("u", 0x1, 0x2), ("g", 0x40, 0x80), ("p", 0x8, 0x200)] {
            if flags & counted != 0 && flags & enforced == 0 {
                self.flag(&format!("{kind}qnoenforce"), true);
            }
        }
    }
}
