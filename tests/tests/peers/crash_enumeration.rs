//! Power cuts at every point of an exchange: recovery finds both files old or both new.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use libfs::device::{Device, Event, FileDevice, OverlayDevice, RecorderDevice};
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{ExchangeRange, Filesystem, Opened};
use tests::enumerate::{Cut, Random, cuts, device_after};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

const BLOCK: usize = 4096;
/// Extents of each of the two files.
const EXTENTS: usize = 40;
const SEED: u64 = 0x5eed_0001;
/// Cuts that Linux and xfs_repair judge too; each costs a mount.
const JUDGED: usize = 24;

/// Contents of a file of single-block extents with holes between them.
fn contents(fill: u8) -> Vec<u8> {
    let mut data = vec![0; 2 * EXTENTS * BLOCK];
    for (i, block) in data.chunks_mut(2 * BLOCK).enumerate() {
        block[..BLOCK].fill(fill.wrapping_add(i as u8));
        block[0] = i as u8;
    }
    data
}

fn open(device: Arc<dyn Device>) -> libfs::Result<Filesystem> {
    Ok(match Filesystem::open(device)? {
        Opened::Clean(filesystem) => filesystem,
        Opened::Dirty(unrecovered) => unrecovered.recover()?.0,
    })
}

fn write_fragmented(filesystem: &mut Filesystem, path: &str, data: &[u8]) -> libfs::Result<()> {
    let file = filesystem.create(path, 0o644)?;
    for (i, block) in data.chunks(2 * BLOCK).enumerate() {
        filesystem.write(file, (2 * i * BLOCK) as u64, &block[..BLOCK])?;
    }
    filesystem.truncate(file, data.len() as u64)
}

fn read_all(filesystem: &mut Filesystem, path: &str) -> libfs::Result<Vec<u8>> {
    let file = filesystem.lookup(path)?;
    let mut data = vec![0; filesystem.stat(file)?.size as usize];
    let len = filesystem.read(file, 0, &mut data)?;
    data.truncate(len);
    Ok(data)
}

/// Records the exchange of /a and /b, with a checkpoint only at the end or after every
/// transaction of the chain, so that all its intents reach the log; the second number is how many events had happened
/// when it was durable.
fn record(base: &Arc<dyn Device>, every_step: bool) -> libfs::Result<(Vec<Event>, usize)> {
    let recorder = Arc::new(RecorderDevice::new(Arc::new(OverlayDevice::new(Arc::clone(base)))));
    let mut filesystem = open(recorder.clone())?;
    if every_step {
        filesystem.mount().checkpoint_limit = 0;
    }
    let (a, b) = (filesystem.lookup("/a")?, filesystem.lookup("/b")?);
    let range = ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() };
    filesystem.exchange_range(a, b, &range)?;
    filesystem.sync()?;
    let mut events = recorder.take_events();
    let durable = events.len();
    filesystem.close()?;
    events.extend(recorder.take_events());
    Ok((events, durable))
}

/// True if the exchange happened, false if not; an error for anything in between.
fn exchanged(filesystem: &mut Filesystem, old: &[Vec<u8>; 2]) -> Result<bool> {
    let found = [read_all(filesystem, "/a")?, read_all(filesystem, "/b")?];
    if found == *old {
        return Ok(false);
    }
    let new = [&old[1], &old[0]];
    ensure!(new == [&found[0], &found[1]], "the files are neither old nor new");
    Ok(true)
}

fn write_image(base: &Path, image: &Path, events: &[Event], cut: &Cut) -> Result<()> {
    sparse::copy(base, image)?;
    let file = FileDevice::open(image)?;
    tests::enumerate::apply(&file, events, cut)?;
    Ok(())
}

/// Linux recovers a copy of the image, and xfs_repair checks what our recovery makes of it.
fn judge(peers: &Peers, linux: &Linux, image: &Path, old: &[Vec<u8>; 2]) -> Result<()> {
    let ours = image.with_extension("ours");
    sparse::copy(image, &ours)?;
    let mut filesystem = open(Arc::new(FileDevice::open(&ours)?))?;
    let by_us = exchanged(&mut filesystem, old)?;
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&ours);
    let manifest = linux.manifest(image)?;
    peers.assert_clean(image);
    manifest.assert_same(&linux.manifest(&ours)?);
    let mut recovered = open(Arc::new(FileDevice::open(image)?))?;
    ensure!(by_us == exchanged(&mut recovered, old)?, "we and Linux recover differently");
    Ok(())
}

#[test]
fn an_exchange_is_all_or_nothing_at_every_power_cut() -> Result<()> {
    cut_everywhere(false, 40)
}

#[test]
fn an_exchange_with_every_step_in_the_log_is_all_or_nothing() -> Result<()> {
    cut_everywhere(true, 2)
}

fn cut_everywhere(every_step: bool, samples: usize) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let base_path = scratch.path("base");
    peers.mkfs(&base_path, 300 << 20, &[])?;
    let old = [contents(0x10), contents(0x90)];
    let mut filesystem = open(Arc::new(FileDevice::open(&base_path)?))?;
    write_fragmented(&mut filesystem, "/a", &old[0])?;
    write_fragmented(&mut filesystem, "/b", &old[1])?;
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&base_path);

    let base: Arc<dyn Device> = Arc::new(FileDevice::open_read_only(&base_path)?);
    let (events, durable) = record(&base, every_step)?;
    let all = cuts(&events, samples, SEED);
    let (mut before, mut after) = (0, 0);
    for cut in &all {
        let mut filesystem = open(device_after(&base, &events, cut)?)?;
        let done = exchanged(&mut filesystem, &old)
            .map_err(|error| error.context(format!("seed {SEED:#x}, {cut:?}")))?;
        ensure!(done || cut.before < durable, "a durable exchange is gone: {cut:?}");
        if done { after += 1 } else { before += 1 }
    }
    ensure!(
        before > 0 && after > 0,
        "{before} cuts before, {after} after: the test proves nothing"
    );

    // Linux trusts the LSN in a torn metadata block and then finds its checksum wrong, so it
    // can judge only devices that write blocks whole.
    let whole: Vec<&Cut> = all.iter().filter(|cut| cut.torn.is_none()).collect();
    let mut random = Random(SEED);
    let image = scratch.path("cut");
    for _ in 0..JUDGED {
        let cut = whole[random.below(whole.len())];
        write_image(&base_path, &image, &events, cut)?;
        judge(&peers, &linux, &image, &old)
            .map_err(|error| error.context(format!("seed {SEED:#x}, {cut:?}")))?;
    }
    say(&format!(
        "{} events, {} cuts recovered ({before} old, {after} new), {JUDGED} judged by Linux and \
         xfs_repair",
        events.len(),
        all.len()
    ));
    Ok(())
}

/// Nothing of a recovery is written to a device that is only read.
#[test]
fn recovery_in_memory_leaves_the_image_alone() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let mut filesystem = open(Arc::new(FileDevice::open(&image)?))?;
    write_fragmented(&mut filesystem, "/a", &contents(1))?;
    filesystem.shut_down(true)?;
    drop(filesystem);
    let copy = scratch.path("copy");
    sparse::copy(&image, &copy)?;
    let device = Arc::new(FileDevice::open_read_only(&image)?);
    let Opened::Dirty(unrecovered) = Filesystem::open(device)? else {
        anyhow::bail!("the log should be dirty");
    };
    let (mut filesystem, _) = unrecovered.recover_in_memory()?;
    ensure!(read_all(&mut filesystem, "/a")? == contents(1));
    ensure!(sparse::same_bytes(&image, &copy)?.is_none());
    // A check that the comparison can fail.
    OpenOptions::new().write(true).open(&copy)?.write_all_at(b"x", 1 << 20)?;
    ensure!(sparse::same_bytes(&image, &copy)?.is_some());
    Ok(())
}
