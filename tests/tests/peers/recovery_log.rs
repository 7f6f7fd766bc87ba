//! The log itself: what a real kernel wrote, byte for byte; torn, cut off and damaged; and
//! replays that are interrupted and begun again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use libfs::device::{Device, FaultDevice, FaultRule, FileDevice, OverlayDevice};
use libfs::format::geometry::Geometry;
use libfs::format::log::record::{HeaderLayout, record_crc, stamp, unstamp};
use libfs::format::log::{BASIC_BLOCK, LogEndian, LogItem, blft};
use libfs::format::superblock::Superblock;
use libfs::journal::RecordReader;
use libfs::journal::area::LogBlocks;
use libfs::journal::recovery::{Replayed, replay};
use libfs::journal::{LogArea, LogEnds, LogPlace, LogState, TransactionReader, find_ends};
use tests::crash::{self, Cut};
use tests::linux::Linux;
use tests::manifest::Manifest;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::copy;
use tests::workload::{Random, Workload};

const SIZE: u64 = 320 << 20;

/// A crashed image and its log.
struct Crashed {
    scratch: Scratch,
    image: PathBuf,
    geo: Geometry,
    area: LogArea,
    ends: LogEnds,
}

impl Crashed {
    fn new(
        peers: &Peers,
        linux: &Linux,
        workload: Workload,
        seed: u64,
        options: &[&str],
    ) -> Result<Self> {
        let scratch = Scratch::new()?;
        let image = scratch.path("crashed");
        peers.mkfs(&image, SIZE, options)?;
        crash::within(linux, peers, &image, workload, seed, Cut::FlushLog)?;
        let device = FileDevice::open_read_only(&image)?;
        let geo = geometry(&device)?;
        let area = LogArea::internal(&geo)?;
        let ends = find_ends(&device, area)?;
        assert_eq!(ends.state, LogState::Dirty);
        Ok(Crashed { scratch, image, geo, area, ends })
    }

    /// The image in memory, as far as it is written to.
    fn overlay(&self) -> Result<OverlayDevice> {
        Ok(OverlayDevice::new(Arc::new(FileDevice::open_read_only(&self.image)?)))
    }

    /// Blocks of the log where the records between tail and head begin.
    fn records(&self) -> Result<Vec<u32>> {
        let device = self.overlay()?;
        let blocks = LogBlocks::new(&device, self.area);
        let (tail, head) = (self.ends.tail.block(), self.ends.head.block());
        RecordReader::new(&blocks, tail, head).map(|record| Ok(record?.block)).collect()
    }
}

fn geometry(device: &dyn Device) -> Result<Geometry> {
    let mut sector = vec![0; 4096];
    device.read_at(&mut sector, 0)?;
    Ok(Geometry::new(&Superblock::decode(&sector)?.dsb)?)
}

/// The allocated parts of a device: everything a replay may have written.
fn contents(device: &dyn Device) -> Vec<u8> {
    let mut bytes = vec![0; device.size() as usize];
    device.read_at(&mut bytes, 0).unwrap();
    bytes
}

#[test]
fn items_encode_to_the_bytes_that_linux_logged() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let large = [Workload::Exchange, Workload::CopyOnWrite, Workload::Unlink, Workload::Clone];
    let work = std::iter::once(Workload::Mixed).chain(large.into_iter().cycle());
    let mut kinds = std::collections::BTreeMap::new();
    // Which intents a crash leaves is chance: go on until most kinds were seen.
    for (seed, workload) in work.enumerate().take_while(|(seed, _)| *seed < 12) {
        if kinds.len() >= 11 {
            break;
        }
        let options: &[&str] = if seed == 1 { &["-m", "bigtime=0"] } else { &[] };
        let crashed = Crashed::new(&peers, &linux, workload, 7 + seed as u64, options).unwrap();
        let device = crashed.overlay().unwrap();
        let blocks = LogBlocks::new(&device, crashed.area);
        let (tail, head) = (crashed.ends.tail.block(), crashed.ends.head.block());
        let mut reader = TransactionReader::new(&blocks, tail, head);
        while let Some(raw) = reader.next_raw() {
            let raw = raw.unwrap();
            for (regions, item) in raw.items.iter().zip(raw.decode().unwrap().items) {
                *kinds.entry(item.kind().name()).or_insert(0) += 1;
                assert_eq!(&item.encode(raw.endian), regions, "{item:?}");
                let swapped = item.encode(LogEndian::Big);
                assert_eq!(LogItem::decode(LogEndian::Big, &swapped).unwrap(), item);
            }
        }
    }
    say(&format!("items encoded as logged: {kinds:?}"));
    assert!(kinds.len() >= 5, "{kinds:?}");
}

/// Replays the log that is on the device itself.
fn replay_all(device: Arc<dyn Device>, geo: &Geometry) -> libfs::Result<Replayed> {
    replay(device.as_ref(), &LogPlace::find(geo, &device, None)?, geo)
}

#[test]
fn an_interrupted_replay_can_be_done_again() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let crashed = Crashed::new(&peers, &linux, Workload::Mixed, 3, &[]).unwrap();
    let whole = crashed.overlay().unwrap();
    let counted = Arc::new(FaultDevice::new(Arc::new(whole), Vec::new()));
    let expected = replay_all(counted.clone(), &crashed.geo).unwrap();
    let writes = counted.writes();
    let after = contents(counted.as_ref());
    let step = (writes / 12).max(1);
    for failing in (0..writes).step_by(step as usize) {
        let device = Arc::new(crashed.overlay().unwrap());
        let faulty = FaultDevice::new(device.clone(), vec![FaultRule::FailWritesFrom(failing)]);
        let failed = replay_all(Arc::new(faulty), &crashed.geo);
        assert!(failed.is_err(), "write {failing} of {writes}");
        let again = replay_all(device.clone(), &crashed.geo).unwrap();
        assert_eq!(again.transactions, expected.transactions);
        assert!(contents(device.as_ref()) == after, "interrupted at write {failing} of {writes}");
    }
    say(&format!("{writes} writes, interrupted at every {step}th"));
}

/// Recovers copies of `image` with Linux and with our xfs_repair, and compares the trees.
///
/// Cutting records off a log makes an image that no crash leaves if what they hold was
/// written in place already, as happens when the kernel is short of memory. Recovery then
/// ends in a damaged filesystem, and whose damage it is cannot be compared.
fn same_as_linux(peers: &Peers, crashed: &Crashed, image: &Path) -> Result<()> {
    let (ours, theirs) = (crashed.scratch.path("ours"), crashed.scratch.path("theirs"));
    copy(image, &ours)?;
    copy(image, &theirs)?;
    let expected = tests::linux::mount(&theirs, Manifest::of).context("Linux recovers it")?;
    let output = tests::ours::command("xfs_repair").arg(&ours).output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mount = tests::linux::Mount::with(&ours, "ro,norecovery")?;
    let found = Manifest::of(mount.root());
    mount.unmount()?;
    let differences = expected.differences(&found?, 10);
    if !differences.is_empty() && !peers.check(&theirs)?.is_clean() {
        say("an image that no crash would have left was left out");
        return Ok(());
    }
    if let (false, Some(keep)) = (differences.is_empty(), std::env::var_os("XFS_TEST_KEEP")) {
        copy(image, &Path::new(&keep).join("cut.img"))?;
        copy(&crashed.image, &Path::new(&keep).join("crashed.img"))?;
    }
    anyhow::ensure!(differences.is_empty(), "Linux (-), we (+):\n{}", differences.join("\n"));
    Ok(())
}

#[test]
fn logs_cut_off_or_torn_at_any_record_replay_as_linux_does() {
    let Some(peers) = Peers::or_skip() else { return };
    if !tests::linux::host_or_skip() {
        return;
    }
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let crashed = Crashed::new(&peers, &linux, Workload::Mixed, 5, &[]).unwrap();
    let records = crashed.records().unwrap();
    let image = crashed.scratch.path("cut");
    let step = (records.len() / 6).max(1);
    for (index, &record) in records.iter().enumerate().skip(1).step_by(step) {
        // The log is in its first pass: what was never written is zero.
        assert_eq!(crashed.ends.head.cycle(), 1);
        copy(&crashed.image, &image).unwrap();
        let device = FileDevice::open(&image).unwrap();
        let beyond = (crashed.ends.head.block() - record) as usize * BASIC_BLOCK;
        device.write_at(&vec![0; beyond], crashed.area.byte(record)).unwrap();
        drop(device);
        same_as_linux(&peers, &crashed, &image)
            .with_context(|| format!("cut at record {index}"))
            .unwrap();
    }
    for back in 1..=3.min(records.len() - 1) {
        let record = records[records.len() - back];
        copy(&crashed.image, &image).unwrap();
        let device = FileDevice::open(&image).unwrap();
        // A sector of the payload that was not written: its cycle is right, the rest old.
        let at = crashed.area.byte(record) + BASIC_BLOCK as u64 + 100;
        device.write_at(&[0xa5; 40], at).unwrap();
        drop(device);
        let ends = find_ends(&FileDevice::open_read_only(&image).unwrap(), crashed.area).unwrap();
        assert_eq!(ends.torn, Some(record));
        assert_eq!(ends.head.block(), record);
        same_as_linux(&peers, &crashed, &image)
            .with_context(|| format!("torn {back} back"))
            .unwrap();
    }
}

/// Linux cannot judge this (see [`Workload::ExchangeSizes`]), but what must be is plain.
#[test]
fn files_of_different_sizes_are_exchanged_whole_or_not_at_all() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let mut exchanged = 0;
    for seed in 1..=8 {
        let crashed = Crashed::new(&peers, &linux, Workload::ExchangeSizes, seed, &[]).unwrap();
        let status = tests::ours::command("xfs_repair").arg(&crashed.image).status().unwrap();
        assert!(status.success());
        peers.assert_clean(&crashed.image);
        let files = linux.manifest(&crashed.image).unwrap().files;
        let (large, other) = (&files["large"], &files["other"]);
        // The files are made of one-block extents with holes after them.
        let wholly = |size: u64, byte: u8| {
            let mut content = tests::manifest::Content::default();
            (0..size).step_by(8192).for_each(|at| content.add(at, &[byte; 4096]));
            content.sum()
        };
        let kept = large.size > other.size;
        let (first, second) = if kept { (large, other) } else { (other, large) };
        assert_eq!(first.content, wholly(first.size, 0x11), "seed {seed}");
        assert_eq!(second.content, wholly(second.size, 0x22), "seed {seed}");
        assert_eq!(second.size / 8192, first.size / 8192 / 2 + 1, "seed {seed}");
        exchanged += usize::from(!kept);
    }
    say(&format!("{exchanged} of 8 interrupted exchanges of different sizes were completed"));
}

const NAMES: usize = 1500;

/// Directories of 64 KiB blocks, then free space in bits of 8 KiB, then many new names.
fn names_in_fragmented_space(peers: &Peers, image: &Path) -> Result<()> {
    use rustix::fs::{FallocateFlags, fallocate, statvfs};
    const BLOCK: u64 = 4096;
    let directories = |root: &Path| (0..4).map(|n| root.join(format!("d{n}"))).collect::<Vec<_>>();
    let mount = tests::linux::Mount::new(image)?;
    let root = mount.root();
    for directory in directories(root) {
        std::fs::create_dir(&directory)?;
        for name in 0..300 {
            std::fs::File::create(directory.join(format!("before{name}")))?;
        }
    }
    let free = || -> Result<u64> { Ok(statvfs(root)?.f_bavail) };
    let filler = std::fs::File::create(root.join("filler"))?;
    let blocks = free()? - 3000;
    fallocate(&filler, FallocateFlags::empty(), 0, blocks * BLOCK)?;
    let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for block in (0..blocks).step_by(8) {
        fallocate(&filler, punch, block * BLOCK, 2 * BLOCK)?;
    }
    let rest = std::fs::File::create(root.join("rest"))?;
    let mut at = 0;
    // Linux sets 4,096 blocks and a few more aside that are free and yet not available.
    while free()? + 4160 > blocks / 4 {
        fallocate(&rest, FallocateFlags::empty(), at, 16 * BLOCK)?;
        at += 16 * BLOCK;
    }
    drop((filler, rest));
    mount.unmount()?;
    crash::after(peers, image, Cut::FlushLog, |root| {
        for directory in directories(root) {
            for name in 0..NAMES {
                let link = directory.join(format!("some-longer-name-for-a-file-{name:05}"));
                std::fs::hard_link(directory.join("before1"), link)?;
            }
        }
        Ok(())
    })
}

/// Linux 6.18 refuses to mount such an image after a crash, so it is not asked.
#[test]
fn directory_blocks_in_several_pieces_are_whole_again() {
    let Some(peers) = Peers::or_skip() else { return };
    if !tests::linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let options =
        ["-n", "size=64k", "-d", "agcount=2", "-m", "reflink=0,rmapbt=0,finobt=0,inobtcount=0"];
    peers.mkfs(&image, SIZE, &options).unwrap();
    names_in_fragmented_space(&peers, &image).unwrap();
    let device = FileDevice::open_read_only(&image).unwrap();
    let area = LogArea::internal(&geometry(&device).unwrap()).unwrap();
    let ends = find_ends(&device, area).unwrap();
    let blocks = LogBlocks::new(&device, area);
    let transactions = TransactionReader::new(&blocks, ends.tail.block(), ends.head.block());
    let items = transactions.flat_map(|transaction| transaction.unwrap().items);
    let pieces = items.filter(|item| match item {
        LogItem::Buffer(buffer) => {
            buffer.format.kind() == blft::DIR_DATA && buffer.format.bytes() < 64 << 10
        }
        _ => false,
    });
    let pieces = pieces.count();
    drop(device);
    assert!(pieces > 4, "{pieces} pieces of directory blocks in the log");
    let status = tests::ours::command("xfs_repair").arg(&image).status().unwrap();
    assert!(status.success());
    peers.assert_clean(&image);
    let files = tests::linux::mount(&image, Manifest::of).unwrap().files;
    assert_eq!(files["d0/before1"].links, 1 + NAMES as u64);
    assert_eq!(files.len(), 1 + 2 + 4 * (1 + 300 + NAMES));
}

#[test]
fn damaged_logs_end_in_an_error_or_a_replay() {
    const MUTATIONS: usize = 400;
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let crashed = Crashed::new(&peers, &linux, Workload::Mixed, 11, &[]).unwrap();
    let records = crashed.records().unwrap();
    let mut random = Random::new(0x109);
    let (mut replayed, mut refused) = (0, 0);
    for mutation in 0..MUTATIONS {
        let device = crashed.overlay().unwrap();
        let record = records[random.below(records.len() as u64) as usize];
        mutate(&crashed, &device, record, &mut random).unwrap();
        match replay_all(Arc::new(device), &crashed.geo) {
            Ok(_) => replayed += 1,
            Err(libfs::Error::Corrupt(_) | libfs::Error::Incompatible(_)) => refused += 1,
            Err(error) => panic!("mutation {mutation}: {error}"),
        }
    }
    say(&format!("{MUTATIONS} mutations: {replayed} replayed, {refused} refused"));
}

/// Changes one to four words of a record, and makes its checksum right again.
fn mutate(crashed: &Crashed, device: &dyn Device, block: u32, random: &mut Random) -> Result<()> {
    let blocks = LogBlocks::new(device, crashed.area);
    let record = blocks.record(block)?;
    let mut all = blocks.read(block, record.blocks())?;
    let (headers, payload) = all.split_at_mut(record.header_blocks as usize * BASIC_BLOCK);
    unstamp(headers, payload);
    for _ in 0..1 + random.below(4) {
        // Operation and item headers are at the front of a record more often than not.
        let limit = if random.below(2) == 0 { 600.min(payload.len()) } else { payload.len() };
        let at = random.below(limit as u64 / 4) as usize * 4;
        let value = match random.below(4) {
            0 => 0,
            1 => u32::MAX,
            2 => 1 << random.below(32),
            _ => random.next() as u32,
        };
        let bytes = if random.below(2) == 0 { value.to_be_bytes() } else { value.to_le_bytes() };
        payload[at..at + 4].copy_from_slice(&bytes);
    }
    let to_end = (crashed.area.blocks - block) as usize;
    stamp(headers, payload, record.header.h_cycle.get(), Some(to_end));
    let crc = record_crc(headers, payload, HeaderLayout::Padded);
    headers[32..36].copy_from_slice(&crc.to_le_bytes());
    device.write_at(&all, crashed.area.byte(block))?;
    Ok(())
}
