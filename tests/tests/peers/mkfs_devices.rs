//! mkfs on block devices: sectors, rotation, discarding, mounted devices and older content, as
//! 7.2 takes them.

use std::path::Path;
use std::process::Command;

use tests::linux::{Loop, Mount, host_or_skip};
use tests::mkfs::words;
use tests::ours;
use tests::peers::{Peers, UUID, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::{create, same_bytes};

/// What the device holds before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Before {
    Nothing,
    Filesystem,
    Noise,
    /// The log's device holds a filesystem.
    FilesystemOnLog,
}
use Before::{Filesystem, FilesystemOnLog, Noise, Nothing};

/// Sector size, whether it rotates, what it holds, and options, with LOG for the log's device.
type Case = (u32, bool, Before, &'static str);

const CASES: &[Case] = &[
    (512, true, Nothing, ""),
    (512, false, Nothing, ""),
    (4096, true, Nothing, ""),
    (4096, false, Nothing, ""),
    (2048, true, Nothing, "-d sectsize=4k"),
    (4096, true, Nothing, "-b size=1k"),
    (4096, true, Nothing, "-b size=2k"),
    (4096, true, Nothing, "-s size=512"),
    (2048, true, Nothing, "-b size=1k"),
    (2048, true, Nothing, "-s size=1k"),
    (512, true, Nothing, "-l logdev=LOG"),
    (512, true, Nothing, "-l logdev=LOG,size=70m"),
    (4096, true, Nothing, "-l logdev=LOG"),
    (4096, true, Nothing, "-l logdev=LOG -b size=1k"),
    (512, true, Nothing, "-l file,name=LOG,size=70m"),
    (512, true, FilesystemOnLog, "-l logdev=LOG"),
    (512, true, Filesystem, ""),
    (512, true, Filesystem, "-f"),
    (512, true, Noise, "-f"),
    (512, true, Noise, "-f -K"),
    (512, true, Nothing, "-d file"),
    (512, true, Nothing, "-d file,size=1g"),
    (512, true, Nothing, "-d size=2g"),
    (512, true, Nothing, "-q"),
    (512, true, Nothing, "-N"),
    (512, true, Nothing, "-K"),
    (512, false, Nothing, "-d concurrency=4"),
    (512, false, Nothing, "-d concurrency=0 -l concurrency=0"),
];

#[test]
fn block_devices() {
    let Some(peers) = Peers::or_skip() else { return };
    if !host_or_skip() {
        return;
    }
    let mut wrong = Vec::new();
    for case in CASES {
        let scratch = Scratch::new().unwrap();
        let said = [
            make(&peers, ours::command("mkfs_xfs"), case, &scratch.path("ours")),
            make(&peers, peers.command("mkfs.xfs"), case, &scratch.path("theirs")),
        ];
        if said[0] != said[1] {
            wrong.push(format!("{case:?}: said {:?} instead of {:?}", said[0], said[1]));
        }
        for name in ["image", "log"] {
            let [left, right] = ["ours", "theirs"].map(|dir| scratch.path(dir).join(name));
            if let Some(difference) = same_bytes(&left, &right).unwrap() {
                wrong.push(format!("{case:?}: {name}: {difference:x?}"));
            }
        }
    }
    let (cases, different) = (CASES.len(), wrong.len());
    say(&format!("mkfs on block devices: {cases} command lines, {different} not as xfsprogs 7.2"));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

/// Runs a mkfs on loop devices made of files in the new directory `dir`; returns its words, with
/// the names of the devices made the same.
fn make(peers: &Peers, mut mkfs: Command, case: &Case, dir: &Path) -> String {
    let (sector, rotates, before, options) = *case;
    std::fs::create_dir(dir).unwrap();
    let (image, log) = (dir.join("image"), dir.join("log"));
    create(&image, 1 << 30).unwrap();
    create(&log, 400 << 20).unwrap();
    match before {
        Nothing => {}
        Filesystem => peers.mkfs(&image, 1 << 30, &[]).unwrap(),
        FilesystemOnLog => peers.mkfs(&log, 400 << 20, &[]).unwrap(),
        Noise => {
            let words = (0..64u32 << 20 >> 2).map(|word| word.wrapping_mul(0x9e37_79b9));
            let noise: Vec<u8> = words.flat_map(u32::to_le_bytes).collect();
            std::fs::write(&image, &noise).unwrap();
            std::fs::File::options().write(true).open(&image).unwrap().set_len(1 << 30).unwrap();
        }
    }
    let [image, log] = [image, log].map(|file| Loop::new(&file, sector).unwrap());
    for device in [&image, &log] {
        let name = device.path().trim_start_matches("/dev/");
        let queue = format!("/sys/block/{name}/queue/rotational");
        std::fs::write(queue, if rotates { "1" } else { "0" }).unwrap();
    }
    mkfs.args(["-m", &format!("uuid={UUID}")]);
    mkfs.args(options.replace("LOG", log.path()).split_whitespace()).arg(image.path());
    let output = mkfs.output().unwrap();
    words(&output).replace(log.path(), "LOG").replace(image.path(), "IMAGE")
}

#[test]
fn a_mounted_device_is_kept() {
    let Some(peers) = Peers::or_skip() else { return };
    if !host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let file = scratch.path("image");
    peers.mkfs(&file, 300 << 20, &[]).unwrap();
    let device = Loop::new(&file, 512).unwrap();
    // Not by another loop device on top of it.
    let point = scratch.path("point");
    std::fs::create_dir(&point).unwrap();
    let mut mount = Command::new("mount");
    run(mount.args(["-t", "xfs", "-o", "nouuid", device.path()]).arg(&point)).unwrap();
    let words_of = |mut mkfs: Command| words(&mkfs.arg("-f").arg(device.path()).output().unwrap());
    let [ours, theirs] = [ours::command("mkfs_xfs"), peers.command("mkfs.xfs")].map(words_of);
    run(Command::new("umount").arg(&point)).unwrap();
    assert_eq!(ours, theirs);
    assert!(ours.contains("contains a mounted filesystem"), "{ours}");
}

#[test]
fn linux_mounts_a_filesystem_with_its_log_on_another_device() {
    if !host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    for options in ["-l logdev=log", "-l logdev=log,size=70m,su=32k -b size=1k"] {
        let [image, log] = ["image", "log"].map(|name| scratch.path(name));
        create(&image, 400 << 20).unwrap();
        create(&log, 100 << 20).unwrap();
        let mut mkfs = ours::command("mkfs_xfs");
        mkfs.args(options.split(' ')).arg("image").current_dir(scratch.dir());
        run(&mut mkfs).unwrap();
        let log = Loop::new(&log, 512).unwrap();
        let mounted = Mount::with(&image, &format!("logdev={}", log.path())).unwrap();
        std::fs::write(mounted.path("file"), "content").unwrap();
        mounted.unmount().unwrap();
    }
}
