//! Metadata dumps are exchanged with xfsprogs 7.2, in both directions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tests::gallery::{Exhibit, Gallery};
use tests::linux::Mount;
use tests::metadump;
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::sparse::assert_same_bytes;

/// Standard output, first line of standard error, exit status.
fn said(command: &mut Command) -> (String, String, Option<i32>) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    let first = words.lines().next().unwrap_or_default().to_owned();
    (String::from_utf8(output.stdout).unwrap(), first, output.status.code())
}

/// Restores `dump` with `command`, a program xfs_mdrestore; returns what -i printed and the
/// images, which it makes anew in `scratch`.
fn restore(
    command: &mut Command,
    exhibit: &Exhibit,
    dump: &Path,
    version: u8,
    scratch: &Scratch,
    who: &str,
) -> (String, Vec<PathBuf>) {
    let mut images = vec![scratch.path(&format!("{who}-data"))];
    let others = [("-l", &exhibit.log), ("-r", &exhibit.realtime)];
    for (option, _) in others.iter().filter(|(_, device)| device.is_some() && version == 2) {
        let image = scratch.path(&format!("{who}{option}"));
        command.arg(option).arg(&image);
        images.push(image);
    }
    for image in &images {
        let _ = fs::remove_file(image);
    }
    let printed = run(command.arg("-i").arg(dump).arg(&images[0])).unwrap();
    (printed, images)
}

/// Makes a dump of `exhibit` with our xfs_metadump; returns what it said.
fn dump_with_ours(exhibit: &Exhibit, options: &[&str], dump: &Path) -> String {
    let mut command = ours::command("xfs_metadump");
    command.args(options).args(exhibit.device_options("-r", "-l")).arg(&exhibit.image).arg(dump);
    let (printed, said, status) = said(&mut command);
    assert_eq!(status, Some(0), "{}: {said}", exhibit.picture.name);
    assert_eq!(printed, "");
    said
}

/// Makes plain dumps of pictures with xfsprogs and with ours, restores them, and compares:
/// everything must be the same but the order in the dumps.
fn exchange(names: &[&str]) {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, names) else { return };
    let scratch = Scratch::new().unwrap();
    let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
    let mut cases = 0;
    for (index, exhibit) in gallery.exhibits.iter().enumerate() {
        let devices = exhibit.device_options("-R", "-l");
        let version = if devices.is_empty() { 1 + index as u8 % 2 } else { 2 };
        // Nothing is changed in whole blocks, so one picture does.
        for options in if index == 0 { &["-o", "-a -o"][..] } else { &["-o"] } {
            let options = format!("-v {version} {options}");
            metadump::by_peer(&peers, &options, &devices, &exhibit.image, &theirs).unwrap();
            let options: Vec<_> = options.split(' ').collect();
            dump_with_ours(exhibit, &options, &ours);
            let programs = || [peers.command("xfs_mdrestore"), ours::command("xfs_mdrestore")];
            let restore = |dump: &Path, by_ours: usize, who| {
                restore(&mut programs()[by_ours], exhibit, dump, version, &scratch, who)
            };
            let same = |left: &(String, Vec<PathBuf>), right: &(String, Vec<PathBuf>)| {
                assert!(left.0.split(": ").skip(1).eq(right.0.split(": ").skip(1)));
                assert_eq!(left.1.len(), right.1.len());
                for (left, right) in left.1.iter().zip(&right.1) {
                    assert_same_bytes(left, right);
                }
            };
            let of_ours = restore(&ours, index % 2, "ours");
            same(&of_ours, &restore(&theirs, index % 2, "theirs"));
            if index == 0 {
                same(&of_ours, &restore(&theirs, 1, "theirs"));
            }
            cases += 1;
        }
    }
    tests::skip::say(&format!("{cases} dumps exchanged"));
}

#[test]
fn dumps_are_exchanged_with_xfsprogs() {
    exchange(&["default", "deep", "ci", "dirty"]);
}

#[test]
fn dumps_of_other_block_sizes_are_exchanged_with_xfsprogs() {
    exchange(&["blocks-2k", "blocks-64k", "deep-attributes", "striped"]);
}

#[test]
fn dumps_of_several_devices_are_exchanged_with_xfsprogs() {
    exchange(&["external-log", "rtgroups", "zoned"]);
}

/// What a tree holds apart from names: the lengths of names and the inodes they stand for by
/// directory, and lengths of attributes' names by inode.
#[derive(Debug, Default, PartialEq)]
struct Shape {
    entries: BTreeMap<u64, Vec<(usize, u64)>>,
    attributes: BTreeMap<u64, Vec<usize>>,
    targets: BTreeMap<u64, usize>,
    /// All names, values and components of targets.
    words: BTreeSet<Vec<u8>>,
}

impl Shape {
    fn of(directory: &Path) -> Self {
        let mut shape = Shape::default();
        shape.add(directory);
        shape
    }

    fn add(&mut self, path: &Path) {
        let about = fs::symlink_metadata(path).unwrap();
        self.attributes(path, about.ino());
        if about.is_symlink() {
            let target = fs::read_link(path).unwrap().into_os_string().into_vec();
            self.targets.insert(about.ino(), target.len());
            self.words.extend(target.split(|&byte| byte == b'/').map(<[u8]>::to_vec));
        }
        if !about.is_dir() {
            return;
        }
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_vec();
            entries.push((name.len(), entry.ino()));
            self.words.insert(name);
            self.add(&entry.path());
        }
        entries.sort_unstable();
        self.entries.insert(about.ino(), entries);
    }

    fn attributes(&mut self, path: &Path, ino: u64) {
        let mut list = vec![0; 1 << 16];
        let Ok(len) = rustix::fs::llistxattr(path, &mut list[..]) else { return };
        let names = list[..len].split(|&byte| byte == 0).filter(|name| !name.is_empty());
        let mut lengths = Vec::new();
        for name in names.filter(|name| name.starts_with(b"user.")) {
            let word = &name[b"user.".len()..];
            lengths.push(word.len());
            self.words.insert(word.to_vec());
        }
        lengths.sort_unstable();
        self.attributes.insert(ino, lengths);
    }
}

/// The words of at least nine bytes that `file` holds, of those in `words`.
fn found_in(file: &Path, words: &BTreeSet<Vec<u8>>, scratch: &Scratch) -> String {
    let list = scratch.path("words");
    let long = words.iter().filter(|word| word.len() >= 9 && *word != b"lost+found");
    let lines: Vec<_> = long.filter(|word| !word.contains(&b'\n')).cloned().collect();
    fs::write(&list, lines.join(&b'\n')).unwrap();
    let mut grep = Command::new("grep");
    grep.env("LC_ALL", "C").args(["-a", "-o", "-F", "-f"]).arg(&list).arg(file);
    String::from_utf8_lossy(&grep.output().unwrap().stdout).into_owned()
}

#[test]
fn obfuscated_dumps_are_sound_and_hold_no_names() {
    let Some(peers) = Peers::or_skip() else { return };
    if !tests::linux::host_or_skip() {
        return;
    }
    let names = ["default", "deep-attributes", "striped"];
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    let scratch = Scratch::new().unwrap();
    let (mut cases, mut changed) = (0, 0);
    for exhibit in &gallery.exhibits {
        let dump = scratch.path("dump");
        let version = 1 + cases % 2;
        dump_with_ours(exhibit, &["-w", "-v", &version.to_string()], &dump);
        let mut by_peer = peers.command("xfs_mdrestore");
        let (_, images) = restore(&mut by_peer, exhibit, &dump, version, &scratch, "ours");
        let verdict = peers.check(&images[0]).unwrap();
        assert_eq!(verdict.exit, Some(0), "{}", verdict.text);
        let shape = |image: &Path| {
            let mount = Mount::with(image, "ro").unwrap();
            let shape = Shape::of(mount.root());
            mount.unmount().unwrap();
            shape
        };
        let (mut plain, mut hidden) = (shape(&exhibit.image), shape(&images[0]));
        assert_eq!(found_in(&dump, &plain.words, &scratch), "", "{}", exhibit.picture.name);
        let (plain_words, hidden_words) =
            (std::mem::take(&mut plain.words), std::mem::take(&mut hidden.words));
        changed += plain_words.difference(&hidden_words).count();
        assert!(plain == hidden, "{}", exhibit.picture.name);
        cases += 1;
    }
    assert!(changed > 1000, "{changed}");
    tests::skip::say(&format!("{cases} obfuscated dumps, {changed} words hidden"));
}

#[test]
fn obfuscated_dumps_of_other_kinds_are_sound() {
    let Some(peers) = Peers::or_skip() else { return };
    let names = ["ci", "metadir", "external-log", "rtgroups"];
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    let scratch = Scratch::new().unwrap();
    for exhibit in &gallery.exhibits {
        let dump = scratch.path("dump");
        dump_with_ours(exhibit, &["-w", "-v", "2"], &dump);
        let mut by_peer = peers.command("xfs_mdrestore");
        let (_, images) = restore(&mut by_peer, exhibit, &dump, 2, &scratch, "ours");
        let mut check = peers.command("xfs_repair");
        let options = if exhibit.log.is_some() { ["-l", "-r"] } else { ["-r", "-l"] };
        for (option, image) in options.iter().zip(&images[1..]) {
            check.arg(option).arg(image);
        }
        let output = check.args(["-n", "-f"]).arg(&images[0]).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{}: {text}", exhibit.picture.name);
    }
    tests::skip::say(&format!("{} obfuscated dumps checked", gallery.exhibits.len()));
}

/// A dump of a small filesystem and what is done to it: bytes put at an offset, then cut.
struct Damage {
    version: u8,
    offset: usize,
    bytes: &'static [u8],
    cut: Option<usize>,
}

const DAMAGES: &[Damage] = &[
    Damage { version: 1, offset: 0, bytes: b"XFSN", cut: None },
    Damage { version: 1, offset: 4, bytes: &[0, 0x45], cut: None },
    Damage { version: 1, offset: 4, bytes: &[0, 0], cut: None },
    Damage { version: 1, offset: 6, bytes: &[10], cut: None },
    Damage { version: 1, offset: 7, bytes: &[0], cut: None },
    Damage { version: 1, offset: 8, bytes: &[0, 0, 0, 0, 0, 0, 0, 1], cut: None },
    Damage { version: 1, offset: 512, bytes: b"XFSC", cut: None },
    Damage { version: 1, offset: 512 + 102, bytes: &[0, 0], cut: None },
    Damage { version: 1, offset: 0, bytes: &[], cut: Some(0) },
    Damage { version: 1, offset: 0, bytes: &[], cut: Some(6) },
    Damage { version: 1, offset: 0, bytes: &[], cut: Some(512) },
    Damage { version: 1, offset: 0, bytes: &[], cut: Some(100_000) },
    Damage { version: 2, offset: 8, bytes: &[0, 0, 0, 8], cut: None },
    Damage { version: 2, offset: 8, bytes: &[0xf0, 0, 0, 0], cut: None },
    Damage { version: 2, offset: 12, bytes: &[0, 0, 0, 1], cut: None },
    Damage { version: 2, offset: 12, bytes: &[0, 0, 0, 2], cut: None },
    Damage { version: 2, offset: 16, bytes: &[0, 0, 0, 7], cut: None },
    Damage { version: 2, offset: 31, bytes: &[7], cut: None },
    Damage { version: 2, offset: 24, bytes: &[0, 0xc0], cut: None },
    Damage { version: 2, offset: 32, bytes: &[0, 0, 0, 0], cut: None },
    Damage { version: 2, offset: 36, bytes: b"XFSC", cut: None },
    Damage { version: 2, offset: 24 + 12 + 512, bytes: &[0, 0xc0], cut: None },
    Damage { version: 2, offset: 0, bytes: &[], cut: Some(10) },
    Damage { version: 2, offset: 0, bytes: &[], cut: Some(30) },
    Damage { version: 2, offset: 0, bytes: &[], cut: Some(60_000) },
];

#[test]
fn what_xfsprogs_refuses_to_restore_is_refused() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let dumps = [1, 2].map(|version| {
        let dump = scratch.path("dump");
        let options = format!("-v {version} -o");
        metadump::by_peer(&peers, &options, &[], &image, &dump).unwrap();
        fs::read(dump).unwrap()
    });
    let (dump, target) = (scratch.path("dump"), scratch.path("target"));
    let mut refused = 0;
    let mut compare = |args: &[&Path]| {
        let theirs = said(peers.command("xfs_mdrestore").args(args));
        let ours = said(ours::command("xfs_mdrestore").args(args));
        assert_eq!(ours.0, theirs.0, "{args:?}");
        assert_eq!(ours.2, theirs.2, "{args:?}: {ours:?}");
        assert!(ours.1.starts_with(&theirs.1), "{args:?}: {ours:?}, {theirs:?}");
        refused += usize::from(ours.2 != Some(0));
    };
    for damage in DAMAGES {
        let mut bytes = dumps[usize::from(damage.version) - 1].clone();
        bytes[damage.offset..][..damage.bytes.len()].copy_from_slice(damage.bytes);
        bytes.truncate(damage.cut.unwrap_or(usize::MAX));
        fs::write(&dump, &bytes).unwrap();
        for options in [&[][..], &[Path::new("-i")]] {
            compare(&[options, &[&dump, &target]].concat());
        }
        compare(&[Path::new("-i"), &dump]);
    }
    fs::write(&dump, &dumps[0]).unwrap();
    let (missing, other) = (scratch.path("no/such"), scratch.path("other"));
    let log = Path::new("-l");
    compare(&[]);
    compare(&[&dump]);
    compare(&[&missing, &target]);
    compare(&[&dump, &missing]);
    compare(&[&dump, scratch.dir()]);
    compare(&[log, &other, &dump, &target]);
    compare(&[Path::new("-r"), &other, &dump, &target]);
    compare(&[&dump, &target, &other]);
    compare(&[Path::new("/dev/null"), &target]);
    assert!(refused > 50, "{refused}");
    tests::skip::say(&format!("{refused} restores refused"));
}

#[test]
fn what_xfsprogs_refuses_to_dump_is_refused() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let dump = scratch.path("dump").display().to_string();
    let commands = [
        "metadump",
        "metadump -q DUMP",
        "metadump DUMP DUMP",
        "metadump -v 3 DUMP",
        "metadump -v x DUMP",
        "metadump -m 0 DUMP",
        "metadump -m foo DUMP",
        "metadump -o -m",
        "metadump /no/such/directory/dump",
        "metadump -o -g DUMP",
        "metadump -w -a -e -o -m 9999999999999 -v 2 DUMP",
    ];
    for command in commands {
        let command = command.replace("DUMP", &dump);
        let words = ["-f", "-i", "-p", "xfs_metadump", "-c", &command];
        let theirs = said(peers.command("xfs_db").args(words).arg(&image));
        let ours = said(ours::command("xfs_db").args(words).arg(&image));
        assert_eq!(ours.2, theirs.2, "{command}: {ours:?}");
        assert!(ours.1.starts_with(&theirs.1), "{command}: {ours:?}, {theirs:?}");
        let last = |text: &str| text.rsplit('\r').next().unwrap_or_default().to_owned();
        assert_eq!(last(&ours.0), last(&theirs.0), "{command}");
    }
    let usage = ours::command("xfs_metadump").arg(&image).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&usage.stderr).starts_with("Usage: xfs_metadump "));
}
