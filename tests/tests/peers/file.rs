//! The data path: what Linux wrote reads the same here, and what is written, truncated and
//! exchanged here reads the same on Linux, with nothing for `xfs_repair -n` to find.

use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use libfs::Errno;
use libfs::device::{Device, FaultDevice, FaultRule, FileDevice};
use libfs::file::{self, AllocateMode, ExchangeFlags, ExchangeRequest};
use libfs::filesystem::{Filesystem, Opened};
use libfs::format::geometry::Geometry;
use libfs::format::superblock::Superblock;
use libfs::inode::bmap::Target;
use libfs::inode::{InodeRef, WhichFork};
use libfs::journal::writer::LogWriter;
use libfs::journal::{LogPlace, LogState, find_ends};
use libfs::mount::Mount as OurMount;
use libfs::space::startup;
use libfs::transaction::InjectTag;
use tests::linux::{self, Mount};
use tests::peers::Peers;
use tests::scratch::Scratch;

const SIZE: u64 = 300 << 20;

fn superblock(device: &dyn Device) -> (Superblock, Geometry) {
    let mut sector = [0; 512];
    device.read_at(&mut sector, 0).unwrap();
    let sb = Superblock::decode(&sector).unwrap();
    let geo = Geometry::new(&sb.dsb).unwrap();
    (sb, geo)
}

/// Opens an image for reading only.
fn open_for_reading(image: &Path) -> OurMount {
    let device = Arc::new(FileDevice::open_read_only(image).unwrap());
    let (sb, geo) = superblock(device.as_ref());
    OurMount::new(device, sb, geo, None)
}

/// Opens an image with a clean log.
fn open(image: &Path) -> OurMount {
    open_on(Arc::new(FileDevice::open(image).unwrap()))
}

fn open_on(device: Arc<dyn Device>) -> OurMount {
    let (sb, geo) = superblock(device.as_ref());
    let log = LogPlace::find(&geo, &device, None).unwrap();
    let ends = find_ends(log.device.as_ref(), log.area).unwrap();
    assert_eq!(ends.state, LogState::Clean);
    let log = LogWriter::new(log, ends.position());
    let mut mount = OurMount::new(device, sb, geo, Some(log));
    startup::init_reservations(&mut mount).unwrap();
    mount
}

/// Leaves the log clean.
fn close(mut mount: OurMount) {
    startup::release_reservations(&mut mount);
    mount.unmount().unwrap();
}

/// A file with a hole after each of `count` blocks.
fn write_comb(path: &Path, count: u64, block: u64) {
    let file = File::create(path).unwrap();
    for index in 0..count {
        let data = vec![(index % 251) as u8 + 1; block as usize];
        file.write_all_at(&data, 2 * index * block).unwrap();
    }
    file.sync_all().unwrap();
}

#[test]
fn files_of_linux_read_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    for (options, block) in
        [(&["-b", "size=1024"][..], 1024), (&["-i", "nrext64=0"], 4096), (&[], 4096)]
    {
        let scratch = Scratch::new().unwrap();
        let image = scratch.path("image");
        peers.mkfs(&image, SIZE, options).unwrap();
        let mount = Mount::new(&image).unwrap();
        write_comb(&mount.path("comb"), 12_000, block);
        let mut small = File::create(mount.path("small")).unwrap();
        small.write_all(b"just a few bytes").unwrap();
        drop(small);
        File::create(mount.path("sparse")).unwrap().set_len(3 << 20).unwrap();
        peers.io(&mount.path("sparse"), &["falloc 1m 1m"]).unwrap();
        let names = ["comb", "small", "sparse"];
        let expected = names.map(|name| {
            let path = mount.path(name);
            (fs::metadata(&path).unwrap().ino(), fs::read(&path).unwrap())
        });
        mount.unmount().unwrap();
        let mut ours = open_for_reading(&image);
        for (ino, contents) in &expected {
            let inode = ours.iget(*ino).unwrap();
            let mut found = vec![0xee; contents.len() + 10];
            let len = file::read(&mut ours, inode, 0, &mut found).unwrap();
            assert_eq!(len, contents.len());
            assert!(found[..len] == contents[..], "inode {ino} with {options:?}");
            let mut part = [0; 3000];
            let len = file::read(&mut ours, inode, 7, &mut part).unwrap();
            assert_eq!(part[..len], contents[7..7 + len]);
        }
        let comb = ours.iget(expected[0].0).unwrap();
        let list =
            file::mappings::list(&mut ours, comb, WhichFork::Data, (0, u64::MAX), true, true);
        let list = list.unwrap();
        assert!(list.len() > 20_000, "{} mappings with {options:?}", list.len());
        assert!(list.iter().all(|m| m.last == (m.mapping.end() >= 23_999)));
        let sparse = ours.iget(expected[2].0).unwrap();
        let list =
            file::mappings::list(&mut ours, sparse, WhichFork::Data, (0, u64::MAX), false, false);
        assert!(matches!(list.unwrap()[0].mapping.target, Target::Unwritten(_)));
    }
}

/// Numbers that look random and are the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit
    }
}

/// What a file must hold.
struct Model {
    ino: u64,
    name: String,
    contents: Vec<u8>,
}

impl Model {
    fn write(&mut self, offset: usize, data: &[u8]) {
        let end = offset + data.len();
        if self.contents.len() < end {
            self.contents.resize(end, 0);
        }
        self.contents[offset..end].copy_from_slice(data);
    }
}

/// Exchanges as Linux describes it, on two byte strings.
fn exchange_models(
    one: &mut Model,
    two: &mut Model,
    (o1, o2, len): (usize, usize, usize),
    eof: bool,
) {
    let sizes = (one.contents.len(), two.contents.len());
    let len = if eof { (sizes.0 - o1).max(sizes.1 - o2) } else { len };
    one.contents.resize(sizes.0.max(o1 + len), 0);
    two.contents.resize(sizes.1.max(o2 + len), 0);
    one.contents[o1..o1 + len].swap_with_slice(&mut two.contents[o2..o2 + len]);
    let (end1, end2) = if eof { (sizes.1, sizes.0) } else { sizes };
    one.contents.resize(end1, 0);
    two.contents.resize(end2, 0);
}

fn pair(files: &mut [Model], one: usize, two: usize) -> (&mut Model, &mut Model) {
    let [one, two] = files.get_disjoint_mut([one, two]).unwrap();
    (one, two)
}

/// One random change of random files, in ours and in the models.
fn step(mount: &mut OurMount, files: &mut [Model], random: &mut Random, most: u64) {
    let block = u64::from(mount.geo.block_size);
    let index = random.below(files.len() as u64) as usize;
    let inode = mount.iget(files[index].ino).unwrap();
    let size = files[index].contents.len() as u64;
    let action = random.below(20);
    match action {
        0..=8 => {
            let offset = random.below(most);
            let len =
                if random.below(2) == 0 { random.below(3 * block) } else { random.below(200_000) };
            let data = vec![random.below(255) as u8 + 1; len as usize];
            assert_eq!(file::write(mount, inode, offset, &data).unwrap(), data.len());
            if !data.is_empty() {
                files[index].write(offset as usize, &data);
            }
        }
        9..=12 => {
            for _ in 0..30 {
                let offset = random.below(most / block) * block;
                let data = vec![random.below(255) as u8 + 1; block as usize];
                file::write(mount, inode, offset, &data).unwrap();
                files[index].write(offset as usize, &data);
            }
        }
        13 => {
            let to = random.below(most + 10);
            file::truncate(mount, inode, to).unwrap();
            files[index].contents.resize(to as usize, 0);
        }
        14 => {
            let (offset, len) = (random.below(most), random.below(100_000) + 1);
            file::allocate(mount, inode, AllocateMode::Allocate { keep_size: true }, offset, len)
                .unwrap();
        }
        kind => {
            let other = (index + 1 + random.below(files.len() as u64 - 1) as usize) % files.len();
            let blocks = |size: u64| size / block;
            let size2 = files[other].contents.len() as u64;
            let o1 = random.below(blocks(size) + 1) * block;
            let o2 = random.below(blocks(size2) + 1) * block;
            let room = blocks(size - o1).min(blocks(size2 - o2));
            let length = random.below(room + 1) * block;
            let eof = kind % 2 == 0;
            let flags = if eof { ExchangeFlags::TO_EOF } else { ExchangeFlags::empty() };
            let file2 = mount.iget(files[other].ino).unwrap();
            let request = ExchangeRequest {
                file1: inode,
                file1_offset: o1,
                file2,
                file2_offset: o2,
                length,
                flags,
            };
            let (one, two) = pair(files, index, other);
            if mount.geo.features.exchange {
                file::exchange_range(mount, &request).unwrap();
                exchange_models(one, two, (o1 as usize, o2 as usize, length as usize), eof);
            } else {
                let error = file::exchange_range(mount, &request).unwrap_err();
                assert_eq!(error.errno(), Errno::EOPNOTSUPP);
            }
        }
    }
}

fn assert_same(mount: &mut OurMount, model: &Model) {
    let inode = mount.iget(model.ino).unwrap();
    assert_eq!(mount.inode(inode).core.size, model.contents.len() as u64, "{}", model.name);
    let mut found = vec![0xee; model.contents.len()];
    file::read(mount, inode, 0, &mut found).unwrap();
    assert_bytes(&found, model);
}

fn assert_bytes(found: &[u8], model: &Model) {
    assert_eq!(found.len(), model.contents.len(), "size of {}", model.name);
    if found == model.contents {
        return;
    }
    let differ = found.iter().zip(&model.contents).position(|(a, b)| a != b);
    panic!("{} differs first at byte {differ:?}", model.name);
}

/// Four files of Linux's making, two of which share their blocks where that is possible.
fn make_files(peers: &Peers, image: &Path, options: &[&str]) -> Vec<Model> {
    peers.mkfs(image, SIZE, options).unwrap();
    let mount = Mount::new(image).unwrap();
    for (name, size) in [("a", 0), ("b", 5000), ("c", 1_000_000)] {
        fs::write(mount.path(name), vec![0x61; size]).unwrap();
    }
    let (from, to) = (File::open(mount.path("c")).unwrap(), File::create(mount.path("d")).unwrap());
    if rustix::fs::ioctl_ficlone(&to, &from).is_err() {
        fs::copy(mount.path("c"), mount.path("d")).unwrap();
    }
    drop((from, to));
    let models = ["a", "b", "c", "d"].map(|name| Model {
        ino: fs::metadata(mount.path(name)).unwrap().ino(),
        name: name.into(),
        contents: fs::read(mount.path(name)).unwrap(),
    });
    mount.unmount().unwrap();
    models.into()
}

/// Closes, lets `xfs_repair -n` look, and compares every file as Linux reads it.
fn judge(peers: &Peers, image: &Path, mount: OurMount, files: &[Model]) {
    close(mount);
    peers.assert_clean(image);
    let mount = Mount::new(image).unwrap();
    for model in files {
        assert_bytes(&fs::read(mount.path(&model.name)).unwrap(), model);
    }
    mount.unmount().unwrap();
    peers.assert_clean(image);
}

#[test]
fn random_changes_agree_with_a_model_and_with_linux() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let recipes: [&[&str]; 5] = [
        &[],
        &["-b", "size=1024"],
        &["-i", "nrext64=0", "-m", "rmapbt=0,reflink=0"],
        &["-m", "rmapbt=0"],
        &["-m", "reflink=0", "-i", "exchange=0"],
    ];
    for (number, options) in recipes.into_iter().enumerate() {
        let scratch = Scratch::new().unwrap();
        let image = scratch.path("image");
        let mut files = make_files(&peers, &image, options);
        let mut random = Random(0x9e37_79b9_7f4a_7c15 + number as u64);
        for round in 0..3 {
            let mut mount = open(&image);
            for turn in 0..60 {
                step(&mut mount, &mut files, &mut random, 4 << 20);
                if turn % 10 == 9 {
                    files.iter().for_each(|model| assert_same(&mut mount, model));
                }
            }
            println!("recipe {options:?}, round {round}");
            judge(&peers, &image, mount, &files);
        }
    }
}

/// Writes every second block of two files, each its own extent.
fn write_combs(mount: &mut OurMount, files: &mut [Model], count: u64) {
    let block = mount.geo.block_size as usize;
    for index in 0..count as usize {
        for (number, model) in files.iter_mut().enumerate() {
            let inode = mount.iget(model.ino).unwrap();
            let data = vec![(index % 120) as u8 * 2 + number as u8 + 1; block];
            file::write(mount, inode, (2 * index * block) as u64, &data).unwrap();
            model.write(2 * index * block, &data);
        }
    }
}

fn request(
    mount: &mut OurMount,
    one: &Model,
    two: &Model,
    flags: ExchangeFlags,
) -> ExchangeRequest {
    ExchangeRequest {
        file1: mount.iget(one.ino).unwrap(),
        file1_offset: 0,
        file2: mount.iget(two.ino).unwrap(),
        file2_offset: 0,
        length: 0,
        flags,
    }
}

fn extents(mount: &mut OurMount, inode: InodeRef) -> u64 {
    mount.inode(inode).data.nextents()
}

#[test]
fn files_of_many_extents_are_exchanged_and_cut_off() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    for options in [&["-b", "size=1024"][..], &["-m", "reflink=0"]] {
        let scratch = Scratch::new().unwrap();
        let image = scratch.path("image");
        let mut files = make_files(&peers, &image, options);
        let mut mount = open(&image);
        let block = u64::from(mount.geo.block_size);
        write_combs(&mut mount, &mut files[..2], 10_000);
        let [a, b] = [0, 1].map(|i| mount.iget(files[i].ino).unwrap());
        assert!(extents(&mut mount, a) >= 9_999);

        // Blocks of file 1 that hold data go to places that are holes in file 2, and the
        // other way round.
        let length = 15_000 * block;
        let part = ExchangeRequest {
            file1_offset: block,
            file2_offset: 100 * block,
            length,
            ..request(&mut mount, &files[0], &files[1], ExchangeFlags::empty())
        };
        file::exchange_range(&mut mount, &part).unwrap();
        let (one, two) = pair(&mut files, 0, 1);
        let range = (block as usize, 100 * block as usize, length as usize);
        exchange_models(one, two, range, false);
        files.iter().for_each(|model| assert_same(&mut mount, model));

        let whole = request(&mut mount, &files[0], &files[2], ExchangeFlags::TO_EOF);
        let dry = ExchangeRequest { flags: whole.flags | ExchangeFlags::DRY_RUN, ..whole };
        file::exchange_range(&mut mount, &dry).unwrap();
        files.iter().for_each(|model| assert_same(&mut mount, model));
        file::exchange_range(&mut mount, &whole).unwrap();
        let (one, two) = pair(&mut files, 0, 2);
        exchange_models(one, two, (0, 0, 0), true);

        // Two ranges of one file.
        let within = ExchangeRequest {
            file1_offset: block,
            file2_offset: 1001 * block,
            length: 1000 * block,
            ..request(&mut mount, &files[1], &files[1], ExchangeFlags::empty())
        };
        file::exchange_range(&mut mount, &within).unwrap();
        let (first, second) = files[1].contents.split_at_mut(1001 * block as usize);
        let len = 1000 * block as usize;
        first[block as usize..].swap_with_slice(&mut second[..len]);
        assert_same(&mut mount, &files[1]);

        let to = 7_777 * block + 5;
        file::truncate(&mut mount, b, to).unwrap();
        files[1].contents.truncate(to as usize);
        judge(&peers, &image, mount, &files);
    }
}

/// Replays the log of an image and compares all files.
fn recover(image: &Path, files: &[Model]) {
    let device = Arc::new(FileDevice::open(image).unwrap());
    let Opened::Dirty(unrecovered) = Filesystem::open(device).unwrap() else {
        panic!("the log is clean");
    };
    let (mut filesystem, report) = unrecovered.recover().unwrap();
    assert!(!report.intents.is_empty());
    files.iter().for_each(|model| assert_same(filesystem.mount(), model));
    filesystem.close().unwrap();
}

#[test]
fn an_exchange_that_was_cut_off_is_finished_by_linux_and_by_us() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let (cut, ours) = (scratch.path("cut"), scratch.path("ours"));
    let mut files = make_files(&peers, &image, &[]);
    let mut mount = open(&image);
    write_combs(&mut mount, &mut files[..2], 1000);
    judge(&peers, &image, mount, &files);
    let (one, two) = pair(&mut files, 0, 1);
    exchange_models(one, two, (0, 0, 0), true);
    for tag in [InjectTag::ExchmapsFinishOne, InjectTag::BmapFinishOne, InjectTag::RmapFinishOne] {
        for skip in [0, 1, 7, 500, 999] {
            fs::copy(&image, &cut).unwrap();
            let mut mount = open(&cut);
            mount.set_inject(tag, skip);
            let whole = request(&mut mount, &files[0], &files[1], ExchangeFlags::TO_EOF);
            file::exchange_range(&mut mount, &whole).unwrap_err();
            drop(mount);
            fs::copy(&cut, &ours).unwrap();
            recover(&ours, &files);
            peers.assert_clean(&ours);
            let mount = Mount::new(&cut).unwrap();
            for model in &files {
                assert_bytes(&fs::read(mount.path(&model.name)).unwrap(), model);
            }
            mount.unmount().unwrap();
            peers.assert_clean(&cut);
        }
    }
}

/// Sizes of two files and what is to be exchanged: offsets, length, flags for xfs_io.
struct Case {
    sizes: [u64; 2],
    offsets: [u64; 2],
    length: Option<u64>,
    written: bool,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let offsets = [0, 512, 4096, 8192, 12_288];
    for sizes in [[8192, 16_384], [5000, 9000], [9000, 9000], [0, 4096], [9000, 808]] {
        for [one, two] in offsets.iter().flat_map(|&one| offsets.map(|two| [one, two])) {
            for length in [None, Some(0), Some(808), Some(4096), Some(5000), Some(8192)] {
                let written = one == 4096;
                cases.push(Case { sizes, offsets: [one, two], length, written });
            }
        }
    }
    cases
}

#[test]
fn exchanges_are_refused_and_done_as_linux_does() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let (image, copy) = (scratch.path("image"), scratch.path("copy"));
    peers.mkfs(&image, SIZE, &[]).unwrap();
    let cases = cases();
    let mount = Mount::new(&image).unwrap();
    let mut inodes = Vec::new();
    for (index, case) in cases.iter().enumerate() {
        inodes.push([0, 1].map(|which| {
            let path = mount.path(&format!("{which}-{index}"));
            let size = case.sizes[which] as usize;
            let contents: Vec<u8> =
                (0..size).map(|at| (which * 100 + at / 4096 + at % 7 + 1) as u8).collect();
            fs::write(&path, contents).unwrap();
            if index % 3 == 0 && which == 0 {
                peers.io(&path, &["fpunch 0 4k", "fsync"]).unwrap();
            }
            fs::metadata(&path).unwrap().ino()
        }));
    }
    mount.unmount().unwrap();
    fs::copy(&image, &copy).unwrap();

    let mount = Mount::new(&image).unwrap();
    let theirs: Vec<_> = cases
        .iter()
        .enumerate()
        .map(|(index, case)| {
            let donor = mount.path(&format!("0-{index}"));
            let mut command =
                format!("exchangerange -s {} -d {} ", case.offsets[0], case.offsets[1]);
            if let Some(length) = case.length {
                command += &format!("-l {length} ");
            }
            if case.written {
                command += "-w ";
            }
            command += donor.to_str().unwrap();
            let done = peers.io(&mount.path(&format!("1-{index}")), &[&command]);
            match &done {
                Ok(out) if out.contains("exchangerange:") => Some(out.clone()),
                Ok(_) => None,
                Err(error) => Some(format!("{error:#}")),
            }
        })
        .collect();
    mount.unmount().unwrap();
    // What counts is on the disk: when both lengths to the end are 0, Linux 6.18 exchanges
    // the sizes it has in memory and not those on the disk.
    let mount = Mount::new(&image).unwrap();
    let contents: Vec<_> = (0..cases.len())
        .map(|index| [0, 1].map(|which| fs::read(mount.path(&format!("{which}-{index}"))).unwrap()))
        .collect();
    mount.unmount().unwrap();

    let mut ours = open(&copy);
    for (index, case) in cases.iter().enumerate() {
        let [file1, file2] = inodes[index].map(|ino| ours.iget(ino).unwrap());
        let mut flags = ExchangeFlags::empty();
        flags.set(ExchangeFlags::TO_EOF, case.length.is_none());
        flags.set(ExchangeFlags::FILE1_WRITTEN, case.written);
        let done = file::exchange_range(
            &mut ours,
            &ExchangeRequest {
                file1,
                file1_offset: case.offsets[0],
                file2,
                file2_offset: case.offsets[1],
                length: case.length.unwrap_or(0),
                flags,
            },
        );
        let refused = &theirs[index];
        let what = format!("{:?} {:?} {:?}", case.sizes, case.offsets, case.length);
        match (&done, refused) {
            (Ok(()), None) => {}
            (Err(error), Some(text)) => {
                assert!(text.contains(error.errno().desc()), "{what}: {error}, Linux: {text}");
            }
            _ => panic!("{what}: {done:?}, Linux: {refused:?}"),
        }
        for (which, inode) in [file1, file2].into_iter().enumerate() {
            let size = ours.inode(inode).core.size as usize;
            let mut found = vec![0; size];
            file::read(&mut ours, inode, 0, &mut found).unwrap();
            assert!(found == contents[index][which], "file {which} of {what}");
        }
    }
    close(ours);
    peers.assert_clean(&copy);
}

#[test]
fn a_full_filesystem_stays_sound() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let mut files = make_files(&peers, &image, &[]);
    let mut mount = open(&image);
    let a = mount.iget(files[0].ino).unwrap();
    let chunk = vec![0x33; 3_000_001];
    for round in 0..3 {
        loop {
            let at = files[0].contents.len();
            match file::write(&mut mount, a, at as u64, &chunk) {
                Ok(written) => files[0].write(at, &chunk[..written]),
                Err(error) => {
                    assert_eq!(error.errno(), Errno::ENOSPC);
                    break;
                }
            }
        }
        assert!(files[0].contents.len() > 150 << 20, "{}", files[0].contents.len());
        // The shared block cannot be copied now, and keeps what it has.
        let shared = mount.iget(files[2].ino).unwrap();
        if let Ok(written) = file::write(&mut mount, shared, 0, &[1; 10]) {
            files[2].write(0, &[1; 10][..written]);
        }
        let to = (100 << 20) + round * 777;
        file::truncate(&mut mount, a, to as u64).unwrap();
        files[0].contents.truncate(to);
    }
    judge(&peers, &image, mount, &files);
}

#[test]
fn a_failed_write_of_data_is_only_that() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let mut files = make_files(&peers, &image, &["-m", "reflink=0"]);
    let device = Arc::new(FaultDevice::new(Arc::new(FileDevice::open(&image).unwrap()), vec![]));
    let mut mount = open_on(device.clone());
    let a = mount.iget(files[0].ino).unwrap();
    let data = vec![0x44; 1 << 20];
    device.set_rules(vec![FaultRule::FailWrites(0..SIZE)]);
    let error = file::write(&mut mount, a, 100, &data).unwrap_err();
    assert_eq!(error.errno(), Errno::EIO);
    device.set_rules(vec![]);
    assert_same(&mut mount, &files[0]);
    file::write(&mut mount, a, 100, &data).unwrap();
    files[0].write(100, &data);
    judge(&peers, &image, mount, &files);
}
