//! What goes on in a filesystem before its power is cut.
//!
//! The program `workload` runs one of these on a mounted filesystem and then cuts it off, so
//! the same crash can happen on the machine's own Linux and in user-mode Linux. The seed
//! fixes what is done, not how the threads interleave: two runs give different images.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::fs::{FallocateFlags, XattrFlags, fallocate, ioctl_ficlone, removexattr, setxattr};

use crate::crash::Cut;
use crate::peers::Peers;

/// What is going on when the power is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// Threads write, append, truncate, punch, clone, exchange, rename, link, unlink, and set
    /// attributes, with some fsync.
    Mixed,
    /// A file of thousands of extents is removed.
    Unlink,
    /// A file of thousands of extents is cut to nothing.
    Truncate,
    /// Two files of the same size, of thousands of extents, are exchanged.
    Exchange,
    /// The same with files of different sizes. Linux (up to 7.2 at least) finishes such an
    /// exchange wrongly after a crash: it gives the files the sizes they have at that
    /// moment, not those in the log, and loses what lies past the smaller one's old end.
    ExchangeSizes,
    /// A file of thousands of extents is cloned.
    Clone,
    /// Thousands of shared extents are written to.
    CopyOnWrite,
}

impl Workload {
    /// All of them.
    pub const ALL: [Workload; 7] = [
        Workload::Mixed,
        Workload::Unlink,
        Workload::Truncate,
        Workload::Exchange,
        Workload::ExchangeSizes,
        Workload::Clone,
        Workload::CopyOnWrite,
    ];

    /// Does its preparations and its work below `root`, and cuts the power within.
    ///
    /// # Errors
    ///
    /// From the preparations and the cut; errors of the work after the cut are its end.
    pub fn run(self, peers: &Peers, root: &Path, seed: u64, cut: Cut) -> Result<()> {
        let mut random = Random::new(seed);
        if self != Workload::Mixed {
            return self.run_large(peers, root, &mut random, cut);
        }
        let threads = 3;
        for thread in 0..threads {
            fs::create_dir(root.join(format!("thread{thread}")))?;
        }
        let stop = AtomicBool::new(false);
        let delay = Duration::from_millis(100 + random.below(500));
        thread::scope(|scope| {
            for thread in 0..threads {
                let mut mixer = Mixer::new(peers, root, thread, random.next());
                let stop = &stop;
                scope.spawn(move || mixer.run(stop));
            }
            thread::sleep(delay);
            let result = cut.apply(peers, root);
            stop.store(true, Ordering::Relaxed);
            result
        })
    }

    /// One long operation on files of many extents, while another thread forces the log out
    /// between the operation's transactions: otherwise the log rarely holds an open intent.
    fn run_large(self, peers: &Peers, root: &Path, random: &mut Random, cut: Cut) -> Result<()> {
        let extents = 2_000 + random.below(6_000);
        let (file, other) = (root.join("large"), root.join("other"));
        write_fragmented(&file, extents, 0x11)?;
        match self {
            Workload::Exchange => write_fragmented(&other, extents, 0x22)?,
            Workload::ExchangeSizes => write_fragmented(&other, extents / 2 + 1, 0x22)?,
            Workload::CopyOnWrite => clone(&file, &other)?,
            _ => {}
        }
        run_sync(root)?;
        let stop = AtomicBool::new(false);
        let delay = Duration::from_millis(1 + random.below(60));
        thread::scope(|scope| {
            scope.spawn(|| force_log(&root.join("forcing"), &stop));
            thread::sleep(Duration::from_millis(5));
            let work = scope.spawn(|| {
                self.operate(peers, &file, &other, extents)?;
                while self.repeats() && !stop.load(Ordering::Relaxed) {
                    self.operate(peers, &file, &other, extents)?;
                }
                anyhow::Ok(())
            });
            thread::sleep(delay);
            let result = cut.apply(peers, root);
            stop.store(true, Ordering::Relaxed);
            // The work usually ends with EIO, sometimes it was faster than the cut.
            drop(work.join());
            result
        })
    }

    /// True when the operation can be done again and again, so that it never ends before the cut.
    fn repeats(self) -> bool {
        matches!(self, Workload::Exchange | Workload::Clone | Workload::CopyOnWrite)
    }

    /// The long operation.
    fn operate(self, peers: &Peers, file: &Path, other: &Path, extents: u64) -> Result<()> {
        match self {
            Workload::Mixed => {}
            Workload::Unlink => fs::remove_file(file)?,
            Workload::Truncate => OpenOptions::new().write(true).open(file)?.set_len(0)?,
            Workload::Exchange | Workload::ExchangeSizes => exchange(peers, file, other)?,
            Workload::Clone => clone(file, other)?,
            Workload::CopyOnWrite => {
                clone(file, other)?;
                let file = OpenOptions::new().write(true).open(other)?;
                for index in 0..extents {
                    file.write_all_at(&[0x33; 4096], index * 8192)?;
                }
                file.sync_all()?;
            }
        }
        Ok(())
    }
}

impl FromStr for Workload {
    type Err = anyhow::Error;

    fn from_str(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|kind| kind.to_string() == name);
        found.with_context(|| format!("no workload is called {name}"))
    }
}

impl std::fmt::Display for Workload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Workload::Mixed => "mixed",
            Workload::Unlink => "unlink",
            Workload::Truncate => "truncate",
            Workload::Exchange => "exchange",
            Workload::ExchangeSizes => "exchange-sizes",
            Workload::Clone => "clone",
            Workload::CopyOnWrite => "copy-on-write",
        })
    }
}

/// One thread of the mixed workload. It names files by number in its own directory, so that
/// names collide often.
struct Mixer<'a> {
    peers: &'a Peers,
    directory: PathBuf,
    random: Random,
    /// Removed files kept open: the unlinked list.
    open: Vec<File>,
}

impl<'a> Mixer<'a> {
    fn new(peers: &'a Peers, root: &Path, thread: u64, seed: u64) -> Self {
        let directory = root.join(format!("thread{thread}"));
        Mixer { peers, directory, random: Random::new(seed), open: Vec::new() }
    }

    /// Works until the flag is set or the filesystem is gone.
    fn run(&mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            match self.step() {
                Err(error)
                    if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) =>
                {
                    return;
                }
                // Names that are missing, taken or of the wrong kind are part of the mix.
                _ => {}
            }
        }
    }

    /// One operation.
    fn step(&mut self) -> io::Result<()> {
        let (name, other) = (self.name(), self.name());
        let offset = self.random.below(64) * 4096 + self.random.below(2) * 100;
        match self.random.below(24) {
            0..6 => self.write(&name, offset),
            6 => self.open_file(&name)?.set_len(offset),
            7 => {
                let file = self.open_file(&name)?;
                let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                Ok(fallocate(&file, flags, offset, 40_000)?)
            }
            8 => Ok(fallocate(self.open_file(&name)?, FallocateFlags::empty(), offset, 100_000)?),
            9 | 10 => fs::rename(name, other),
            11 => fs::hard_link(name, other),
            12 | 13 => fs::remove_file(name),
            14 => {
                let file = File::open(&name)?;
                fs::remove_file(name)?;
                self.open.push(file);
                if self.open.len() > 20 {
                    self.open.clear();
                }
                Ok(())
            }
            15 => symlink("somewhere/else", name),
            16 => fs::create_dir(format!("{}.d", name.display())),
            17 => fs::remove_dir(format!("{}.d", name.display())),
            18 => fs::rename(name, format!("{}.d/inside", other.display())),
            19 => {
                let value = vec![b'v'; self.random.below(3000) as usize];
                Ok(setxattr(&name, "user.one", &value, XattrFlags::empty())?)
            }
            20 => Ok(removexattr(&name, "user.one")?),
            21 => clone(&name, &other).map_err(io::Error::other),
            22 => exchange(self.peers, &name, &other).map_err(io::Error::other),
            _ => self.open_file(&name)?.sync_all(),
        }
    }

    /// A file name that likely exists.
    fn name(&mut self) -> PathBuf {
        self.directory.join(format!("file{}", self.random.below(30)))
    }

    fn open_file(&self, path: &Path) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)
    }

    fn write(&mut self, path: &Path, offset: u64) -> io::Result<()> {
        let file = self.open_file(path)?;
        let length = self.random.below(100_000) as usize;
        let byte = self.random.next() as u8;
        file.write_all_at(&vec![byte; length], offset)?;
        if self.random.below(4) == 0 { file.sync_all() } else { Ok(()) }
    }
}

/// Writes a file with `extents` one-block extents of 4096 bytes, a hole after each.
///
/// # Errors
///
/// When writing fails.
pub fn write_fragmented(path: &Path, extents: u64, byte: u8) -> Result<()> {
    let file = File::create(path)?;
    let piece = vec![byte; 1 << 20];
    let length = extents * 8192;
    for offset in (0..length).step_by(piece.len()) {
        file.write_all_at(&piece[..piece.len().min((length - offset) as usize)], offset)?;
    }
    file.sync_all()?;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for index in 0..extents {
        fallocate(&file, flags, index * 8192 + 4096, 4096)?;
    }
    file.sync_all()?;
    Ok(())
}

/// Writes and syncs a small file until the flag is set or the filesystem is gone.
fn force_log(path: &Path, stop: &AtomicBool) {
    let Ok(file) = File::create(path) else { return };
    let mut offset = 0;
    while !stop.load(Ordering::Relaxed) {
        if file.write_all_at(b"forced", offset).and_then(|()| file.sync_all()).is_err() {
            return;
        }
        offset += 4096;
    }
}

/// Makes `to` a clone of `from` by sharing its blocks.
fn clone(from: &Path, to: &Path) -> Result<()> {
    let from = File::open(from)?;
    let to = OpenOptions::new().write(true).create(true).truncate(false).open(to)?;
    Ok(ioctl_ficlone(to, from)?)
}

/// Exchanges the contents of two files, by xfs_io.
fn exchange(peers: &Peers, file: &Path, donor: &Path) -> Result<()> {
    let mut command = peers.command("xfs_io");
    command.arg("-c").arg(format!("exchangerange {}", donor.display())).arg(file);
    let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    if !status.success() {
        bail!("exchangerange failed");
    }
    Ok(())
}

/// Writes the whole filesystem back.
fn run_sync(root: &Path) -> Result<()> {
    rustix::fs::syncfs(File::open(root)?)?;
    Ok(())
}

/// Random numbers from a seed (SplitMix64).
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    /// Numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Random(seed)
    }

    /// The next number.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}
