//! Files whose blocks are shared in 10,000 pieces with different counts, on filesystems with
//! the smallest log that mkfs.xfs makes: what we do to them ends as on Linux, and can be
//! interrupted anywhere.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::FileDevice;
use libfs::filesystem::Filesystem;
use libfs::transaction::InjectTag;
use rustix::fs::copy_file_range;
use tests::all_or_nothing::{on_image, open};
use tests::enumerate::Random;
use tests::linux::{self, Linux};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use crate::clone::reference_counts;
use crate::cow::staged_records;

/// Blocks of the file, each of which is a piece.
const PIECES: u64 = 10_000;
const SEED: u64 = 0xc0e3_0001;

/// Makes an image with the smallest log that mkfs.xfs accepts for it.
fn make(peers: &Peers, image: &Path, block: u64) -> Result<()> {
    let size = format!("size={block}");
    let options = |log: &str| ["--unsupported", "-b", &size, "-l", log].map(str::to_owned);
    let try_make = |log: &str| {
        let options = options(log);
        let options: Vec<&str> = options.iter().map(String::as_str).collect();
        peers.mkfs(image, 300 << 20, &options)
    };
    // The least size that options may ask for at all, whatever the filesystem needs.
    let Err(refused) = try_make("size=2m") else { return Ok(()) };
    let refused = format!("{refused:#}");
    let least = refused.split("minimum size is ").nth(1).and_then(|rest| rest.split(' ').next());
    let least = least.with_context(|| refused.clone())?;
    try_make(&format!("size={least}b"))
}

/// Linux makes the file `big`, of which every other block is in `one` too, and the first half
/// in `half`.
fn prepare(image: &Path, block: u64) -> Result<()> {
    linux::mount(image, |root| {
        let data: Vec<u8> = (0..PIECES * block).map(|i| (i / block) as u8 | 1).collect();
        fs::write(root.join("big"), data)?;
        let big = File::open(root.join("big"))?;
        big.sync_all()?;
        let one = OpenOptions::new().write(true).create_new(true).open(root.join("one"))?;
        let half = OpenOptions::new().write(true).create_new(true).open(root.join("half"))?;
        let share = |to: &File, at: u64, len: u64| -> Result<()> {
            let (mut from, mut into) = (at, at);
            let len = usize::try_from(len)?;
            let copied = copy_file_range(&big, Some(&mut from), to, Some(&mut into), len)?;
            ensure!(copied == len, "{copied} of {len} bytes");
            Ok(())
        };
        for i in (0..PIECES).step_by(2) {
            share(&one, i * block, block)?;
        }
        share(&half, 0, PIECES / 2 * block)
    })
}

/// What is done to the file.
#[derive(Debug, Clone, Copy)]
enum Act {
    Truncate,
    /// Truncate, with each piece in a transaction of its own.
    TruncateInSteps,
    Unlink,
    Unshare,
    Rewrite,
}

impl Act {
    fn by_us(self, filesystem: &mut Filesystem, block: u64) -> libfs::Result<()> {
        let big = filesystem.lookup("/big")?;
        match self {
            Act::Truncate => filesystem.truncate(big, 0),
            Act::TruncateInSteps => {
                filesystem.mount().reservations.deferred_step = u64::MAX;
                filesystem.truncate(big, 0)
            }
            Act::Unlink => filesystem.unlink("/big"),
            Act::Unshare => filesystem.unshare(big, 0, PIECES * block),
            Act::Rewrite => filesystem.write(big, 0, &vec![0x5a; (PIECES * block) as usize]),
        }
    }

    fn by_linux(self, peers: &Peers, root: &Path, block: u64) -> Result<()> {
        let len = PIECES * block;
        let command = match self {
            Act::Truncate | Act::TruncateInSteps => "truncate 0".to_owned(),
            Act::Unlink => return Ok(fs::remove_file(root.join("big"))?),
            Act::Unshare => format!("funshare 0 {len}"),
            Act::Rewrite => format!("pwrite -q -S 0x5a 0 {len}"),
        };
        peers.io(&root.join("big"), &[&command, "fsync"]).map(drop)
    }
}

/// Does it on one copy of the image, and has Linux do it on another.
fn compare(peers: &Peers, base: &Path, act: Act, block: u64) -> Result<()> {
    let [linux, ours] = ["linux", "ours"].map(|name| base.with_extension(name));
    sparse::copy(base, &linux)?;
    sparse::copy(base, &ours)?;
    // A file that is written to keeps its flag until it is unshared once more.
    let times = if matches!(act, Act::Unshare) { 2 } else { 1 };
    for _ in 0..times {
        linux::mount(&linux, |root| act.by_linux(peers, root, block))?;
        on_image(&ours, |filesystem| Ok(act.by_us(filesystem, block)?))?;
    }
    peers.assert_clean(&ours);
    let counts = [&linux, &ours].map(|image| reference_counts(peers, image));
    let [theirs, our] = counts;
    ensure!(theirs? == our?, "other reference counts than on Linux");
    let flags = [&linux, &ours].map(|image| peers.db(image, &["path /big", "print v3.flags2"]));
    let [theirs, our] = flags;
    if !matches!(act, Act::Unlink) {
        let (theirs, our) = (theirs?, our?);
        ensure!(theirs == our, "flags on Linux: {theirs}, ours: {our}");
    }
    Linux::Host.manifest(&linux)?.assert_same(&Linux::Host.manifest(&ours)?);
    Ok(())
}

/// Interrupts it after a random number of steps; we recover one copy and Linux another.
fn interrupt(
    peers: &Peers,
    base: &Path,
    act: Act,
    block: u64,
    (tag, skip): (InjectTag, u32),
) -> Result<bool> {
    let [linux, ours] = ["linux", "ours"].map(|name| base.with_extension(name));
    sparse::copy(base, &linux)?;
    let mut filesystem = open(Arc::new(FileDevice::open(&linux)?))?;
    filesystem.inject(tag, skip);
    let ended = act.by_us(&mut filesystem, block).is_ok();
    if ended {
        filesystem.shut_down(true)?;
    }
    drop(filesystem);
    sparse::copy(&linux, &ours)?;
    on_image(&ours, |_| Ok(()))?;
    let by_us = Linux::Host.manifest(&ours)?;
    peers.assert_clean(&ours);
    Linux::Host.manifest(&linux)?.assert_same(&by_us);
    peers.assert_clean(&linux);
    ensure!(staged_records(peers, &ours)? == 0, "blocks are staged still");
    let counts = [&linux, &ours].map(|image| reference_counts(peers, image));
    let [theirs, our] = counts;
    ensure!(theirs? == our?, "other reference counts than Linux");
    Ok(ended)
}

fn many_pieces(block: u64, acts: &[Act], interrupted: &[Act]) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::in_memory()?;
    let base = scratch.path("base.image");
    make(&peers, &base, block)?;
    prepare(&base, block)?;
    let pieces = reference_counts(&peers, &base)?.len();
    ensure!(pieces as u64 >= PIECES / 2, "only {pieces} records: the test proves nothing");
    for act in acts {
        compare(&peers, &base, *act, block).with_context(|| format!("{act:?}"))?;
    }
    let mut random = Random(SEED);
    let mut tried = 0;
    for act in interrupted {
        let steps = if matches!(act, Act::TruncateInSteps) { PIECES as usize } else { 3 };
        let points = [
            (InjectTag::RefcountFinishOne, 0),
            (InjectTag::RefcountFinishOne, 1 + random.below(steps) as u32),
            (InjectTag::FreeExtent, random.below(40) as u32),
        ];
        for (tag, skip) in points {
            let ended = interrupt(&peers, &base, *act, block, (tag, skip))
                .with_context(|| format!("{act:?} interrupted by {tag:?} after {skip}"))?;
            tried += usize::from(!ended);
        }
    }
    ensure!(tried > 0 || interrupted.is_empty(), "nothing was interrupted");
    say(&format!(
        "{pieces} reference count records, blocks of {block}: {acts:?} as on Linux, {tried} \
         interrupted and recovered"
    ));
    Ok(())
}

#[test]
fn ten_thousand_pieces_end_as_on_linux() -> Result<()> {
    many_pieces(4096, &[Act::Truncate, Act::Unlink], &[Act::Truncate])
}

#[test]
fn ten_thousand_small_pieces_end_as_on_linux() -> Result<()> {
    many_pieces(
        1024,
        &[Act::Truncate, Act::Unshare, Act::Rewrite],
        &[Act::Truncate, Act::Unshare, Act::Rewrite],
    )
}

#[test]
fn a_chain_of_ten_thousand_steps_ends_as_on_linux() -> Result<()> {
    many_pieces(1024, &[Act::TruncateInSteps], &[Act::TruncateInSteps])
}
