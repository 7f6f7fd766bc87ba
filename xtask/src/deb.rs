//! `cargo xtask deb`: a Debian package of everything that `cargo xtask install` installs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::install::{self, Profile};
use crate::shell::{self, step, workspace};

/// Name of the package.
const NAME: &str = "xfsprogs-rs";

/// Makes the package in `directory`; returns its path.
///
/// # Errors
///
/// When the build fails, dpkg-deb is missing, or a file cannot be written.
pub fn run(directory: &Path, profile: Profile) -> Result<PathBuf> {
    fs::create_dir_all(directory).with_context(|| directory.display().to_string())?;
    let scratch = tempfile::tempdir()?;
    let root = scratch.path().join("root");
    install::run(&root.join("usr"), profile)?;
    compress_pages(&root.join("usr/share/man/man8"))?;
    documents(&root.join("usr/share/doc").join(NAME))?;
    let architecture = output(Command::new("dpkg").arg("--print-architecture"))?;
    let control = root.join("DEBIAN/control");
    fs::create_dir_all(root.join("DEBIAN"))?;
    fs::write(&control, control_file(&architecture, installed_size(&root)?)?)?;
    let package =
        directory.join(format!("{NAME}_{}_{architecture}.deb", env!("CARGO_PKG_VERSION")));
    // Programs for tests are large and packed only to be unpacked.
    let compression = if profile == Profile::Optimised { "-Zxz" } else { "-Znone" };
    shell::run(
        Command::new("dpkg-deb")
            .args(["--root-owner-group", compression, "--build"])
            .args([root.as_path(), &package]),
    )?;
    step(&format!("made {}", package.display()));
    Ok(package)
}

/// The package's description of itself. It has programs of the same names as xfsprogs, but not
/// all of them, so it takes its place only where nothing asks for xfsprogs.
fn control_file(architecture: &str, kibibytes: u64) -> Result<String> {
    Ok(format!(
        "Package: {NAME}\n\
         Version: {}\n\
         Architecture: {architecture}\n\
         Maintainer: xfsprogs-rs developers <xfsprogs-rs@localhost>\n\
         Installed-Size: {kibibytes}\n\
         Depends: libc6 (>= {}), libgcc-s1\n\
         Conflicts: xfsprogs\n\
         Replaces: xfsprogs\n\
         Section: admin\n\
         Priority: optional\n\
         Description: make, look at, change and recover XFS filesystems, unmounted and without root\n \
         mkfs.xfs, xfs_io, xfs_repair and xfs_db on one library that has the XFS format and a\n \
         journal of its own: files inside images can be changed atomically, and a dirty log is\n \
         replayed without mounting.\n",
        env!("CARGO_PKG_VERSION"),
        library_version()?,
    ))
}

/// Version of the C library here, which the programs are linked with.
fn library_version() -> Result<String> {
    let text = output(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    text.strip_prefix("glibc ").map(str::to_owned).context("the C library is not glibc")
}

/// Kibibytes of all files below `root`.
fn installed_size(root: &Path) -> Result<u64> {
    let text = output(Command::new("du").args(["-sk", "--apparent-size"]).arg(root))?;
    let number = text.split_whitespace().next().unwrap_or_default();
    Ok(number.parse()?)
}

/// Compresses manual pages, as Debian has them.
fn compress_pages(directory: &Path) -> Result<()> {
    for page in fs::read_dir(directory)? {
        shell::run(Command::new("gzip").args(["-9", "-n"]).arg(page?.path()))?;
    }
    Ok(())
}

/// Licence and introduction.
fn documents(directory: &Path) -> Result<()> {
    fs::create_dir_all(directory)?;
    for (source, name) in [("LICENSE", "copyright"), ("README.md", "README.md")] {
        fs::copy(workspace().join(source), directory.join(name)).context(source)?;
    }
    Ok(())
}

/// What a program prints, without the end of the line.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed ({})", output.status);
    Ok(String::from_utf8(output.stdout)?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The package is unpacked as dpkg does it, and its programs work from there.
    #[test]
    fn a_package_unpacks_into_programs_that_run() {
        if Command::new("dpkg-deb").arg("--version").output().is_err() {
            return ::tests::skip::say("no dpkg-deb: the package was not made");
        }
        let scratch = tempfile::tempdir().unwrap();
        let package = run(scratch.path(), Profile::Unoptimised).unwrap();
        let fields = output(Command::new("dpkg-deb").arg("-I").arg(&package)).unwrap();
        assert!(fields.contains("Package: xfsprogs-rs\n"), "{fields}");
        let root = scratch.path().join("root");
        shell::run(Command::new("dpkg-deb").arg("-x").args([&package, &root])).unwrap();
        let image = scratch.path().join("image");
        let make = format!("name={},file,size=300m", image.display());
        shell::run(Command::new(root.join("usr/sbin/mkfs.xfs")).args(["-q", "-d", &make])).unwrap();
        let printed = output(
            Command::new(root.join("usr/sbin/xfs_db"))
                .args(["-c", "sb 0", "-c", "p agcount"])
                .arg(&image),
        );
        assert_eq!(printed.unwrap(), "agcount = 4");
        for file in [
            "man/man8/xfs_db.8.gz",
            "bash-completion/completions/mkfs.xfs",
            "doc/xfsprogs-rs/copyright",
        ] {
            assert!(root.join("usr/share").join(file).exists(), "{file} is missing");
        }
    }
}
