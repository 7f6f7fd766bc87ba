//! Inodes allocated and freed by libfs, judged by xfs_repair 7.2 and by Linux.

use std::collections::BTreeSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::buffer::BufferKind;
use libfs::device::{Device, FileDevice};
use libfs::file::AllocateMode;
use libfs::file::namespace::{self, NewFile};
use libfs::format::geometry::{Geometry, Ino};
use libfs::format::inode::Dinode;
use libfs::format::log::Lsn;
use libfs::format::superblock::Superblock;
use libfs::inode::create::{self, NewInode};
use libfs::inode::{InodeRef, inactivate, log_item, unlinked};
use libfs::inode::{WhichFork, bmap};
use libfs::journal::LogPlace;
use libfs::journal::head::find_ends;
use libfs::journal::recovery::replay;
use libfs::journal::writer::LogWriter;
use libfs::mount::Mount;
use libfs::space::{inobt, inode_alloc, startup};
use libfs::transaction::Transaction;
use libfs::{Errno, file};
use nix::fcntl::FallocateFlags;
use tests::linux;
use tests::peers::Peers;
use tests::scratch::Scratch;

/// Permissions and type of the inodes made here.
const REGULAR: u16 = 0o100_600;
const DIRECTORY: u16 = 0o040_700;
const PIPE: u16 = 0o010_600;

/// Shapes of filesystems that inode allocation treats differently.
const RECIPES: &[(&str, &[&str])] = &[
    ("default", &[]),
    ("no finobt", &["-m", "finobt=0,inobtcount=0"]),
    ("no rmapbt", &["-m", "rmapbt=0,reflink=0"]),
    ("no sparse", &["-i", "sparse=0"]),
    ("no parent", &["-n", "parent=0", "-i", "exchange=0,nrext64=0", "-m", "bigtime=0"]),
    ("inodes of 1k", &["-i", "size=1024"]),
    ("inodes of 2k", &["-i", "size=2048"]),
    ("blocks of 1k", &["-b", "size=1024"]),
    ("blocks of 64k", &["-b", "size=65536"]),
    ("two groups", &["-d", "agcount=2"]),
];

/// The image of a test, and who judges it.
struct Bench {
    peers: Peers,
    scratch: Scratch,
}

impl Bench {
    fn or_skip() -> Option<Self> {
        let peers = Peers::or_skip()?;
        Some(Bench { peers, scratch: Scratch::new().expect("a scratch directory") })
    }

    fn image(&self) -> std::path::PathBuf {
        self.scratch.dir().join("image")
    }

    fn make(&self, size: u64, options: &[&str]) -> Result<()> {
        self.peers.mkfs(&self.image(), size, options)
    }
}

/// The recipes that Linux mounts here: none with blocks larger than pages. `thin` leaves
/// out some more, for tests that write much.
fn mountable(thin: bool) -> impl Iterator<Item = &'static (&'static str, &'static [&'static str])> {
    let skipped: &[&str] = if thin {
        &["blocks of 64k", "no finobt", "no sparse", "inodes of 1k", "two groups"]
    } else {
        &["blocks of 64k"]
    };
    RECIPES.iter().filter(move |(name, _)| !skipped.contains(name))
}

fn open(image: &Path) -> Result<Mount> {
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(image)?);
    let mut sector = vec![0; 32768];
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

fn close(mut mount: Mount) -> Result<()> {
    startup::release_reservations(&mut mount);
    mount.unmount()?;
    Ok(())
}

/// A sequence of numbers that looks random but is the same on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % sides as u64) as usize
    }
}

/// Makes an inode that no directory names, as O_TMPFILE does.
fn create_unnamed(mount: &mut Mount, parent: InodeRef, mode: u16) -> Result<u64> {
    let blocks = inode_alloc::blocks_to_allocate(&mount.geo);
    let reservation = mount.reservations.create_tmpfile;
    let mut tp = Transaction::begin(mount, reservation, blocks)?;
    let new =
        NewInode { parent, mode, uid: 7, gid: 8, device: 0, nlink: 0, with_attributes: false };
    let inode = create::create(&mut tp, &new)?;
    unlinked::add(&mut tp, inode)?;
    let ino = tp.inode(inode).ino;
    tp.commit()?;
    Ok(ino)
}

fn free(mount: &mut Mount, ino: u64) -> Result<()> {
    let inode = mount.iget(ino)?;
    inactivate::inactivate(mount, inode)?;
    Ok(())
}

fn root(mount: &mut Mount) -> Result<InodeRef> {
    let ino = mount.geo.root_ino.0;
    Ok(mount.iget(ino)?)
}

/// Makes `count` inodes of several types.
fn create_many(mount: &mut Mount, count: usize) -> Result<Vec<u64>> {
    let root = root(mount)?;
    let mut inodes = Vec::new();
    for index in 0..count {
        let mode = match index % 16 {
            0 => PIPE,
            _ => REGULAR,
        };
        let ino = create_unnamed(mount, root, mode).with_context(|| format!("inode {index}"))?;
        inodes.push(ino);
    }
    let mut distinct = inodes.clone();
    distinct.sort_unstable();
    distinct.dedup();
    ensure!(distinct.len() == count, "an inode was handed out twice");
    Ok(inodes)
}

fn free_some(mount: &mut Mount, inodes: &mut Vec<u64>, keep: usize, dice: &mut Dice) -> Result<()> {
    while inodes.len() > keep {
        let ino = inodes.swap_remove(dice.roll(inodes.len()));
        free(mount, ino).with_context(|| format!("freeing inode {ino}"))?;
    }
    Ok(())
}

#[test]
fn inodes_come_and_go_in_any_order() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    for (name, options) in RECIPES {
        let mut dice = Dice(0x1234_5678_9abc_def1);
        bench.make(512 << 20, options).context(*name)?;
        let mut mount = open(&bench.image()).context(*name)?;
        let before = mount.counters;
        let mut inodes = create_many(&mut mount, 3000).context(*name)?;
        free_some(&mut mount, &mut inodes, 1000, &mut dice).context(*name)?;
        inodes.extend(create_many(&mut mount, 1500).context(*name)?);
        mount.write_back()?;
        free_some(&mut mount, &mut inodes, 500, &mut dice).context(*name)?;
        inodes.extend(create_many(&mut mount, 700).context(*name)?);
        free_some(&mut mount, &mut inodes, 0, &mut dice).context(*name)?;
        mount.checkpoint()?;
        assert_eq!(mount.counters.icount - mount.counters.ifree, before.icount - before.ifree);
        close(mount).context(*name)?;
        println!("{name}");
        bench.peers.assert_clean(&bench.image());
    }
    Ok(())
}

/// Everything that xfs_repair says must be about inodes that nothing names.
fn assert_only_unlinked(bench: &Bench, name: &str) -> Result<()> {
    let verdict = bench.peers.check(&bench.image())?;
    for line in verdict.findings() {
        let expected = ["disconnected", "would move to lost", "nlinks", "unlinked"];
        ensure!(
            expected.iter().any(|part| line.contains(part)),
            "{name}: {line}\n{}",
            verdict.text
        );
    }
    Ok(())
}

#[test]
fn inodes_in_use_are_sound() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    for (name, options) in RECIPES {
        let mut dice = Dice(77);
        bench.make(512 << 20, options)?;
        let mut mount = open(&bench.image())?;
        let mut inodes = create_many(&mut mount, 1000).context(*name)?;
        free_some(&mut mount, &mut inodes, 300, &mut dice).context(*name)?;
        close(mount)?;
        assert_only_unlinked(&bench, name)?;
    }
    Ok(())
}

#[test]
fn linux_replays_and_frees_what_is_unlinked() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    for (name, options) in mountable(false) {
        let mut dice = Dice(99);
        bench.make(512 << 20, options)?;
        let mut mount = open(&bench.image())?;
        let mut inodes = create_many(&mut mount, 700).context(*name)?;
        mount.checkpoint()?;
        free_some(&mut mount, &mut inodes, 100, &mut dice).context(*name)?;
        mount.checkpoint()?;
        inodes.extend(create_many(&mut mount, 200)?);
        free_some(&mut mount, &mut inodes, 150, &mut dice)?;
        mount.shut_down(true, "test")?;
        drop(mount);
        let log = bench.peers.output("xfs_logprint", ["-t".as_ref(), bench.image().as_os_str()])?;
        let log = String::from_utf8_lossy(&log.stdout).into_owned();
        for item in ["ICR:", "INO:", "BUF:"] {
            ensure!(log.contains(item), "{name}: no {item} in the log");
        }
        linux::mount(&bench.image(), |_| Ok(())).context(*name)?;
        println!("{name}");
        bench.peers.assert_clean(&bench.image());
    }
    Ok(())
}

#[test]
fn unlinked_inodes_are_freed_when_opened_again() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    for (name, options) in RECIPES {
        bench.make(512 << 20, options)?;
        let mut mount = open(&bench.image())?;
        create_many(&mut mount, 500)?;
        close(mount)?;
        let mut mount = open(&bench.image())?;
        let report = unlinked::process(&mut mount).context(*name)?;
        assert_eq!((report.freed, report.lost_lists), (500, 0), "{name}");
        close(mount)?;
        bench.peers.assert_clean(&bench.image());
    }
    Ok(())
}

#[test]
fn sparse_chunks_are_used_when_space_is_fragmented() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    bench.make(300 << 20, &["-d", "agcount=2", "-m", "rmapbt=0,reflink=0"])?;
    // Fill the filesystem and free runs of 7 blocks: no whole chunk fits but in the groups'
    // own reserves, and the first inodes use that up.
    linux::mount(&bench.image(), |root| {
        bench.peers.io(root, &["resblks 0"])?;
        let file = std::fs::File::create(root.join("file"))?;
        let mut size = 1u64 << 30;
        while size >= 4096 {
            let held = file.metadata()?.len();
            let range = FallocateFlags::empty();
            if nix::fcntl::fallocate(&file, range, held as i64, size as i64).is_err() {
                size /= 2;
            }
        }
        let blocks = file.metadata()?.len() / 4096;
        let punch = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        for block in (0..blocks - 16).step_by(16) {
            nix::fcntl::fallocate(&file, punch, (block * 4096) as i64, 7 * 4096)?;
        }
        Ok(())
    })?;
    let mut dice = Dice(5);
    let mut mount = open(&bench.image())?;
    let mut inodes = create_many(&mut mount, 10_000)?;
    mount.write_back()?;
    free_some(&mut mount, &mut inodes, 5000, &mut dice)?;
    inodes.extend(create_many(&mut mount, 1000)?);
    close(mount)?;
    assert_only_unlinked(&bench, "sparse")?;
    let mut mount = open(&bench.image())?;
    let mut sparse = BTreeSet::new();
    for &ino in &inodes {
        let (agno, agino) = mount.geo.ino_parts(Ino(ino));
        let chunk = inobt::find_chunk(&mut mount, agno, agino)?.context("inode without chunk")?;
        if chunk.is_sparse() {
            sparse.insert((agno, chunk.startino));
        }
    }
    let sparse = sparse.len();
    ensure!(sparse > 20, "{sparse} sparse chunks");
    free_some(&mut mount, &mut inodes, 0, &mut dice)?;
    close(mount)?;
    bench.peers.assert_clean(&bench.image());
    Ok(())
}

#[test]
fn directories_rotate_over_the_groups() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    bench.make(512 << 20, &["-d", "agcount=4"])?;
    let mut mount = open(&bench.image())?;
    let parent = root(&mut mount)?;
    let mut groups = Vec::new();
    for _ in 0..8 {
        let ino = create_unnamed(&mut mount, parent, REGULAR)?;
        assert_eq!(ino >> mount.geo.inode.agino_log, 0, "files stay near their directory");
        let blocks = inode_alloc::blocks_to_allocate(&mount.geo);
        let reservation = mount.reservations.mkdir;
        let mut tp = Transaction::begin(&mut mount, reservation, blocks)?;
        let ino = inode_alloc::allocate(&mut tp, 128, DIRECTORY)?;
        groups.push(ino >> tp.geo.inode.agino_log);
        tp.commit()?;
    }
    assert_eq!(groups, [0, 1, 2, 3, 0, 1, 2, 3]);
    Ok(())
}

#[test]
fn a_full_filesystem_refuses_and_stays_sound() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    bench.make(300 << 20, &["-i", "maxpct=1"])?;
    let mut mount = open(&bench.image())?;
    let parent = root(&mut mount)?;
    let mut inodes = Vec::new();
    let refused = loop {
        match create_unnamed(&mut mount, parent, REGULAR) {
            Ok(ino) => inodes.push(ino),
            Err(error) => break error,
        }
    };
    ensure!(refused.to_string().contains("No space"), "{refused:#}");
    assert_eq!(mount.shutdown, None);
    // One percent of 300 MiB in inodes of 512 bytes.
    assert_eq!(inodes.len() / 64, (3 << 20) / 512 / 64 - 1);
    free_some(&mut mount, &mut inodes, 0, &mut Dice(3))?;
    close(mount)?;
    bench.peers.assert_clean(&bench.image());
    Ok(())
}

/// One file of every kind that leaves something to free.
fn write_every_kind(peers: &Peers, root: &Path) -> Result<Vec<std::path::PathBuf>> {
    use std::os::unix::fs::FileExt;
    let path = |name: &str| root.join(name);
    let few = path("few-extents");
    std::fs::write(&few, vec![1; 3 << 20])?;
    let many = std::fs::File::create(path("many-extents"))?;
    for block in 0..3000u64 {
        many.write_all_at(&[2; 4096], block * 8192)?;
    }
    many.sync_all()?;
    std::fs::write(path("empty"), b"")?;
    std::os::unix::fs::symlink("short", path("short-link"))?;
    std::os::unix::fs::symlink("x/".repeat(500), path("long-link"))?;
    nix::unistd::mkfifo(&path("pipe"), nix::sys::stat::Mode::S_IRWXU)?;
    for (name, count, size) in [
        ("one-attr", 1, 20),
        ("leaf-attrs", 40, 60),
        ("node-attrs", 900, 100),
        ("remote-attrs", 12, 60_000),
    ] {
        std::fs::write(path(name), name)?;
        let script = format!(
            "import os\nfor i in range({count}): os.setxattr({:?}, 'user.attribute%d' % i, b'v' * {size})",
            path(name)
        );
        let status = std::process::Command::new("python3").args(["-c", &script]).status()?;
        ensure!(status.success(), "setting attributes of {name}");
    }
    // A clone, so that freeing it only takes references away.
    let cloned = path("few-clone");
    let has_reflink = peers.io(root, &["open -f few-clone"]).is_ok()
        && peers.io(&cloned, &[&format!("reflink {}", few.display())]).is_ok();
    if !has_reflink {
        std::fs::write(&cloned, b"no clone")?;
    }
    let mut made = Vec::new();
    for entry in std::fs::read_dir(root)? {
        made.push(entry?.path());
    }
    Ok(made)
}

#[test]
fn files_of_linux_are_freed_whole() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    for (name, options) in mountable(true) {
        bench.make(512 << 20, options)?;
        let before = open(&bench.image())?.counters;
        let made = linux::mount(&bench.image(), |root| write_every_kind(&bench.peers, root))?;
        let mut mount = open(&bench.image())?;
        let directory = root(&mut mount)?;
        for path in made {
            let file = path.file_name().context("a name")?.as_encoded_bytes();
            namespace::unlink(&mut mount, directory, file)
                .with_context(|| format!("{name}: {}", path.display()))?;
        }
        mount.checkpoint()?;
        assert_eq!(mount.counters.icount - mount.counters.ifree, before.icount - before.ifree);
        close(mount)?;
        println!("{name}");
        bench.peers.assert_clean(&bench.image());
    }
    Ok(())
}

#[test]
fn files_open_in_a_crash_of_linux_are_freed() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    for (name, options) in mountable(true) {
        bench.make(512 << 20, options)?;
        linux::mount(&bench.image(), |root| {
            let mut open = Vec::new();
            for path in write_every_kind(&bench.peers, root)? {
                let handle = rustix::fs::open(
                    &path,
                    rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW,
                    rustix::fs::Mode::empty(),
                )?;
                open.push(handle);
                std::fs::remove_file(&path)?;
            }
            bench.peers.io(root, &["shutdown -f"])?;
            Ok(())
        })?;
        let device: Arc<dyn Device> = Arc::new(FileDevice::open(&bench.image())?);
        let mut sector = vec![0; 32768];
        device.read_at(&mut sector, 0)?;
        let geo = Geometry::new(&Superblock::decode(&sector)?.dsb)?;
        let replayed = replay(&*device, &LogPlace::find(&geo, &device, None)?, &geo)?;
        ensure!(replayed.intents.is_empty(), "{name}: {:?}", replayed.intents);
        drop(device);
        let mut mount = open(&bench.image())?;
        startup::sum_counters(&mut mount)?;
        let report = unlinked::process(&mut mount).context(*name)?;
        assert_eq!((report.freed, report.lost_lists), (11, 0), "{name}");
        close(mount)?;
        println!("{name}");
        bench.peers.assert_clean(&bench.image());
    }
    Ok(())
}

/// The inode's bytes in its cluster.
fn disk_bytes(mount: &mut Mount, inode: InodeRef) -> Result<Vec<u8>> {
    let place = mount.inode(inode).place;
    let cluster = mount.read_buffer(place.daddr, place.len, BufferKind::InodeCluster)?;
    Ok(mount.buffer(cluster)[place.range(&mount.geo)].to_vec())
}

#[test]
fn inodes_of_linux_are_written_back_as_they_were() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    for (name, options) in mountable(true) {
        bench.make(512 << 20, options)?;
        let inodes = linux::mount(&bench.image(), |root| {
            let made = write_every_kind(&bench.peers, root)?;
            made.iter()
                .map(|path| Ok(std::fs::symlink_metadata(path)?.ino()))
                .collect::<Result<Vec<_>>>()
        })?;
        let mut mount = open(&bench.image())?;
        for ino in inodes {
            let inode = mount.iget_untrusted(ino)?;
            let before = disk_bytes(&mut mount, inode)?;
            let lsn = Dinode::view(&before, Ino(ino))?.lsn.get();
            mount.inode_mut(inode).log.lsn = Lsn(lsn);
            log_item::write_back(&mut mount, inode)?;
            let after = disk_bytes(&mut mount, inode)?;
            let differ = (0..before.len()).filter(|&at| before[at] != after[at]);
            assert_eq!(differ.collect::<Vec<_>>(), [0usize; 0], "{name}: inode {ino}");
        }
    }
    Ok(())
}

#[test]
fn damaged_unlinked_lists_cost_only_themselves() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    bench.make(512 << 20, &[])?;
    let mut mount = open(&bench.image())?;
    // Inodes 64 apart share a list; each list has three.
    let inodes = create_many(&mut mount, 192)?;
    close(mount)?;
    let (first, second) = (inodes[74], inodes[84]);
    let next =
        |ino: u64, value: u64| [format!("inode {ino}"), format!("write -d next_unlinked {value}")];
    // A list that ends in itself, and one that leads to a free inode.
    let mut commands = Vec::new();
    commands.extend(next(first, first));
    commands.extend(next(second, 200_000));
    let mut xfs_db = bench.peers.command("xfs_db");
    xfs_db.arg("-x");
    for command in &commands {
        xfs_db.args(["-c", command]);
    }
    tests::peers::run(xfs_db.arg(bench.image()))?;
    let mut mount = open(&bench.image())?;
    let report = unlinked::process(&mut mount)?;
    // Only the two behind the damage, first made and so last in their lists, are lost.
    assert_eq!((report.freed, report.lost_lists), (190, 2));
    close(mount)?;
    assert_only_unlinked(&bench, "damaged")?;
    Ok(())
}

#[test]
fn numbers_from_outside_are_checked() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    bench.make(512 << 20, &[])?;
    let mut mount = open(&bench.image())?;
    let root = mount.geo.root_ino.0;
    assert!(mount.iget_untrusted(root).is_ok());
    let mut errno = |ino| mount.iget_untrusted(ino).map(drop).unwrap_err().errno();
    assert_eq!(errno(root + 20), Errno::ENOENT);
    assert_eq!(errno(root + 64), Errno::EINVAL);
    assert_eq!(errno(1), Errno::EINVAL);
    assert_eq!(errno(u64::MAX), Errno::EINVAL);
    assert_eq!(errno(5 << 40), Errno::EINVAL);
    Ok(())
}

#[test]
fn inodes_are_freed_when_nothing_else_is_free() -> Result<()> {
    let Some(bench) = Bench::or_skip() else { return Ok(()) };
    for options in [&[][..], &["-m", "rmapbt=0,reflink=0"], &["-m", "finobt=0"]] {
        bench.make(300 << 20, options)?;
        let mut mount = open(&bench.image())?;
        let directory = root(&mut mount)?;
        let new = NewFile { permissions: 0o600, uid: 0, gid: 0 };
        let file = namespace::create(&mut mount, directory, b"file", &new)?;
        // Full chunks, which enter the free inode btree when the filesystem is full.
        let inodes = create_many(&mut mount, 1000)?;
        let mut size = 256 << 20;
        while size >= 4096 {
            let held = bmap::last_offset(bmap::extents(&mount, file, WhichFork::Data)?) * 4096;
            if file::allocate(
                &mut mount,
                file,
                AllocateMode::Allocate { keep_size: true },
                held,
                size,
            )
            .is_err()
            {
                size /= 2;
            }
        }
        assert_eq!(mount.shutdown, None);
        for ino in inodes {
            free(&mut mount, ino)?;
        }
        namespace::unlink(&mut mount, directory, b"file")?;
        close(mount)?;
        bench.peers.assert_clean(&bench.image());
    }
    Ok(())
}
