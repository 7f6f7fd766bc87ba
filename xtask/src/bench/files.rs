//! Work on files: ours on the image, xfs_io and cp on Linux's loop mount of its copy.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::tests::linux::{self, Mount};
use ::tests::peers::run;
use ::tests::sparse::copy;
use anyhow::{Context, Result, ensure};

use super::{Bencher, Row, ours, time};

/// Files made by the create benchmark.
const FILES: usize = 10_000;

/// Bytes of the file that is copied in and out.
const LARGE: u64 = 1 << 30;

/// Exchanges two files of 1 and of 1,000 extents, and flushes.
pub fn exchange(bencher: &Bencher) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for extents in [1, 1000] {
        let (image, work) = (bencher.path("image"), bencher.path("work"));
        bencher.peers.mkfs(&image, LARGE, &[])?;
        linux::mount(&image, |root| {
            write_extents(&root.join("a"), extents)?;
            write_extents(&root.join("b"), extents)
        })?;
        rows.push(bencher.compare(
            format!("exchange {extents} extents"),
            |_| {
                copy(&image, &work)?;
                let mut io = ours("xfs_io");
                time(io.arg("-D").arg(&work).args(["-c", "exchangerange -f /b", "/a"]))
            },
            |_| {
                copy(&image, &work)?;
                linux::mount(&work, |root| {
                    let exchange = format!("exchangerange -f {}", root.join("b").display());
                    let mut io = bencher.peers.command("xfs_io");
                    time(io.args(["-c", &exchange]).arg(root.join("a")))
                })
            },
        )?);
    }
    Ok(rows)
}

/// A file of `extents` one-block extents with holes between them.
pub fn write_extents(path: &Path, extents: u64) -> Result<()> {
    let file = File::create(path)?;
    for index in 0..extents {
        file.write_all_at(&[index as u8 | 1; 4096], index * 8192)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Creates empty files by commands to xfs_io's standard input, then syncs.
pub fn create(bencher: &Bencher) -> Result<Vec<Row>> {
    let (image, work) = (bencher.path("image"), bencher.path("work"));
    bencher.peers.mkfs(&image, LARGE, &[])?;
    linux::mount(&image, |root| Ok(fs::create_dir(root.join("dir"))?))?;
    let row = bencher.compare(
        format!("create {FILES} files"),
        |_| {
            copy(&image, &work)?;
            let mut io = ours("xfs_io");
            feed(io.arg("-D").arg(&work), &create_script("/dir"))
        },
        |_| {
            copy(&image, &work)?;
            linux::mount(&work, |root| {
                let directory = root.join("dir").display().to_string();
                feed(&mut bencher.peers.command("xfs_io"), &create_script(&directory))
            })
        },
    )?;
    Ok(vec![row])
}

/// xfs_io commands that create the files in `directory`.
fn create_script(directory: &str) -> String {
    let mut script = String::new();
    for index in 0..FILES {
        let _ = writeln!(script, "open -f {directory}/file{index}\nclose");
    }
    let _ = writeln!(script, "open {directory}\nfsync");
    script
}

/// Runs `command` with `script` as its standard input; returns the time it took.
pub fn feed(command: &mut Command, script: &str) -> Result<Duration> {
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    child.stdin.take().context("the pipe is there")?.write_all(script.as_bytes())?;
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(start.elapsed())
}

/// Copies a large file in and out again; in ends with the data on the image.
pub fn put_and_get(bencher: &Bencher) -> Result<Vec<Row>> {
    let (image, work, out) = (bencher.path("image"), bencher.path("work"), bencher.path("out"));
    let large = bencher.path("large");
    write_random(&large)?;
    bencher.peers.mkfs(&image, 2 * LARGE, &[])?;
    let put = bencher.compare(
        "put 1 GiB",
        |_| {
            fresh(&image, &work)?;
            let command = format!("put {} /large", large.display());
            time(ours("xfs_io").arg("-D").arg(&work).args(["-c", &command]))
        },
        |_| {
            fresh(&image, &work)?;
            linux::mount(&work, |root| {
                let target = root.join("large");
                let copied = time(Command::new("cp").arg(&large).arg(&target))?;
                Ok(copied + time(Command::new("sync").arg(&target))?)
            })
        },
    )?;
    let get = bencher.compare(
        "get 1 GiB",
        |_| {
            remove(&out)?;
            let command = format!("get /large {}", out.display());
            time(ours("xfs_io").arg("-D").arg(&work).args(["-c", &command]))
        },
        |_| {
            remove(&out)?;
            let mount = Mount::new(&work)?;
            let copied = time(Command::new("cp").arg(mount.path("large")).arg(&out))?;
            mount.unmount()?;
            Ok(copied)
        },
    )?;
    run(Command::new("cmp").arg(&large).arg(&out))?;
    for file in [&large, &work, &out] {
        remove(file)?;
    }
    Ok(vec![put, get])
}

/// Fills `path` with [`LARGE`] bytes that do not repeat.
fn write_random(path: &Path) -> Result<()> {
    let source = File::open("/dev/urandom")?;
    let mut file = File::create(path)?;
    std::io::copy(&mut std::io::Read::take(source, LARGE), &mut file)?;
    file.sync_all()?;
    Ok(())
}

/// Makes `work` a new copy of `image`, with nothing left to be written back.
fn fresh(image: &Path, work: &Path) -> Result<()> {
    remove(work)?;
    copy(image, work)?;
    File::open(work)?.sync_all()?;
    Ok(())
}

/// Removes a file that may not be there.
fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_file(path)?;
    }
    Ok(())
}
