//! Writes to shared blocks: contents against a model and Linux, and how much is staged in
//! advance against Linux.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libfs::file::AllocateMode;
use libfs::filesystem::{CloneRange, Filesystem};
use tests::all_or_nothing::on_image;
use tests::enumerate::Random;
use tests::linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use crate::clone::{inodes, reference_counts};

const IMAGE: u64 = 300 << 20;
/// Bytes of each of the files that share blocks.
const SIZE: usize = 600_000;
const NAMES: [&str; 3] = ["a", "b", "c"];

/// `len` bytes that differ from block to block.
fn pattern(fill: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| fill.wrapping_add((i / 512) as u8) | 1).collect()
}

/// Records of the reference count trees that say that blocks are staged.
pub fn staged_records(peers: &Peers, image: &Path) -> Result<usize> {
    let records = reference_counts(peers, image)?;
    Ok(records.iter().filter(|record| record.ends_with(",1]")).count())
}

/// Three files, and what each has to hold.
struct Model {
    files: Vec<u64>,
    contents: Vec<Vec<u8>>,
    block: usize,
    random: Random,
}

impl Model {
    fn offset(&mut self, file: usize) -> usize {
        let most = self.contents[file].len() + 3 * self.block;
        self.random.below(most)
    }

    fn length(&mut self) -> usize {
        match self.random.below(3) {
            0 => 1 + self.random.below(self.block),
            1 => self.block * (1 + self.random.below(4)),
            _ => 1 + self.random.below(60 * self.block),
        }
    }

    fn grow(&mut self, file: usize, end: usize) {
        let contents = &mut self.contents[file];
        contents.resize(contents.len().max(end), 0);
    }

    /// One operation on one of the files.
    fn step(&mut self, filesystem: &mut Filesystem) -> Result<()> {
        let file = self.random.below(self.files.len());
        let ino = self.files[file];
        let (at, len) = (self.offset(file), self.length());
        let end = at + len;
        match self.random.below(12) {
            0..=5 => {
                let data = pattern(self.random.below(256) as u8, len);
                filesystem.write(ino, at as u64, &data)?;
                self.grow(file, end);
                self.contents[file][at..end].copy_from_slice(&data);
            }
            6 => {
                filesystem.truncate(ino, at as u64)?;
                self.contents[file].resize(at, 0);
            }
            7 => {
                filesystem.unshare(ino, at as u64, len as u64)?;
                self.grow(file, end);
            }
            8 | 9 => self.clone(filesystem, file)?,
            10 => {
                filesystem.allocate(ino, AllocateMode::PunchHole, at as u64, len as u64)?;
                let size = self.contents[file].len();
                self.contents[file][at.min(size)..end.min(size)].fill(0);
            }
            _ => {
                // The last user closes the file, and opens it again.
                filesystem.release(ino)?;
                filesystem.hold(ino)?;
            }
        }
        Ok(())
    }

    /// Whole blocks of some file, at some other place of this one.
    fn clone(&mut self, filesystem: &mut Filesystem, target: usize) -> Result<()> {
        let source = (target + 1 + self.random.below(self.files.len() - 1)) % self.files.len();
        let blocks = self.contents[source].len() / self.block;
        if blocks == 0 {
            return Ok(());
        }
        let first = self.random.below(blocks);
        let count = 1 + self.random.below((blocks - first).min(50));
        let to = self.offset(target) / self.block * self.block;
        let (from, len) = (first * self.block, count * self.block);
        let range =
            CloneRange { source_offset: from as u64, target_offset: to as u64, length: len as u64 };
        filesystem.clone_range(self.files[source], self.files[target], &range)?;
        let data = self.contents[source][from..from + len].to_vec();
        self.grow(target, to + len);
        self.contents[target][to..to + len].copy_from_slice(&data);
        Ok(())
    }

    fn check(&self, filesystem: &mut Filesystem) -> Result<()> {
        for (i, &ino) in self.files.iter().enumerate() {
            let mut found = vec![0; self.contents[i].len() + 1];
            let len = filesystem.read(ino, 0, &mut found)?;
            let expected = &self.contents[i];
            ensure!(len == expected.len(), "{} has {len} bytes", NAMES[i]);
            let differs = found.iter().zip(expected).position(|(a, b)| a != b);
            ensure!(differs.is_none(), "{} differs at byte {differs:?}", NAMES[i]);
        }
        Ok(())
    }
}

/// Files that share all of their blocks, made by Linux or by us.
fn prepare(peers: &Peers, image: &Path, by_linux: bool) -> Result<()> {
    let data = pattern(7, SIZE);
    if by_linux {
        return linux::mount(image, |root| {
            fs::write(root.join("a"), &data)?;
            for copy in ["b", "c"] {
                File::create(root.join(copy))?;
                let command = format!("reflink {}", root.join("a").display());
                peers.io(&root.join(copy), &[&command])?;
            }
            Ok(())
        });
    }
    on_image(image, |filesystem| {
        let a = filesystem.create("/a", 0o644)?;
        filesystem.write(a, 0, &data)?;
        for copy in ["/b", "/c"] {
            let copy = filesystem.create(copy, 0o644)?;
            filesystem.clone_range(a, copy, &CloneRange::default())?;
        }
        Ok(())
    })
}

fn random_writes(options: &[&str], block: usize, by_linux: bool, seed: u64) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, IMAGE, options)?;
    prepare(&peers, &image, by_linux)?;
    let steps = 400;
    let mut staged = 0;
    let contents = on_image(&image, |filesystem| {
        let files = NAMES.iter().map(|name| filesystem.lookup(&format!("/{name}")));
        let files = files.collect::<libfs::Result<Vec<u64>>>()?;
        for &file in &files {
            filesystem.hold(file)?;
        }
        let contents = vec![pattern(7, SIZE); NAMES.len()];
        let mut model = Model { files, contents, block, random: Random(seed) };
        for step in 0..steps {
            model.step(filesystem).with_context(|| format!("seed {seed:#x}, step {step}"))?;
            if step % 10 == 9 {
                model.check(filesystem).with_context(|| format!("seed {seed:#x}, step {step}"))?;
            }
            staged += usize::from(!filesystem.staged_mappings(model.files[0])?.is_empty());
        }
        Ok(model.contents)
    })?;
    ensure!(staged > 0, "nothing was staged in advance: the test proves nothing");
    peers.assert_clean(&image);
    ensure!(staged_records(&peers, &image)? == 0, "blocks are staged still");
    linux::mount(&image, |root| {
        for (name, expected) in NAMES.iter().zip(&contents) {
            ensure!(fs::read(root.join(name))? == *expected, "Linux reads another {name}");
        }
        Ok(())
    })?;
    say(&format!("seed {seed:#x}: {steps} steps with {options:?}, staged after {staged}"));
    Ok(())
}

#[test]
fn random_writes_to_files_that_linux_shared() -> Result<()> {
    random_writes(&[], 4096, true, 0xc0e0_0001)?;
    random_writes(&["-b", "size=1k"], 1024, true, 0xc0e0_0002)
}

#[test]
fn random_writes_to_files_that_linux_shared_without_reverse_mappings() -> Result<()> {
    random_writes(&["-m", "rmapbt=0"], 4096, true, 0xc0e0_0003)?;
    random_writes(&["-b", "size=1k", "-m", "rmapbt=0"], 1024, true, 0xc0e0_0004)
}

#[test]
fn random_writes_to_files_that_we_shared() -> Result<()> {
    random_writes(&[], 4096, false, 0xc0e0_0005)?;
    random_writes(&["-b", "size=1k", "-m", "rmapbt=0"], 1024, false, 0xc0e0_0006)
}

/// What Linux has staged in all files of a mounted filesystem, in bytes.
fn staged_by_linux(peers: &Peers, root: &Path) -> Result<u64> {
    let printed = peers.io(root, &["fsmap -v"])?;
    let mut units = 0;
    for line in printed.lines().filter(|line| line.contains("cow reservation")) {
        let total = line.split_whitespace().last().context("a total")?;
        units += total.parse::<u64>()?;
    }
    Ok(units * 512)
}

/// Where data is, by file block, and whether the block is one that the file had at first.
fn shape(peers: &Peers, image: &Path, ino: u64, known: &[u64]) -> Result<Vec<(u64, bool)>> {
    let found = inodes(peers, image, &[ino])?;
    Ok(found[0].blocks.iter().map(|(&at, (block, _))| (at, known.contains(block))).collect())
}

/// One file that shares all blocks with another is written to here and there, by Linux and
/// by us: after each write the same number of blocks is staged in advance.
fn staging(hints: &str, seed: u64) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (image, ours) = (scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&image, IMAGE, &[])?;
    prepare(&peers, &image, true)?;
    let ino = linux::mount(&image, |root| {
        let a = root.join("a").display().to_string();
        for command in hints.split(';').filter(|command| !command.is_empty()) {
            peers.io(&root.join("b"), &[&command.replace("@a", &a)])?;
        }
        Ok(fs::metadata(root.join("b"))?.ino())
    })?;
    let at_first = inodes(&peers, &image, &[ino])?;
    let known: Vec<u64> = at_first[0].blocks.values().map(|(block, _)| *block).collect();
    sparse::copy(&image, &ours)?;
    let mut random = Random(seed);
    // What is staged behind the end of the file Linux gives back whenever xfs_io closes it,
    // so the last unit stays alone.
    let blocks = SIZE / 4096 - 32;
    let writes: Vec<(u64, u64, bool)> = (0..40)
        .map(|_| {
            let (at, len) = (random.below(blocks), 1 + random.below(12));
            let len = len.min(blocks - at) * 4096;
            ((at * 4096) as u64, len as u64, random.below(2) == 0)
        })
        .collect();
    let by_linux = linux::mount(&image, |root| {
        let path = root.join("b");
        let _open = File::open(&path)?;
        let mut staged = Vec::new();
        for (at, len, direct) in &writes {
            let mut command = peers.command("xfs_io");
            if *direct {
                command.arg("-d");
            }
            command.args(["-c", &format!("pwrite -q {at} {len}"), "-c", "fsync"]).arg(&path);
            tests::peers::run(&mut command)?;
            staged.push(staged_by_linux(&peers, root)?);
        }
        Ok(staged)
    })?;
    // With a hint of one block, nothing is staged in advance.
    let any = by_linux.iter().any(|bytes| *bytes > 0);
    ensure!(any != (hints == "cowextsize 4096"), "Linux staged {by_linux:?}");
    on_image(&ours, |filesystem| {
        filesystem.hold(ino)?;
        for ((at, len, _), linux) in writes.iter().zip(&by_linux) {
            filesystem.write(ino, *at, &vec![0xcd; *len as usize])?;
            let staged = filesystem.staged_mappings(ino)?;
            let us = staged.iter().map(|mapping| mapping.len * 512).sum::<u64>();
            ensure!(us == *linux, "{len} bytes at {at}: Linux has {linux} bytes staged, we {us}");
        }
        Ok(())
    })
    .with_context(|| format!("seed {seed:#x}, {hints}"))?;
    let shapes = [&image, &ours].map(|image| shape(&peers, image, ino, &known));
    let [linux, us] = shapes;
    ensure!(linux? == us?, "Linux and we wrote to other blocks in place");
    peers.assert_clean(&ours);
    say(&format!(
        "seed {seed:#x}: {} writes with hint {hints:?}: staged as by Linux",
        writes.len()
    ));
    Ok(())
}

#[test]
fn as_much_is_staged_in_advance_as_on_linux() -> Result<()> {
    staging("", 0xc0e1_0001)?;
    staging("cowextsize 4096", 0xc0e1_0002)?;
    staging("cowextsize 65536", 0xc0e1_0003)?;
    staging("cowextsize 53248", 0xc0e1_0004)?;
    // The larger of both hints counts.
    staging("truncate 0;extsize 131072;reflink @a;cowextsize 16384", 0xc0e1_0005)?;
    staging("truncate 0;extsize 16384;reflink @a", 0xc0e1_0006)
}

/// Without space for all copies a write ends early, and nothing is lost.
#[test]
fn a_full_filesystem_keeps_what_was_not_copied() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, IMAGE, &[])?;
    prepare(&peers, &image, true)?;
    let (old, new) = (pattern(7, SIZE), pattern(0x44, SIZE));
    let copied = on_image(&image, |filesystem| {
        let (b, filler) = (filesystem.lookup("/b")?, filesystem.create("/filler", 0o644)?);
        filesystem.hold(b)?;
        let geo = filesystem.geometry().clone();
        let free = filesystem.mount().counters.available(&geo) - 70;
        let keep = AllocateMode::Allocate { keep_size: true };
        filesystem.allocate(filler, keep, 0, free * 4096)?;
        let refused = filesystem.write(b, 0, &new).err().map(|error| error.errno());
        ensure!(refused == Some(libfs::Errno::ENOSPC), "{refused:?}");
        let mut found = vec![0; SIZE];
        filesystem.read(b, 0, &mut found)?;
        let copied = found.iter().zip(&new).take_while(|(a, b)| a == b).count() / 4096;
        let end = copied * 4096;
        ensure!(copied > 20 && found[end..] == old[end..], "{copied} blocks are new");
        Ok(copied)
    })?;
    peers.assert_clean(&image);
    ensure!(staged_records(&peers, &image)? == 0, "blocks are staged still");
    on_image(&image, |filesystem| {
        filesystem.unlink("/filler")?;
        let b = filesystem.lookup("/b")?;
        Ok(filesystem.write(b, 0, &new)?)
    })?;
    peers.assert_clean(&image);
    linux::mount(&image, |root| {
        ensure!(fs::read(root.join("a"))? == old && fs::read(root.join("b"))? == new);
        Ok(())
    })?;
    say(&format!("{copied} of {} blocks were copied before the filesystem was full", SIZE / 4096));
    Ok(())
}
