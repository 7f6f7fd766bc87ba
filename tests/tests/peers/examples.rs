//! The library's example programs: they check their own outcome, and Linux finds the same.

use anyhow::{Context, Result, ensure};
use tests::linux::Linux;
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;

/// Runs an example on an image of its own making; returns what Linux then prints for `script`.
fn run_and_read(name: &str, script: &str) -> Result<Option<String>> {
    let Some(peers) = Peers::or_skip() else { return Ok(None) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(None) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    let said = run(ours::command(&format!("examples/{name}")).arg(&image))?;
    peers.assert_clean(&image);
    say(said.trim_end());
    // Nothing without a name is left.
    let names = linux.script(&image, "ls -A $MNT | wc -l")?;
    ensure!(names.trim() == "1", "{names} files");
    linux.script(&image, script).map(Some)
}

#[test]
fn whole_files_are_committed_without_losing_an_entry() -> Result<()> {
    let Some(text) = run_and_read("whole_file_commit", "cat $MNT/members")? else { return Ok(()) };
    let mut lines = text.lines();
    let first = lines.next().context("an empty file")?;
    let names: Vec<&str> = lines.collect();
    ensure!(first == "100 members" && names.len() == 100, "{text}");
    ensure!(names.is_sorted() && names.windows(2).all(|pair| pair[0] != pair[1]), "{text}");
    Ok(())
}

#[test]
fn rows_are_committed_by_independent_writers() -> Result<()> {
    // The first two numbers of each block: the money and the version of a row.
    let script = "od -An -v -tu8 -w4096 $MNT/accounts | awk '{print $1, $2}'";
    let Some(text) = run_and_read("slim_lock_database", script)? else { return Ok(()) };
    let (mut money, mut versions) = (0, 0);
    for line in text.lines() {
        let (first, second) = line.split_once(' ').context("two numbers")?;
        money += first.parse::<u64>()?;
        versions += second.parse::<u64>()?;
    }
    ensure!(text.lines().count() == 64 && money == 64_000, "{text}");
    // Three rows each: 200 transactions at last, and about 100 before the power was cut.
    ensure!(versions % 3 == 0 && versions >= 3 * 300, "{versions} changes of rows");
    Ok(())
}
