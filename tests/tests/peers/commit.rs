//! Commits: no change between sample and commit goes unseen, and a power cut leaves all of a
//! commit or nothing.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::{FaultDevice, FaultRule, FileDevice};
use libfs::file::allocate::AllocateMode;
use libfs::file::attributes::{FileAttributes, FileFlags};
use libfs::file::exchange::{ExchangeFlags, Freshness};
use libfs::filesystem::{CloneRange, ExchangeRange, Filesystem};
use libfs::xattr::{self, Namespace, SetMode};
use libfs::{Errno, Error};
use tests::all_or_nothing::{self, Experiment, State, contents, on_image, open, plain};
use tests::enumerate::Random;
use tests::linux::Linux;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;

const SEED: u64 = 0xc0_3317;
fn whole() -> ExchangeRange {
    ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() }
}

/// A way to change a file, its attributes or its names. The other file may change as well, but
/// has the same size before and after.
type Change = fn(&mut Filesystem, u64, u64, u64) -> libfs::Result<()>;

const SIZE: u64 = 9000;
const BLOCK: usize = 4096;
const BLOCK_LEN: u64 = BLOCK as u64;

fn allocate(mode: AllocateMode, filesystem: &mut Filesystem, file: u64) -> libfs::Result<()> {
    filesystem.allocate(file, mode, 0, BLOCK_LEN)
}

/// Each is given the file, the other one and a place in the file; it leaves both with
/// [`SIZE`] bytes.
const CHANGES: [(&str, Change); 21] = [
    ("write", |fs, file, _, at| fs.write(file, at, b"x")),
    ("cut", |fs, file, _, at| {
        fs.truncate(file, at)?;
        fs.truncate(file, SIZE)
    }),
    ("set the same size", |fs, file, _, _| fs.truncate(file, SIZE)),
    ("link", |fs, file, _, _| fs.link_ino(file, "/link")),
    ("unlink", |fs, _, _, _| fs.unlink("/link")),
    ("rename", |fs, _, _, _| {
        fs.rename("/file", "/moved")?;
        fs.rename("/moved", "/file")
    }),
    ("allocate", |fs, file, _, _| allocate(AllocateMode::Allocate { keep_size: true }, fs, file)),
    ("punch", |fs, file, _, _| allocate(AllocateMode::PunchHole, fs, file)),
    ("zero", |fs, file, _, _| allocate(AllocateMode::ZeroRange { keep_size: true }, fs, file)),
    ("insert", |fs, file, _, _| {
        allocate(AllocateMode::InsertRange, fs, file)?;
        fs.truncate(file, SIZE)
    }),
    ("collapse", |fs, file, _, _| {
        allocate(AllocateMode::CollapseRange, fs, file)?;
        fs.truncate(file, SIZE)
    }),
    ("unshare", |fs, file, _, _| allocate(AllocateMode::UnshareRange, fs, file)),
    ("set flags", |fs, file, _, at| {
        let flags = if at % 2 == 0 { FileFlags::NODUMP } else { FileFlags::NOATIME };
        let new = FileAttributes { xflags: flags.bits(), ..FileAttributes::default() };
        fs.set_attributes(file, &new)
    }),
    ("set permissions", |fs, file, _, at| fs.set_mode(file, at as u16 & 0o777)),
    ("set times", |fs, file, _, at| fs.set_times(file, None, Some((at as i64, 0)))),
    ("set an attribute", |fs, file, _, at| {
        let inode = fs.mount().iget(file)?;
        let value = at.to_le_bytes();
        xattr::set(fs.mount(), inode, Namespace::User, b"name", &value, SetMode::Any)
    }),
    ("clone", |fs, file, other, _| fs.clone_range(other, file, &CloneRange::default())),
    ("copy", |fs, file, other, at| {
        let range = CloneRange { source_offset: 0, target_offset: at, length: SIZE - at };
        fs.copy_range(other, file, &range).map(drop)
    }),
    ("exchange", |fs, file, other, at| {
        let (file1, file2) = if at % 2 == 0 { (file, other) } else { (other, file) };
        fs.exchange_range(file1, file2, &whole())
    }),
    ("staged write", |fs, file, _, at| {
        let mut staged = fs.open_staged(file)?;
        fs.write_staged(&mut staged, at, b"y")?;
        fs.commit_staged(&mut staged)?;
        fs.discard_staged(staged)
    }),
    ("untorn write", |fs, file, _, _| fs.write_untorn(file, 0, &[7; BLOCK], true).map(drop)),
];

#[test]
fn every_change_between_sample_and_commit_is_seen() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let mut random = Random(SEED);
    let (mut seen, mut committed) = (0, 0);
    on_image(&image, |filesystem| {
        let file = filesystem.create("/file", 0o644)?;
        let other = filesystem.create("/other", 0o644)?;
        filesystem.write(file, 0, &[1; SIZE as usize])?;
        filesystem.write(other, 0, &[2; SIZE as usize])?;
        let mut linked = false;
        for round in 0..5000 {
            let fresh = filesystem.start_commit(file)?;
            let again = Freshness::from_words(fresh.to_words());
            let (name, change) = CHANGES[random.below(CHANGES.len())];
            let at = random.below(SIZE as usize) as u64;
            let possible = match name {
                "link" => !linked,
                "unlink" => linked,
                _ => true,
            };
            let changes = possible && random.below(3) > 0;
            if changes {
                change(filesystem, file, other, at).with_context(|| name)?;
                linked = name == "link" || linked && name != "unlink";
            } else {
                // Reading, and changes of the other file, are none of this one.
                contents(filesystem, "/file")?;
                filesystem.write(other, at, b"z")?;
            }
            let result = filesystem.commit_range(other, file, &whole(), &again);
            match result {
                Err(Error::Os { errno: Errno::EBUSY, .. }) if changes => seen += 1,
                Ok(()) if !changes => committed += 1,
                other => anyhow::bail!("seed {SEED:#x}, round {round}, {name}: {other:?}"),
            }
        }
        Ok(())
    })?;
    peers.assert_clean(&image);
    say(&format!(
        "seed {SEED:#x}: {seen} changes of {} kinds seen, {committed} commits without one",
        CHANGES.len()
    ));
    Ok(())
}

/// The clock of whoever wrote the image last was ahead of ours: changes show all the same.
/// A time of modification that was set to the future is another matter, and Linux's.
#[test]
fn a_change_is_seen_even_if_the_clock_went_back() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    let mut random = Random(SEED);
    let mut times = 0;
    // The end of time of classic timestamps; what xfs_db can write of the others.
    for (bigtime, last) in [(0, i32::MAX as u64), (1, 7_000_000_000)] {
        peers.mkfs(&image, 300 << 20, &["-m", &format!("bigtime={bigtime}")])?;
        linux.script(&image, "echo 1 >$MNT/a; echo 2 >$MNT/b; touch -d '2037-01-01' $MNT/a")?;
        for ahead in [0, 1, 1000, 1 << 20, 1 << 27] {
            let seconds = last - ahead;
            let nanos = random.below(1_000_000_000) as u64;
            set_time_of_change(&peers, &image, bigtime == 1, seconds, nanos)?;
            times += 1;
            on_image(&image, |filesystem| {
                let (a, b) = (filesystem.lookup("/a")?, filesystem.lookup("/b")?);
                let before = filesystem.stat(a)?;
                ensure!(before.ctime == (seconds as i64, nanos as u32), "{before:?}");
                filesystem.truncate(a, SIZE)?;
                for (change, run) in &CHANGES[..3] {
                    let fresh = filesystem.start_commit(a)?;
                    run(filesystem, a, b, 100)?;
                    let refused = filesystem.commit_range(b, a, &whole(), &fresh);
                    let errno = refused.err().map(|error| error.errno());
                    ensure!(errno == Some(Errno::EBUSY), "{seconds}.{nanos}, {change}: {errno:?}");
                }
                let after = filesystem.stat(a)?;
                ensure!(
                    after.ctime > before.ctime || seconds == i32::MAX as u64,
                    "{before:?}, {after:?}"
                );
                Ok(())
            })?;
            peers.assert_clean(&image);
        }
    }
    say(&format!("seed {SEED:#x}: three changes each after {times} times ahead of the clock"));
    Ok(())
}

/// Sets the time of change of the file "a" as if it had been changed then.
fn set_time_of_change(
    peers: &Peers,
    image: &Path,
    bigtime: bool,
    seconds: u64,
    nanos: u64,
) -> Result<()> {
    // xfs_db writes times as they are on disk: nanoseconds since 1901, or seconds and nanoseconds.
    let classic = seconds << 32 | nanos;
    let disk = if bigtime { (seconds + (1 << 31)) * 1_000_000_000 + nanos } else { classic };
    let mut db = peers.command("xfs_db");
    db.args(["-x", "-c", "path /a", "-c", &format!("write core.ctime.sec {disk}")]);
    run(db.arg(image)).map(drop)
}

/// A write that the device refuses in the middle has changed the file.
#[test]
fn a_write_that_fails_half_way_is_seen() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let device = Arc::new(FaultDevice::new(Arc::new(FileDevice::open(&image)?), Vec::new()));
    let mut filesystem = open(device.clone())?;
    let file = filesystem.create("/file", 0o644)?;
    let other = filesystem.create("/other", 0o644)?;
    filesystem.write(file, 0, &[1; 20_000])?;
    // The parts of blocks at both ends are written apart from the blocks between them.
    for part in 0..3 {
        let before = contents(&mut filesystem, "/file")?;
        let fresh = filesystem.start_commit(file)?;
        device.set_rules(vec![FaultRule::FailWrite(device.writes() + part)]);
        let failed = filesystem.write(file, 100, &[2 + part as u8; 10_000]);
        device.set_rules(Vec::new());
        ensure!(failed.err().map(|error| error.errno()) == Some(Errno::EIO));
        ensure!((contents(&mut filesystem, "/file")? != before) == (part > 0), "part {part}");
        let refused = filesystem.commit_range(other, file, &whole(), &fresh);
        ensure!(refused.err().map(|error| error.errno()) == Some(Errno::EBUSY), "part {part}");
    }
    filesystem.close()?;
    peers.assert_clean(&image);
    Ok(())
}

/// An update of the file: its size afterwards, and blocks that change.
struct Update {
    size: usize,
    blocks: &'static [usize],
    /// Made in a clone of the file, which is committed whole; else in an empty file, of which
    /// only what was written is committed.
    cloned: bool,
}

const OLD_SIZE: usize = 30 * BLOCK + 100;

impl Update {
    fn before() -> Vec<u8> {
        (0..OLD_SIZE).map(|i| (i / 1000) as u8).collect()
    }

    fn after(&self) -> Vec<u8> {
        let mut data = Self::before();
        data.resize(self.size, 0);
        for &block in self.blocks {
            data[block * BLOCK..(block + 1) * BLOCK].fill(0xaa);
        }
        data
    }

    fn commit(&self, filesystem: &mut Filesystem) -> Result<()> {
        let file = filesystem.lookup("/file")?;
        let fresh = filesystem.start_commit(file)?;
        let own = filesystem.create_temporary("/", 0o600)?;
        if self.cloned {
            filesystem.clone_range(file, own, &CloneRange::default())?;
        }
        filesystem.truncate(own, self.size as u64)?;
        for &block in self.blocks {
            filesystem.write(own, (block * BLOCK) as u64, &[0xaa; BLOCK])?;
        }
        // What was only prepared shows nobody anything, even if it is durable.
        filesystem.sync()?;
        let flags = if self.cloned { ExchangeFlags::TO_EOF } else { ExchangeFlags::FILE1_WRITTEN };
        let length = if self.cloned { 0 } else { self.size as u64 };
        let range = ExchangeRange { length, flags, ..ExchangeRange::default() };
        filesystem.commit_range(own, file, &range, &fresh)?;
        Ok(filesystem.release(own)?)
    }

    fn look(&self, filesystem: &mut Filesystem) -> Result<State> {
        let found = contents(filesystem, "/file")?;
        if found == Self::before() {
            return Ok(State::Old);
        }
        ensure!(found == self.after(), "the file is neither old nor new");
        Ok(State::New)
    }

    fn cut_everywhere(&self, every_step: bool, samples: usize) -> Result<()> {
        let Some(peers) = Peers::or_skip() else { return Ok(()) };
        let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
        let experiment = Experiment {
            mkfs: &[],
            size: Experiment::SIZE,
            prepare: &|image| {
                on_image(image, |filesystem| {
                    let file = filesystem.create("/file", 0o644)?;
                    Ok(filesystem.write(file, 0, &Self::before())?)
                })
            },
            device: &plain,
            act: &|filesystem| self.commit(filesystem),
            look: &|filesystem| self.look(filesystem),
            every_step,
            samples,
            judged: 8,
            seed: SEED,
        };
        say(&all_or_nothing::run(&peers, &linux, &experiment)?.to_string());
        Ok(())
    }
}

/// Blocks that independent rows are in.
const ROWS: Update = Update { size: OLD_SIZE, blocks: &[0, 3, 4, 11, 20, 29], cloned: false };
const GROWN: Update = Update { size: 34 * BLOCK + 7, blocks: &[1, 5, 6, 30, 33], cloned: true };
const SHRUNK: Update = Update { size: 17 * BLOCK + 7, blocks: &[1, 5, 16], cloned: true };

#[test]
fn a_commit_of_rows_is_all_or_nothing_at_every_power_cut() -> Result<()> {
    ROWS.cut_everywhere(false, 20)?;
    ROWS.cut_everywhere(true, 2)
}

#[test]
fn a_commit_of_a_grown_clone_is_all_or_nothing_at_every_power_cut() -> Result<()> {
    GROWN.cut_everywhere(false, 20)?;
    GROWN.cut_everywhere(true, 2)
}

#[test]
fn a_commit_of_a_shrunk_clone_is_all_or_nothing_at_every_power_cut() -> Result<()> {
    SHRUNK.cut_everywhere(false, 20)?;
    SHRUNK.cut_everywhere(true, 2)
}
