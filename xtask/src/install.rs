//! `cargo xtask install`: the programs under their usual names, and what belongs to them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::programs::PROGRAMS;
use crate::shell::{self, cargo, step, target_directory, workspace};
use crate::{completions, man};

/// How the programs are built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// For use.
    Optimised,
    /// As tests have them built already.
    Unoptimised,
}

impl Profile {
    /// The one that is asked for.
    pub fn of(unoptimised: bool) -> Self {
        if unoptimised { Profile::Unoptimised } else { Profile::Optimised }
    }

    /// Cargo's name, and that of its directory.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Profile::Optimised => ("release", "release"),
            Profile::Unoptimised => ("dev", "debug"),
        }
    }
}

/// Builds the programs and copies them to `prefix/sbin`, and manual pages, completions and
/// profiles to where they belong in `prefix/share`.
///
/// # Errors
///
/// When the build fails or a directory cannot be written.
pub fn run(prefix: &Path, profile: Profile) -> Result<()> {
    let (name, directory) = profile.names();
    let mut build = cargo(["build", "--profile", name]);
    for program in PROGRAMS {
        build.args(["--bin", program.binary]);
    }
    shell::run(&mut build)?;
    let built = target_directory().join(directory);
    for program in PROGRAMS {
        copy(&built.join(program.binary), &prefix.join("sbin"), program.name)?;
    }
    let share = prefix.join("share");
    man::run(&share.join("man/man8"))?;
    completions::install(&share)?;
    profiles(&share.join("xfsprogs/mkfs"))
}

/// Copies the profiles for mkfs.xfs.
fn profiles(directory: &Path) -> Result<()> {
    let source = workspace().join("mkfs/profiles");
    if !source.exists() {
        return Ok(());
    }
    for file in fs::read_dir(&source).with_context(|| source.display().to_string())? {
        let file = file?;
        copy(&file.path(), directory, &file.file_name().to_string_lossy())?;
    }
    Ok(())
}

/// Puts a copy of `source` into a directory under this name.
fn copy(source: &Path, directory: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let target = directory.join(name);
    // Not over a program that is running: the new file takes the old one's name.
    let new = directory.join(format!(".{name}.new"));
    fs::copy(source, &new)
        .and_then(|_| fs::rename(&new, &target))
        .with_context(|| format!("cannot install {}", target.display()))?;
    step(&format!("installed {}", target.display()));
    Ok(())
}
