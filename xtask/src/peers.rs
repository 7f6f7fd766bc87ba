//! `cargo xtask peers`: xfsprogs 7.2 and user-mode Linux, unpacked from Debian packages.
//!
//! The packages are in a newer Debian suite than the machine may run, so apt-get gets a
//! configuration of its own under the peers directory: nothing of the system is touched and
//! no root is needed. The mirror is the machine's own.
//!
//! | in the peers directory | |
//! | --- | --- |
//! | `prefix/` | the packages' files, C library included |
//! | `bin/` | wrapper scripts to use the programs by hand; `linux.uml` ready to boot |
//! | `sources.list`, `status`, `lists/`, `cache/` | apt-get's own |
//! | `stamp` | what is installed; written last |

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::{Flock, FlockArg};
use tests::peers::{Peers, directory, run};

use crate::shell::step;

/// The Debian suite with xfsprogs 7.2.
const SUITE: &str = "forky";

/// What is asked for; dependencies come along.
const PACKAGES: [&str; 4] = ["xfsprogs", "xfslibs-dev", "user-mode-linux", "patchelf"];

/// Names of packages whose files no peer needs begin with these.
const UNNEEDED: [&str; 3] = ["python3", "libpython3", "debconf"];

/// Programs that get a wrapper script.
const WRAPPED: [&str; 8] = [
    "mkfs.xfs",
    "xfs_db",
    "xfs_io",
    "xfs_logprint",
    "xfs_mdrestore",
    "xfs_metadump",
    "xfs_repair",
    "xfs_scrub",
];

/// Changes whenever the layout above does.
const LAYOUT: &str = "layout 1";

/// Installs the peers unless they are installed, and returns them.
///
/// # Errors
///
/// When this is no Debian on amd64, the mirror cannot be reached, or a package fails.
pub fn set_up() -> Result<Peers> {
    let dir = directory()?;
    if let Some(peers) = installed(&dir) {
        return Ok(peers);
    }
    step(&format!("setting up xfsprogs 7.2 and user-mode Linux in {}", dir.display()));
    fs::create_dir_all(&dir).with_context(|| dir.display().to_string())?;
    let lock = Flock::lock(File::create(dir.join("lock"))?, FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno)
        .context("locking the peers directory")?;
    // Somebody else may have done it while this process waited for the lock.
    if installed(&dir).is_none() {
        Setup { dir: dir.clone() }.install().context("setting up the peers")?;
    }
    drop(lock);
    installed(&dir).context("the peers were set up, but they are not complete")
}

/// The peers in `dir`, when a finished setup of this layout is there.
fn installed(dir: &Path) -> Option<Peers> {
    let stamp = fs::read_to_string(dir.join("stamp")).ok()?;
    let peers = Peers::at(dir.to_owned()).ok()?;
    (stamp.starts_with(LAYOUT) && peers.user_mode_linux().exists()).then_some(peers)
}

/// A setup in progress.
struct Setup {
    dir: PathBuf,
}

impl Setup {
    fn install(&self) -> Result<()> {
        require_debian()?;
        self.update_from_some_mirror()?;
        self.apt(&["--assume-yes", "install", "--no-install-recommends", "--download-only"])
            .and_then(|mut command| run(command.args(PACKAGES)))
            .context("downloading the packages")?;
        let unpacked = self.unpack()?;
        let peers = Peers::at(self.dir.clone())?;
        self.write_wrappers(&peers)?;
        self.patch_user_mode_linux(&peers)?;
        let version = peers.run("mkfs.xfs", ["-V"])?;
        let version = version.trim();
        if !version.contains("version 7.2") {
            eprintln!("warning: {SUITE} has {version}; the tests are written for 7.2");
        }
        step(&format!("installed {version} and its {} packages", unpacked.len()));
        fs::write(self.dir.join("stamp"), format!("{LAYOUT}\n{}\n", unpacked.join("\n")))?;
        Ok(())
    }

    /// apt-get with a configuration of its own.
    fn apt(&self, args: &[&str]) -> Result<Command> {
        for partial in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(self.dir.join(partial))?;
        }
        File::create(self.dir.join("status"))?;
        let mut command = Command::new("apt-get");
        let option = |name: &str, file: &str| format!("{name}={}", self.dir.join(file).display());
        for option in [
            option("Dir::Etc::sourcelist", "sources.list"),
            option("Dir::State::lists", "lists"),
            option("Dir::State::status", "status"),
            option("Dir::Cache", "cache"),
            "Dir::Etc::sourceparts=-".to_owned(),
            "Dir::Etc::preferences=-".to_owned(),
            "Dir::Etc::preferencesparts=-".to_owned(),
            "Debug::NoLocking=1".to_owned(),
            // As root apt would download as another user, who cannot write here.
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command
            .arg("--quiet")
            .args(args)
            .env("LC_ALL", "C")
            .env("DEBIAN_FRONTEND", "noninteractive");
        Ok(command)
    }

    /// Fetches the suite's package lists from the first of the machine's mirrors that has it.
    fn update_from_some_mirror(&self) -> Result<()> {
        let keyring = Path::new("/usr/share/keyrings/debian-archive-keyring.gpg");
        let signed = match keyring.exists() {
            true => format!("[signed-by={}] ", keyring.display()),
            false => String::new(),
        };
        let mut last = None;
        for mirror in mirrors()? {
            fs::write(
                self.dir.join("sources.list"),
                format!("deb {signed}{mirror} {SUITE} main\n"),
            )?;
            match run(&mut self.apt(&["-o", "APT::Update::Error-Mode=any", "update"])?) {
                Ok(_) => return Ok(()),
                Err(error) => last = Some(error.context(format!("no suite {SUITE} at {mirror}"))),
            }
        }
        Err(last.unwrap_or_else(|| anyhow::anyhow!("apt-get knows no Debian mirror here")))
    }

    /// Unpacks the downloaded packages into a new prefix and puts it in place of the old one.
    fn unpack(&self) -> Result<Vec<String>> {
        let (new, old) = (self.dir.join("prefix.new"), self.dir.join("prefix.old"));
        let prefix = self.dir.join("prefix");
        remove(&new)?;
        remove(&old)?;
        fs::create_dir(&new)?;
        let mut unpacked = Vec::new();
        for package in self.packages()? {
            let name = package.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if UNNEEDED.iter().any(|start| name.starts_with(start)) {
                continue;
            }
            run(Command::new("dpkg").arg("-x").arg(&package).arg(&new))?;
            unpacked.push(name);
        }
        if prefix.exists() {
            fs::rename(&prefix, &old)?;
        }
        fs::rename(&new, &prefix)?;
        remove(&old)?;
        Ok(unpacked)
    }

    /// The downloaded package files, newest versions only.
    fn packages(&self) -> Result<Vec<PathBuf>> {
        run(&mut self.apt(&["autoclean"])?)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(self.dir.join("cache/archives"))? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                files.push(path);
            }
        }
        files.sort();
        ensure!(!files.is_empty(), "apt-get downloaded nothing");
        Ok(files)
    }

    /// Scripts that run the programs from a shell.
    fn write_wrappers(&self, peers: &Peers) -> Result<()> {
        fs::create_dir_all(self.dir.join("bin"))?;
        let (loader, libraries) = (peers.loader(), peers.libraries());
        for name in WRAPPED {
            let program = peers.prefix().join("usr/sbin").join(name);
            let script = format!(
                "#!/bin/sh\nexec '{}' --library-path '{}' '{}' \"$@\"\n",
                loader.display(),
                libraries.display(),
                program.display()
            );
            let wrapper = self.dir.join("bin").join(name);
            fs::write(&wrapper, script)?;
            fs::set_permissions(&wrapper, Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    /// User-mode Linux executes itself again, so the loader and libraries are set in the file.
    fn patch_user_mode_linux(&self, peers: &Peers) -> Result<()> {
        let new = self.dir.join("bin/linux.uml.new");
        fs::copy(peers.prefix().join("usr/bin/linux.uml"), &new)?;
        run(peers
            .command("patchelf")
            .arg("--set-interpreter")
            .arg(peers.loader())
            .arg("--set-rpath")
            .arg(peers.libraries())
            .arg(&new))
        .context("patching user-mode Linux")?;
        fs::rename(&new, peers.user_mode_linux())?;
        Ok(())
    }
}

/// Refuses machines these packages are not for.
fn require_debian() -> Result<()> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    ensure!(
        release.lines().any(|line| line == "ID=debian"),
        "the peers are Debian packages, and this is no Debian (/etc/os-release)"
    );
    let architecture = run(Command::new("dpkg").arg("--print-architecture"))?;
    ensure!(
        architecture.trim() == "amd64",
        "user-mode Linux is only packaged for amd64, this is {}",
        architecture.trim()
    );
    Ok(())
}

/// The machine's own Debian mirrors, the likeliest first.
fn mirrors() -> Result<Vec<String>> {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    // Without release information the targets are listed even before any `apt-get update`.
    let targets = run(Command::new("apt-get").args([
        "indextargets",
        "--no-release-info",
        "--format",
        "$(REPO_URI) $(RELEASE) $(COMPONENT)",
    ]))?;
    let mut likely = Vec::new();
    let mut others = Vec::new();
    for line in targets.lines() {
        let [uri, suite, component] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        let list = if Some(suite) == codename { &mut likely } else { &mut others };
        if component == "main" && !uri.contains("security") && !list.contains(&uri.to_owned()) {
            list.push(uri.to_owned());
        }
    }
    others.retain(|uri| !likely.contains(uri));
    likely.extend(others);
    if likely.is_empty() {
        bail!("apt-get has no Debian sources (apt-get indextargets lists none)");
    }
    Ok(likely)
}

/// Removes a directory that may not be there.
fn remove(dir: &Path) -> Result<()> {
    if dir.exists() {
        fs::remove_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    Ok(())
}
