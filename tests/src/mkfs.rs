//! One command line given to mkfs_xfs and to mkfs.xfs 7.2, and everything compared that they did:
//! exit status, words, and every file in the directory they ran in.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result};

use crate::ours;
use crate::peers::{Peers, UUID};
use crate::scratch::Scratch;
use crate::sparse::{create, same_bytes};

/// What both programs did when they did the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// They made a filesystem, or said what they would have made.
    Made,
    /// They refused.
    Refused,
}

/// Files beside the image.
#[derive(Debug, Clone, Copy)]
pub struct Beside<'a> {
    /// Name in the directory.
    pub name: &'a str,
    /// What it holds at its start.
    pub content: &'a [u8],
    /// Its length in bytes.
    pub length: u64,
}

impl<'a> Beside<'a> {
    /// A device of `length` bytes that holds nothing.
    pub fn device(name: &'a str, length: u64) -> Self {
        Self { name, content: &[], length }
    }

    /// A file of text.
    pub fn text(name: &'a str, text: &'a str) -> Self {
        Self { name, content: text.as_bytes(), length: text.len() as u64 }
    }
}

/// Runs both programs with the words of `options` on a file `image` of `size` bytes. The options
/// get a UUID if they have none; they get the name of the image unless they have a device's name
/// or the word `NODEVICE`.
///
/// # Errors
///
/// What differs.
pub fn compare(
    peers: &Peers,
    size: u64,
    options: &str,
    beside: &[Beside<'_>],
) -> Result<Outcome, String> {
    let scratch = Scratch::for_size(size).map_err(|error| error.to_string())?;
    let run = |mkfs, name| {
        let dir = scratch.path(name);
        make(mkfs, &dir, size, options, beside).map_err(|error| format!("{error:#}"))
    };
    let theirs = run(peers.command("mkfs.xfs"), "theirs")?;
    let ours = run(ours::command("mkfs_xfs"), "ours")?;
    if !theirs.status.success() {
        // Whatever 7.2 leaves behind, a refusal of ours changes nothing.
        lay_out(&scratch.path("before"), size, beside).map_err(|error| format!("{error:#}"))?;
        compare_files(&scratch.path("ours"), &scratch.path("before"))
            .map_err(|error| format!("{error:#}"))?
            .map_or(Ok(()), Err)?;
    }
    if words(&theirs).contains("Metadata corruption detected") && !ours.status.success() {
        // 7.2 noticed only when it was to write what it had planned.
        return Ok(Outcome::Refused);
    }
    if words(&ours) != words(&theirs) {
        return Err(first_difference(&words(&ours), &words(&theirs)));
    }
    if !theirs.status.success() {
        return Ok(Outcome::Refused);
    }
    compare_files(&scratch.path("ours"), &scratch.path("theirs"))
        .map_err(|error| format!("{error:#}"))?
        .map_or(Ok(Outcome::Made), Err)
}

/// Makes the directory `dir` with the files that a mkfs is to find.
fn lay_out(dir: &Path, size: u64, beside: &[Beside<'_>]) -> Result<()> {
    std::fs::create_dir(dir)?;
    create(&dir.join("image"), size)?;
    for file in beside {
        create(&dir.join(file.name), file.length)?.write_all_at(file.content, 0)?;
    }
    Ok(())
}

/// Runs a mkfs in the new directory `dir`.
fn make(
    mut mkfs: Command,
    dir: &Path,
    size: u64,
    options: &str,
    beside: &[Beside<'_>],
) -> Result<Output> {
    lay_out(dir, size, beside)?;
    if !options.contains("uuid=") {
        mkfs.args(["-m", &format!("uuid={UUID}")]);
    }
    mkfs.args(options.split_whitespace().filter(|word| *word != "NODEVICE"));
    if !options.contains("name=image") && !options.contains("NODEVICE") {
        mkfs.arg("image");
    }
    Ok(mkfs.current_dir(dir).output()?)
}

/// Exit status and all that was printed, with the program's own name made the same.
pub fn words(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    let text = String::from_utf8_lossy(&text).replace("mkfs_xfs", "mkfs.xfs");
    // getopt's messages begin with the path the program was started by.
    let lines = text.lines().map(|line| match line.split_once("/mkfs.xfs: ") {
        Some((_, message)) => format!("mkfs.xfs: {message}"),
        None => line.to_owned(),
    });
    let mut lines: Vec<String> = lines.collect();
    // ... and come twice, since 7.2 goes over the command line twice.
    lines.dedup();
    format!("{}\n{}", output.status, lines.join("\n"))
}

/// The first line that differs.
fn first_difference(ours: &str, theirs: &str) -> String {
    let (mut ours, mut theirs) = (ours.lines(), theirs.lines());
    loop {
        let pair = (ours.next(), theirs.next());
        if pair.0 != pair.1 || pair.0.is_none() {
            return format!("said {:?} instead of {:?}", pair.0, pair.1);
        }
    }
}

/// The first difference between the files of two directories.
fn compare_files(ours: &Path, theirs: &Path) -> Result<Option<String>> {
    let (mut names, mut theirs_names) = (BTreeSet::new(), BTreeSet::new());
    for (dir, names) in [(ours, &mut names), (theirs, &mut theirs_names)] {
        for entry in std::fs::read_dir(dir)? {
            names.insert(PathBuf::from(entry?.file_name()));
        }
    }
    if names != theirs_names {
        return Ok(Some(format!("left the files {names:?} instead of {theirs_names:?}")));
    }
    for name in names {
        let (left, right) = (ours.join(&name), theirs.join(&name));
        let difference = same_bytes(&left, &right).context(name.display().to_string())?;
        if let Some(difference) = difference {
            let first = difference.first;
            return Ok(Some(format!(
                "{}: {difference:x?}\n  ours   {}\n  theirs {}",
                name.display(),
                bytes_at(&left, first),
                bytes_at(&right, first)
            )));
        }
    }
    Ok(None)
}

/// 16 bytes of a file in hexadecimal, from the 16-byte boundary at or before `offset`.
fn bytes_at(path: &Path, offset: u64) -> String {
    let start = offset / 16 * 16;
    let mut bytes = [0; 16];
    let _ = File::open(path).and_then(|file| file.read_exact_at(&mut bytes, start));
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{start:#x}: {}", hex.join(" "))
}

/// A number of bytes with a suffix k, m, g or t.
///
/// # Panics
///
/// When `text` is not that.
pub fn parse_size(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.len() - 1);
    let shift = match unit {
        "k" => 10,
        "m" => 20,
        "g" => 30,
        "t" => 40,
        _ => panic!("size {text}"),
    };
    number.parse::<u64>().unwrap() << shift
}
