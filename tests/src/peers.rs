//! xfsprogs 7.2, run from the peers directory.
//!
//! `cargo xtask peers` unpacks Debian packages there: `prefix/` holds the files of the
//! packages, `bin/` has wrapper scripts for use by hand. The programs need a newer C
//! library than the machine may have, so they run through the prefix's own loader.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, bail, ensure};

/// Environment variable that names another peers directory.
pub const DIR_VARIABLE: &str = "XFS_PEERS_DIR";

/// Epoch given to mkfs.xfs so that two runs write the same bytes.
pub const EPOCH: &str = "1700000000";

/// The filesystem UUID used wherever two images are compared.
pub const UUID: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// The peers directory: `$XFS_PEERS_DIR`, else under `$XDG_CACHE_HOME`, else under `~/.cache`.
///
/// # Errors
///
/// When none of these variables is set.
pub fn directory() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os(DIR_VARIABLE) {
        return Ok(PathBuf::from(dir));
    }
    let cache = match std::env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()) {
        Some(dir) => PathBuf::from(dir),
        None => {
            let home = std::env::var_os("HOME").context("neither XFS_PEERS_DIR nor HOME is set")?;
            PathBuf::from(home).join(".cache")
        }
    };
    Ok(cache.join("xfsprogs-rs").join("peers"))
}

/// The installed peers.
#[derive(Debug, Clone)]
pub struct Peers {
    dir: PathBuf,
}

impl Peers {
    /// Finds the peers.
    ///
    /// # Errors
    ///
    /// When they are not installed; the message says how to install them.
    pub fn find() -> Result<Self> {
        Self::at(directory()?)
    }

    /// The peers installed in `dir`.
    ///
    /// # Errors
    ///
    /// When `dir` does not hold them.
    pub fn at(dir: PathBuf) -> Result<Self> {
        let peers = Peers { dir };
        ensure!(
            peers.loader().exists() && peers.program("mkfs.xfs").is_ok(),
            "xfsprogs 7.2 is not in {} (run `cargo xtask peers`)",
            peers.dir.display()
        );
        Ok(peers)
    }

    /// Finds the peers, or skips the calling test (see [`crate::skip`]).
    pub fn or_skip() -> Option<Self> {
        crate::skip::or_skip(Self::find())
    }

    /// The peers directory.
    pub fn directory(&self) -> &Path {
        &self.dir
    }

    /// The directory with the packages' files.
    pub fn prefix(&self) -> PathBuf {
        self.dir.join("prefix")
    }

    /// The prefix's C library directory.
    pub fn libraries(&self) -> PathBuf {
        self.prefix().join("usr/lib/x86_64-linux-gnu")
    }

    /// The prefix's program loader.
    pub fn loader(&self) -> PathBuf {
        self.libraries().join("ld-linux-x86-64.so.2")
    }

    /// User-mode Linux, patched to run with the prefix's libraries.
    pub fn user_mode_linux(&self) -> PathBuf {
        self.dir.join("bin/linux.uml")
    }

    /// The program `name` of the packages, to be run through the loader.
    fn program(&self, name: &str) -> Result<PathBuf> {
        for dir in ["usr/sbin", "usr/bin"] {
            let path = self.prefix().join(dir).join(name);
            if path.exists() {
                return Ok(path);
            }
        }
        bail!("the peers in {} have no program {name}", self.dir.display())
    }

    /// A command that runs the peer program `name`, such as `xfs_db`, deterministically.
    ///
    /// # Panics
    ///
    /// When xfsprogs has no such program.
    pub fn command(&self, name: &str) -> Command {
        let program = self.program(name).unwrap_or_else(|error| panic!("{error:#}"));
        let mut command = Command::new(self.loader());
        command.arg("--library-path").arg(self.libraries()).arg(program);
        deterministic(&mut command);
        command
    }

    /// Runs the peer program `name` and returns what it printed, whatever its exit status.
    ///
    /// # Errors
    ///
    /// When it could not be started.
    pub fn output<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<Output> {
        self.command(name).args(args).output().with_context(|| format!("cannot run {name}"))
    }

    /// Runs the peer program `name` and returns its standard output.
    ///
    /// # Errors
    ///
    /// When it could not be started or failed; the message has its standard error.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Result<String> {
        let mut command = self.command(name);
        command.args(args);
        run(&mut command)
    }

    /// Makes a filesystem of `size` bytes in the new file `image`, with mkfs.xfs options
    /// `options` (the words as on a command line) and the UUID [`UUID`] if they name none.
    ///
    /// # Errors
    ///
    /// When mkfs.xfs fails.
    pub fn mkfs(&self, image: &Path, size: u64, options: &[&str]) -> Result<()> {
        File::create(image)?.set_len(size)?;
        let mut command = self.command("mkfs.xfs");
        command.args(["-q", "-f"]);
        if !options.iter().any(|option| option.contains("uuid=")) {
            command.arg("-m").arg(format!("uuid={UUID}"));
        }
        command.args(options).arg(image);
        run(&mut command).map(drop)
    }

    /// What `xfs_repair -n` says about `image`; see [`Verdict::is_clean`].
    ///
    /// # Errors
    ///
    /// When it could not be started.
    pub fn check(&self, image: &Path) -> Result<Verdict> {
        // -f also when the image's sector size is not the file's.
        let output = self
            .command("xfs_repair")
            .args(["-n", "-f"])
            .arg(image)
            .output()
            .context("xfs_repair")?;
        let text = [output.stdout, output.stderr].concat();
        Ok(Verdict {
            exit: output.status.code(),
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }

    /// Asserts that `xfs_repair -n` finds nothing wrong in `image`.
    ///
    /// # Panics
    ///
    /// With the findings, when there are any.
    #[track_caller]
    pub fn assert_clean(&self, image: &Path) {
        let verdict = self.check(image).expect("xfs_repair runs");
        assert!(
            verdict.is_clean(),
            "xfs_repair -n finds fault with {} (exit {:?}):\n{}",
            image.display(),
            verdict.exit,
            verdict.findings().join("\n")
        );
    }

    /// Runs xfs_db read-only on `image` and returns what the commands printed.
    ///
    /// # Errors
    ///
    /// When xfs_db fails.
    pub fn db(&self, image: &Path, commands: &[&str]) -> Result<String> {
        let mut command = self.command("xfs_db");
        command.arg("-r");
        for line in commands {
            command.arg("-c").arg(line);
        }
        run(command.arg(image))
    }

    /// The kinds of intents (`EFI`, `RUI`, `CUI`, `BUI`, `XMI`) in the log of `image` that no done
    /// item answers, by `xfs_logprint -t`.
    ///
    /// # Errors
    ///
    /// When xfs_logprint could not be started.
    pub fn open_intents(&self, image: &Path) -> Result<BTreeSet<&'static str>> {
        const KINDS: [(&str, &str); 5] =
            [("EFI", "EFD"), ("RUI", "RUD"), ("CUI", "CUD"), ("BUI", "BUD"), ("XMI", "XMD")];
        let output = self.output("xfs_logprint", ["-t".as_ref(), image.as_os_str()])?;
        let log = String::from_utf8_lossy(&output.stdout).into_owned();
        let identifiers = |kind: &str| -> BTreeSet<String> {
            let lines = log.lines().filter(|line| line.trim_start().starts_with(kind));
            let found = lines.filter_map(|line| line.split_once("id:"));
            found.map(|(_, id)| id.trim().to_owned()).collect()
        };
        let open = KINDS.into_iter().filter(|(intent, done)| {
            identifiers(intent).difference(&identifiers(done)).next().is_some()
        });
        Ok(open.map(|(intent, _)| intent).collect())
    }

    /// Runs xfs_io on the mounted file or directory `path` and returns what the commands printed.
    ///
    /// # Errors
    ///
    /// When xfs_io fails.
    pub fn io(&self, path: &Path, commands: &[&str]) -> Result<String> {
        let mut command = self.command("xfs_io");
        command.arg("-x");
        for line in commands {
            command.arg("-c").arg(line);
        }
        run(command.arg(path))
    }
}

/// What `xfs_repair -n` said.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Exit status; 0 when nothing needs repair.
    pub exit: Option<i32>,
    /// Standard output and standard error.
    pub text: String,
}

impl Verdict {
    /// True when xfs_repair exits 0 and prints nothing beyond its progress.
    pub fn is_clean(&self) -> bool {
        self.exit == Some(0) && self.findings().is_empty()
    }

    /// The lines that are not progress reports.
    pub fn findings(&self) -> Vec<&str> {
        self.text.lines().filter(|line| !is_progress(line)).collect()
    }
}

/// True for the lines xfs_repair 7.2 prints about sound filesystems.
fn is_progress(line: &str) -> bool {
    const NOTES: [&str; 5] = [
        "Cannot get host filesystem geometry.",
        "Repair may fail if there is a sector size mismatch between",
        "the image and the host filesystem.",
        "No modify flag set, skipping ",
        "Phase ",
    ];
    const STEPS: [&str; 11] = [
        "zero log",
        "scan ",
        "scan (",
        "found root inode chunk",
        "process ",
        "agno = ",
        "rgno = ",
        "setting up ",
        "check for ",
        "travers",
        "moving disconnected inodes",
    ];
    match line.strip_prefix("        - ") {
        Some(step) => STEPS.iter().any(|start| step.starts_with(start)),
        None => line.trim().is_empty() || NOTES.iter().any(|note| line.starts_with(note)),
    }
}

/// Makes a mkfs.xfs started by `command` write the same bytes on every run.
pub fn deterministic(command: &mut Command) -> &mut Command {
    command.env("SOURCE_DATE_EPOCH", EPOCH).env("DETERMINISTIC_SEED", "1")
}

/// Runs `command` to its end and returns its standard output.
///
/// # Errors
///
/// When it cannot be started or fails; the message has what it printed.
pub fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    bail!(
        "{command:?} ended with {}\n{stdout}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    )
}
