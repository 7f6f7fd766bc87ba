//! Power cuts at every point of one operation: recovery finds the state before it or the one
//! after it, whoever recovers.
//!
//! The operation runs on a recording device over an image. Of every state that a power cut
//! can leave ([`crate::enumerate`]) our recovery makes a filesystem, which is looked at; of some,
//! chosen by a seed, Linux does too, and xfs_repair checks what both made.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::{Device, Event, FileDevice, OverlayDevice, RecorderDevice};
use libfs::filesystem::{Filesystem, Opened};

use crate::enumerate::{Cut, Random, apply, cuts, device_after};
use crate::linux::Linux;
use crate::peers::Peers;
use crate::scratch::Scratch;
use crate::sparse;

/// What a look at the filesystem found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The operation has not happened.
    Old,
    /// It has happened.
    New,
    /// Part of it has, which this operation may leave after a crash.
    Between,
}

/// An operation, and what it works on.
pub struct Experiment<'a> {
    /// Options for mkfs.xfs.
    pub mkfs: &'a [&'a str],
    /// Bytes of the image.
    pub size: u64,
    /// Fills the image, which was just made.
    pub prepare: &'a dyn Fn(&Path) -> Result<()>,
    /// What the operation runs on, below the recorder: the device as it is, unless atomic
    /// writes are to be offered.
    pub device: &'a dyn Fn(Arc<dyn Device>) -> Arc<dyn Device>,
    /// The operation.
    pub act: &'a dyn Fn(&mut Filesystem) -> Result<()>,
    /// Tells the states apart; an error for any that must not be.
    pub look: &'a dyn Fn(&mut Filesystem) -> Result<State>,
    /// Every step of a chain goes to the log by itself, so that all intents are seen there;
    /// else only the last state does.
    pub every_step: bool,
    /// Subsets and torn writes for each stretch between two flushes.
    pub samples: usize,
    /// Cuts that Linux and xfs_repair judge too; each costs two mounts.
    pub judged: usize,
    /// Chooses both.
    pub seed: u64,
}

impl Experiment<'_> {
    /// An experiment on a filesystem of 300 MiB with default options, to be filled in.
    pub const SIZE: u64 = 300 << 20;
}

/// Leaves the device as it is.
pub fn plain(device: Arc<dyn Device>) -> Arc<dyn Device> {
    device
}

/// How many cuts were tried and what was found.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    /// Device writes and flushes of the operation.
    pub events: usize,
    /// Cuts that left the old state.
    pub old: usize,
    /// Cuts that left the new state.
    pub new: usize,
    /// Cuts that left part.
    pub between: usize,
    /// Cuts that Linux and xfs_repair judged.
    pub judged: usize,
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Tally { events, old, new, between, judged } = self;
        write!(
            f,
            "{events} events, {} cuts recovered ({old} old, {new} new, {between} between), \
             {judged} judged by Linux and xfs_repair",
            old + new + between
        )
    }
}

/// Opens the filesystem on `device`, recovering it if its log is dirty.
///
/// # Errors
///
/// As opening and recovering.
pub fn open(device: Arc<dyn Device>) -> libfs::Result<Filesystem> {
    Ok(match Filesystem::open(device)? {
        Opened::Clean(filesystem) => filesystem,
        Opened::Dirty(unrecovered) => unrecovered.recover()?.0,
    })
}

/// Opens the filesystem on an image file, runs `work` on it and closes it.
///
/// # Errors
///
/// From opening, `work` and closing.
pub fn on_image<R>(image: &Path, work: impl FnOnce(&mut Filesystem) -> Result<R>) -> Result<R> {
    let mut filesystem = open(Arc::new(FileDevice::open(image)?))?;
    let result = work(&mut filesystem)?;
    filesystem.close()?;
    Ok(result)
}

/// All bytes of a file.
///
/// # Errors
///
/// As reading it.
pub fn contents(filesystem: &mut Filesystem, path: &str) -> Result<Vec<u8>> {
    let file = filesystem.lookup(path)?;
    let mut data = vec![0; filesystem.stat(file)?.size as usize];
    let len = filesystem.read(file, 0, &mut data)?;
    data.truncate(len);
    Ok(data)
}

/// Cuts the power everywhere.
///
/// # Errors
///
/// When a cut leaves a state that must not be, a durable operation is gone, or the peers
/// find fault; the message has the seed and the cut.
pub fn run(peers: &Peers, linux: &Linux, experiment: &Experiment<'_>) -> Result<Tally> {
    let scratch = Scratch::new()?;
    let base_path = scratch.path("base");
    peers.mkfs(&base_path, experiment.size, experiment.mkfs)?;
    (experiment.prepare)(&base_path).context("preparing")?;
    peers.assert_clean(&base_path);
    let base: Arc<dyn Device> = Arc::new(FileDevice::open_read_only(&base_path)?);
    let (events, durable) = record(experiment, &base).context("recording")?;
    let all = cuts(&events, experiment.samples, experiment.seed);
    let mut tally = Tally { events: events.len(), ..Tally::default() };
    for cut in &all {
        let mut look = || -> Result<()> {
            let mut filesystem = open(device_after(&base, &events, cut)?)?;
            let state = (experiment.look)(&mut filesystem)?;
            let kept = state == State::New || cut.before < durable;
            ensure!(kept, "what was durable is gone");
            match state {
                State::Old => tally.old += 1,
                State::New => tally.new += 1,
                State::Between => tally.between += 1,
            }
            Ok(())
        };
        look().with_context(|| format!("seed {:#x}, {cut:?}", experiment.seed))?;
    }
    ensure!(tally.old > 0 && tally.new > 0, "{tally}: the test proves nothing");
    let image = scratch.path("cut");
    // Linux trusts the LSN in a torn metadata block and then finds its checksum wrong, so it
    // can judge only devices that write blocks whole.
    let whole: Vec<&Cut> = all.iter().filter(|cut| cut.torn.is_none()).collect();
    let mut random = Random(experiment.seed);
    for _ in 0..experiment.judged {
        let cut = whole[random.below(whole.len())];
        sparse::copy(&base_path, &image)?;
        apply(&FileDevice::open(&image)?, &events, cut)?;
        judge(peers, linux, &image, experiment)
            .with_context(|| format!("seed {:#x}, {cut:?}", experiment.seed))?;
        tally.judged += 1;
    }
    Ok(tally)
}

/// Records the operation up to the closing of the filesystem; the second number is how many
/// events had happened when it was durable.
fn record(experiment: &Experiment<'_>, base: &Arc<dyn Device>) -> Result<(Vec<Event>, usize)> {
    let below = (experiment.device)(Arc::new(OverlayDevice::new(Arc::clone(base))));
    let recorder = Arc::new(RecorderDevice::new(below));
    let mut filesystem = open(recorder.clone())?;
    if experiment.every_step {
        filesystem.mount().checkpoint_limit = 0;
    }
    (experiment.act)(&mut filesystem)?;
    filesystem.sync()?;
    let mut events = recorder.take_events();
    let durable = events.len();
    filesystem.close()?;
    events.extend(recorder.take_events());
    Ok((events, durable))
}

/// Linux recovers the image and we a copy of it: both must find the same, and xfs_repair
/// no fault with either, nor blocks that are staged still.
fn judge(peers: &Peers, linux: &Linux, image: &Path, experiment: &Experiment<'_>) -> Result<()> {
    let ours = image.with_extension("ours");
    sparse::copy(image, &ours)?;
    let by_us = on_image(&ours, |filesystem| (experiment.look)(filesystem)).context("ours")?;
    peers.assert_clean(&ours);
    let manifest = linux.manifest(image)?;
    peers.assert_clean(image);
    manifest.assert_same(&linux.manifest(&ours)?);
    let by_linux = on_image(image, |filesystem| (experiment.look)(filesystem)).context("Linux")?;
    ensure!(by_us == by_linux, "we find {by_us:?}, Linux {by_linux:?}");
    Ok(())
}
