//! `cargo xtask test`: everything that must hold, from formatting to the peers' verdicts.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use ::tests::skip::SKIP_LOG;
use anyhow::{Context, Result, ensure};

use crate::peers;
use crate::shell::{self, cargo, step};

/// Runs all checks, then all tests (those whose name contains `filter` when there is one).
///
/// # Errors
///
/// At the first check that fails.
pub fn run(filter: Option<&str>) -> Result<()> {
    if let Err(error) = peers::set_up() {
        ensure!(std::env::var("CI").as_deref() != Ok("true"), "{error:#}");
        eprintln!("warning: {error:#}\nwarning: tests that need the peers will be SKIPPED");
    }
    step("cargo fmt --check");
    shell::run(&mut cargo(["fmt", "--all", "--check"]))?;
    step("cargo clippy");
    shell::run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    step("cargo build");
    shell::run(&mut cargo(["build", "--workspace", "--bins", "--examples"]))?;
    let scratch = tempfile::tempdir()?;
    let skip_log = scratch.path().join("skipped");
    let passed = if has_nextest() {
        step("cargo nextest run");
        nextest(filter, &skip_log)
    } else {
        step("cargo test");
        cargo_test(filter, &skip_log)
    };
    let skipped = fs::read_to_string(&skip_log).unwrap_or_default();
    for line in skipped.lines() {
        eprintln!("{line}");
    }
    step(&format!("{} skipped for want of a peer", skipped.lines().count()));
    passed?;
    step("all tests passed");
    Ok(())
}

/// True when cargo-nextest is installed.
fn has_nextest() -> bool {
    let mut probe = cargo(["nextest", "--version"]);
    let silent = probe.stdout(Stdio::null()).stderr(Stdio::null());
    silent.status().is_ok_and(|status| status.success())
}

/// Runs the tests with nextest, which prints its own totals; it does not run documentation
/// tests, so cargo does.
fn nextest(filter: Option<&str>, skip_log: &std::path::Path) -> Result<()> {
    let mut command = cargo(["nextest", "run", "--workspace", "--no-fail-fast"]);
    shell::run(command.args(filter).env(SKIP_LOG, skip_log))?;
    if filter.is_none() {
        step("cargo test --doc");
        shell::run(&mut cargo(["test", "--workspace", "--doc", "--quiet"]))?;
    }
    Ok(())
}

/// Runs the tests with cargo and adds up its totals.
fn cargo_test(filter: Option<&str>, skip_log: &std::path::Path) -> Result<()> {
    let mut command = cargo(["test", "--workspace", "--no-fail-fast"]);
    command.args(filter).env(SKIP_LOG, skip_log).stdout(Stdio::piped());
    let (totals, ok) = run_and_count(&mut command)?;
    step(&format!("{} passed, {} failed, {} ignored", totals[0], totals[1], totals[2]));
    ensure!(ok, "cargo test failed");
    Ok(())
}

/// Runs `command`, passing on what it prints; sums the `test result:` lines up.
fn run_and_count(command: &mut Command) -> Result<([u64; 3], bool)> {
    let mut child = command.spawn().context("cannot run cargo test")?;
    let mut totals = [0; 3];
    let output = child.stdout.take().context("the pipe is there")?;
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if line.starts_with("test result:") {
            let kinds = ["passed", "failed", "ignored"];
            for (total, kind) in totals.iter_mut().zip(kinds) {
                *total += count(&line, kind);
            }
        }
    }
    Ok((totals, child.wait()?.success()))
}

/// The number before `kind` in a line like `test result: ok. 4 passed; 0 failed; ...`.
fn count(line: &str, kind: &str) -> u64 {
    let words: Vec<&str> = line.split([' ', ';']).collect();
    let place = words.iter().position(|word| *word == kind).and_then(|place| place.checked_sub(1));
    place.and_then(|place| words[place].parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn reads_cargo_test_totals() {
        let line = "test result: FAILED. 14 passed; 2 failed; 3 ignored; 0 measured; 0 filtered";
        let counts = ["passed", "failed", "ignored"].map(|kind| count(line, kind));
        assert_eq!(counts, [14, 2, 3]);
    }
}
