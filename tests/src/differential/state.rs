//! What the files of a directory are in the end, as lines that can be compared.
//!
//! A line for each file (size, attributes) and one for each mapped block: written or
//! unwritten, the checksum of its contents, and whom it shares its storage with. Sharing is
//! told by the first of the blocks that have the same physical address and by their number, so
//! that two filesystems with other addresses are alike when the same blocks are shared.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::normalise;
use super::script::{Script, Transcript};
use crate::peers::Peers;

/// Flag of a fiemap row: allocated, never written.
const UNWRITTEN: u64 = 0x800;
/// Flag of a fiemap row: shared.
const SHARED: u64 = 0x2000;
/// Unit of fiemap's table.
const SECTOR: u64 = 512;

/// One mapped block of a file.
#[derive(Debug, Clone, Copy)]
struct Block {
    physical: u64,
    flags: u64,
    checksum: u32,
}

/// A file: its line, and its blocks by number.
struct FileState {
    name: String,
    line: String,
    blocks: BTreeMap<u64, Block>,
}

/// The lines of each of the mounted `directories`, found out by xfs_io 7.2 and by reading.
///
/// # Errors
///
/// When the files cannot be read or xfs_io fails.
pub fn of(peers: &Peers, directories: &[PathBuf]) -> Result<Vec<Vec<String>>> {
    let mut files = Vec::new();
    for (index, directory) in directories.iter().enumerate() {
        files.extend(names(directory)?.into_iter().map(|name| (index, directory.join(name))));
    }
    let mut states: Vec<Vec<FileState>> = directories.iter().map(|_| Vec::new()).collect();
    let answers = ask(peers, &files)?;
    for ((index, path), (stat, map)) in files.iter().zip(answers) {
        states[*index].push(file_state(path, &stat, &map)?);
    }
    Ok(states.iter().map(|files| lines(files)).collect())
}

/// The regular files of `directory`, by name.
///
/// # Errors
///
/// When it cannot be read.
pub fn names(directory: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("{}", directory.display()))? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What `stat` and `fiemap -v` print about each file.
fn ask(peers: &Peers, files: &[(usize, PathBuf)]) -> Result<Vec<(String, String)>> {
    let mut commands = Vec::new();
    for (_, path) in files {
        commands.extend([
            format!("open -r {}", path.display()),
            "stat".to_owned(),
            "fiemap -v".to_owned(),
            "close".to_owned(),
        ]);
    }
    let script = Script::of(commands).input("@");
    let text = tempfile::NamedTempFile::new()?;
    fs::write(text.path(), script)?;
    let output = peers.command("xfs_io").arg("-x").stdin(File::open(text.path())?).output()?;
    let transcript = Transcript::of(
        &String::from_utf8_lossy(&output.stdout),
        &String::from_utf8_lossy(&output.stderr),
        output.status.code(),
    );
    ensure!(transcript.completed() == files.len() * 4, "xfs_io ended early");
    let answers = transcript.answers.chunks_exact(4);
    Ok(answers.map(|four| (four[1].output.clone(), four[2].output.clone())).collect())
}

fn file_state(path: &Path, stat: &str, map: &str) -> Result<FileState> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let kept = ["stat.size", "fsxattr"];
    let stat = normalise::text(stat, true);
    let facts = stat.lines().filter(|line| kept.iter().any(|start| line.starts_with(start)));
    let line = facts.map(|line| line.replace(" = ", "=")).collect::<Vec<_>>().join(" ");
    let block_size = rustix::fs::statvfs(path)?.f_bsize;
    let file = File::open(path)?;
    let mut blocks = BTreeMap::new();
    for (range, physical, flags) in map.lines().filter_map(extent) {
        for block in range.0 * SECTOR / block_size..(range.1 + 1) * SECTOR / block_size {
            let offset = block * block_size;
            let checksum = checksum(&file, offset, block_size)?;
            let physical = physical * SECTOR + (offset - range.0 * SECTOR);
            blocks.insert(block, Block { physical, flags, checksum });
        }
    }
    Ok(FileState { name, line, blocks })
}

/// Parses `  0: [0..39]:  192..231  40 0x2000`: first and last sector, physical one, flags.
fn extent(line: &str) -> Option<((u64, u64), u64, u64)> {
    let (_, rest) = line.split_once(": [")?;
    let (range, rest) = rest.split_once("]:")?;
    let (first, last) = range.split_once("..")?;
    let mut words = rest.split_whitespace();
    let (physical, _) = words.next()?.split_once("..")?;
    let flags = words.next_back()?.strip_prefix("0x")?;
    let flags = u64::from_str_radix(flags, 16).ok()?;
    Some(((first.parse().ok()?, last.parse().ok()?), physical.parse().ok()?, flags))
}

/// The checksum of what can be read of a block; 0 past the end of the file.
fn checksum(file: &File, offset: u64, length: u64) -> Result<u32> {
    // The last block of the largest file ends past the largest offset.
    let length = length.min(file.metadata()?.len().saturating_sub(offset));
    let mut bytes = vec![0; usize::try_from(length)?];
    let mut have = 0;
    while have < bytes.len() {
        let count = file.read_at(&mut bytes[have..], offset + have as u64)?;
        if count == 0 {
            break;
        }
        have += count;
    }
    Ok(crc32c::crc32c(&bytes[..have]))
}

/// The lines of a directory.
fn lines(files: &[FileState]) -> Vec<String> {
    let mut owners: BTreeMap<u64, Vec<(&str, u64)>> = BTreeMap::new();
    for file in files {
        for (number, block) in &file.blocks {
            owners.entry(block.physical).or_default().push((&file.name, *number));
        }
    }
    let mut lines = Vec::new();
    for file in files {
        lines.push(format!("{}: {}", file.name, file.line));
        for (number, block) in &file.blocks {
            let same = &owners[&block.physical];
            let kind = if block.flags & UNWRITTEN != 0 { "unwritten" } else { "written" };
            let mut line = format!("{} block {number}: {kind} {:08x}", file.name, block.checksum);
            if same.len() > 1 {
                line += &format!(" storage of {}:{}, {} times", same[0].0, same[0].1, same.len());
            }
            if (same.len() > 1) != (block.flags & SHARED != 0) {
                line += " WRONG SHARED FLAG";
            }
            lines.push(line);
        }
    }
    lines
}

/// The lines that only one side has, at most `most` of each.
pub fn differences(expected: &[String], got: &[String], most: usize) -> Vec<String> {
    let only = |sign: char, these: &[String], those: &[String]| {
        let those: std::collections::BTreeSet<&String> = those.iter().collect();
        let all: Vec<&String> = these.iter().filter(|line| !those.contains(line)).collect();
        let more = all.len().saturating_sub(most);
        let mut lines: Vec<String> =
            all.iter().take(most).map(|line| format!("{sign} {line}")).collect();
        if more > 0 {
            lines.push(format!("{sign} ... and {more} more"));
        }
        lines
    };
    [only('-', expected, got), only('+', got, expected)].concat()
}
