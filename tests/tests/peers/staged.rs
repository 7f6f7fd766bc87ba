//! Staged files: nobody sees writes before they are committed, and then all of them.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use libfs::file::staged::Staged;
use libfs::filesystem::{CloneRange, Filesystem};
use libfs::{Errno, Error};
use tests::all_or_nothing::{self, Experiment, State, contents, on_image, plain};
use tests::enumerate::Random;
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;

const SEED: u64 = 0x57a6_ed01;

/// What a staged opener should see: the file as it is now with whole blocks of its own.
struct Model {
    block: usize,
    file: Vec<u8>,
}

/// One opener: what it staged, by block, and how far it wrote.
struct Opener {
    staged: Staged,
    blocks: BTreeMap<usize, Vec<u8>>,
    grown_to: usize,
}

impl Model {
    fn view(&self, opener: &Opener) -> Vec<u8> {
        let mut view = self.file.clone();
        view.resize(view.len().max(opener.grown_to), 0);
        for (index, bytes) in &opener.blocks {
            let start = index * self.block;
            let len = self.block.min(view.len().saturating_sub(start));
            view[start..start + len].copy_from_slice(&bytes[..len]);
        }
        view
    }

    /// The block `index` of a view, filled up with zeros.
    fn block_of(&self, view: &[u8], index: usize) -> Vec<u8> {
        let start = (index * self.block).min(view.len());
        let mut bytes = view[start..view.len().min(start + self.block)].to_vec();
        bytes.resize(self.block, 0);
        bytes
    }

    fn write(&self, opener: &mut Opener, at: usize, data: &[u8]) {
        let mut view = self.view(opener);
        for index in at / self.block..(at + data.len()).div_ceil(self.block) {
            let bytes = self.block_of(&view, index);
            opener.blocks.entry(index).or_insert(bytes);
        }
        view.resize(view.len().max(at + data.len()), 0);
        view[at..at + data.len()].copy_from_slice(data);
        for index in at / self.block..(at + data.len()).div_ceil(self.block) {
            let mut bytes = self.block_of(&view, index);
            if let Some(old) = opener.blocks.get(&index) {
                let end = (at + data.len()).saturating_sub(index * self.block).min(self.block);
                bytes[end..].copy_from_slice(&old[end..]);
            }
            opener.blocks.insert(index, bytes);
        }
        opener.grown_to = opener.grown_to.max(at + data.len());
    }

    fn commit(&mut self, opener: &mut Opener) {
        self.file = self.view(opener);
        opener.blocks.clear();
        opener.grown_to = 0;
    }
}

/// Three openers of one file write, commit and read, and others write to it directly.
fn random_openers(filesystem: &mut Filesystem, block: usize, random: &mut Random) -> Result<usize> {
    let ino = filesystem.create("/file", 0o644)?;
    let first: Vec<u8> = (0..5 * block + 700).map(|i| (i / 100) as u8).collect();
    filesystem.write(ino, 0, &first)?;
    let copy = filesystem.create("/copy", 0o644)?;
    let mut copied = Vec::new();
    let mut model = Model { block, file: first };
    let mut openers = Vec::new();
    for _ in 0..3 {
        let staged = filesystem.open_staged(ino)?;
        openers.push(Opener { staged, blocks: BTreeMap::new(), grown_to: 0 });
    }
    let steps = 500;
    for step in 0..steps {
        let opener = random.below(3);
        let at = random.below(12 * block);
        let data = vec![step as u8; 1 + random.below(3 * block)];
        match random.below(12) {
            0 => {
                filesystem.commit_staged(&mut openers[opener].staged)?;
                model.commit(&mut openers[opener]);
            }
            1 => {
                let at = at.min(model.file.len());
                filesystem.write(ino, at as u64, &data)?;
                model.file.resize(model.file.len().max(at + data.len()), 0);
                model.file[at..at + data.len()].copy_from_slice(&data);
            }
            2 => {
                filesystem.truncate(ino, at as u64)?;
                model.file.resize(at, 0);
            }
            3 => {
                // From now on the file's blocks are shared.
                filesystem.truncate(copy, 0)?;
                filesystem.clone_range(ino, copy, &CloneRange::default())?;
                copied = model.file.clone();
            }
            4 => {
                let opener = &mut openers[opener];
                let size = model.view(opener).len() + random.below(2 * block);
                filesystem.grow_staged(&mut opener.staged, size as u64)?;
                opener.grown_to = size;
            }
            _ => {
                let opener = &mut openers[opener];
                filesystem.write_staged(&mut opener.staged, at as u64, &data)?;
                model.write(opener, at, &data);
            }
        }
        ensure!(contents(filesystem, "/file")? == model.file, "step {step}: the file");
        ensure!(contents(filesystem, "/copy")? == copied, "step {step}: what shares its blocks");
        for (number, opener) in openers.iter().enumerate() {
            let size = filesystem.size_staged(&opener.staged)?;
            let mut seen = vec![0; size as usize];
            filesystem.read_staged(&opener.staged, 0, &mut seen)?;
            ensure!(seen == model.view(opener), "step {step}: what opener {number} sees");
        }
    }
    for opener in openers {
        filesystem.discard_staged(opener.staged)?;
    }
    ensure!(contents(filesystem, "/file")? == model.file, "at the end");
    Ok(steps)
}

#[test]
fn openers_see_their_own_writes_and_what_others_committed() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let mut steps = 0;
    for (index, block) in [1024, 4096].into_iter().enumerate() {
        let image = scratch.path("image");
        peers.mkfs(&image, 300 << 20, &["-b", &format!("size={block}")])?;
        let mut random = Random(SEED + index as u64);
        steps += on_image(&image, |filesystem| random_openers(filesystem, block, &mut random))?;
        peers.assert_clean(&image);
        let names = linux.script(&image, "cd $MNT; echo *")?;
        ensure!(names.trim() == "copy file", "{names}");
    }
    say(&format!("seed {SEED:#x}: {steps} steps of three staged openers"));
    Ok(())
}

#[test]
fn what_cannot_be_staged_is_refused() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &["-i", "exchange=0"])?;
    let errno = |result: libfs::Result<Staged>| result.err().map(|error: Error| error.errno());
    on_image(&image, |filesystem| {
        let ino = filesystem.create("/file", 0o644)?;
        ensure!(errno(filesystem.open_staged(ino)) == Some(Errno::EOPNOTSUPP));
        Ok(())
    })?;
    peers.mkfs(&image, 300 << 20, &[])?;
    on_image(&image, |filesystem| {
        let dir = filesystem.make_directory("/dir", 0o755)?;
        ensure!(errno(filesystem.open_staged(dir)) == Some(Errno::EISDIR));
        let ino = filesystem.create("/file", 0o644)?;
        filesystem.write(ino, 0, b"long")?;
        let mut staged = filesystem.open_staged(ino)?;
        let shorter = filesystem.grow_staged(&mut staged, 1);
        ensure!(shorter.err().map(|e| e.errno()) == Some(Errno::EOPNOTSUPP));
        filesystem.discard_staged(staged)?;
        Ok(())
    })?;
    peers.assert_clean(&image);
    Ok(())
}

/// A write that finds too little space leaves a view that is what a commit then makes of the file.
#[test]
fn a_full_filesystem_leaves_staged_files_consistent() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let mut short = 0;
    on_image(&image, |filesystem| {
        let ino = filesystem.create("/file", 0o644)?;
        filesystem.write(ino, 0, &[1; 9 * BLOCK + 50])?;
        let filler = filesystem.create("/filler", 0o644)?;
        let mut filled = 0;
        while filesystem.write(filler, filled, &[2; 1 << 20]).is_ok() {
            filled += 1 << 20;
        }
        // Less and less room for a write of 60 blocks, which begins and ends inside of one.
        for room in [100, 70, 50, 30, 10, 2, 1, 0] {
            let size = filesystem.stat(filler)?.size;
            filesystem.truncate(filler, size - room * BLOCK as u64)?;
            filesystem.sync()?;
            let mut staged = filesystem.open_staged(ino)?;
            let written = filesystem.write_staged(&mut staged, 700, &vec![room as u8; 60 * BLOCK]);
            match written {
                Ok(()) => {}
                Err(error) if error.errno() == Errno::ENOSPC => short += 1,
                Err(error) => return Err(error.into()),
            }
            let mut view = vec![0; filesystem.size_staged(&staged)? as usize];
            filesystem.read_staged(&staged, 0, &mut view)?;
            match filesystem.commit_staged(&mut staged) {
                Ok(()) => ensure!(contents(filesystem, "/file")? == view, "with {room} blocks"),
                Err(error) => ensure!(error.errno() == Errno::ENOSPC, "{error}"),
            }
            filesystem.discard_staged(staged)?;
            filesystem.sync()?;
            let size = filesystem.stat(filler)?.size;
            let _ = filesystem.write(filler, size, &vec![2; 200 * BLOCK]);
        }
        Ok(())
    })?;
    ensure!((1..8).contains(&short), "{short} writes did not fit");
    peers.assert_clean(&image);
    Ok(())
}

const BLOCK: usize = 4096;
/// What the file is before and after: it grows, and keeps what lies between the writes.
const OLD_SIZE: usize = 30 * BLOCK + 100;
const NEW_SIZE: usize = 34 * BLOCK + 7;

fn old() -> Vec<u8> {
    (0..OLD_SIZE).map(|i| (i / 1000) as u8).collect()
}

/// The writes of the operation: offset and length.
fn writes() -> impl Iterator<Item = (usize, usize)> {
    let scattered = (0..10).map(|i| (3 * i * BLOCK + 10 * i, BLOCK + 50));
    scattered.chain([(NEW_SIZE - 6000, 6000)])
}

fn new() -> Vec<u8> {
    let mut data = old();
    data.resize(NEW_SIZE, 0);
    for (at, len) in writes() {
        data[at..at + len].fill(0xaa);
    }
    data
}

fn cut_everywhere(every_step: bool, samples: usize, shared: bool) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let experiment = Experiment {
        mkfs: &[],
        size: Experiment::SIZE,
        prepare: &|image| {
            on_image(image, |filesystem| {
                let ino = filesystem.create("/file", 0o644)?;
                Ok(filesystem.write(ino, 0, &old())?)
            })?;
            if shared {
                linux.script(image, "cp --reflink=always $MNT/file $MNT/other")?;
            }
            Ok(())
        },
        device: &plain,
        act: &|filesystem| {
            let ino = filesystem.lookup("/file")?;
            let mut staged = filesystem.open_staged(ino)?;
            for (at, len) in writes() {
                filesystem.write_staged(&mut staged, at as u64, &vec![0xaa; len])?;
            }
            // Staging alone shows nobody anything, whatever reaches the log.
            filesystem.sync()?;
            filesystem.commit_staged(&mut staged)?;
            Ok(filesystem.discard_staged(staged)?)
        },
        look: &|filesystem| {
            let other = if shared { contents(filesystem, "/other")? } else { old() };
            ensure!(other == old(), "the file that shares blocks changed");
            let found = contents(filesystem, "/file")?;
            if found == old() {
                return Ok(State::Old);
            }
            ensure!(found == new(), "the file is neither old nor new");
            Ok(State::New)
        },
        every_step,
        samples,
        judged: 12,
        seed: SEED,
    };
    say(&all_or_nothing::run(&peers, &linux, &experiment)?.to_string());
    Ok(())
}

#[test]
fn a_staged_update_is_all_or_nothing_at_every_power_cut() -> Result<()> {
    cut_everywhere(false, 20, false)
}

#[test]
fn a_staged_update_of_shared_blocks_is_all_or_nothing() -> Result<()> {
    cut_everywhere(false, 20, true)
}

#[test]
fn a_staged_update_with_every_step_in_the_log_is_all_or_nothing() -> Result<()> {
    cut_everywhere(true, 1, true)
}
