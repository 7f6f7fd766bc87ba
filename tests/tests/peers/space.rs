//! Free space, reverse mappings and reference counts after many random changes, judged by
//! xfsprogs 7.2: every tree has grown and shrunk several times, and nothing is left behind.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::{Device, FileDevice};
use libfs::format::geometry::{Fork, Geometry};
use libfs::format::superblock::Superblock;
use libfs::journal::writer::LogWriter;
use libfs::journal::{LogPlace, find_ends};
use libfs::mount::Mount;
use libfs::space::ag_reservation::Pool;
use libfs::space::alloc::{AllocArgs, Allocated, Target, allocate};
use libfs::space::extent_free::FreeExtent;
use libfs::space::refcount::{RefcountIntent, RefcountOperation};
use libfs::space::rmap::{RmapIntent, RmapOperation};
use libfs::space::{Owner, startup};
use libfs::transaction::Transaction;
use tests::linux;
use tests::peers::Peers;
use tests::scratch::Scratch;

const SIZE: u64 = 300 << 20;

/// mkfs.xfs options of the images.
const OPTIONS: [&str; 4] =
    ["", "-b size=1k -d agcount=3", "-m rmapbt=0,reflink=0", "-m finobt=0,inobtcount=0 -b size=2k"];

/// Pseudorandom numbers (xorshift), so that a failure repeats.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn below32(&mut self, limit: u32) -> u32 {
        self.below(limit.into()) as u32
    }
}

/// Opens an image whose log is clean.
fn open(image: &Path) -> Result<Mount> {
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(image)?);
    let mut sector = vec![0; 512];
    device.read_at(&mut sector, 0)?;
    let superblock = Superblock::decode(&sector)?;
    let geo = Geometry::new(&superblock.dsb)?;
    let log = LogPlace::find(&geo, &device, None)?;
    let ends = find_ends(&*log.device, log.area)?;
    let log = LogWriter::new(log, ends.position());
    let mut mount = Mount::new(device, superblock, geo, Some(log));
    startup::init_reservations(&mut mount)?;
    Ok(mount)
}

/// What holds an extent.
#[derive(Clone, Copy)]
enum Holder {
    /// Recorded at once.
    Chunk,
    /// A file's data: recorded by intents, freed by its reference count if there is one.
    File { offset: u64, users: u32 },
}

/// Files that pretend to own data; that nobody asks the inodes does not matter here.
const INODES: [u64; 3] = [128, 129, 130];

struct Player {
    mount: Mount,
    random: Random,
    held: Vec<(Allocated, Holder)>,
}

impl Player {
    fn begin(&mut self, blocks: u64) -> Result<Transaction<'_>> {
        let reservation = self.mount.reservations.itruncate;
        Ok(Transaction::begin(&mut self.mount, reservation, blocks)?)
    }

    fn allocate(&mut self) -> Result<()> {
        let max = 1 + self.random.below32(if self.random.0.is_multiple_of(40) { 600 } else { 9 });
        let agno = self.random.below32(self.mount.geo.ag_count);
        let near = self.random.below32(self.mount.geo.ag_blocks);
        let near = self.mount.geo.fsblock(agno, near);
        let data = self.random.below(2) == 0;
        let offset = self.random.below(1 << 40);
        let mut tp = self.begin(u64::from(max) + 50)?;
        let mut args = AllocArgs::new(1, max, Target::Near(near));
        args.data = data;
        if !data {
            args.owner = Owner::INODES;
        }
        let found = allocate(&mut tp, &args)?.context("no space")?;
        if data {
            let blocks = (found.block, found.len);
            let map = RmapOperation::Map;
            RmapIntent::file(map, INODES[0], Fork::Data, offset, blocks, false).defer(&mut tp);
        }
        tp.commit()?;
        let holder = if data { Holder::File { offset, users: 1 } } else { Holder::Chunk };
        self.held.push((found, holder));
        Ok(())
    }

    /// Another file shares the extent.
    fn share(&mut self) -> Result<()> {
        let index = self.random.below(self.held.len() as u64) as usize;
        let (found, Holder::File { offset, users }) = self.held[index] else { return Ok(()) };
        if !self.mount.geo.features.reflink || users as usize == INODES.len() {
            return Ok(());
        }
        let mut tp = self.begin(50)?;
        let (start, len) = (found.block, found.len);
        RefcountIntent { operation: RefcountOperation::Increase, start, len }.defer(&mut tp);
        let map = RmapOperation::MapShared;
        let ino = INODES[users as usize];
        RmapIntent::file(map, ino, Fork::Data, offset, (start, len), false).defer(&mut tp);
        tp.commit()?;
        self.held[index].1 = Holder::File { offset, users: users + 1 };
        Ok(())
    }

    fn release(&mut self) -> Result<()> {
        let index = self.random.below(self.held.len() as u64) as usize;
        let (found, holder) = self.held.swap_remove(index);
        let (start, len) = (found.block, found.len);
        let shared = self.mount.geo.features.reflink;
        let mut tp = self.begin(0)?;
        match holder {
            Holder::Chunk => tp.defer(FreeExtent::new(start, len, Owner::INODES, Pool::None)),
            Holder::File { offset, users } => {
                for user in 0..users {
                    let unmap = RmapOperation::UnmapShared;
                    let ino = INODES[user as usize];
                    let blocks = (start, len);
                    RmapIntent::file(unmap, ino, Fork::Data, offset, blocks, false).defer(&mut tp);
                    if shared {
                        let operation = RefcountOperation::Decrease;
                        RefcountIntent { operation, start, len }.defer(&mut tp);
                    }
                }
                if !shared {
                    tp.defer(FreeExtent::data(start, len));
                }
            }
        }
        tp.commit()?;
        Ok(())
    }

    fn play(&mut self, rounds: u32) -> Result<()> {
        for round in 0..rounds {
            let growing = round / 2000 % 2 == 0;
            match self.random.below(100) {
                _ if self.held.is_empty() => self.allocate()?,
                0..15 => self.share()?,
                n if (n < 70) == growing => self.allocate()?,
                _ => self.release()?,
            }
        }
        Ok(())
    }
}

fn play_and_judge(peers: &Peers, image: &Path, options: &str, seed: u64) -> Result<()> {
    peers.mkfs(image, SIZE, &options.split_whitespace().collect::<Vec<_>>())?;
    let mount = open(image)?;
    let before = mount.counters;
    let mut player = Player { mount, random: Random(seed), held: Vec::new() };
    player.play(9000)?;
    // Once more from what is on the device, trees of several levels.
    player.mount.unmount()?;
    drop(player.mount);
    let mount = open(image)?;
    let mut player = Player { mount, ..player };
    player.play(2000)?;
    while !player.held.is_empty() {
        player.release()?;
    }
    player.mount.unmount()?;
    ensure!(player.mount.counters.fdblocks == before.fdblocks, "blocks were lost");
    drop(player.mount);
    peers.assert_clean(image);
    Ok(())
}

#[test]
fn xfs_repair_finds_nothing_after_random_changes() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    for (index, options) in OPTIONS.iter().enumerate() {
        let seed = 0x9e37_79b9_7f4a_7c15 + index as u64;
        let image = scratch.path(&format!("image{index}"));
        play_and_judge(&peers, &image, options, seed)
            .unwrap_or_else(|error| panic!("mkfs.xfs {options}, seed {seed:#x}: {error:#}"));
    }
}

/// What is kept back for btrees, free lists and emergencies is what Linux keeps back.
#[test]
fn a_new_filesystem_has_as_much_room_as_on_linux() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    for (index, options) in OPTIONS.iter().enumerate() {
        let image = scratch.path(&format!("image{index}"));
        let words: Vec<_> = options.split_whitespace().collect();
        peers.mkfs(&image, SIZE, &words).unwrap();
        let mount = linux::Mount::new(&image).unwrap();
        let linux_says = rustix::fs::statvfs(mount.root()).unwrap().f_bfree;
        mount.unmount().unwrap();
        let mount = open(&image).unwrap();
        let ours = mount.counters.available(&mount.geo);
        assert_eq!(ours, linux_says, "mkfs.xfs {options}");
    }
}
