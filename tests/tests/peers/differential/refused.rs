//! What takes more than a script to be refused: another filesystem, a full one, one without
//! the feature, files in use.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};

use anyhow::Result;
use tests::differential::arena::{Arena, Template};
use tests::differential::script::Script;
use tests::differential::world::Kind;
use tests::linux::{self, Mount};
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;

use super::{SIZE, kinds, matrix};

/// The worlds where a file can be outside of the filesystem or in use by Linux.
const MOUNTED: [Kind; 2] = [Kind::Theirs, Kind::OursMounted];

/// Runs a script in the worlds; panics when they differ or 7.2 does not print all of `reached`.
fn judge(arena: &mut Arena, index: usize, script: &Script, reached: &[&str]) {
    let (transcript, failures) = arena.run(index, script).unwrap();
    let text: String = transcript.answers.iter().map(ToString::to_string).collect();
    for expected in reached {
        assert!(text.contains(expected), "7.2 never prints `{expected}`:\n{script}\n{text}");
    }
    let what: String =
        failures.iter().map(|failure| format!("{:?}: {}", failure.world, failure.what)).collect();
    assert!(failures.is_empty(), "{script}\n{what}");
}

/// Ends an arena whose scripts were all alike.
fn end(arena: Arena) {
    let tally = arena.tally().to_string();
    let failures = arena.finish().unwrap();
    let what: String =
        failures.iter().map(|failure| format!("{:?}: {}", failure.world, failure.what)).collect();
    assert!(failures.is_empty(), "{what}");
    say(&tally);
}

/// True when there is what the tests here need.
fn peers() -> Option<Peers> {
    let peers = Peers::or_skip()?;
    linux::host_or_skip().then_some(peers)
}

#[test]
fn files_of_two_filesystems() {
    let Some(peers) = peers() else { return };
    let template = Template::new(&peers, SIZE, &[], 2).unwrap();
    let mut arena = Arena::new(&template, &MOUNTED).unwrap();
    let scratch = Scratch::in_memory().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[]).unwrap();
    let other = Mount::new(&image).unwrap();
    fs::write(other.path("file"), vec![1; 65_536]).unwrap();
    // A file of another XFS, and one of a filesystem that is none.
    let strange = scratch.path("strange");
    fs::write(&strange, vec![1; 65_536]).unwrap();
    for (index, path) in [other.path("file"), strange.clone()].iter().enumerate() {
        let path = path.display();
        let script = [
            "open -f @/a".to_owned(),
            "pwrite -S 1 0 64k".to_owned(),
            format!("reflink {path}"),
            format!("reflink {path} 0 0 4k"),
            format!("dedupe {path} 0 0 4k"),
            format!("exchangerange {path}"),
            format!("exchangerange -c {path}"),
            format!("swapext {path}"),
            format!("copy_range -s 0 -d 0 -l 8k {path}"),
            format!("copy_range {path}"),
            format!("open -r {path}"),
            "file 0".to_owned(),
            "copy_range -l 8k -f 1".to_owned(),
            "stat".to_owned(),
        ];
        judge(&mut arena, index, &Script::of(script), &["Invalid cross-device link"]);
    }
    // What is no XFS at all.
    let path = strange.display().to_string();
    let script = Script::of([
        format!("open {path}"),
        "file".to_owned(),
        "stat".to_owned(),
        "bmap".to_owned(),
        "fiemap".to_owned(),
        "startupdate".to_owned(),
    ]);
    judge(&mut arena, 0, &script, &[]);
    other.unmount().unwrap();
    end(arena);
}

#[test]
fn without_reflink() {
    let list = include_str!("no-reflink.cases");
    matrix("without reflink", list, SIZE, &["-m", "reflink=0"], kinds());
}

#[test]
fn without_exchange_range() {
    let list = include_str!("no-exchange.cases");
    matrix("without exchange-range", list, SIZE, &["-i", "exchange=0"], kinds());
}

#[test]
fn with_small_blocks() {
    let list = include_str!("small-blocks.cases");
    matrix("with blocks of 1 KiB", list, SIZE, &["-b", "size=1k"], kinds());
}

/// Fills the filesystem: ever smaller pieces until not one block is to be had.
fn fill() -> Script {
    let mut commands = vec!["open -f @/fill".to_owned()];
    for (piece, size) in ["512m", "64m", "8m", "1m", "128k", "16k", "4k", "4k"].iter().enumerate() {
        let place = (piece as u64 + 1) << 40;
        commands.extend((0..12u64).map(|time| format!("falloc {} {size}", place + (time << 32))));
    }
    commands.push("fsync".to_owned());
    Script::of(commands)
}

#[test]
fn a_full_filesystem() {
    let Some(peers) = peers() else { return };
    let template = Template::new(&peers, 300 << 20, &[], 2).unwrap();
    let mut arena = Arena::new(&template, kinds()).unwrap();
    let before = Script::of([
        "open -f @/a",
        "pwrite -S 1 0 128k",
        "open -f @/b",
        "reflink @/a",
        "open -f @/c",
        "pwrite -S 2 0 128k",
        "open -f @/d",
        "fsync",
        "file 0",
        "fsync",
        "file 2",
        "fsync",
    ]);
    judge(&mut arena, 0, &before, &[]);
    arena.prepare(1, &fill()).unwrap();
    let full = Script::of([
        "open @/d",
        "pwrite 0 1m",
        "falloc 0 1m",
        "fzero 0 1m",
        "open @/b",
        "funshare 0 128k",
        "pwrite -S 3 -b 128k 0 128k",
        "open @/c",
        "pwrite -S 4 0 128k",
        "exchangerange @/a",
        "truncate 1t",
        "truncate 128k",
        "pread 0 128k",
    ]);
    judge(&mut arena, 0, &full, &["No space left on device"]);
    arena.prepare(1, &Script::of(["open @/fill", "truncate 0"])).unwrap();
    let after = Script::of(["open @/b", "pwrite -S 5 0 128k", "fsync", "fiemap -v"]);
    judge(&mut arena, 0, &after, &[]);
    end(arena);
}

/// A program that runs from a file, so that the file is busy; ended on drop.
struct Busy(Child);

impl Busy {
    fn run(path: &Path) -> Result<Self> {
        fs::copy("/bin/sleep", path)?;
        Ok(Busy(Command::new(path).arg("1000").spawn()?))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_program_that_runs() {
    let Some(peers) = peers() else { return };
    let template = Template::new(&peers, SIZE, &[], 1).unwrap();
    let mut arena = Arena::new(&template, &MOUNTED).unwrap();
    let running: Vec<Busy> = (0..MOUNTED.len())
        .map(|world| Busy::run(&arena.directory(world, 0).unwrap().join("run")).unwrap())
        .collect();
    let script = Script::of([
        "open @/run",
        "open -r @/run",
        "pread 0 4",
        "open -f @/a",
        "reflink @/run",
        "pwrite 0 10",
        "exchangerange @/run",
        "swapext @/run",
    ]);
    judge(&mut arena, 0, &script, &["Text file busy"]);
    drop(running);
    end(arena);
}

#[test]
fn a_swap_file() {
    let Some(peers) = peers() else { return };
    let template = Template::new(&peers, SIZE, &[], 1).unwrap();
    let mut arena = Arena::new(&template, &MOUNTED).unwrap();
    let files: Vec<_> =
        (0..MOUNTED.len()).map(|world| arena.directory(world, 0).unwrap().join("swap")).collect();
    for file in &files {
        fs::write(file, vec![0; 4 << 20]).unwrap();
        run(Command::new("chmod").arg("600").arg(file)).unwrap();
        run(Command::new("mkswap").arg("-U").arg("clear").arg(file)).unwrap();
        if let Err(why) = run(Command::new("swapon").arg(file)) {
            say(&format!("no swap file here: {why:#}"));
            return;
        }
    }
    let script = Script::of([
        "open @/swap",
        "pwrite 0 4k",
        "truncate 0",
        "falloc 0 8m",
        "fpunch 0 4k",
        "reflink @/swap 0 8k 4k",
        "open -f @/a",
        "pwrite -S 1 0 64k",
        "reflink @/swap 0 0 4k",
        "dedupe @/swap 0 0 4k",
        "copy_range -l 4k @/swap",
        "exchangerange -s 0 -d 0 -l 4k @/swap",
        "swapext @/swap",
        "file 0",
        "reflink @/a 0 0 4k",
        "dedupe @/a 0 0 4k",
        "copy_range -l 4k @/a",
        "exchangerange -s 0 -d 0 -l 4k @/a",
        "startupdate",
    ]);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        judge(&mut arena, 0, &script, &["Text file busy"]);
    }));
    for file in &files {
        run(Command::new("swapoff").arg(file)).unwrap();
    }
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
    end(arena);
}
