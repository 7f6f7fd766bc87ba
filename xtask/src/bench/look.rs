//! Looking at a whole filesystem of a million inodes: time and peak memory of our xfs_db and
//! that of 7.2. Making the image is left out.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::tests::linux;
use ::tests::sparse;
use anyhow::{Context, Result, ensure};
use rustix::fs::{FallocateFlags, fallocate};

use super::{Bencher, Row, median, ours};

/// Size of the image, most of it never written.
const SIZE: u64 = 16 << 30;
/// Directories, and files in each of them.
const DIRECTORIES: usize = 1000;
/// Files in a directory.
const FILES: usize = 1000;
/// How often the peak of memory is looked at.
const PERIOD: Duration = Duration::from_millis(2);

/// What a program took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Wall time.
    pub time: Duration,
    /// Peak of resident memory in bytes.
    pub memory: u64,
}

/// An image that Linux filled with a thousand directories of a thousand files, each of which
/// has a block; every tenth file has ten extents. Made once for all benchmarks of a run.
///
/// # Errors
///
/// When it cannot be made or mounted.
pub fn million_inodes(bencher: &Bencher) -> Result<PathBuf> {
    let image = bencher.path("million-inodes");
    if image.exists() {
        return Ok(image);
    }
    let new = bencher.path("million-inodes.new");
    bencher.peers.mkfs(&new, SIZE, &[])?;
    linux::mount(&new, |root| {
        (0..DIRECTORIES).try_for_each(|index| fill(&root.join(format!("directory-{index:04}"))))
    })?;
    fs::rename(&new, &image)?;
    Ok(image)
}

fn fill(directory: &Path) -> Result<()> {
    fs::create_dir(directory)?;
    for index in 0..FILES {
        let file = File::create(directory.join(format!("file-{index:04}")))?;
        let extents = if index % 10 == 0 { 10 } else { 1 };
        for extent in 0..extents {
            fallocate(&file, FallocateFlags::empty(), extent * 8192, 4096)?;
        }
    }
    Ok(())
}

/// Runs a program to its end, its output thrown away.
///
/// # Errors
///
/// When it cannot be started or fails.
pub fn cost(command: &mut Command) -> Result<Cost> {
    let start = Instant::now();
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut memory = 0;
    let ended = loop {
        memory = peak(&status).unwrap_or(0).max(memory);
        match child.try_wait()? {
            Some(ended) => break ended,
            None => std::thread::sleep(PERIOD),
        }
    };
    ensure!(ended.success(), "{command:?} ended with {ended}");
    Ok(Cost { time: start.elapsed(), memory })
}

/// The greatest resident memory that a running process had, in bytes.
fn peak(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// Measures both sides in turn; the note has the medians of memory.
///
/// # Errors
///
/// When one of them fails.
pub fn compare(
    bencher: &Bencher,
    name: &str,
    mut ours: impl FnMut() -> Result<Cost>,
    mut theirs: impl FnMut() -> Result<Cost>,
) -> Result<Row> {
    let (mut own, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..bencher.runs {
        own.push(ours().context("ours")?);
        peer.push(theirs().context("theirs")?);
    }
    let time = |costs: &[Cost]| median(costs.iter().map(|cost| cost.time).collect());
    let memory = |costs: &[Cost]| {
        let mut all: Vec<u64> = costs.iter().map(|cost| cost.memory).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied().unwrap_or(0).max(1)
    };
    let (own_memory, peer_memory) = (memory(&own), memory(&peer));
    let note = format!(
        "memory {} / {} MiB, 1/{:.1}",
        own_memory >> 20,
        peer_memory >> 20,
        peer_memory as f64 / own_memory as f64
    );
    Ok(Row { name: name.into(), ours: time(&own), theirs: time(&peer), note })
}

/// `frag`, `freesp`, `blockget` and names of all inodes.
pub fn look(bencher: &Bencher) -> Result<Vec<Row>> {
    let image = million_inodes(bencher)?;
    let bytes = sparse::data_bytes(&image)?;
    eprintln!("image of {} inodes, {} MiB", DIRECTORIES * (FILES + 1), bytes >> 20);
    let mut rows = Vec::new();
    for commands in [&["frag"][..], &["freesp -s"], &["blockget"], &["blockget -n", "ncheck"]] {
        let with = |mut command: Command| {
            command.arg("-r");
            for line in commands {
                command.args(["-c", line]);
            }
            command.arg(&image);
            cost(&mut command)
        };
        rows.push(compare(
            bencher,
            &commands.join(", "),
            || with(ours("xfs_db")),
            || with(bencher.peers.command("xfs_db")),
        )?);
    }
    Ok(rows)
}
