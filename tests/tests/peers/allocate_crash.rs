//! Power cuts at every point of collapsing and inserting ranges: extents move one by one, and
//! whatever has moved when the power goes, nothing is lost, doubled or out of order.

use anyhow::{Context, Result, ensure};
use libfs::file::AllocateMode;
use libfs::filesystem::Filesystem;
use tests::all_or_nothing::{self, Experiment, State, contents, on_image, plain};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::skip::say;

const BLOCK: u64 = 4096;
/// Blocks of the file: extents of two blocks, each followed by a hole of one.
const BLOCKS: u64 = 120;
/// Where the range begins, inside an extent, and its length, in blocks.
const START: u64 = 16;
const LEN: u64 = 20;

fn is_data(block: u64) -> bool {
    block % 3 < 2
}

/// Fills each block with its number, plus one.
fn prepare(filesystem: &mut Filesystem) -> Result<()> {
    let file = filesystem.create("/file", 0o644)?;
    for block in (0..BLOCKS).filter(|&block| is_data(block)) {
        let data = (block + 1).to_le_bytes().repeat(BLOCK as usize / 8);
        filesystem.write(file, block * BLOCK, &data)?;
    }
    Ok(filesystem.truncate(file, BLOCKS * BLOCK)?)
}

/// Which block of the original file is at each block; `None` for a hole.
fn read(filesystem: &mut Filesystem) -> Result<Vec<Option<u64>>> {
    let data = contents(filesystem, "/file")?;
    let mut blocks = Vec::new();
    for block in data.chunks(BLOCK as usize) {
        let first: [u8; 8] = *block.first_chunk().context("whole blocks")?;
        ensure!(block.chunks(8).all(|word| word == first), "a block is mixed");
        blocks.push(u64::from_le_bytes(first).checked_sub(1));
    }
    Ok(blocks)
}

/// The file as it is when original block `b` is at `place(b)`.
fn model(blocks: u64, place: impl Fn(u64) -> Option<u64>) -> Vec<Option<u64>> {
    let mut model = vec![None; blocks as usize];
    for block in (0..BLOCKS).filter(|&block| is_data(block)) {
        if let Some(at) = place(block) {
            model[at as usize] = Some(block);
        }
    }
    model
}

/// Collapsing frees the range from its end and moves what is behind it from its start.
fn look_at_collapse(filesystem: &mut Filesystem) -> Result<State> {
    let found = read(filesystem)?;
    let end = START + LEN;
    let punched = |from| model(BLOCKS, |b| (!(from..end).contains(&b)).then_some(b));
    let moved = |blocks, up_to| {
        model(blocks, |b| match b {
            b if b < START => Some(b),
            b if b < end => None,
            b if b < up_to => Some(b - LEN),
            b => Some(b),
        })
    };
    if found == punched(end) {
        return Ok(State::Old);
    }
    if found == moved(BLOCKS - LEN, BLOCKS) {
        return Ok(State::New);
    }
    let between = (START..end).any(|from| found == punched(from))
        || (end..=BLOCKS).any(|up_to| found == moved(BLOCKS, up_to));
    ensure!(between, "no step of a collapse leaves {found:?}");
    Ok(State::Between)
}

/// Inserting lets the file grow, then moves what is behind the offset from its end.
fn look_at_insert(filesystem: &mut Filesystem) -> Result<State> {
    let found = read(filesystem)?;
    if found == model(BLOCKS, Some) {
        return Ok(State::Old);
    }
    let moved = |from| model(BLOCKS + LEN, |b| Some(if b < from { b } else { b + LEN }));
    if found == moved(START) {
        return Ok(State::New);
    }
    let between = (START..=BLOCKS).any(|from| found == moved(from));
    ensure!(between, "no step of an insertion leaves {found:?}");
    Ok(State::Between)
}

fn cut_everywhere(
    mode: AllocateMode,
    look: &dyn Fn(&mut Filesystem) -> Result<State>,
    every_step: bool,
    samples: usize,
) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let experiment = Experiment {
        mkfs: &[],
        size: Experiment::SIZE,
        prepare: &|image| on_image(image, prepare),
        device: &plain,
        act: &|filesystem| {
            let file = filesystem.lookup("/file")?;
            Ok(filesystem.allocate(file, mode, START * BLOCK, LEN * BLOCK)?)
        },
        look,
        every_step,
        samples,
        judged: 16,
        seed: 0xa110_c000,
    };
    let tally = all_or_nothing::run(&peers, &linux, &experiment)?;
    ensure!(!every_step || tally.between > 0, "{tally}: nothing in between was seen");
    say(&tally.to_string());
    Ok(())
}

#[test]
fn a_collapse_is_sound_at_every_power_cut() -> Result<()> {
    cut_everywhere(AllocateMode::CollapseRange, &look_at_collapse, false, 30)?;
    cut_everywhere(AllocateMode::CollapseRange, &look_at_collapse, true, 1)
}

#[test]
fn an_insertion_is_sound_at_every_power_cut() -> Result<()> {
    cut_everywhere(AllocateMode::InsertRange, &look_at_insert, false, 30)?;
    cut_everywhere(AllocateMode::InsertRange, &look_at_insert, true, 1)
}
