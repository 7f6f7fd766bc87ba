//! Where what xfs_db printed leads to.

use anyhow::{Context, Result};

use super::{Limits, Object, Seen};

/// Finds the next structures.
pub struct Follow {
    limits: Limits,
    groups: u64,
    realtime_groups: bool,
    block_log: u32,
    inode_log: u32,

    /// Inodes that are still left to look at in steps of this.
    step: u64,
}

impl Follow {
    /// Starts from what was printed of the superblock.
    pub fn new(superblock: &str, limits: Limits) -> Result<Self> {
        let number = |name: &str| {
            value(superblock, name).with_context(|| format!("{name} of the superblock"))
        };
        let inodes = number("icount")?;
        Ok(Follow {
            limits,
            groups: number("agcount")?,
            realtime_groups: value(superblock, "rgcount").is_some_and(|count| count > 0),
            block_log: u32::try_from(number("agblklog")?)?,
            inode_log: u32::try_from(number("inopblog")?)?,
            step: inodes.div_ceil(limits.inodes as u64).max(1),
        })
    }

    /// What every filesystem has.
    pub fn start(&self) -> Vec<Object> {
        let mut objects = Vec::new();
        for agno in 0..self.groups {
            for kind in ["sb", "agf", "agi", "agfl"] {
                objects.push(Object::new(&[&format!("{kind} {agno}")], kind, agno));
            }
        }
        if self.realtime_groups {
            objects.push(Object::new(&["rtsb"], "rtsb", 0));
        }
        objects
    }

    /// What these lead to.
    pub fn from(&self, seen: &[Seen]) -> Vec<Object> {
        seen.iter().flat_map(|seen| self.next(seen)).collect()
    }

    fn next(&self, seen: &Seen) -> Vec<Object> {
        let (object, text) = (&seen.object, seen.text.as_str());
        match object.kind {
            "agf" => self.roots(
                seen,
                &[
                    ("bnoroot", "bnobt"),
                    ("cntroot", "cntbt"),
                    ("rmaproot", "rmapbt"),
                    ("refcntroot", "refcntbt"),
                ],
            ),
            "agi" => {
                let mut next = self.roots(seen, &[("root", "inobt"), ("free_root", "finobt")]);
                let buckets = elements(text, "unlinked");
                next.extend(buckets.into_iter().map(|agino| self.inode(object.agno, agino)));
                next
            }
            "inobt" if value(text, "level") == Some(0) => self.inodes(seen),
            "bnobt" | "cntbt" | "rmapbt" | "refcntbt" | "inobt" | "finobt" => {
                let blocks = elements(text, "ptrs").into_iter();
                let blocks = blocks.map(|agbno| object.agno << self.block_log | agbno);
                self.blocks(blocks.collect(), object)
            }
            "bmapbtd" | "bmapbta" | "rtrmapbt" | "rtrefcntbt" => {
                self.blocks(elements(text, "ptrs"), object)
            }
            "inode" => self.forks(seen),
            _ => Vec::new(),
        }
    }

    /// The roots of trees that a header names.
    fn roots(&self, seen: &Seen, roots: &[(&str, &'static str)]) -> Vec<Object> {
        // Block 0 is the root of no tree: the filesystem has none of this kind.
        let root = |name| value(&seen.text, name).filter(|&block| block != 0);
        let present = roots.iter().filter(|(name, _)| root(name).is_some());
        let object = present.map(|(name, kind)| {
            let go = [seen.object.go[0].as_str(), &format!("addr {name}")];
            Object::new(&go, kind, seen.object.agno)
        });
        object.collect()
    }

    /// Blocks of the filesystem, of the same type as the one that points to them.
    fn blocks(&self, blocks: Vec<u64>, from: &Object) -> Vec<Object> {
        let step = blocks.len().div_ceil(self.limits.blocks).max(1);
        let object = |block: u64| {
            let go = [format!("fsblock {block}"), format!("type {}", from.kind)];
            let mut go: Vec<String> = go.into();
            // Blocks of a fork's tree are looked at as those of their inode.
            if from.go[0].starts_with("inode") {
                go.insert(0, from.go[0].clone());
            }
            Object { go, kind: from.kind, agno: from.agno }
        };
        blocks.into_iter().step_by(step).map(object).collect()
    }

    /// The inodes of the chunks in a leaf.
    fn inodes(&self, seen: &Seen) -> Vec<Object> {
        let agno = seen.object.agno;
        let first = rows(&seen.text, "recs");
        let all = first.into_iter().flat_map(|start| start..start + 64);
        all.filter(|agino| scattered(*agino).is_multiple_of(self.step))
            .map(|agino| self.inode(agno, agino))
            .collect()
    }

    fn inode(&self, agno: u64, agino: u64) -> Object {
        let ino = agno << (self.block_log + self.inode_log) | agino;
        Object::new(&[&format!("inode {ino}")], "inode", agno)
    }

    /// Blocks of an inode's forks, and of their trees.
    fn forks(&self, seen: &Seen) -> Vec<Object> {
        let (object, text) = (&seen.object, seen.text.as_str());
        let mut next = Vec::new();
        for (path, kind) in [
            ("u3.bmbt.ptrs", "bmapbtd"),
            ("a.bmbt.ptrs", "bmapbta"),
            ("u3.rtrmapbt.ptrs", "rtrmapbt"),
            ("u3.rtrefcbt.ptrs", "rtrefcntbt"),
        ] {
            let from = Object { kind, ..object.clone() };
            next.extend(self.blocks(elements(text, path), &from));
        }
        let mode = value(text, "core.mode").unwrap_or(0);
        let metadata = value(text, "core.metatype");
        let content = match (mode & 0o170000, metadata) {
            (0o040000, _) => "directory",
            (0o120000, _) => "link",
            (_, Some(2..=4)) => "quota",
            (_, Some(5)) => "bitmap",
            (_, Some(6)) => "summary",
            _ => "file",
        };
        for (word, command, limit) in [
            ("data", "dblock", if content == "file" { 2 } else { self.limits.blocks }),
            ("attr", "ablock", self.limits.blocks),
        ] {
            let mapped = mappings(text, word);
            let step = mapped.len().div_ceil(limit).max(1);
            for offset in mapped.into_iter().step_by(step) {
                let go = [object.go[0].clone(), format!("{command} {offset}")];
                let kind = match (command, content) {
                    ("ablock", _) => "attr3",
                    (_, "directory") => "dir3",
                    (_, "link") => "symlink",
                    (_, "quota") => "dqblk",
                    (_, "bitmap") => "rgbitmap",
                    (_, "summary") => "rgsummary",
                    _ => "data",
                };
                next.push(Object { go: go.into(), kind, agno: object.agno });
            }
        }
        next
    }
}

/// A number that has nothing to do with the order of inodes.
fn scattered(agino: u64) -> u64 {
    agino.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40
}

/// The value of a single field.
fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))?;
    number(line.split(' ').next()?)
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix('0').filter(|rest| !rest.is_empty()) {
        Some(octal) => u64::from_str_radix(octal, 8).ok(),
        None => text.parse().ok(),
    }
}

/// The values of an array of numbers; those that are null are left out.
fn elements(text: &str, name: &str) -> Vec<u64> {
    let Some(line) = array(text, name) else { return Vec::new() };
    let words = line.split(' ').map(|word| word.split_once(':').map_or(word, |(_, value)| value));
    words.filter_map(number).collect()
}

/// What follows the equals sign of an array.
fn array<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('['))?;
    rest.split_once("] = ").map(|(_, values)| values)
}

/// The first column of an array of rows.
fn rows(text: &str, name: &str) -> Vec<u64> {
    let lines = text.lines().skip_while(|line| !line.starts_with(&format!("{name}[")));
    let rows = lines.skip(1).map_while(|line| line.split_once(":["));
    rows.filter_map(|(_, row)| number(row.split(',').next()?)).collect()
}

/// File blocks where mappings of a fork start, as `bmap` lists them, and the block behind each
/// start if there is one.
fn mappings(text: &str, fork: &str) -> Vec<u64> {
    let start = format!("{fork} offset ");
    let mut blocks = Vec::new();
    for line in text.lines().filter_map(|line| line.strip_prefix(&start)) {
        let words: Vec<_> = line.split(' ').collect();
        let count = words.iter().skip_while(|word| **word != "count").nth(1);
        if let (Some(offset), Some(count)) =
            (words.first().and_then(|w| number(w)), count.and_then(|word| number(word)))
        {
            blocks.extend(offset..offset + count.min(64));
        }
    }
    blocks
}

/// Paths of what was printed: of fields, of arrays, of their first and last elements and of
/// columns, and of the structures around them.
pub fn paths(text: &str) -> Vec<String> {
    let mut paths = Vec::new();
    let mut add = |path: String| {
        if !paths.contains(&path) {
            paths.push(path);
        }
    };
    for line in text.lines() {
        let Some((name, value)) = line.split_once(" = ") else { continue };
        if name.contains(' ') || name.is_empty() {
            continue;
        }
        for (at, _) in name.match_indices('.').take(2) {
            add(name[..at].to_owned());
        }
        add(name.to_owned());
        let Some((field, range)) = name.rsplit_once('[') else { continue };
        let Some(range) = range.strip_suffix(']') else { continue };
        let (low, high) = range.split_once('-').unwrap_or((range, range));
        add(field.to_owned());
        add(format!("{field}[{low}]"));
        add(format!("{field}[{high}]"));
        add(format!("{field}[{low}-{high}]"));
        let past = high.parse::<u64>().unwrap_or(0) + 1;
        add(format!("{field}[{past}]"));
        add(format!("{field}[{high}-{past}]"));
        let columns = value.strip_prefix('[').and_then(|rest| rest.split_once(']'));
        for column in columns.into_iter().flat_map(|(columns, _)| columns.split(',')) {
            add(format!("{field}[{high}].{column}"));
            add(format!("{field}.{column}"));
        }
    }
    paths.truncate(1000);
    paths
}

/// A path without its indices.
pub fn shape(path: &str) -> String {
    path.chars().filter(|c| !c.is_ascii_digit() && *c != '-').collect()
}
