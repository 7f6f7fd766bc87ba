//! This workspace's own programs, found beside the running test or xtask.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Environment variable naming the directory with our programs (else the target directory
/// the caller was built in).
pub const DIR_VARIABLE: &str = "XFS_PROGRAMS_DIR";

/// The path of our program `name`, such as `mkfs_xfs` or `examples/whole_file_commit`.
///
/// # Errors
///
/// When it has not been built; `cargo xtask test` builds everything first.
pub fn path(name: &str) -> Result<PathBuf> {
    let dir = match std::env::var_os(DIR_VARIABLE) {
        Some(dir) => PathBuf::from(dir),
        None => beside_this_program()?,
    };
    let path = dir.join(name);
    ensure!(
        path.exists(),
        "{} is missing (run `cargo build --workspace --bins --examples`)",
        path.display()
    );
    Ok(path)
}

/// A command that runs our program `name`, deterministically.
///
/// # Panics
///
/// When it has not been built.
pub fn command(name: &str) -> Command {
    let path = path(name).unwrap_or_else(|error| panic!("{error:#}"));
    let mut command = Command::new(path);
    crate::peers::deterministic(&mut command);
    command
}

/// `target/debug` or `target/release`: tests run from its `deps` directory.
fn beside_this_program() -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let dir = exe.parent().context("a program is in a directory")?;
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    Ok(dir.to_owned())
}
