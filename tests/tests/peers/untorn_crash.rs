//! Power cuts at every point of an untorn write, on a device that tears ordinary writes
//! between sectors: recovery, by us and by Linux, finds all of the data or none of it.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::{
    AtomicWriteLimits, Device, Event, FileDevice, LimitedDevice, OverlayDevice, RecorderDevice,
};
use libfs::file::untorn::UntornWay;
use libfs::filesystem::{Filesystem, Opened};
use libfs::space::refcount::recover_cow_leftovers;
use tests::enumerate::{Cut, Random, apply, cuts, device_after};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use super::untorn::open;

const BLOCK: u64 = 4096;
const KIBI: u64 = 1 << 10;
const FILE: &str = "/file";
const CLONE: &str = "/clone";
const SEED: u64 = 0x5eed_0042;
/// Cuts of each write that Linux and xfs_repair judge too; each costs two mounts.
const JUDGED: usize = 4;

/// Cuts in the middle of each recovery from a log with every step.
const CUTS_OF_RECOVERY: usize = 3;

const NO_PROMISE: AtomicWriteLimits = AtomicWriteLimits { unit_min: 0, unit_max: 0 };
const PROMISE: AtomicWriteLimits = AtomicWriteLimits { unit_min: 4096, unit_max: 65536 };

/// What the file has where the write goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// One written extent, aligned on the device.
    Aligned,
    /// Single blocks with holes between them.
    Fragmented,
    /// One extent, of which another file has a clone.
    Shared,
    /// Less than the write: the file grows.
    Short,
}

/// One write whose power cuts are enumerated.
#[derive(Debug, Clone, Copy)]
struct Case {
    layout: Layout,
    len: u64,
    device: AtomicWriteLimits,
    /// A checkpoint after every transaction, so that every step is in the log.
    every_step: bool,
    /// The filesystem has copy on write.
    reflink: bool,
}

impl Case {
    fn goes_by_device(&self) -> bool {
        self.device == PROMISE && self.layout == Layout::Aligned
    }
}

/// A file and where the write to it goes.
struct Subject {
    offset: u64,
    old: Vec<u8>,
    new: Vec<u8>,
    /// Another file shares the old contents.
    cloned: bool,
}

/// Makes the file; the write will be of whole blocks of 0xee.
fn prepare(filesystem: &mut Filesystem, case: &Case) -> Result<Subject> {
    let offset = match case.layout {
        Layout::Aligned | Layout::Shared => write_aligned(filesystem, case.len)?,
        Layout::Fragmented => {
            let file = filesystem.create(FILE, 0o644)?;
            for block in (0..32).step_by(2) {
                filesystem.write(file, block * BLOCK, &[0x10 + block as u8; BLOCK as usize])?;
            }
            filesystem.truncate(file, 32 * BLOCK)?;
            if case.len == BLOCK { 5 * BLOCK } else { 0 }
        }
        Layout::Short => {
            let file = filesystem.create(FILE, 0o644)?;
            filesystem.write(file, 0, &[0x77; 5000])?;
            if case.len < 8192 { BLOCK } else { 0 }
        }
    };
    let old = read_all(filesystem, FILE)?;
    let mut new = old.clone();
    let end = (offset + case.len) as usize;
    new.resize(end.max(old.len()), 0);
    new[offset as usize..end].fill(0xee);
    Ok(Subject { offset, old, new, cloned: case.layout == Layout::Shared })
}

/// Writes an extent that lies in the file as it does on the device, modulo 64 KiB, and
/// returns the offset of `len` bytes in it that are aligned in both.
fn write_aligned(filesystem: &mut Filesystem, len: u64) -> Result<u64> {
    const UNIT: u64 = 64 * KIBI;
    for shift in 0..UNIT / BLOCK {
        let path = format!("/shift-{shift}");
        let file = filesystem.create(&path, 0o644)?;
        filesystem.write(file, shift * BLOCK, &[0x55; 3 * UNIT as usize])?;
        let mappings = filesystem.mappings(file, false)?;
        let found = mappings.iter().find_map(|mapping| Some((mapping.offset, mapping.start?)));
        let (offset, start) = found.context("nothing was mapped")?;
        if (offset * 512) % UNIT == (start * 512) % UNIT {
            filesystem.rename(&path, FILE)?;
            return Ok((shift * BLOCK).next_multiple_of(UNIT) + UNIT / len / 2 * len);
        }
    }
    anyhow::bail!("no extent is aligned")
}

fn read_all(filesystem: &mut Filesystem, path: &str) -> Result<Vec<u8>> {
    let file = filesystem.lookup(path)?;
    let mut data = vec![0; filesystem.stat(file)?.size as usize];
    let len = filesystem.read(file, 0, &mut data)?;
    ensure!(len == data.len());
    Ok(data)
}

/// Records the write; the second number is how many events had happened when it was durable.
fn record(base: &Arc<dyn Device>, case: &Case, subject: &Subject) -> Result<(Vec<Event>, usize)> {
    let overlay = Arc::new(OverlayDevice::new(Arc::clone(base)));
    let device = Arc::new(LimitedDevice::new(overlay, case.device));
    let recorder = Arc::new(RecorderDevice::new(device));
    let mut filesystem = open(recorder.clone())?;
    if case.every_step {
        filesystem.mount().checkpoint_limit = 0;
    }
    let file = filesystem.lookup(FILE)?;
    let data = vec![0xee; case.len as usize];
    let way = filesystem.write_untorn(file, subject.offset, &data, true)?;
    let by_device = matches!(way, UntornWay::Device { .. });
    ensure!(by_device == case.goes_by_device(), "{way}");
    filesystem.sync()?;
    let mut events = recorder.take_events();
    let durable = events.len();
    let atomic = events.iter().any(|event| matches!(event, Event::Write { atomic: true, .. }));
    ensure!(atomic == by_device, "{way}, but the device saw something else");
    filesystem.close()?;
    events.extend(recorder.take_events());
    Ok((events, durable))
}

/// True if the data is there, false if not; an error for anything in between, and if blocks
/// are still staged.
fn written(filesystem: &mut Filesystem, subject: &Subject) -> Result<bool> {
    let found = read_all(filesystem, FILE)?;
    if subject.cloned {
        ensure!(read_all(filesystem, CLONE)? == subject.old, "the clone changed");
    }
    let staged = recover_cow_leftovers(filesystem.mount())?;
    ensure!(staged == 0, "{staged} blocks are staged");
    if found == subject.new {
        return Ok(true);
    }
    ensure!(found == subject.old, "the file is neither old nor new");
    Ok(false)
}

/// Linux recovers a copy of the image, and xfs_repair checks what both recoveries make of it.
fn judge(peers: &Peers, linux: &Linux, image: &Path, subject: &Subject) -> Result<()> {
    let ours = image.with_extension("ours");
    sparse::copy(image, &ours)?;
    let mut filesystem = open(Arc::new(FileDevice::open(&ours)?))?;
    let by_us = written(&mut filesystem, subject)?;
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&ours);
    let manifest = linux.manifest(image)?;
    peers.assert_clean(image);
    manifest.assert_same(&linux.manifest(&ours)?);
    let mut recovered = open(Arc::new(FileDevice::open(image)?))?;
    ensure!(by_us == written(&mut recovered, subject)?, "we and Linux recover differently");
    Ok(())
}

/// What a recovery writes that leaves all of its own steps in the log.
fn recovery(base: &Arc<dyn Device>) -> Result<Vec<Event>> {
    let overlay = Arc::new(OverlayDevice::new(Arc::clone(base)));
    let recorder = Arc::new(RecorderDevice::new(overlay));
    if let Opened::Dirty(mut unrecovered) = Filesystem::open(recorder.clone())? {
        unrecovered.checkpoint_limit = Some(0);
        unrecovered.recover()?;
    }
    Ok(recorder.take_events())
}

/// Cuts the power again during a recovery: what was there after an undisturbed one is there
/// after the second, too.
fn cut_recovery(base: &Arc<dyn Device>, subject: &Subject, done: bool) -> Result<()> {
    let events = recovery(base)?;
    let mut random = Random(SEED);
    let all = cuts(&events, 0, SEED);
    for _ in 0..CUTS_OF_RECOVERY {
        let cut = &all[random.below(all.len())];
        let recovered = open(device_after(base, &events, cut)?);
        let mut filesystem = recovered.with_context(|| format!("{cut:?}"))?;
        ensure!(written(&mut filesystem, subject)? == done, "{cut:?}");
    }
    Ok(())
}

/// What was tried.
#[derive(Default)]
struct Tally {
    events: usize,
    old: usize,
    new: usize,
    judged: usize,
    /// Cuts in the middle of recovery.
    again: usize,
}

fn cut_everywhere(peers: &Peers, linux: &Linux, case: &Case, tally: &mut Tally) -> Result<()> {
    let scratch = Scratch::new()?;
    let base_path = scratch.path("base");
    let options: &[&str] = if case.reflink { &[] } else { &["-m", "reflink=0"] };
    peers.mkfs(&base_path, 300 << 20, options)?;
    let mut filesystem = open(Arc::new(FileDevice::open(&base_path)?))?;
    let subject = prepare(&mut filesystem, case)?;
    filesystem.close()?;
    drop(filesystem);
    if subject.cloned {
        linux.script(&base_path, "cp --reflink=always $MNT/file $MNT/clone")?;
    }
    peers.assert_clean(&base_path);

    let base: Arc<dyn Device> = Arc::new(FileDevice::open_read_only(&base_path)?);
    let (events, durable) = record(&base, case, &subject)?;
    let all = cuts(&events, if case.every_step { 3 } else { 25 }, SEED);
    let (mut old, mut new) = (0, 0);
    for cut in &all {
        let recovered = open(device_after(&base, &events, cut)?);
        let mut filesystem = recovered.with_context(|| format!("{cut:?}"))?;
        let done = written(&mut filesystem, &subject).with_context(|| format!("{cut:?}"))?;
        ensure!(done || cut.before < durable, "a durable write is gone: {cut:?}");
        if done {
            new += 1
        } else {
            old += 1
        }
        if case.every_step && cut.torn.is_none() && cut.also.is_empty() {
            cut_recovery(&device_after(&base, &events, cut)?, &subject, done)
                .with_context(|| format!("{cut:?}, then again"))?;
            tally.again += CUTS_OF_RECOVERY;
        }
    }
    ensure!(old > 0 && new > 0, "{old} cuts before, {new} after: the test proves nothing");

    // Linux can judge only devices that write blocks whole: it trusts the LSN of a torn
    // metadata block.
    let whole: Vec<&Cut> = all.iter().filter(|cut| cut.torn.is_none()).collect();
    let mut random = Random(SEED);
    let image = scratch.path("cut");
    for _ in 0..JUDGED {
        let cut = whole[random.below(whole.len())];
        sparse::copy(&base_path, &image)?;
        let device = FileDevice::open(&image)?;
        apply(&device, &events, cut)?;
        if case.every_step {
            let again = recovery(&device_after(&base, &events, cut)?)?;
            let all = cuts(&again, 0, SEED);
            apply(&device, &again, &all[random.below(all.len())])?;
        }
        drop(device);
        judge(peers, linux, &image, &subject).with_context(|| format!("{cut:?}"))?;
    }
    tally.events += events.len();
    tally.old += old;
    tally.new += new;
    tally.judged += JUDGED;
    Ok(())
}

fn cut_all(cases: &[Case]) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let mut tally = Tally::default();
    for case in cases {
        cut_everywhere(&peers, &linux, case, &mut tally)
            .with_context(|| format!("seed {SEED:#x}, {case:?}"))?;
    }
    let Tally { events, old, new, judged, again } = tally;
    say(&format!(
        "{} untorn writes, {events} events, {} cuts recovered ({old} old, {new} new), {again} \
         cuts of recoveries, {judged} judged by Linux and xfs_repair",
        cases.len(),
        old + new
    ));
    Ok(())
}

/// The enumeration finds what it looks for: an ordinary write is torn.
#[test]
fn ordinary_writes_are_torn() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let path = scratch.path("base");
    peers.mkfs(&path, 300 << 20, &[])?;
    let len = 16 * KIBI;
    let (layout, device) = (Layout::Aligned, NO_PROMISE);
    let case = Case { layout, len, device, every_step: false, reflink: true };
    let mut filesystem = open(Arc::new(FileDevice::open(&path)?))?;
    let subject = prepare(&mut filesystem, &case)?;
    filesystem.close()?;
    drop(filesystem);

    let base: Arc<dyn Device> = Arc::new(FileDevice::open_read_only(&path)?);
    let recorder = Arc::new(RecorderDevice::new(Arc::new(OverlayDevice::new(Arc::clone(&base)))));
    let mut filesystem = open(recorder.clone())?;
    let file = filesystem.lookup(FILE)?;
    filesystem.write(file, subject.offset, &[0xee; 16 * KIBI as usize])?;
    filesystem.sync()?;
    let events = recorder.take_events();
    let mut torn = 0;
    for cut in cuts(&events, 25, SEED) {
        let found = read_all(&mut open(device_after(&base, &events, &cut)?)?, FILE)?;
        torn += usize::from(found != subject.old && found != subject.new);
    }
    ensure!(torn > 0, "no cut tore it");
    Ok(())
}

/// Writes of 4, 16 and 64 KiB to one layout.
fn sizes(layout: Layout, device: AtomicWriteLimits) -> Vec<Case> {
    let mut cases = Vec::new();
    for len in [4 * KIBI, 16 * KIBI, 64 * KIBI] {
        let case = Case { layout, len, device, every_step: false, reflink: true };
        cases.extend([case, Case { every_step: true, ..case }]);
    }
    cases
}

#[test]
fn the_devices_untorn_write_is_all_or_nothing() -> Result<()> {
    cut_all(&sizes(Layout::Aligned, PROMISE))
}

#[test]
fn copy_on_write_of_one_extent_is_all_or_nothing() -> Result<()> {
    cut_all(&sizes(Layout::Aligned, NO_PROMISE))
}

#[test]
fn a_new_block_without_copy_on_write_is_all_or_nothing() -> Result<()> {
    let mut cases = sizes(Layout::Fragmented, PROMISE);
    cases.retain(|case| case.len == BLOCK);
    cases.iter_mut().for_each(|case| case.reflink = false);
    cut_all(&cases)
}

#[test]
fn copy_on_write_of_shared_blocks_is_all_or_nothing() -> Result<()> {
    cut_all(&sizes(Layout::Shared, PROMISE))
}

#[test]
fn copy_on_write_of_many_extents_is_all_or_nothing() -> Result<()> {
    cut_all(&sizes(Layout::Fragmented, PROMISE))
}

#[test]
fn a_growing_file_has_all_or_nothing_and_the_size_of_it() -> Result<()> {
    cut_all(&sizes(Layout::Short, PROMISE))
}
