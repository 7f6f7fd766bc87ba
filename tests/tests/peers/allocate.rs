//! The fallocate family: the same operations by Linux, through xfs_io 7.2, and by us, with
//! the same errors, sizes, contents and mappings after each.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::FileDevice;
use libfs::file::AllocateMode;
use libfs::filesystem::{Filesystem, Opened};
use tests::enumerate::Random;
use tests::linux::{self, Mount};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

const KEEP: bool = true;
const GROW: bool = false;

/// One operation on a file. Offsets, lengths and sizes are in bytes.
#[derive(Debug, Clone, Copy)]
enum Op {
    Write(u64, u64, u8),
    Truncate(u64),
    Mode(AllocateMode, u64, u64),
}

impl fmt::Display for Op {
    /// As a command of xfs_io.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mode, offset, len) = match *self {
            Op::Write(offset, len, fill) => return write!(f, "pwrite -q -S {fill} {offset} {len}"),
            Op::Truncate(size) => return write!(f, "truncate {size}"),
            Op::Mode(mode, offset, len) => (mode, offset, len),
        };
        let name = match mode {
            AllocateMode::Allocate { keep_size: true } => "falloc -k",
            AllocateMode::Allocate { keep_size: false } => "falloc",
            AllocateMode::PunchHole => "fpunch",
            AllocateMode::ZeroRange { keep_size: true } => "fzero -k",
            AllocateMode::ZeroRange { keep_size: false } => "fzero",
            AllocateMode::CollapseRange => "fcollapse",
            AllocateMode::InsertRange => "finsert",
            AllocateMode::UnshareRange => "funshare",
            AllocateMode::WriteZeroes => "fwzero",
        };
        write!(f, "{name} {offset} {len}")
    }
}

/// What can be seen of a file: size, and blocks of data and unwritten ones, as units of 512
/// bytes from, to and whether unwritten. Neighbours that are alike are one.
#[derive(Debug, PartialEq, Eq)]
struct Shape {
    size: u64,
    ranges: Vec<(u64, u64, bool)>,
}

impl Shape {
    fn new(size: u64, pieces: impl IntoIterator<Item = (u64, u64, bool)>) -> Self {
        let mut ranges: Vec<(u64, u64, bool)> = Vec::new();
        for (start, end, unwritten) in pieces {
            match ranges.last_mut() {
                Some(last) if last.1 == start && last.2 == unwritten => last.1 = end,
                _ => ranges.push((start, end, unwritten)),
            }
        }
        Shape { size, ranges }
    }
}

/// A file of ours and the same one on Linux.
struct Pair<'a> {
    peers: &'a Peers,
    ours: &'a mut Filesystem,
    root: &'a Path,
    name: String,
    /// How far unwritten blocks reach is not compared: with an extent size hint, that depends
    /// on the free space where they are allocated.
    only_written: bool,
}

impl Pair<'_> {
    fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// What xfs_io prints for `commands`, errors included.
    fn linux(&self, commands: &[&str]) -> Result<String> {
        let mut command = self.peers.command("xfs_io");
        command.arg("-d");
        for line in commands {
            command.args(["-c", line]);
        }
        let output = command.arg(self.root.join(&self.name)).output()?;
        let text = [output.stdout, output.stderr].concat();
        Ok(String::from_utf8_lossy(&text).into_owned())
    }

    /// Runs `op` on both; fails unless both refuse it for the same reason, or both do it.
    /// True if they did.
    fn step(&mut self, op: Op) -> Result<bool> {
        let printed = self.linux(&[&op.to_string()])?;
        let theirs = printed.trim().rsplit(": ").next().filter(|reason| !reason.is_empty());
        let result = apply(self.ours, &self.path(), op);
        let ours = result.as_ref().err().map(reason);
        ensure!(ours.as_deref() == theirs, "{op}: Linux says {theirs:?}, we {ours:?} ({result:?})");
        Ok(ours.is_none())
    }

    fn shape_of_linux(&self) -> Result<Shape> {
        let printed = self.linux(&["bmap -vp"])?;
        let size = std::fs::metadata(self.root.join(&self.name))?.len();
        let mut pieces = Vec::new();
        for line in printed.lines().skip(2) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, range, .., total, flags] = words.as_slice() else { continue };
            if line.contains("hole") {
                continue;
            }
            // The end of the range may be cut off in print.
            let start = range.trim_start_matches('[').split("..").next().context("a range")?;
            let start: u64 = start.parse()?;
            let unwritten = u32::from_str_radix(flags, 8)? & 0o10000 != 0;
            pieces.push((start, start + total.parse::<u64>()?, unwritten));
        }
        Ok(Shape::new(size, pieces))
    }

    fn our_shape(&mut self) -> Result<Shape> {
        let ino = self.ours.lookup(&self.path())?;
        let size = self.ours.stat(ino)?.size;
        let mapped = self.ours.mappings(ino, false)?;
        let mapped = mapped.iter().filter(|mapping| mapping.start.is_some());
        Ok(Shape::new(size, mapped.map(|m| (m.offset, m.offset + m.len, m.unwritten))))
    }

    /// Fails unless size, mappings and contents are the same.
    fn compare(&mut self, contents: bool) -> Result<()> {
        let (mut theirs, mut ours) = (self.shape_of_linux()?, self.our_shape()?);
        if self.only_written {
            theirs.ranges.retain(|(.., unwritten)| !unwritten);
            ours.ranges.retain(|(.., unwritten)| !unwritten);
        }
        ensure!(theirs == ours, "Linux has\n{theirs:?}\nwe have\n{ours:?}");
        if contents {
            let theirs = std::fs::read(self.root.join(&self.name))?;
            let ino = self.ours.lookup(&self.path())?;
            let mut ours = vec![0; theirs.len()];
            self.ours.read(ino, 0, &mut ours)?;
            let differs = theirs.iter().zip(&ours).position(|(a, b)| a != b);
            ensure!(differs.is_none(), "contents differ at byte {differs:?}");
        }
        Ok(())
    }
}

/// The system's words for an error.
fn reason(error: &libfs::Error) -> String {
    let words = std::io::Error::from_raw_os_error(error.errno() as i32).to_string();
    words.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The operation as one who opens the file, does it and closes the file.
fn apply(filesystem: &mut Filesystem, path: &str, op: Op) -> libfs::Result<()> {
    let ino = filesystem.lookup(path)?;
    filesystem.hold_writer(ino, false)?;
    let done = match op {
        Op::Write(offset, len, fill) => filesystem.write(ino, offset, &vec![fill; len as usize]),
        Op::Truncate(size) => filesystem.truncate(ino, size),
        Op::Mode(mode, offset, len) => filesystem.allocate(ino, mode, offset, len),
    };
    filesystem.release_writer(ino)?;
    done
}

fn open(image: &Path) -> Result<Filesystem> {
    match Filesystem::open(Arc::new(FileDevice::open(image)?))? {
        Opened::Clean(filesystem) => Ok(filesystem),
        Opened::Dirty(_) => anyhow::bail!("the log is dirty"),
    }
}

/// Makes an image with `files` empty files, on which `prepare` works with Linux, and runs
/// `work` on each file of two copies of it. Both must be sound afterwards.
fn on_both(
    size: u64,
    options: &[&str],
    files: usize,
    prepare: impl FnOnce(&Peers, &Path) -> Result<()>,
    mut work: impl FnMut(&mut Pair<'_>, usize) -> Result<()>,
) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
    peers.mkfs(&theirs, size, options)?;
    linux::mount(&theirs, |root| {
        for index in 0..files {
            std::fs::write(root.join(format!("file{index}")), [])?;
        }
        prepare(&peers, root)
    })?;
    sparse::copy(&theirs, &ours)?;
    let mount = Mount::new(&theirs)?;
    let mut filesystem = open(&ours)?;
    for index in 0..files {
        let name = format!("file{index}");
        let root = mount.root();
        let mut pair =
            Pair { peers: &peers, ours: &mut filesystem, root, name, only_written: false };
        work(&mut pair, index)?;
    }
    filesystem.close()?;
    mount.unmount()?;
    peers.assert_clean(&ours);
    peers.assert_clean(&theirs);
    let linux = linux::mount(&ours, tests::manifest::Manifest::of)?;
    let same = linux::mount(&theirs, tests::manifest::Manifest::of)?;
    same.assert_same(&linux);
    Ok(())
}

/// Any operation, with ranges that often meet blocks, ends and each other.
fn random_op(random: &mut Random, block: u64, size: u64) -> Op {
    const MOST: u64 = 48;
    let mut number = |bound: u64| random.below(bound as usize) as u64;
    let offset = match number(6) {
        0 => size / block * block,
        1 => number(MOST * block),
        2 => number(MOST * block / 512) * 512,
        _ => number(MOST) * block,
    };
    let len = match number(4) {
        0 => 1 + number(8 * block),
        1 => block,
        _ => (1 + number(8)) * block,
    };
    let mode = |mode| Op::Mode(mode, offset, len);
    // Writes that grow a file and are not in whole blocks go through Linux's page cache when
    // blocks are shared, and then more is allocated than was asked for.
    let unit = if offset + len > size { block } else { 512 };
    let (first, last) = (offset / unit * unit, (offset + len).next_multiple_of(unit));
    match number(12) {
        0..=2 => Op::Write(first, last - first, number(255) as u8 + 1),
        3 => Op::Truncate(offset),
        4 => mode(AllocateMode::Allocate { keep_size: GROW }),
        5 => mode(AllocateMode::Allocate { keep_size: KEEP }),
        6..=7 => mode(AllocateMode::PunchHole),
        8 => mode(AllocateMode::ZeroRange { keep_size: number(2) == 0 }),
        9 => mode(AllocateMode::CollapseRange),
        10 if size < 4 * MOST * block => mode(AllocateMode::InsertRange),
        _ => mode(AllocateMode::UnshareRange),
    }
}

fn random_sequences(
    block: u64,
    seed: u64,
    prepare: impl FnOnce(&Peers, &Path) -> Result<()>,
) -> Result<()> {
    const FILES: usize = 12;
    const STEPS: usize = 45;
    let options = ["-b", &format!("size={block}")].map(String::from);
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let mut random = Random(seed);
    let (mut done, mut refused) = (0, 0);
    on_both(400 << 20, &options, FILES, prepare, |pair, index| {
        let mut log = Vec::new();
        let ino = pair.ours.lookup(&pair.path())?;
        pair.only_written = pair.ours.stat(ino)?.extsize > 0;
        for step in 0..STEPS {
            let ino = pair.ours.lookup(&pair.path())?;
            let size = pair.ours.stat(ino)?.size;
            let op = random_op(&mut random, block, size);
            log.push(op.to_string());
            let result = pair.step(op).and_then(|ok| {
                if ok {
                    done += 1
                } else {
                    refused += 1
                }
                pair.compare(step % 5 == 4 || step + 1 == STEPS)
            });
            result.with_context(|| {
                format!("seed {seed:#x}, file {index}, step {step}:\n{}", log.join("\n"))
            })?;
        }
        Ok(())
    })?;
    say(&format!("blocks of {block}: {done} operations done and {refused} refused by both"));
    Ok(())
}

#[test]
fn random_operations_on_files_with_4k_blocks() -> Result<()> {
    random_sequences(4096, 0xa110_0001, |_, _| Ok(()))
}

#[test]
fn random_operations_on_files_with_1k_blocks() -> Result<()> {
    random_sequences(1024, 0xa110_0002, |_, _| Ok(()))
}

/// Gives all files the same blocks, shared, some data twice in a file.
fn share(peers: &Peers, root: &Path, size: u64) -> Result<()> {
    let source = root.join("source");
    std::fs::write(&source, vec![0x5a; size as usize])?;
    for entry in std::fs::read_dir(root)? {
        let path = entry?.path();
        let reflink = |from: u64, to: u64, len: u64| {
            peers.io(&path, &[&format!("reflink {} {from} {to} {len}", source.display())])
        };
        if path != source {
            reflink(0, 0, size)?;
            reflink(size / 2, size + size / 2, size / 4)?;
        }
    }
    Ok(())
}

#[test]
fn random_operations_on_shared_files_with_4k_blocks() -> Result<()> {
    random_sequences(4096, 0xa110_0003, |peers, root| share(peers, root, 128 << 10))
}

#[test]
fn random_operations_on_shared_files_with_1k_blocks() -> Result<()> {
    random_sequences(1024, 0xa110_0004, |peers, root| share(peers, root, 32 << 10))
}

#[test]
fn random_operations_with_an_extent_size_hint() -> Result<()> {
    random_sequences(4096, 0xa110_0005, |peers, root| {
        for index in 0..12 {
            let hint = format!("extsize {}k", 4 * (2 + index));
            peers.io(&root.join(format!("file{index}")), &[&hint])?;
        }
        Ok(())
    })
}

/// Where a hint widens an allocation to, in a file with room, before and behind what is
/// mapped, and in holes that are too small for it.
#[test]
fn an_extent_size_hint_widens_alike() -> Result<()> {
    const KIB: u64 = 1 << 10;
    let allocate =
        |offset, len| Op::Mode(AllocateMode::Allocate { keep_size: GROW }, offset * KIB, len * KIB);
    let punch = |offset, len| Op::Mode(AllocateMode::PunchHole, offset * KIB, len * KIB);
    let write = |offset, len| Op::Write(offset * KIB, len * KIB, 1);
    let cases = [
        vec![allocate(36, 4)],
        vec![allocate(0, 4), allocate(44, 4)],
        vec![write(0, 4)],
        vec![write(64, 4)],
        vec![write(40, 40), write(0, 4)],
        vec![allocate(40, 24), punch(0, 40), allocate(36, 4)],
        vec![allocate(0, 64), punch(36, 40), allocate(40, 4), write(4, 4)],
        vec![allocate(0, 160), punch(20, 100), allocate(60, 4)],
        vec![allocate(0, 160), punch(20, 20), allocate(24, 4)],
        vec![allocate(0, 160), punch(20, 44), allocate(56, 8)],
        vec![allocate(0, 160), punch(20, 44), write(24, 4), write(60, 4)],
        vec![allocate(500, 1000), punch(700, 60), Op::Truncate(720 * KIB), allocate(710, 4)],
    ];
    let hint = |_: &Peers, root: &Path| -> Result<()> {
        for index in 0..cases.len() {
            let peers = Peers::find()?;
            peers.io(&root.join(format!("file{index}")), &["extsize 32k"])?;
        }
        Ok(())
    };
    on_both(400 << 20, &[], cases.len(), hint, |pair, index| {
        for op in &cases[index] {
            pair.step(*op)?;
            pair.compare(true).with_context(|| format!("case {index}, after {op}"))?;
        }
        Ok(())
    })
}

#[test]
fn the_edges_are_refused_alike() -> Result<()> {
    use AllocateMode::{CollapseRange, InsertRange, PunchHole, UnshareRange};
    const MAX: u64 = i64::MAX as u64;
    let modes = [
        AllocateMode::Allocate { keep_size: KEEP },
        AllocateMode::Allocate { keep_size: GROW },
        PunchHole,
        AllocateMode::ZeroRange { keep_size: KEEP },
        AllocateMode::ZeroRange { keep_size: GROW },
        CollapseRange,
        InsertRange,
        UnshareRange,
        AllocateMode::WriteZeroes,
    ];
    let ranges = [
        (0, 0),
        (4096, 0),
        (0, 1),
        (1, 4096),
        (0, 4095),
        (0, MAX),
        (1, MAX),
        (4096, MAX - 4095),
        (MAX, 1),
        (MAX - 4095, 4096),
        (0, 40960),
        (36864, 4096),
        (40960, 4096),
        (45056, 4096),
        (0, 1 << 40),
        (1 << 40, 4096),
        (0, 4096),
        (MAX / 4096 * 4096 - 8192, 8192),
        (0, MAX / 4096 * 4096),
        (0, MAX / 4096 * 4096 - 36864),
        (0, MAX / 4096 * 4096 - 40960),
    ];
    let mut tried = 0;
    on_both(
        400 << 20,
        &[],
        modes.len() * ranges.len(),
        |_, _| Ok(()),
        |pair, index| {
            let (mode, (offset, len)) = (modes[index / ranges.len()], ranges[index % ranges.len()]);
            pair.step(Op::Write(0, 40960, 7))?;
            pair.step(Op::Mode(mode, offset, len))?;
            tried += 1;
            let small = pair.our_shape()?.size < 1 << 20;
            pair.compare(small).with_context(|| format!("{}", Op::Mode(mode, offset, len)))
        },
    )?;
    say(&format!("{tried} ranges at the edges"));
    Ok(())
}

/// On a filesystem that is nearly full, what cannot fit is refused at once.
#[test]
fn a_full_filesystem_refuses_alike() -> Result<()> {
    use AllocateMode::{Allocate, CollapseRange, InsertRange, PunchHole, ZeroRange};
    const MIB: u64 = 1 << 20;
    let steps = [
        Op::Mode(Allocate { keep_size: GROW }, 0, 150 * MIB),
        Op::Mode(Allocate { keep_size: GROW }, 0, 400 * MIB),
        Op::Mode(Allocate { keep_size: KEEP }, 100 * MIB, 400 * MIB),
        Op::Mode(ZeroRange { keep_size: GROW }, 10 * MIB, 400 * MIB),
        Op::Mode(ZeroRange { keep_size: KEEP }, 10 * MIB + 5, 20 * MIB),
        Op::Mode(PunchHole, 4096, 4096),
        Op::Mode(InsertRange, 8192, 400 * MIB),
        Op::Mode(CollapseRange, 0, 4096),
        Op::Mode(Allocate { keep_size: GROW }, 0, 100 * MIB),
    ];
    on_both(
        300 << 20,
        &[],
        1,
        |_, _| Ok(()),
        |pair, _| {
            for op in steps {
                pair.step(op)?;
                pair.compare(false).with_context(|| format!("after {op}"))?;
            }
            Ok(())
        },
    )
}

/// Thousands of extents move one by one.
#[test]
fn thousands_of_extents_move() -> Result<()> {
    const EXTENTS: u64 = 3000;
    on_both(
        400 << 20,
        &[],
        1,
        |_, root| {
            use std::os::unix::fs::FileExt;
            let file = std::fs::OpenOptions::new().write(true).open(root.join("file0"))?;
            for index in 0..EXTENTS {
                file.write_all_at(&index.to_le_bytes().repeat(512), index * 8192)?;
            }
            Ok(())
        },
        |pair, _| {
            let steps = [
                Op::Mode(AllocateMode::InsertRange, 8192, 4096),
                Op::Mode(AllocateMode::InsertRange, 0, 65536),
                Op::Mode(AllocateMode::CollapseRange, 65536 + 4096, 4096),
                Op::Mode(AllocateMode::CollapseRange, 0, 8192 * EXTENTS / 2),
            ];
            for op in steps {
                pair.step(op)?;
                pair.compare(true).with_context(|| format!("after {op}"))?;
            }
            Ok(())
        },
    )
}

/// What is not a regular file is refused by its type.
#[test]
fn other_types_are_refused() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let mut reasons = Vec::new();
    linux::mount(&image, |root| {
        tests::peers::run(std::process::Command::new("mkfifo").arg(root.join("fifo")))?;
        tests::peers::run(
            std::process::Command::new("mknod").arg(root.join("null")).args(["c", "1", "3"]),
        )?;
        std::fs::create_dir(root.join("directory"))?;
        for name in ["fifo", "null"] {
            let output = peers
                .command("xfs_io")
                .args(["-c", "falloc 0 4096"])
                .arg(root.join(name))
                .output()?;
            let text = String::from_utf8_lossy(&output.stderr).trim().to_string();
            reasons.push(text.rsplit(": ").next().unwrap_or_default().to_string());
        }
        Ok(())
    })?;
    // A directory cannot even be opened for writing on Linux; the kernel's word is EISDIR.
    reasons.push("Is a directory".to_string());
    let mut filesystem = open(&image)?;
    for (name, expected) in ["/fifo", "/null", "/directory"].iter().zip(&reasons) {
        let ino = filesystem.lookup(name)?;
        let mode = AllocateMode::Allocate { keep_size: GROW };
        let refused = filesystem.allocate(ino, mode, 0, 4096);
        let reason = refused.err().as_ref().map(reason);
        ensure!(
            reason.as_deref() == Some(expected.as_str()),
            "{name}: Linux says {expected}, we {reason:?}"
        );
    }
    filesystem.close()?;
    peers.assert_clean(&image);
    Ok(())
}
