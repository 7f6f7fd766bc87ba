//! Filesystems whose log is on a device of its own: what Linux left when its power was cut we
//! recover, and what we leave Linux recovers.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use tests::crash::Cut;
use tests::linux::{self, Loop, Mount};
use tests::manifest::Manifest;
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::{copy, same_bytes};
use tests::workload::Workload;

const SIZE: u64 = 400 << 20;
const LOG_SIZE: u64 = 64 << 20;

/// A filesystem and its log.
struct Pair {
    data: PathBuf,
    log: PathBuf,
    /// Bytes in a sector of the log.
    sector: u32,
}

impl Pair {
    fn make(peers: &Peers, scratch: &Scratch, sector: u32, options: &[&str]) -> Result<Self> {
        let pair = Pair { data: scratch.path("data"), log: scratch.path("log"), sector };
        std::fs::File::create(&pair.log)?.set_len(LOG_SIZE)?;
        let log = format!("logdev={},sectsize={sector}", pair.log.display());
        // Linux wants the data's sectors to be as large.
        let size = format!("size={sector}");
        peers.mkfs(&pair.data, SIZE, &[&["-l", &log, "-s", &size], options].concat())?;
        Ok(pair)
    }

    fn copy(&self, scratch: &Scratch, name: &str) -> Result<Self> {
        let to = |what: &str| scratch.path(&format!("{name}-{what}"));
        let pair = Pair { data: to("data"), log: to("log"), sector: self.sector };
        copy(&self.data, &pair.data)?;
        copy(&self.log, &pair.log)?;
        Ok(pair)
    }

    /// Mounts it and runs `work` on its root.
    fn mounted<R>(&self, work: impl FnOnce(&Path) -> Result<R>) -> Result<R> {
        let log = Loop::new(&self.log, self.sector)?;
        let mount = Mount::with(&self.data, &format!("logdev={}", log.path()))?;
        let result = work(mount.root());
        mount.unmount()?;
        result
    }

    /// Our program with the log device named.
    fn ours(&self, program: &str, args: &[&str]) -> Result<Output> {
        let mut command = ours::command(program);
        command.arg("-l").arg(&self.log).args(args).output().context("our program")
    }

    fn assert_clean(&self, peers: &Peers) -> Result<()> {
        let mut check = peers.command("xfs_repair");
        run(check.args(["-n", "-f", "-l"]).args([&self.log, &self.data])).map(drop)
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

#[test]
fn what_linux_left_is_recovered() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let cases = [
        (Workload::Mixed, 512, Cut::FlushLog, ""),
        (Workload::Mixed, 512, Cut::DropLog, "-b size=1k"),
        (Workload::Clone, 512, Cut::FlushLog, ""),
        (Workload::Exchange, 4096, Cut::FlushLog, ""),
        (Workload::Unlink, 512, Cut::FlushLog, "-m rmapbt=0"),
    ];
    for (index, (workload, sector, cut, options)) in cases.into_iter().enumerate() {
        let scratch = Scratch::new().unwrap();
        let options: Vec<&str> = options.split_whitespace().collect();
        let crashed = Pair::make(&peers, &scratch, sector, &options).unwrap();
        crashed.mounted(|root| workload.run(&peers, root, 7 + index as u64, cut)).unwrap();
        recovered_alike(&peers, &scratch, &crashed)
            .with_context(|| format!("{workload}, sectors of {sector}"))
            .unwrap();
    }
    say("5 images of Linux with external logs recovered as Linux does");
}

/// Recovers copies by Linux and by us, and compares.
fn recovered_alike(peers: &Peers, scratch: &Scratch, crashed: &Pair) -> Result<()> {
    let (theirs, ours) = (crashed.copy(scratch, "theirs")?, crashed.copy(scratch, "ours")?);
    let expected = theirs.mounted(Manifest::of)?;
    let data = ours.data.display().to_string();
    let looked = ours.ours("xfs_repair", &["-n", &data])?;
    ensure!(looked.status.success(), "-n: {}", told(&looked));
    ensure!(same_bytes(&crashed.data, &ours.data)?.is_none(), "-n changed the data");
    ensure!(same_bytes(&crashed.log, &ours.log)?.is_none(), "-n changed the log");
    let repaired = ours.ours("xfs_repair", &[&data])?;
    ensure!(repaired.status.success(), "{}", told(&repaired));
    ensure!(told(&repaired).contains("Replayed"), "nothing to replay: {}", told(&repaired));
    ours.assert_clean(peers)?;
    let found = ours.mounted(Manifest::of)?;
    let differences = expected.differences(&found, 20);
    ensure!(differences.is_empty(), "Linux (-) and we (+):\n{}", differences.join("\n"));
    Ok(())
}

#[test]
fn what_we_left_linux_recovers() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    for (sector, end) in [(512, "shutdown -f"), (4096, "shutdown -f"), (4096, "sync")] {
        let scratch = Scratch::new().unwrap();
        let pair = Pair::make(&peers, &scratch, sector, &[]).unwrap();
        let data = pair.data.display().to_string();
        let commands = ["-c", "pwrite -q 0 3m", "-c", "fpunch 64k 1m", "-c", "mkdir /d", "-c", end];
        let args = [&["-x", "-D", &data, "-f"], &commands[..], &["/file"]].concat();
        let output = pair.ours("xfs_io", &args).unwrap();
        assert!(output.status.success(), "{}", told(&output));
        let copy = pair.copy(&scratch, "ours").unwrap();
        let names = pair.mounted(|root| {
            assert_eq!(std::fs::metadata(root.join("file"))?.len(), 3 << 20);
            Manifest::of(root)
        });
        pair.assert_clean(&peers).unwrap();
        let data = copy.data.display().to_string();
        let recovered = copy.ours("xfs_repair", &[&data]).unwrap();
        assert!(recovered.status.success(), "{}", told(&recovered));
        copy.assert_clean(&peers).unwrap();
        copy.mounted(Manifest::of).unwrap().assert_same(&names.unwrap());
    }
    say("3 images of ours with external logs mounted by Linux");
}

#[test]
fn a_log_that_is_not_the_filesystems_is_refused() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let pair = Pair::make(&peers, &scratch, 512, &[]).unwrap();
    let internal = scratch.path("internal");
    peers.mkfs(&internal, SIZE, &[]).unwrap();
    let short = scratch.path("short");
    std::fs::File::create(&short).unwrap().set_len(1 << 20).unwrap();
    let path = |path: &Path| path.display().to_string();
    let (data, log) = (path(&pair.data), path(&pair.log));
    let (internal, short) = (path(&internal), path(&short));
    let cases: [(&[&str], &str); 3] = [
        (&[&data], "the log is on a device of its own"),
        (&["-l", &log, &internal], "the log is inside the filesystem"),
        (&["-l", &short, &data], "do not fit"),
    ];
    for (args, reason) in cases {
        let output = ours::command("xfs_repair").args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", told(&output));
        assert!(told(&output).contains(reason), "{args:?}: {}", told(&output));
        assert_eq!(told(&output).lines().count(), 1, "{}", told(&output));
    }
}

/// Scripts of the Linux filesystem tests kill xfs_repair in its work this way.
#[test]
fn a_repair_that_dies_after_some_writes_can_be_done_again() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let crashed = Pair::make(&peers, &scratch, 512, &[]).unwrap();
    crashed.mounted(|root| Workload::Mixed.run(&peers, root, 3, Cut::FlushLog)).unwrap();
    let mut died = 0;
    for (device, writes) in [("ddev", 1), ("ddev", 3), ("logdev", 1), ("ddev", 20)] {
        let pair = crashed.copy(&scratch, &format!("{device}{writes}")).unwrap();
        let repair = || {
            let mut command: Command = ours::command("xfs_repair");
            command.arg("-l").args([&pair.log, &pair.data]);
            command
        };
        let crash = format!("{device}={writes}");
        let output = repair().env("LIBXFS_DEBUG_WRITE_CRASH", crash).output().unwrap();
        died += usize::from(output.status.code().is_none());
        let again = repair().output().unwrap();
        assert!(again.status.success(), "{}", told(&again));
        pair.assert_clean(&peers).unwrap();
    }
    assert!(died >= 3, "only {died} of 4 runs died");
    say(&format!("{died} of 4 runs of xfs_repair died in their work; all could be done again"));
}
