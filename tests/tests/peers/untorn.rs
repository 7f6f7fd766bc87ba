//! Untorn writes against Linux: limits, rules, contents, and the device's own way.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::{Device, FileDevice, OverlayDevice};
use libfs::file::untorn::{AtomicLimits, UntornWay};
use libfs::filesystem::{Filesystem, Opened};
use tests::linux::{self, Mount};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::{say, skip};

const MEBI: u64 = 1 << 20;
const GIBI: u64 = 1 << 30;

/// Size and mkfs.xfs options of the filesystems whose limits are compared.
const GEOMETRIES: &[(u64, &str)] = &[
    (300 * MEBI, ""),
    (300 * MEBI, "-m rmapbt=0"),
    (300 * MEBI, "-n parent=0"),
    (300 * MEBI, "-b size=1k"),
    (300 * MEBI, "-b size=2k -m rmapbt=0"),
    (GIBI, ""),
    (GIBI, "-m reflink=0"),
    (GIBI, "-m rmapbt=0"),
    (GIBI, "-b size=1k"),
    (GIBI, "-b size=2k -m rmapbt=0 -i size=1024"),
    (GIBI, "-b size=2k"),
    (GIBI, "-b size=8k"),
    (GIBI, "-b size=16k"),
    (2 * GIBI, "-b size=32k"),
    (4 * GIBI, "-b size=64k"),
    // The largest group power of two is what limits these.
    (10 * GIBI, "-b size=64k -d agsize=192m"),
    (3 * GIBI, "-b size=64k -d agsize=100m"),
    (GIBI, "-d agsize=100m"),
    (GIBI, "-s size=4096"),
    (GIBI, "-l size=200m"),
    (20 * GIBI, "-d su=64k,sw=4 -l su=64k"),
    (GIBI, "-l size=64m -i nrext64=0"),
    (4 * GIBI, ""),
    (20 * GIBI, "-d agcount=16"),
    (GIBI << 10, ""),
    (GIBI << 10, "-m rmapbt=0"),
];

/// The machine's Linux, if it has untorn writes by copy on write.
pub(super) fn linux_or_skip(peers: &Peers) -> Option<()> {
    if !linux::host_or_skip() {
        return None;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 * MEBI, &[]).unwrap();
    if limits_of_linux(peers, &image).unwrap().unit_max <= 4096 {
        skip("this machine's Linux has no untorn writes by copy on write (6.16 has)");
        return None;
    }
    Some(())
}

pub(super) fn open(device: Arc<dyn Device>) -> libfs::Result<Filesystem> {
    Ok(match Filesystem::open(device)? {
        Opened::Clean(filesystem) => filesystem,
        Opened::Dirty(unrecovered) => unrecovered.recover()?.0,
    })
}

/// What xfs_io 7.2 prints of a file on the mounted image.
fn limits_of_linux(peers: &Peers, image: &Path) -> Result<AtomicLimits> {
    linux::mount(image, |root| {
        let file = root.join("file");
        std::fs::write(&file, "")?;
        let printed = peers.io(&file, &["statx -r -m +write_atomic"])?;
        let field = |name: &str| -> Result<u32> {
            let start = format!("stat.atomic_write_{name} = ");
            let line = printed.lines().find_map(|line| line.strip_prefix(&start));
            Ok(line.context(start)?.parse()?)
        };
        Ok(AtomicLimits {
            unit_min: field("unit_min")?,
            unit_max: field("unit_max")?,
            unit_max_opt: field("unit_max_opt")?,
            segments_max: field("segments_max")?,
        })
    })
}

#[test]
fn limits_are_those_of_statx() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(()) = linux_or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    for (size, options) in GEOMETRIES {
        let image = scratch.path("image");
        let words: Vec<&str> = options.split_whitespace().collect();
        peers.mkfs(&image, *size, &words)?;
        let linux = limits_of_linux(&peers, &image)?;
        // The loop device has no untorn writes of its own; nor has the overlay, whatever the
        // host may offer for the image file.
        let file: Arc<dyn Device> = Arc::new(FileDevice::open_read_only(&image)?);
        let mut filesystem = open(Arc::new(OverlayDevice::new(file)))?;
        let file = filesystem.lookup("/file")?;
        let ours = filesystem.atomic_write_limits(file)?;
        ensure!(ours == linux, "{size} bytes, {options:?}: {ours:?}, Linux says {linux:?}");
        let root = filesystem.lookup("/")?;
        ensure!(filesystem.atomic_write_limits(root)? == AtomicLimits::default());
    }
    say(&format!("limits of {} geometries are those of Linux", GEOMETRIES.len()));
    Ok(())
}

/// An image file on a mounted XFS: Linux promises untorn writes to it.
#[test]
fn a_file_on_xfs_is_a_device_with_untorn_writes() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(()) = linux_or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let host = scratch.path("host");
    peers.mkfs(&host, GIBI, &[])?;
    let promised = limits_of_linux(&peers, &host)?;
    let mount = Mount::new(&host)?;
    let path = mount.path("device");
    std::fs::File::create(&path)?.set_len(8 * MEBI)?;
    {
        let device = FileDevice::open(&path)?;
        let limits = device.atomic_write_limits();
        ensure!((limits.unit_min, limits.unit_max) == (promised.unit_min, promised.unit_max));
        ensure!(FileDevice::open_read_only(&path)?.atomic_write_limits() == Default::default());
        coherent(&device)?;
        refused(&device);
        untorn_writes_are_seen(&peers, &path, &device)?;
    }
    mount.unmount()?;
    Ok(())
}

/// Ordinary writes, untorn ones and reads of one range see each other, before and after a
/// flush, also where they overlap in part.
fn coherent(device: &FileDevice) -> Result<()> {
    let mut expected = vec![0; MEBI as usize];
    let mut found = expected.clone();
    let mut fill = 0;
    for round in 0..200 {
        fill = fill % 250 + 1;
        let len = 4096 << (round % 5);
        let start = (round * 7919) % 200 * 4096 / len * len;
        expected[start..start + len].fill(fill);
        device.write_atomic_at(&expected[start..start + len], start as u64)?;
        fill = fill % 250 + 1;
        let within = start + 1000..start + 3000 + round;
        expected[within.clone()].fill(fill);
        device.write_at(&expected[within.clone()], within.start as u64)?;
        if round % 3 == 0 {
            device.flush()?;
        }
        device.read_at(&mut found, 0)?;
        ensure!(found == expected, "round {round}");
    }
    Ok(())
}

fn refused(device: &FileDevice) {
    use libfs::Errno;
    for (offset, len) in [(0, 512), (0, 12288), (4096, 8192), (512, 4096), (0, 4 << 20)] {
        let error = device.write_atomic_at(&vec![1; len], offset).unwrap_err();
        assert_eq!(error.errno(), Errno::EINVAL, "{len} bytes at {offset}");
    }
    let error = device.write_atomic_at(&[1; 4096], device.size()).unwrap_err();
    assert_eq!(error.errno(), Errno::EIO);
}

/// Linux, too, stages an untorn write to this file in new blocks, so the blocks move: which
/// no ordinary write makes them do.
fn untorn_writes_are_seen(peers: &Peers, path: &Path, device: &FileDevice) -> Result<()> {
    let place = || -> Result<String> {
        let printed = peers.io(path, &["bmap -v"])?;
        Ok(printed.lines().skip(2).collect::<Vec<_>>().join("\n"))
    };
    device.write_at(&[7; 65536], 0)?;
    device.flush()?;
    let before = place()?;
    device.write_at(&[8; 65536], 0)?;
    device.flush()?;
    ensure!(place()? == before, "an ordinary write moved the blocks");
    device.write_atomic_at(&[9; 65536], 0)?;
    device.flush()?;
    ensure!(place()? != before, "the write went the ordinary way");
    Ok(())
}

/// Our filesystem on an image file on a mounted XFS: an untorn write that fits goes by the
/// host's, and is there for Linux.
#[test]
fn a_file_of_ours_is_written_by_the_hosts_untorn_write() -> Result<()> {
    const UNIT: u64 = 64 << 10;
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(()) = linux_or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let (host, copy) = (scratch.path("host"), scratch.path("copy"));
    peers.mkfs(&host, 2 * GIBI, &[])?;
    let mount = Mount::new(&host)?;
    let image = mount.path("image");
    peers.mkfs(&image, GIBI, &[])?;
    let mut filesystem = open(Arc::new(FileDevice::open(&image)?))?;
    let file = filesystem.create("/file", 0o644)?;
    filesystem.write(file, 0, &vec![1; 16 * UNIT as usize])?;
    filesystem.sync()?;

    let limits = filesystem.atomic_write_limits(file)?;
    ensure!(limits.unit_max_opt >= UNIT as u32, "{limits:?}");
    let start = filesystem.mappings(file, false)?[0].start.context("a hole")? * 512;
    let mut expected = vec![1; 16 * UNIT as usize];
    let mut ways = [0, 0];
    for len in [4096, 8192, 16384, 32768, UNIT] {
        for at in 0..4 {
            let offset = at * UNIT + UNIT / len / 2 * len;
            let fill = 2 + at as u8 + len.ilog2() as u8;
            let data = vec![fill; len as usize];
            let aligned = filesystem.mappings(file, false)?.len() == 1
                && (start + offset).is_multiple_of(len);
            let way = filesystem.write_untorn(file, offset, &data, true)?;
            let by_device = matches!(way, UntornWay::Device { .. });
            ensure!(by_device || !aligned, "{len} bytes at {offset}: {way}");
            ways[usize::from(by_device)] += 1;
            expected[offset as usize..][..len as usize].fill(fill);
            let mut found = vec![0; expected.len()];
            filesystem.read(file, 0, &mut found)?;
            ensure!(found == expected, "{len} bytes at {offset}: {way}");
        }
    }
    ensure!(ways[1] > 0, "none was by the device");
    filesystem.close()?;
    drop(filesystem);
    tests::sparse::copy(&image, &copy)?;
    mount.unmount()?;
    peers.assert_clean(&copy);
    ensure!(linux::mount(&copy, |root| Ok(std::fs::read(root.join("file"))?))? == expected);
    say(&format!("{} untorn writes by the host's, {} by copy on write", ways[1], ways[0]));
    Ok(())
}
