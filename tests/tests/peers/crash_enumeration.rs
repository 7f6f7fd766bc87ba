//! Power cuts at every point of an exchange: recovery finds both files old or both new.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use anyhow::{Result, ensure};
use libfs::device::FileDevice;
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{ExchangeRange, Filesystem, Opened};
use tests::all_or_nothing::{self, Experiment, State, contents as read_all, on_image, open, plain};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

const BLOCK: usize = 4096;
/// Extents of each of the two files.
const EXTENTS: usize = 40;
/// What the two files are filled with.
const A: u8 = 0x10;
const B: u8 = 0x90;

/// Contents of a file of single-block extents with holes between them.
fn contents(fill: u8) -> Vec<u8> {
    let mut data = vec![0; 2 * EXTENTS * BLOCK];
    for (i, block) in data.chunks_mut(2 * BLOCK).enumerate() {
        block[..BLOCK].fill(fill.wrapping_add(i as u8));
        block[0] = i as u8;
    }
    data
}

fn write_fragmented(filesystem: &mut Filesystem, path: &str, data: &[u8]) -> libfs::Result<()> {
    let file = filesystem.create(path, 0o644)?;
    for (i, block) in data.chunks(2 * BLOCK).enumerate() {
        filesystem.write(file, (2 * i * BLOCK) as u64, &block[..BLOCK])?;
    }
    filesystem.truncate(file, data.len() as u64)
}

/// [`State::New`] if the exchange happened; an error for anything in between.
fn look(filesystem: &mut Filesystem) -> Result<State> {
    let found = [read_all(filesystem, "/a")?, read_all(filesystem, "/b")?];
    let [a, b] = [contents(A), contents(B)];
    if found == [a.clone(), b.clone()] {
        return Ok(State::Old);
    }
    ensure!(found == [b, a], "the files are neither old nor new");
    Ok(State::New)
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
    let experiment = Experiment {
        mkfs: &[],
        size: Experiment::SIZE,
        prepare: &|image| {
            on_image(image, |filesystem| {
                write_fragmented(filesystem, "/a", &contents(A))?;
                Ok(write_fragmented(filesystem, "/b", &contents(B))?)
            })
        },
        device: &plain,
        act: &|filesystem| {
            let (a, b) = (filesystem.lookup("/a")?, filesystem.lookup("/b")?);
            let range = ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() };
            Ok(filesystem.exchange_range(a, b, &range)?)
        },
        look: &look,
        every_step,
        samples,
        judged: 24,
        seed: 0x5eed_0001,
    };
    say(&all_or_nothing::run(&peers, &linux, &experiment)?.to_string());
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
