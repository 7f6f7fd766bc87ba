//! Recipes: what Linux is made to do to a mounted filesystem, so that it holds a kind of
//! structure in every form. Sizes follow the block size, so that each form comes out at any.

use std::fs::{self, File, OpenOptions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use nix::sys::stat::{Mode, SFlag, mknod};
use rustix::fs::{FallocateFlags, XattrFlags, fallocate, setxattr};
use rustix::io::Errno;

use crate::peers::Peers;

/// A recipe; it works below the directory it is given.
pub type Recipe = fn(&Peers, &Path) -> Result<()>;

/// Every recipe, by name.
pub const RECIPES: &[(&str, Recipe)] = &[
    ("directories", directories),
    ("large-directory", large_directory),
    ("attributes", attributes),
    ("deep-attributes", deep_attributes),
    ("files", files),
    ("sizes", sizes),
    ("fragments", fragments),
    ("deep", deep),
    ("shared", shared),
    ("many-shared", many_shared),
    ("staged", staged),
    ("sparse-inodes", sparse_inodes),
    ("many-inodes", many_inodes),
    ("owners", owners),
    ("overwrites", overwrites),
    ("realtime", realtime),
    ("realtime-deep", realtime_deep),
    ("realtime-shared", realtime_shared),
];

/// Runs the recipe `name` below `root`.
///
/// # Errors
///
/// When there is none of this name, or Linux refuses what it does.
pub fn run(peers: &Peers, root: &Path, name: &str) -> Result<()> {
    let found = RECIPES.iter().find(|recipe| recipe.0 == name);
    let (_, recipe) = found.with_context(|| format!("no recipe is called {name}"))?;
    recipe(peers, root).with_context(|| name.to_owned())
}

fn block_size(root: &Path) -> Result<u64> {
    Ok(rustix::fs::statvfs(root)?.f_bsize)
}

/// Directories in each format, and after names went.
fn directories(_: &Peers, root: &Path) -> Result<()> {
    let blocks = (block_size(root)? / 4096).max(1);
    let counts = [("short", 3), ("block", 30), ("leaf", 250 * blocks), ("node", 1200 * blocks)];
    for (name, count) in counts {
        let dir = root.join(name);
        fs::create_dir(&dir)?;
        let target = root.join(format!("{name}-file"));
        File::create(&target)?;
        for index in 0..count {
            fs::hard_link(&target, dir.join(format!("a-name-that-takes-some-room-{index}")))?;
        }
        for index in (0..count).step_by(3) {
            fs::remove_file(dir.join(format!("a-name-that-takes-some-room-{index}")))?;
        }
    }
    for kind in 0..3 {
        fs::create_dir(root.join(format!("short/d{kind}")))?;
    }
    let odd: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
    let dir = root.join("odd");
    fs::create_dir(&dir)?;
    for part in odd.chunks(60) {
        File::create(dir.join(std::ffi::OsStr::from_bytes(part)))?;
    }
    Ok(())
}

/// A directory whose tree has two levels of inner blocks, if its blocks have 1 KiB.
fn large_directory(_: &Peers, root: &Path) -> Result<()> {
    let (dir, target) = (root.join("large"), root.join("large-file"));
    fs::create_dir(&dir)?;
    File::create(&target)?;
    for index in 0..18_000 {
        fs::hard_link(&target, dir.join(format!("{index:x}")))?;
    }
    Ok(())
}

/// Attributes in each format.
fn attributes(_: &Peers, root: &Path) -> Result<()> {
    let block = usize::try_from(block_size(root)?)?;
    let none = XattrFlags::empty();
    let sets = [("few", 2, 10), ("some", 12, block / 40), ("many", 200, block / 20)];
    for (name, count, size) in sets {
        let path = root.join(format!("{name}-attributes"));
        File::create(&path)?;
        for index in 0..count {
            let value = vec![b'v'; size + index];
            setxattr(&path, format!("user.attribute{index}"), &value, none)?;
        }
    }
    let path = root.join("some-attributes");
    setxattr(&path, "trusted.t", b"root", none)?;
    setxattr(&path, "security.s", b"secure\0\x80\"", none)?;
    setxattr(&path, "user.empty", b"", none)?;
    let path = root.join("few-attributes");
    setxattr(&path, "trusted.t", b"\0\x01", none)?;
    setxattr(&path, "security.s", b"s", none)?;
    let path = root.join("remote-attributes");
    File::create(&path)?;
    for index in 0..4 {
        let value = vec![b'a' + index; 20_000 + 13_000 * usize::from(index)];
        setxattr(&path, format!("user.remote{index}"), &value, none)?;
    }
    let many = root.join("names-of-one-file");
    fs::create_dir(&many)?;
    for index in 0..100 {
        fs::hard_link(&path, many.join(format!("another-name-of-the-file-{index}")))?;
    }
    Ok(())
}

/// Attributes enough for two levels of inner blocks, and an attribute fork of thousands of
/// extents, as its blocks are put where single blocks are free.
fn deep_attributes(_: &Peers, root: &Path) -> Result<()> {
    let none = XattrFlags::empty();
    let path = root.join("thousands-of-attributes");
    File::create(&path)?;
    for index in 0..4000 {
        setxattr(&path, format!("user.attribute-{index}"), &[b'v'; 100], none)?;
    }
    let path = root.join("scattered-attributes");
    File::create(&path)?;
    let block = block_size(root)?;
    let holes = write_fragmented(&root.join("around"), block, 6000)?;
    let rest = root.join("rest");
    fill_up(&rest)?;
    for index in 0..25 {
        match setxattr(&path, format!("user.large-{index}"), &vec![b'V'; 60_000], none) {
            Err(Errno::NOSPC) => break,
            other => other?,
        }
    }
    drop(holes);
    Ok(fs::remove_file(rest)?)
}

/// Takes all free space in long extents, so that only pieces are left.
fn fill_up(path: &Path) -> Result<()> {
    let file = File::create(path)?;
    let (mut at, mut length) = (0, 256 << 20);
    let least = 16 * block_size(path)?;
    while length >= least {
        match fallocate(&file, FallocateFlags::KEEP_SIZE, at, length) {
            Ok(()) => at += length,
            Err(Errno::NOSPC) => length /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Files of each type, format and flag.
fn files(peers: &Peers, root: &Path) -> Result<()> {
    File::create(root.join("empty"))?;
    fs::write(root.join("small"), b"contents of a small file\n")?;
    symlink("short", root.join("short-link"))?;
    symlink("o\"d\\d'?\n\t\u{e9}", root.join("odd-link"))?;
    symlink("x".repeat(1023), root.join("long-link"))?;
    let mode = Mode::from_bits_truncate(0o640);
    mknod(&root.join("fifo"), SFlag::S_IFIFO, mode, 0)?;
    mknod(&root.join("socket"), SFlag::S_IFSOCK, mode, 0)?;
    mknod(&root.join("characters"), SFlag::S_IFCHR, mode, nix::libc::makedev(5, 1))?;
    mknod(&root.join("blocks"), SFlag::S_IFBLK, mode, nix::libc::makedev(259, 70_000))?;
    let unwritten = File::create(root.join("unwritten"))?;
    fallocate(&unwritten, FallocateFlags::empty(), 0, 5 << 20)?;
    unwritten.write_all_at(&[1; 4096], 1 << 20)?;
    let holes = File::create(root.join("far"))?;
    holes.write_all_at(b"x", 1 << 43)?;
    let times = root.join("times");
    File::create(&times)?;
    for (kind, text) in [("old", "1950-02-03 04:05:06.7"), ("new", "2100-02-03 04:05:06.789")] {
        let path = root.join(kind);
        File::create(&path)?;
        // Filesystems without large timestamps take what they can.
        crate::peers::run(Command::new("touch").args(["-d", text]).arg(path))?;
    }
    for flag in ["s", "A", "d", "n", "f", "S", "x"] {
        let path = root.join(format!("flag-{flag}"));
        File::create(&path)?;
        io(peers, &path, &[&format!("chattr +{flag}")]);
    }
    for flag in ["P", "E", "n", "d", "t"] {
        let path = root.join(format!("directory-flag-{flag}"));
        fs::create_dir(&path)?;
        io(peers, &path, &[&format!("chattr +{flag}"), "extsize 64k"]);
        File::create(path.join("inherits"))?;
    }
    let hints = root.join("hints");
    File::create(&hints)?;
    io(peers, &hints, &["extsize 256k", "cowextsize 512k", "chproj 70000", "chattr +x"]);
    for flag in ["i", "a"] {
        let path = root.join(format!("flag-{flag}"));
        File::create(&path)?;
        io(peers, &path, &[&format!("chattr +{flag}")]);
    }
    Ok(())
}

/// Files of 1 to 24 extents: the data fork from extents in the inode to a tree.
fn sizes(_: &Peers, root: &Path) -> Result<()> {
    let block = block_size(root)?;
    for count in 1..=24 {
        write_fragmented(&root.join(format!("extents-{count}")), block, count)?;
    }
    Ok(())
}

/// A file of thousands of extents, and as much free space between them.
fn fragments(_: &Peers, root: &Path) -> Result<()> {
    write_fragmented(&root.join("fragmented"), block_size(root)?, 1500).map(drop)
}

/// Enough extents for three levels in every tree of free space and mappings.
fn deep(_: &Peers, root: &Path) -> Result<()> {
    write_fragmented(&root.join("deep"), block_size(root)?, 13_000).map(drop)
}

/// Writes `count` pieces of `piece` bytes with holes of as much between them.
fn write_fragmented(path: &Path, piece: u64, count: u64) -> Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?;
    let data = vec![7; 1 << 20];
    let length = count * piece * 2;
    for at in (0..length).step_by(data.len()) {
        let end = data.len().min(usize::try_from(length - at)?);
        file.write_all_at(&data[..end], at)?;
    }
    file.sync_all()?;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for index in 0..count {
        fallocate(&file, flags, index * piece * 2 + piece, piece)?;
    }
    Ok(file)
}

/// Clones, and what writing to one left of the sharing.
fn shared(_: &Peers, root: &Path) -> Result<()> {
    let block = block_size(root)?;
    let file = write_fragmented(&root.join("original"), block * 4, 100)?;
    let copy =
        OpenOptions::new().read(true).write(true).create_new(true).open(root.join("clone"))?;
    rustix::fs::ioctl_ficlone(&copy, &file)?;
    for index in (0..100).step_by(3) {
        copy.write_all_at(&[9; 512], index * 8 * block)?;
    }
    let again = File::create(root.join("clone-again"))?;
    rustix::fs::ioctl_ficlone(&again, &copy)?;
    Ok(())
}

/// Enough shared extents for three levels of reference counts with blocks of 1 KiB: a file of
/// single blocks beside which a third of another clone was removed.
fn many_shared(_: &Peers, root: &Path) -> Result<()> {
    let block = block_size(root)?;
    let path = root.join("many-shared");
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
    let count = 22_000;
    file.write_all_at(&vec![5; usize::try_from(count * block)?], 0)?;
    file.sync_all()?;
    let copy = File::create(root.join("many-shared-clone"))?;
    rustix::fs::ioctl_ficlone(&copy, &file)?;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for index in (0..count).step_by(2) {
        fallocate(&copy, flags, index * block, block)?;
    }
    Ok(())
}

/// A clone with blocks staged for copy on write that were not needed in the end.
fn staged(peers: &Peers, root: &Path) -> Result<()> {
    let block = block_size(root)?;
    let file = write_fragmented(&root.join("staged"), block * 8, 20)?;
    let path = root.join("staged-clone");
    let copy = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    rustix::fs::ioctl_ficlone(&copy, &file)?;
    io(peers, &path, &["cowextsize 1m"]);
    for index in 0..20 {
        copy.write_all_at(&[9; 512], index * 16 * block)?;
    }
    Ok(copy.sync_all()?)
}

/// Inodes when only small pieces are free, so that chunks have holes.
fn sparse_inodes(_: &Peers, root: &Path) -> Result<()> {
    let block = block_size(root)?;
    let around = root.join("around");
    fs::create_dir(&around)?;
    // Pieces of four to eight blocks: less than a chunk of 64 inodes.
    let file = File::create(around.join("file"))?;
    fill_up(&around.join("first"))?;
    fs::remove_file(around.join("first"))?;
    fallocate(&file, FallocateFlags::empty(), 0, 100 << 20)?;
    fill_up(&around.join("second"))?;
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    for index in 0..600 {
        fallocate(&file, flags, index * 16 * block + 64 * block, 7 * block)?;
    }
    let dir = root.join("sparse");
    fs::create_dir(&dir)?;
    for index in 0..2000 {
        if File::create(dir.join(format!("{index}"))).is_err() {
            break;
        }
    }
    Ok(())
}

/// Files written in an order that scatters them where data is not written in place.
fn overwrites(_: &Peers, root: &Path) -> Result<()> {
    let files = (0..4).map(|index| File::create(root.join(format!("overwritten-{index}"))));
    let files = files.collect::<Result<Vec<_>, _>>()?;
    for pass in 0..3 {
        for at in (0..200).step_by(pass + 1) {
            for file in &files {
                file.write_all_at(&[pass as u8; 4096], at * 8192)?;
            }
        }
        for file in &files {
            file.sync_all()?;
        }
    }
    Ok(())
}

/// Enough inodes for three levels of both inode trees with blocks of 1 KiB; one of each chunk
/// is free.
fn many_inodes(_: &Peers, root: &Path) -> Result<()> {
    const COUNT: u64 = 335_000;
    let mode = Mode::from_bits_truncate(0o600);
    for index in 0..COUNT {
        let dir = root.join(format!("{}", index / 5000));
        if index % 5000 == 0 {
            fs::create_dir(&dir)?;
        }
        mknod(&dir.join(format!("{index}")), SFlag::S_IFIFO, mode, 0)?;
    }
    for index in (0..COUNT).step_by(60) {
        fs::remove_file(root.join(format!("{}/{index}", index / 5000)))?;
    }
    Ok(())
}

/// Files of many users, groups and projects, and limits on what some may use.
fn owners(peers: &Peers, root: &Path) -> Result<()> {
    use nix::sys::quota::{Dqblk, QuotaType, QuotaValidFlags, quotactl_set};
    for id in [0, 1, 2, 77, 100, 1000, 5000, 100_000] {
        let path = root.join(format!("owned-by-{id}"));
        fs::write(&path, vec![b'o'; 5000])?;
        std::os::unix::fs::chown(&path, Some(id), Some(id + 1))?;
        io(peers, &path, &[&format!("chproj {id}")]);
    }
    let device = device(root)?;
    let mut limits = Dqblk::default();
    limits.set_blocks_hard_limit(2000);
    limits.set_blocks_soft_limit(1);
    limits.set_inodes_hard_limit(100);
    limits.set_inodes_soft_limit(50);
    let fields = QuotaValidFlags::QIF_BLIMITS | QuotaValidFlags::QIF_ILIMITS;
    for which in [QuotaType::USRQUOTA, QuotaType::GRPQUOTA] {
        for id in [77, 1000, 1001, 100_000] {
            quotactl_set(which, device.as_str(), id, &limits, fields)?;
        }
    }
    // Now over the soft limit, which starts a timer.
    let path = root.join("over");
    File::create(&path)?;
    std::os::unix::fs::chown(&path, Some(77), Some(1001))?;
    fs::write(&path, vec![b'o'; 50_000])?;
    Ok(())
}

/// The device of the filesystem mounted at `root`.
fn device(root: &Path) -> Result<String> {
    let mounts = fs::read_to_string("/proc/mounts")?;
    let mut entries = mounts.lines().map(|line| line.split(' '));
    let found = entries.find_map(|mut words| {
        let (device, point) = (words.next()?, words.next()?);
        (Path::new(point) == root).then(|| device.to_owned())
    });
    found.with_context(|| format!("nothing is mounted at {}", root.display()))
}

/// Files in the realtime section.
fn realtime(peers: &Peers, root: &Path) -> Result<()> {
    let dir = root.join("realtime");
    fs::create_dir(&dir)?;
    io(peers, &dir, &["chattr +t"]);
    let unit = realtime_unit(&dir)?;
    for (name, count) in [("one", 1), ("few", 8), ("fragmented", 300)] {
        write_fragmented(&dir.join(name), unit, count)?;
    }
    let unwritten = File::create(dir.join("unwritten"))?;
    fallocate(&unwritten, FallocateFlags::empty(), 0, 2 << 20)?;
    unwritten.write_all_at(&[1; 4096], 1 << 20)?;
    let hint = dir.join("hint");
    File::create(&hint)?;
    io(peers, &hint, &["extsize 1m"]);
    fs::write(&hint, vec![b'h'; 100_000])?;
    Ok(())
}

/// Bytes of a realtime extent, for files in `dir`: what Linux reports as the block size of one.
fn realtime_unit(dir: &Path) -> Result<u64> {
    let path = dir.join("unit");
    fs::write(&path, b"x")?;
    let unit = std::os::unix::fs::MetadataExt::blocks(&fs::metadata(&path)?) * 512;
    Ok(unit.max(block_size(dir)?))
}

/// Enough realtime extents for several levels in the realtime trees.
fn realtime_deep(_: &Peers, root: &Path) -> Result<()> {
    let dir = root.join("realtime");
    write_fragmented(&dir.join("deep"), realtime_unit(&dir)?, 6000).map(drop)
}

/// Shared realtime extents.
fn realtime_shared(peers: &Peers, root: &Path) -> Result<()> {
    let dir = root.join("realtime");
    let unit = realtime_unit(&dir)?;
    let file = write_fragmented(&dir.join("original"), unit * 2, 1500)?;
    let copy = File::create(dir.join("clone"))?;
    rustix::fs::ioctl_ficlone(&copy, &file)?;
    for index in (0..1500).step_by(7) {
        copy.write_all_at(&[9; 512], index * 4 * unit)?;
    }
    many_shared(peers, &dir)
}

/// Runs xfs_io; what this filesystem refuses is left out.
fn io(peers: &Peers, path: &Path, commands: &[&str]) {
    let mut command = peers.command("xfs_io");
    command.args(["-r", "-x"]);
    for line in commands {
        command.args(["-c", line]);
    }
    drop(command.arg(path).output());
}
