//! `cargo xtask bench`: our programs against xfsprogs 7.2 and Linux, in one run.
//!
//! Each benchmark is a function that gives one [`Row`]: the median wall time of ours and of
//! the peer, taken in turn on images of the same content. Linux works on a loop mount, with
//! mounting and unmounting left out of its time; ours open and close the filesystem within
//! theirs.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::tests::linux;
use ::tests::ours::DIR_VARIABLE;
use ::tests::peers::Peers;
use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use crate::peers;
use crate::shell::{self, cargo, step, target_directory};

mod atomic;
mod dump;
mod files;
mod log;
pub mod look;
mod mkfs;

/// What a benchmark found.
pub struct Row {
    /// What was done.
    pub name: String,
    /// Our median time.
    pub ours: Duration,
    /// The peer's median time.
    pub theirs: Duration,
    /// Anything else worth saying, such as bytes written.
    pub note: String,
}

/// A benchmark.
type Bench = fn(&Bencher) -> Result<Vec<Row>>;

/// All benchmarks: a name for the filter, whether a Linux mount is needed, the function.
const BENCHES: &[(&str, bool, Bench)] = &[
    ("atomic", true, atomic::atomic),
    ("mkfs", false, mkfs::mkfs),
    ("exchange", true, files::exchange),
    ("create", true, files::create),
    ("put", true, files::put_and_get),
    ("replay", true, log::replay),
    ("look", true, look::look),
    ("dump", true, dump::dump),
];

/// What every benchmark gets.
pub struct Bencher {
    /// xfsprogs 7.2.
    pub peers: Peers,
    /// A directory for images, emptied at the end.
    pub scratch: TempDir,
    /// How often each side is measured.
    pub runs: usize,
}

/// Runs the benchmarks whose name contains `filter`, in a directory below `dir`.
///
/// # Errors
///
/// When a program fails.
pub fn run(filter: &str, dir: Option<&Path>, runs: usize) -> Result<()> {
    ensure!(runs > 0, "--runs must be at least 1");
    let peers = peers::set_up()?;
    if std::env::var_os(DIR_VARIABLE).is_none() {
        shell::run(&mut cargo(["build", "--release", "--workspace", "--bins"]))?;
    }
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("xfs-bench-");
    let scratch = match dir {
        Some(dir) => builder.tempdir_in(dir)?,
        None => builder.tempdir()?,
    };
    let context = Bencher { peers, scratch, runs };
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for (name, needs_linux, bench) in BENCHES {
        if !name.contains(filter) {
            continue;
        }
        step(name);
        match (needs_linux, linux::host()) {
            (true, Err(why)) => eprintln!("SKIPPED: {name}: {why:#}"),
            _ => match bench(&context) {
                Ok(found) => rows.extend(found),
                Err(error) => failed.push(format!("{name}: {error:#}")),
            },
        }
    }
    print_table(&rows, runs);
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    Ok(())
}

impl Bencher {
    /// A path in the scratch directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Measures `ours` and `theirs` in turn; each gets the number of the run.
    pub fn compare(
        &self,
        name: impl Into<String>,
        mut ours: impl FnMut(usize) -> Result<Duration>,
        mut theirs: impl FnMut(usize) -> Result<Duration>,
    ) -> Result<Row> {
        let mut times = (Vec::new(), Vec::new());
        for run in 0..self.runs {
            times.0.push(ours(run).context("ours")?);
            times.1.push(theirs(run).context("theirs")?);
        }
        let (ours, theirs) = (median(times.0), median(times.1));
        Ok(Row { name: name.into(), ours, theirs, note: String::new() })
    }
}

/// Our optimised program `name`, or that in the directory `$XFS_PROGRAMS_DIR`.
pub fn ours(name: &str) -> Command {
    let built = target_directory().join("release");
    let directory = std::env::var_os(DIR_VARIABLE).map_or(built, PathBuf::from);
    Command::new(directory.join(name))
}

/// Runs `command`, discarding what it prints, and returns the time from start to end.
///
/// # Errors
///
/// When it fails; the message has its standard error.
pub fn time(command: &mut Command) -> Result<Duration> {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let start = Instant::now();
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let time = start.elapsed();
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(time)
}

/// The middle one of the times, or the mean of the middle two.
fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    let (low, high) = (times[(times.len() - 1) / 2], times[times.len() / 2]);
    (low + high) / 2
}

/// Prints the results with ratios.
fn print_table(rows: &[Row], runs: usize) {
    println!("\n| medians of {runs} | ours | peer | peer / ours | |");
    println!("| --- | ---: | ---: | ---: | --- |");
    for Row { name, ours, theirs, note } in rows {
        let ratio = theirs.as_secs_f64() / ours.as_secs_f64().max(1e-9);
        println!("| {name} | {} | {} | {ratio:.2} | {note} |", show(*ours), show(*theirs));
    }
}

/// A time in milliseconds.
fn show(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::{Duration, median};

    #[test]
    fn median_of_odd_and_even_counts() {
        let seconds = |list: &[u64]| list.iter().map(|n| Duration::from_secs(*n)).collect();
        assert_eq!(median(seconds(&[9, 1, 5])), Duration::from_secs(5));
        assert_eq!(median(seconds(&[9, 1, 5, 7])), Duration::from_secs(6));
    }
}
