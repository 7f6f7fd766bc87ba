//! Power cuts at every point of a copy on write and of giving a file blocks of its own; and
//! images that Linux left with staged blocks.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use libfs::filesystem::{CloneRange, Filesystem};
use tests::all_or_nothing::{self, Experiment, State, contents, on_image, plain};
use tests::crash::{self, Cut};
use tests::linux::{self, Linux};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use crate::cow::staged_records;

const BLOCK: usize = 4096;
const BLOCKS: usize = 60;
const OLD: u8 = 0x11;
const NEW: u8 = 0x77;
/// The blocks written to.
const RANGE: std::ops::Range<usize> = 10..50;

fn old() -> Vec<u8> {
    (0..BLOCKS * BLOCK).map(|i| OLD.wrapping_add((i / BLOCK) as u8)).collect()
}

fn new() -> Vec<u8> {
    let mut data = old();
    data[RANGE.start * BLOCK + 100..RANGE.end * BLOCK - 100].fill(NEW);
    data
}

/// Two files that share most blocks: in pieces, so that a write replaces several mappings,
/// some of which are not shared.
fn shared(filesystem: &mut Filesystem) -> Result<()> {
    let source = filesystem.create("/source", 0o644)?;
    filesystem.write(source, 0, &old())?;
    let copy = filesystem.create("/copy", 0o644)?;
    filesystem.clone_range(source, copy, &CloneRange::default())?;
    for block in [15, 24, 33, 48] {
        let at = block * BLOCK;
        filesystem.write(copy, at as u64, &old()[at..at + BLOCK])?;
    }
    // Only what is staged anew is to be seen.
    filesystem.sync()?;
    Ok(())
}

/// The source is as it was, and each block of the copy is old or new.
fn look_at_write(filesystem: &mut Filesystem) -> Result<State> {
    ensure!(contents(filesystem, "/source")? == old(), "the source changed");
    let copy = contents(filesystem, "/copy")?;
    ensure!(copy.len() == BLOCKS * BLOCK, "the copy has {} bytes", copy.len());
    let (old, new) = (old(), new());
    let (mut is_old, mut is_new) = (0, 0);
    for at in (RANGE.start * BLOCK..RANGE.end * BLOCK).step_by(BLOCK) {
        let found = &copy[at..at + BLOCK];
        is_old += usize::from(found == &old[at..at + BLOCK]);
        is_new += usize::from(found == &new[at..at + BLOCK]);
    }
    ensure!(is_old + is_new == RANGE.len(), "{is_old} blocks are old and {is_new} new");
    Ok(match (is_old, is_new) {
        (_, 0) => State::Old,
        (0, _) => State::New,
        _ => State::Between,
    })
}

/// Both files are as they were, whether or not they share blocks still.
fn look_at_unshare(filesystem: &mut Filesystem) -> Result<State> {
    for path in ["/source", "/copy"] {
        ensure!(contents(filesystem, path)? == old(), "{path} changed");
    }
    let copy = filesystem.lookup("/copy")?;
    let mappings = filesystem.mappings(copy, false)?;
    let shared: u64 = mappings.iter().filter(|m| m.shared).map(|m| m.len).sum();
    Ok(match shared * 512 / BLOCK as u64 {
        56 => State::Old,
        0 => State::New,
        _ => State::Between,
    })
}

type Act<'a> = &'a dyn Fn(&mut Filesystem) -> Result<()>;
type Look<'a> = &'a dyn Fn(&mut Filesystem) -> Result<State>;

fn cut_everywhere(mkfs: &[&str], act: Act<'_>, look: Look<'_>, every_step: bool) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let experiment = Experiment {
        mkfs,
        size: Experiment::SIZE,
        prepare: &|image| on_image(image, shared),
        device: &plain,
        act,
        look,
        every_step,
        samples: if every_step { 1 } else { 30 },
        judged: 12,
        seed: 0xc0e2_0001,
    };
    say(&all_or_nothing::run(&peers, &linux, &experiment)?.to_string());
    Ok(())
}

fn write(filesystem: &mut Filesystem) -> Result<()> {
    let copy = filesystem.lookup("/copy")?;
    filesystem.hold(copy)?;
    let (start, end) = (RANGE.start * BLOCK + 100, RANGE.end * BLOCK - 100);
    Ok(filesystem.write(copy, start as u64, &new()[start..end])?)
}

fn unshare(filesystem: &mut Filesystem) -> Result<()> {
    let copy = filesystem.lookup("/copy")?;
    Ok(filesystem.unshare(copy, 0, (BLOCKS * BLOCK) as u64)?)
}

#[test]
fn a_write_to_shared_blocks_leaves_each_old_or_new() -> Result<()> {
    cut_everywhere(&[], &write, &look_at_write, false)
}

#[test]
fn a_write_to_shared_blocks_with_every_step_in_the_log() -> Result<()> {
    // Nearly the smallest log there is.
    let small = ["--unsupported", "-l", "size=8m"];
    cut_everywhere(&small, &write, &look_at_write, true)
}

#[test]
fn unsharing_changes_no_contents() -> Result<()> {
    cut_everywhere(&["-m", "rmapbt=0"], &unshare, &look_at_unshare, false)
}

#[test]
fn unsharing_with_every_step_in_the_log_changes_no_contents() -> Result<()> {
    cut_everywhere(&[], &unshare, &look_at_unshare, true)
}

/// Free blocks, as the superblock of an image that was closed counts them.
fn free_blocks(peers: &Peers, image: &Path) -> Result<String> {
    peers.db(image, &["sb 0", "print fdblocks"])
}

/// Recovers copies of an image, one by us and one by Linux: the staged blocks come back.
fn recover_both(peers: &Peers, image: &Path) -> Result<()> {
    let ours = image.with_extension("ours");
    sparse::copy(image, &ours)?;
    on_image(&ours, |_| Ok(()))?;
    peers.assert_clean(&ours);
    linux::mount(image, |_| Ok(()))?;
    peers.assert_clean(image);
    let (linux, us) = (staged_records(peers, image)?, staged_records(peers, &ours)?);
    ensure!((linux, us) == (0, 0), "staged still: {linux} by Linux, {us} by us");
    let [linux, us] = [image, ours.as_path()].map(|image| free_blocks(peers, image));
    let (linux, us) = (linux?, us?);
    ensure!(linux == us, "Linux has {linux} free, we {us}");
    Linux::Host.manifest(image)?.assert_same(&Linux::Host.manifest(&ours)?);
    Ok(())
}

fn linux_shares(peers: &Peers, root: &Path) -> Result<()> {
    fs::write(root.join("source"), old())?;
    File::create(root.join("copy"))?;
    peers.io(&root.join("copy"), &[&format!("reflink {}", root.join("source").display())])?;
    rustix::fs::sync();
    Ok(())
}

#[test]
fn blocks_that_linux_had_staged_come_back() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let cases: [(&[&str], Cut); 3] = [
        (&[], Cut::FlushLog),
        (&["-b", "size=1k"], Cut::DropLog),
        (&["-m", "rmapbt=0"], Cut::FlushLog),
    ];
    for (i, (options, cut)) in cases.into_iter().enumerate() {
        let image = scratch.path(&format!("image{i}"));
        peers.mkfs(&image, Experiment::SIZE, options)?;
        crash::after(&peers, &image, cut, |root| {
            linux_shares(&peers, root)?;
            for at in ["40k", "130k", "200k"] {
                peers.io(&root.join("copy"), &[&format!("pwrite -q {at} 4k"), "fsync"])?;
            }
            Ok(())
        })?;
        recover_both(&peers, &image)?;
    }
    say(&format!("{} images with blocks that Linux had staged", cases.len()));
    Ok(())
}

/// Extents of the file that Linux is interrupted on: single blocks with holes between.
const EXTENTS: u64 = 1500;

/// Two files that share that many extents.
fn linux_shares_pieces(peers: &Peers, root: &Path) -> Result<()> {
    let source = File::create(root.join("source"))?;
    for i in 0..EXTENTS {
        source.write_all_at(&[i as u8 | 1; BLOCK], 2 * i * BLOCK as u64)?;
    }
    source.sync_all()?;
    File::create(root.join("copy"))?;
    peers.io(&root.join("copy"), &[&format!("reflink {}", root.join("source").display())])?;
    rustix::fs::sync();
    Ok(())
}

/// Writes over shared blocks, while another thread forces the log out, so that the parts of
/// a chain reach it.
fn copy_and_force(peers: &Peers, root: &Path, stop: &AtomicBool) {
    let force = || -> Result<()> {
        let other = File::create(root.join("other"))?;
        while !stop.load(Ordering::Relaxed) {
            other.write_all_at(b"x", 0)?;
            other.sync_all()?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        scope.spawn(force);
        let clone = format!("reflink {}", root.join("source").display());
        let write = format!("pwrite -q -S 9 0 {}", 2 * EXTENTS * BLOCK as u64);
        while !stop.load(Ordering::Relaxed) {
            if peers.io(&root.join("copy"), &[&write, "fsync", &clone, "fsync"]).is_err() {
                break;
            }
        }
    });
}

#[test]
fn copies_that_linux_was_making_when_the_power_went_are_undone_or_finished() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let mut open = std::collections::BTreeMap::new();
    for round in 0..6 {
        let image = scratch.path(&format!("image{round}"));
        let options: &[&str] = if round % 2 == 0 { &[] } else { &["-b", "size=1k"] };
        peers.mkfs(&image, Experiment::SIZE, options)?;
        linux::mount(&image, |root| linux_shares_pieces(&peers, root))?;
        let delay = Duration::from_millis(100 + 37 * round);
        let work = |root: &Path, stop: &AtomicBool| copy_and_force(&peers, root, stop);
        crash::during(&peers, &image, Cut::FlushLog, delay, work)?;
        for kind in peers.open_intents(&image)? {
            *open.entry(kind).or_insert(0) += 1;
        }
        recover_both(&peers, &image)?;
    }
    say(&format!("6 images of an interrupted Linux, with open intents: {open:?}"));
    Ok(())
}
