//! A missing peer is never silent.
//!
//! Locally the test prints `SKIPPED: ...` straight to standard error (past the test
//! runner's capture) and returns; with `CI=true` in the environment it fails.
//! `cargo xtask test` names a file in [`SKIP_LOG`] and shows the number of skips.

use std::fs::OpenOptions;
use std::io::Write;

/// Environment variable naming a file that collects one line per skip.
pub const SKIP_LOG: &str = "XFS_TEST_SKIP_LOG";

/// Unwraps `found`, or skips the calling test: prints why and returns `None`.
///
/// # Panics
///
/// When the peer is missing and the environment says `CI=true`.
pub fn or_skip<T>(found: anyhow::Result<T>) -> Option<T> {
    match found {
        Ok(value) => Some(value),
        Err(why) => {
            skip(&format!("{why:#}"));
            None
        }
    }
}

/// Says that the calling test is skipped because of `why`.
///
/// # Panics
///
/// When the environment says `CI=true`.
pub fn skip(why: &str) {
    let name = std::thread::current().name().unwrap_or("?").to_owned();
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{name} cannot run in CI: {why}");
    let line = format!("SKIPPED: {name}: {why}\n");
    say(&line);
    if let Some(log) = std::env::var_os(SKIP_LOG)
        && let Ok(mut file) = OpenOptions::new().append(true).create(true).open(log)
    {
        let _ = file.write_all(line.as_bytes());
    }
}

/// Writes a line a reader of the test run should see, past the test runner's capture.
pub fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(line.as_bytes());
    if !line.ends_with('\n') {
        let _ = stderr.write_all(b"\n");
    }
}
