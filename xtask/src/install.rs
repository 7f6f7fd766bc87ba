//! `cargo xtask install`: the programs under their usual names, and their manual pages.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::shell::{self, cargo, step, target_directory, workspace};

/// Cargo's name of each program and the name it is installed under.
const PROGRAMS: [(&str, &str); 4] = [
    ("mkfs_xfs", "mkfs.xfs"),
    ("xfs_io", "xfs_io"),
    ("xfs_repair", "xfs_repair"),
    ("xfs_db", "xfs_db"),
];

/// Builds the programs and copies them to `prefix/sbin`, and the manual pages to
/// `prefix/share/man/man8`.
///
/// # Errors
///
/// When the build fails or a directory cannot be written.
pub fn run(prefix: &Path) -> Result<()> {
    let mut build = cargo(["build", "--release"]);
    for (binary, _) in PROGRAMS {
        build.args(["--bin", binary]);
    }
    shell::run(&mut build)?;
    let (programs, pages) = (prefix.join("sbin"), prefix.join("share/man/man8"));
    for directory in [&programs, &pages] {
        fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    }
    for (binary, name) in PROGRAMS {
        let page = format!("{name}.8");
        copy(&target_directory().join("release").join(binary), &programs, name)?;
        copy(&workspace().join("man").join(&page), &pages, &page)?;
    }
    Ok(())
}

/// Puts a copy of `source` into a directory under this name.
fn copy(source: &Path, directory: &Path, name: &str) -> Result<()> {
    let target = directory.join(name);
    // Not over a program that is running: the new file takes the old one's name.
    let new = directory.join(format!(".{name}.new"));
    fs::copy(source, &new)
        .and_then(|_| fs::rename(&new, &target))
        .with_context(|| format!("cannot install {}", target.display()))?;
    step(&format!("installed {}", target.display()));
    Ok(())
}
