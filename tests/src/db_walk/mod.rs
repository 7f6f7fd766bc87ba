//! Walks every structure of a filesystem that can be reached, by what xfs_db 7.2 prints of it,
//! and compares that with what ours prints.
//!
//! The walk goes in rounds: one round prints all structures found so far in both programs,
//! and follows what 7.2 printed (roots, pointers, inode numbers, mappings) to the next.

mod follow;

use std::collections::{BTreeMap, HashSet};

use anyhow::{Context, Result};

use crate::db_pair::Pair;

pub use follow::shape;

/// How much of what is there in numbers is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Inodes, evenly spread over all there are.
    pub inodes: usize,
    /// Blocks of each fork, and of each level of each tree.
    pub blocks: usize,
}

/// A structure: how to get there, and what it is.
#[derive(Debug, Clone)]
pub struct Object {
    /// Commands that move the cursor there.
    pub go: Vec<String>,
    /// The type, as the command `type` names it.
    pub kind: &'static str,
    /// Its allocation group, which pointers in it are relative to.
    pub agno: u64,
}

/// A structure with what 7.2 printed of it.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The structure.
    pub object: Object,
    /// What `print` printed.
    pub text: String,
}

/// What both programs printed differently.
#[derive(Debug, Clone)]
pub struct Difference {
    /// The commands.
    pub commands: Vec<String>,
    /// The first line that differs, by 7.2.
    pub theirs: String,
    /// The same, ours.
    pub own: String,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Every structure that was looked at.
    pub seen: Vec<Seen>,
    /// Lines that were compared.
    pub lines: usize,
    /// Differences.
    pub differences: Vec<Difference>,
}

impl Walk {
    /// Walks a whole filesystem.
    ///
    /// # Errors
    ///
    /// When a program cannot be run to its end.
    pub fn of(pair: &Pair, limits: Limits) -> Result<Self> {
        let mut walk = Walk::default();
        let superblock = walk.look(pair, vec![Object::new(&["sb 0"], "sb", 0)])?;
        let superblock = superblock.first().context("a superblock")?.text.clone();
        let follow = follow::Follow::new(&superblock, limits)?;
        let mut known = HashSet::new();
        let mut round = follow.start();
        while !round.is_empty() {
            round.retain(|object| known.insert(object.go.clone()));
            let seen = walk.look(pair, round)?;
            round = follow.from(&seen);
        }
        Ok(walk)
    }

    /// Prints these in both programs; returns what 7.2 printed.
    fn look(&mut self, pair: &Pair, objects: Vec<Object>) -> Result<Vec<Seen>> {
        let requests = objects.iter().map(|object| {
            let mut lines = object.go.clone();
            let more: &[&str] = match object.kind {
                "inode" => &["print", "addr", "bmap"],
                _ => &["print", "addr", "daddr", "fsblock"],
            };
            lines.extend(more.iter().map(|line| (*line).to_owned()));
            lines
        });
        let requests: Vec<_> = requests.collect();
        let answers = self.compare(pair, &requests)?;
        let both = objects.into_iter().zip(answers);
        let seen: Vec<_> = both.map(|(object, text)| Seen { object, text }).collect();
        self.seen.extend(seen.iter().cloned());
        Ok(seen)
    }

    /// Runs requests in both programs and keeps what differs; returns what 7.2 printed.
    ///
    /// # Errors
    ///
    /// When a program cannot be run to its end.
    pub fn compare(&mut self, pair: &Pair, requests: &[Vec<String>]) -> Result<Vec<String>> {
        let answers = pair.ask(requests)?;
        for (request, answer) in requests.iter().zip(&answers) {
            self.lines += answer.theirs.lines().count();
            if answer.theirs != answer.own {
                let (theirs, own) = first_difference(&answer.theirs, &answer.own);
                self.differences.push(Difference {
                    commands: request.clone(),
                    theirs: theirs.to_owned(),
                    own: own.to_owned(),
                });
            }
        }
        Ok(answers.into_iter().map(|answer| answer.theirs).collect())
    }

    /// How many structures of each type there were.
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for seen in &self.seen {
            *counts.entry(seen.object.kind).or_default() += 1;
        }
        counts
    }

    /// Asks for every field by name, of up to `each` structures of each type that differ in the
    /// fields they have: with `print`, with `addr`, with single indices and ranges of arrays.
    ///
    /// # Errors
    ///
    /// When a program cannot be run to its end.
    pub fn fields(&mut self, pair: &Pair, each: usize) -> Result<usize> {
        let mut shapes: BTreeMap<&str, Vec<Vec<String>>> = BTreeMap::new();
        let mut requests = Vec::new();
        for seen in &self.seen {
            let paths = follow::paths(&seen.text);
            let shape: Vec<_> = paths.iter().map(|path| follow::shape(path)).collect();
            let known = shapes.entry(seen.object.kind).or_default();
            if known.len() >= each || known.contains(&shape) {
                continue;
            }
            known.push(shape);
            for path in spread(paths) {
                for command in ["print", "addr"] {
                    let mut lines = seen.object.go.clone();
                    lines.push(format!("{command} {path}"));
                    if command == "addr" {
                        lines.push("addr".into());
                    }
                    requests.push(lines);
                }
            }
        }
        self.compare(pair, &requests)?;
        Ok(requests.len())
    }
}

impl Object {
    /// A structure of type `kind` in group `agno`.
    pub fn new(go: &[&str], kind: &'static str, agno: u64) -> Self {
        Object { go: go.iter().map(|line| (*line).to_owned()).collect(), kind, agno }
    }
}

/// Paths of one structure that are asked for, at most: of more, the first ones and some of the
/// rest.
const PATHS: usize = 120;

fn spread(paths: Vec<String>) -> Vec<String> {
    let step = paths.len().saturating_sub(PATHS / 2).div_ceil(PATHS / 2).max(1);
    let chosen = paths.into_iter().enumerate();
    let chosen = chosen.filter(|(at, _)| *at < PATHS / 2 || at % step == 0);
    chosen.map(|(_, path)| path).collect()
}

/// The first line that differs, or where the shorter text ends, what follows in the other.
fn first_difference<'a>(theirs: &'a str, own: &'a str) -> (&'a str, &'a str) {
    let mut lines = theirs.lines().zip(own.lines());
    lines.find(|(theirs, own)| theirs != own).unwrap_or_else(|| {
        let shorter = theirs.lines().count().min(own.lines().count());
        let theirs = theirs.lines().nth(shorter).unwrap_or("(the end)");
        (theirs, own.lines().nth(shorter).unwrap_or("(the end)"))
    })
}
