//! Configuration files: reading the options in them, and writing one that asks for the features of
//! a planned filesystem (`-c makecfg=`).

use std::fmt::Write;
use std::path::Path;

use libfs::format::features::QuotaFlags;
use libfs::mkfs::{Options, Plan};

use crate::ini::{self, Entry};
use crate::usage::Refusal;

/// Sections of a configuration file, and the options they stand for.
const SECTIONS: &[(&str, char)] = &[
    ("block", 'b'),
    ("data", 'd'),
    ("inode", 'i'),
    ("log", 'l'),
    ("metadata", 'm'),
    ("naming", 'n'),
    ("proto", 'p'),
    ("realtime", 'r'),
    ("sector", 's'),
];

/// What a configuration file is read for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its options go together with those of the command line.
    Options,
    /// The command line overrides it.
    Defaults,
}

impl Role {
    fn title(self) -> &'static str {
        match self {
            Role::Options => "config file",
            Role::Defaults => "defaults config file",
        }
    }
}

/// Hands every option in the file `path` to `take`, as its letter, its name in lower case, and its
/// value; `take` says whether there is such an option. Returns what to tell the user.
///
/// # Errors
/// The file cannot be read, has lines that are no options, or `take` refuses one.
pub fn read(
    path: &str,
    role: Role,
    take: &mut dyn FnMut(char, &str, &str) -> Result<bool, Refusal>,
) -> Result<String, Refusal> {
    let title = role.title();
    let text = std::fs::read(path)
        .map_err(|_| Refusal::plain(format!("Unable to open {title} {path}. Aborting.")))?;
    let text = String::from_utf8_lossy(&text);
    let (mut wrong, mut wrong_line) = (String::new(), None);
    for (number, entry) in ini::entries(&text) {
        if let Entry::Value { section, name, value } = entry {
            let known = SECTIONS.iter().find(|(title, _)| section.eq_ignore_ascii_case(title));
            let taken = match known {
                Some((_, letter)) => take(*letter, &name.to_ascii_lowercase(), value)?,
                None => false,
            };
            if taken {
                continue;
            }
            let what = format!("invalid config file option: [{section}]: {name}={value}");
            wrong += &format!("{path}: {what}\n");
        }
        wrong_line.get_or_insert(number);
    }
    match wrong_line {
        None => Ok(format!("Parameters parsed from {title} {path} successfully")),
        Some(line) => {
            wrong += &format!("{path}: Unrecognised input on line {line}. Aborting.");
            Err(Refusal::plain(wrong))
        }
    }
}

/// Writes a configuration file that asks for the features of `plan`.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &str, plan: &Plan, options: &Options) -> Result<(), Refusal> {
    std::fs::write(Path::new(path), text(plan, options))
        .map_err(|error| Refusal::plain(format!("{path}: {}", crate::target::reason(&error))))
}

fn text(plan: &Plan, options: &Options) -> String {
    let geometry = &plan.geometry;
    let block = geometry.block_size;
    let mut text = String::new();
    let mut section = |name: &str, lines: &[(&str, Option<String>)]| {
        let gap = if text.is_empty() { "" } else { "\n" };
        let _ = writeln!(text, "{gap}[{name}]");
        for (name, value) in lines {
            if let Some(value) = value {
                let _ = writeln!(text, "{name}={value}");
            }
        }
    };
    section("block", &[("size", other_than(block, 4096))]);
    section("metadata", &metadata(plan, options));
    section("data", &data(plan));
    section("inode", &inode(plan, options));
    section("log", &[]);
    section("naming", &naming(plan));
    let extent = geometry.realtime.extent_size * block;
    section("realtime", &[("extsize", other_than(extent, block.max(4096)))]);
    text
}

type Line = (&'static str, Option<String>);

fn metadata(plan: &Plan, options: &Options) -> Vec<Line> {
    let features = &plan.geometry.features;
    let mut lines = vec![
        ("crc", flag(true)),
        ("finobt", flag(features.finobt)),
        ("rmapbt", flag(features.rmapbt)),
        ("reflink", flag(features.reflink)),
        ("inobtcount", flag(features.inobtcount)),
        ("bigtime", flag(features.bigtime)),
        ("metadir", flag(features.metadir)),
        ("autofsck", plan.self_healing.map(|level| level.name().to_owned())),
    ];
    let quotas = [
        ("uquota", "uqnoenforce", QuotaFlags::UQUOTA_ACCT, QuotaFlags::UQUOTA_ENFD),
        ("gquota", "gqnoenforce", QuotaFlags::GQUOTA_ACCT, QuotaFlags::GQUOTA_ENFD),
        ("pquota", "pqnoenforce", QuotaFlags::PQUOTA_ACCT, QuotaFlags::PQUOTA_ENFD),
    ];
    let enforced = |limit| options.quota.contains(limit);
    lines.extend(quotas.map(|(name, _, _, limit)| (name, set(enforced(limit)))));
    lines.extend(quotas.map(|(_, name, account, limit)| {
        (name, set(options.quota.contains(account) && !enforced(limit)))
    }));
    lines
}

fn data(plan: &Plan) -> [Line; 5] {
    let root = &plan.root;
    [
        ("rtinherit", set(root.realtime)),
        ("projinherit", root.project.map(|number| number.to_string())),
        ("extszinherit", other_than(root.extent_size, 0)),
        ("cowextsize", other_than(root.cow_extent_size, 0)),
        ("daxinherit", set(root.direct_access)),
    ]
}

fn inode(plan: &Plan, options: &Options) -> [Line; 5] {
    let features = &plan.geometry.features;
    let usual = plan.default_inode_percentage();
    let percentage = options.inode_percentage.filter(|percentage| *percentage != usual);
    [
        ("sparse", flag(features.sparse_inodes)),
        ("nrext64", flag(features.nrext64)),
        ("exchange", flag(features.exchange)),
        ("maxpct", percentage.map(|percentage| percentage.to_string())),
        ("size", other_than(plan.geometry.inode.size, 512)),
    ]
}

fn naming(plan: &Plan) -> [Line; 4] {
    let geometry = &plan.geometry;
    let version = if geometry.features.ascii_ci { "ci" } else { "2" };
    [
        ("parent", flag(geometry.features.parent)),
        ("ftype", flag(true)),
        ("version", Some(version.into())),
        ("size", other_than(geometry.dir.block_size, geometry.block_size.max(4096))),
    ]
}

/// A feature is said to be there or not.
fn flag(on: bool) -> Option<String> {
    Some(u8::from(on).to_string())
}

/// What nobody asked for is not mentioned.
fn set(on: bool) -> Option<String> {
    on.then(|| "1".into())
}

fn other_than(value: u32, usual: u32) -> Option<String> {
    (value != usual).then(|| value.to_string())
}
