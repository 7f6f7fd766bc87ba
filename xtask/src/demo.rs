//! `cargo xtask demo`: two files on an image are exchanged, the power fails in the middle,
//! and the log's replay finishes the exchange. Needs no root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use ::tests::manifest::Content;
use ::tests::peers::Peers;
use ::tests::sparse::{copy, same_bytes};
use anyhow::{Context, Result, ensure};

use crate::shell::{self, cargo, step, target_directory, workspace};

/// Size of the demo's image in bytes.
const SIZE: u64 = 1 << 30;

/// Runs the demo in a temporary directory.
///
/// # Errors
///
/// When a step does not do what it should.
pub fn run() -> Result<()> {
    shell::run(&mut cargo(["build", "--workspace", "--bins"]))?;
    let scratch = tempfile::Builder::new().prefix("xfs-demo-").tempdir()?;
    Demo { dir: scratch.path().to_owned() }.play()
}

/// The directory with the image and the files on the host.
struct Demo {
    dir: PathBuf,
}

impl Demo {
    fn play(&self) -> Result<()> {
        step("Two files: this project's readme (small) and its xfs_repair program (large).");
        fs::copy(workspace().join("README.md"), self.dir.join("old"))?;
        fs::copy(program("xfs_repair"), self.dir.join("new"))?;
        let (old, new) = (self.show("old")?, self.show("new")?);

        step("A new filesystem on a sparse image file.");
        fs::File::create(self.dir.join("demo.img"))?.set_len(SIZE)?;
        self.run("mkfs_xfs", &["demo.img"])?;

        step("Both files are copied in.");
        self.io(&["put old /config", "put new /config.new", "ls /"], &[])?;

        step("The exchange begins, and the power fails in the middle of it.");
        let (crashed, _) = self.try_run(
            "xfs_io",
            &["-x", "-D", "demo.img", "-c", "inject exchmaps_finish_one", "-c"]
                .into_iter()
                .chain(["exchangerange -f /config.new", "/config"])
                .collect::<Vec<_>>(),
        )?;
        println!("(xfs_io: {})", if crashed { "stopped" } else { "ended normally" });
        ensure!(crashed, "the exchange was not stopped: the injected error did not happen");

        step("What would a check find? The log is replayed in memory; the image is not changed.");
        let (image, before) = (self.dir.join("demo.img"), self.dir.join("before.img"));
        copy(&image, &before)?;
        self.try_run("xfs_repair", &["-n", "demo.img"])?;
        ensure!(same_bytes(&image, &before)?.is_none(), "xfs_repair -n changed the image");

        step("xfs_repair replays the log, and finishes the exchange the log tells of.");
        self.run("xfs_repair", &["demo.img"])?;

        step("The files come out again, exchanged as a whole.");
        self.io(&["get /config config", "get /config.new config.new"], &[])?;
        let (config, other) = (self.show("config")?, self.show("config.new")?);
        ensure!(config == new && other == old, "the files are not exchanged");
        self.judge()?;
        step("Done: after the power failure /config is wholly new, and /config.new wholly old.");
        Ok(())
    }

    /// Runs `xfs_io -D demo.img` with commands, then `rest`.
    fn io(&self, commands: &[&str], rest: &[&str]) -> Result<()> {
        let mut args = vec!["-D", "demo.img"];
        for command in commands {
            args.extend(["-c", command]);
        }
        args.extend(rest);
        self.run("xfs_io", &args)
    }

    /// Prints and runs a command that must succeed.
    fn run(&self, name: &str, args: &[&str]) -> Result<()> {
        let (failed, status) = self.try_run(name, args)?;
        ensure!(!failed, "{name} ended with {status}");
        Ok(())
    }

    /// Prints and runs a command; says whether it failed, and how it ended.
    fn try_run(&self, name: &str, args: &[&str]) -> Result<(bool, String)> {
        let quoted: Vec<String> = args.iter().map(|arg| quote(arg)).collect();
        println!("$ {} {}", if name == "mkfs_xfs" { "mkfs.xfs" } else { name }, quoted.join(" "));
        let status = Command::new(program(name))
            .args(args)
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .status()
            .with_context(|| format!("cannot run {name}"))?;
        Ok((!status.success(), status.to_string()))
    }

    /// Prints a host file's name, size and checksum; returns the latter two.
    fn show(&self, name: &str) -> Result<(usize, u32)> {
        let bytes = fs::read(self.dir.join(name)).with_context(|| name.to_owned())?;
        let sum = Content::of_bytes(&bytes);
        println!("{name:>12}  {:>10} bytes  crc32c {sum:08x}", bytes.len());
        Ok((bytes.len(), sum))
    }

    /// Lets xfsprogs 7.2 check the image, when `cargo xtask peers` was run before.
    fn judge(&self) -> Result<()> {
        let Ok(peers) = Peers::find() else { return Ok(()) };
        let verdict = peers.check(&self.dir.join("demo.img"))?;
        ensure!(verdict.is_clean(), "xfsprogs 7.2 finds:\n{}", verdict.findings().join("\n"));
        step("xfsprogs 7.2 checks the image: xfs_repair -n finds nothing.");
        Ok(())
    }
}

/// The path of our program `name`.
fn program(name: &str) -> PathBuf {
    target_directory().join("debug").join(Path::new(name))
}

/// `word` as one would type it.
fn quote(word: &str) -> String {
    if word.contains(' ') { format!("'{word}'") } else { word.to_owned() }
}
