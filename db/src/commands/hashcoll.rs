//! `hashcoll`: names that hash alike.

use super::{Command, number};
use crate::getopt;
use crate::session::Session;
use anyhow::{Context, Result};
use libfs::format::dir::hash_name;
use rustix::fs::XattrFlags;
use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The command.
pub const COMMAND: Command = Command {
    name: "hashcoll",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "[-a] [-s seed] [-n nr] [-p path] -i|names...",
    summary: "create names that produce dahash collisions",
    help: "\
Makes up names that hash like the names given, and prints them with a zero byte after each.

Options:
  -a      -- For extended attributes: what is before the first dot is kept.
  -i      -- Read the name from standard input, up to 255 bytes.
  -n nr   -- Make so many names; one otherwise.
  -p path -- Make files of these names in this directory (with -a: attributes of this file),
             those of the names given included, instead of printing them.
  -s seed -- Begin with this number; the same number gives the same names.
",
    run,
};

/// Longest name that is read.
const LONGEST: u64 = 255;

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given =
        getopt::parse("hashcoll", args, "ain:p:s:").inspect_err(|error| eprintln!("{error}"));
    let Ok(given) = given else {
        session.exit_status = 1;
        return Ok(super::help::explain(&COMMAND));
    };
    let mut names: Vec<Vec<u8>> = given.words.iter().map(|name| name.as_bytes().to_vec()).collect();
    if given.has('i') {
        let mut name = Vec::new();
        std::io::stdin().take(LONGEST).read_to_end(&mut name)?;
        names = vec![name];
    }
    let count = given.value('n').map_or(1, |text| number(text).unwrap_or(0));
    let seed = given.value('s').map_or_else(from_clock, |text| number(text).unwrap_or(0));
    let mut random = Random(seed ^ 0x9e37_79b9_7f4a_7c15);
    for name in names {
        let kept = if given.has('a') { prefix_len(&name) } else { 0 };
        let (prefix, stem) = name.split_at(kept);
        let same = colliding(stem, usize::try_from(count)?, &mut random);
        let same = same.into_iter().map(|stem| [prefix, &stem].concat());
        match given.value('p') {
            Some(path) => {
                for name in std::iter::once(name.clone()).chain(same) {
                    create(Path::new(path), &name, given.has('a'))
                        .with_context(|| format!("{path}: {}", String::from_utf8_lossy(&name)))?;
                }
            }
            None => same.for_each(|name| session.show_bytes(&[&name[..], b"\0"].concat())),
        }
    }
    Ok(String::new())
}

/// Bytes of an attribute's name up to and with the dot behind its namespace.
fn prefix_len(name: &[u8]) -> usize {
    name.iter().position(|byte| *byte == b'.').map_or(0, |at| at + 1)
}

fn create(path: &Path, name: &[u8], attribute: bool) -> Result<()> {
    if attribute {
        return Ok(rustix::fs::setxattr(path, name, b"1", XattrFlags::empty())?);
    }
    let options = File::options().write(true).create(true).truncate(false).clone();
    options.open(path.join(OsStr::from_bytes(name)))?;
    Ok(())
}

/// Up to `count` names other than `name` of its length that have its hash.
fn colliding(name: &[u8], count: usize, random: &mut Random) -> Vec<Vec<u8>> {
    /// Names made up in a row that were made up before.
    const PATIENCE: u32 = 10_000;
    let mut seen = HashSet::from([name.to_vec()]);
    let mut names = Vec::new();
    let mut failures = 0;
    while names.len() < count && failures < PATIENCE {
        failures += 1;
        let other = if name.len() < FREE { flipped(name, random) } else { made_up(name, random) };
        let possible = !other.iter().any(|byte| [0, b'/'].contains(byte));
        if possible && hash_name(&other) == hash_name(name) && seen.insert(other.clone()) {
            names.push(other);
            failures = 0;
        }
    }
    names
}

/// Bytes that are enough to give any hash: each takes part with eight bits, seven bits
/// further than the next.
const FREE: usize = 5;

/// Random letters, and last bytes that give the hash of `name`; they may be no possible ones.
fn made_up(name: &[u8], random: &mut Random) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let letters = name.len().saturating_sub(FREE);
    let letter = |_| LETTERS.get(random.below(64)).copied().unwrap_or(b'a');
    let mut other: Vec<u8> = (0..letters).map(letter).collect();
    // What the last bytes must add up to. The first of them wraps: its upper four bits meet
    // the lower ones of the last.
    let wanted = hash_name(name) ^ hash_name(&other).rotate_left(7 * FREE as u32 % 32);
    let wrapped = (random.next() & 0xf) as u32;
    other.push((wanted >> 28 | wrapped << 4) as u8);
    for shift in [21, 14, 7] {
        other.push((wanted >> shift & 0x7f) as u8);
    }
    other.push(((wanted ^ wrapped) & 0x7f) as u8);
    other
}

/// The name with some neighbours changed: the lowest bit of a byte and the highest of the
/// next are the same bit of the hash.
fn flipped(name: &[u8], random: &mut Random) -> Vec<u8> {
    let mut other = name.to_vec();
    for at in 1..name.len() {
        if let (true, Some([first, second])) = (random.next() & 1 == 1, other.get_mut(at - 1..=at))
        {
            *first ^= 1;
            *second ^= 0x80;
        }
    }
    other
}

/// Numbers that are random enough for names (xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = if self.0 == 0 { 1 } else { self.0 };
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn below(&mut self, end: u64) -> usize {
        (self.next() % end) as usize
    }
}

fn from_clock() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(1, |since| since.as_nanos() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_collide() {
        for name in ["ab", "abc", "abcd", "abcde", "a-longer-name"] {
            let names = colliding(name.as_bytes(), 3, &mut Random(7));
            assert!(!names.is_empty(), "{name}");
            for other in names {
                assert_eq!(hash_name(&other), hash_name(name.as_bytes()));
                assert_ne!(other, name.as_bytes());
            }
        }
        assert!(colliding(b"a", 1, &mut Random(7)).is_empty());
    }
}
