//! Power cuts at every point of a clone and a deduplication: each extent is old or new, in
//! order, and what is shared is counted so.

use std::path::Path;

use anyhow::{Result, ensure};
use libfs::filesystem::{CloneRange, Dedupe, Filesystem, Mapping};
use tests::all_or_nothing::{Experiment, State, contents, on_image, plain, run};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::skip::say;

const BLOCK: usize = 4096;
/// Extents of each file, of one block, with holes between them.
const EXTENTS: usize = 16;

/// Contents of a fragmented file.
fn data(fill: u8) -> Vec<u8> {
    let mut data = vec![0; 2 * EXTENTS * BLOCK];
    for (i, block) in data.chunks_mut(2 * BLOCK).enumerate() {
        block[..BLOCK].fill(fill.wrapping_add(i as u8));
    }
    data
}

fn write(filesystem: &mut Filesystem, path: &str, data: &[u8]) -> Result<()> {
    let file = filesystem.create(path, 0o644)?;
    for (i, block) in data.chunks(2 * BLOCK).enumerate() {
        filesystem.write(file, (2 * i * BLOCK) as u64, &block[..BLOCK])?;
    }
    Ok(filesystem.truncate(file, data.len() as u64)?)
}

/// Where each block of a file lies, and whether it is shared.
fn blocks(filesystem: &mut Filesystem, path: &str) -> Result<Vec<Option<(u64, bool)>>> {
    let file = filesystem.lookup(path)?;
    let mut found = vec![None; 2 * EXTENTS];
    for Mapping { offset, len, start, shared, .. } in filesystem.mappings(file, false)? {
        for i in 0..len / 8 {
            let block = usize::try_from(offset / 8 + i)?;
            ensure!(block < found.len(), "{path} has a block {block}");
            found[block] = start.map(|start| (start + 8 * i, shared));
        }
    }
    Ok(found)
}

/// How many of the first extents of /target are those of /source; an error if others are,
/// or if one that is, or is not, is counted otherwise.
fn shared_extents(filesystem: &mut Filesystem) -> Result<usize> {
    let source = blocks(filesystem, "/source")?;
    let target = blocks(filesystem, "/target")?;
    let mut shared = 0;
    for (i, (one, two)) in source.iter().zip(&target).enumerate().step_by(2) {
        let (Some((one, counted)), Some((two, _))) = (one, two) else {
            anyhow::bail!("block {i} is {one:?} and {two:?}");
        };
        ensure!((one == two) == *counted, "block {i} at {one} and {two}: shared {counted}");
        if one == two {
            ensure!(shared == i / 2, "block {i} is shared, one before it is not");
            shared += 1;
        }
    }
    Ok(shared)
}

fn state(shared: usize) -> State {
    match shared {
        0 => State::Old,
        EXTENTS => State::New,
        _ => State::Between,
    }
}

fn cut_everywhere(dedupe: bool, every_step: bool, mkfs: &[&str]) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let (source, target) = (data(0x10), data(if dedupe { 0x10 } else { 0x90 }));
    let whole = CloneRange { length: source.len() as u64, ..CloneRange::default() };
    let tally = run(
        &peers,
        &linux,
        &Experiment {
            mkfs,
            size: Experiment::SIZE,
            prepare: &|image: &Path| {
                on_image(image, |filesystem| {
                    write(filesystem, "/source", &source)?;
                    write(filesystem, "/target", &target)
                })
            },
            device: &plain,
            act: &|filesystem| {
                let (a, b) = (filesystem.lookup("/source")?, filesystem.lookup("/target")?);
                if dedupe {
                    let found = filesystem.dedupe_range(a, b, &whole)?;
                    ensure!(found == Dedupe::Same(whole.length), "{found:?}");
                    return Ok(());
                }
                Ok(filesystem.clone_range(a, b, &whole)?)
            },
            look: &|filesystem| {
                ensure!(contents(filesystem, "/source")? == source, "the source is another");
                let shared = shared_extents(filesystem)?;
                let mut expected = target.clone();
                let new = 2 * shared * BLOCK;
                expected[..new].copy_from_slice(&source[..new]);
                ensure!(contents(filesystem, "/target")? == expected, "{shared} shared");
                Ok(state(shared))
            },
            every_step,
            samples: if every_step { 1 } else { 30 },
            judged: 12,
            seed: 0xc10e_0005,
        },
    )?;
    ensure!(tally.between > 0 || !every_step, "{tally}: no cut hit the middle");
    say(&format!("{mkfs:?}, dedupe {dedupe}: {tally}"));
    Ok(())
}

#[test]
fn a_cut_clone_is_old_or_new_extent_by_extent() -> Result<()> {
    cut_everywhere(false, false, &[])?;
    cut_everywhere(false, true, &[])
}

#[test]
fn a_cut_clone_without_reverse_mappings_is_old_or_new_extent_by_extent() -> Result<()> {
    cut_everywhere(false, true, &["-m", "rmapbt=0", "-b", "size=4k"])
}

#[test]
fn a_cut_deduplication_keeps_the_contents() -> Result<()> {
    cut_everywhere(true, false, &[])?;
    cut_everywhere(true, true, &[])
}
