//! What xfs_db changes of a filesystem's names and structure: label, UUID and log as xfsprogs 7.2
//! leaves them, byte for byte; attributes, entries and unlinked inodes, where times and
//! the log differ, as both sides' checkers and lists see them.

use std::fs;
use std::path::Path;
use std::process::Command;

use tests::crash::{self, Cut};
use tests::linux;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip;
use tests::sparse;

use crate::db_write::{Pair, expert, fill};

/// Names that are given, one after the other to the same image.
const NAMES: &[&[&str]] = &[
    &["label abc", "label"],
    &["label 1234567890123", "label"],
    &["label --", "label"],
    &["label \"a b\"", "label a b", "label"],
    &["uuid 00112233-4455-6677-8899-aabbccddeeff", "uuid"],
    &[
        "uuid zz",
        "uuid 0011223344556677-8899-aabbccddeeff",
        "uuid 00112233445566778899aabbccddeeff",
    ],
    &["uuid nil", "uuid"],
    &["uuid rewrite", "uuid"],
    &["uuid restore", "uuid"],
    &["uuid restore", "uuid"],
    &["logformat"],
    &["logformat -c 5"],
    &["uuid 00112233-4455-6677-8899-aabbccddeeff", "label x"],
    &["logformat -s 4"],
    &["logformat -c 9 -s 4096"],
    &["logformat -s 32768"],
    &["logformat -c 12 -s 65536", "uuid restore"],
    // After such a mistake xfs_db 7.2 runs no further command.
    &["logformat -c 0"],
    &["logformat -c zz"],
    &["logformat -s 512"],
    &["logformat -z"],
    &["version extflg", "version log2", "version attr1", "version foo", "version 0xb4a5 0x18a"],
];

/// Blocks, sectors, groups and logs of several kinds.
const GEOMETRIES: &[&[&str]] = &[
    &[],
    &["-b", "size=1k", "-l", "size=70123b", "-d", "agcount=3"],
    &["-l", "su=32k", "-i", "size=1024"],
    &["-s", "size=4k", "-b", "size=4k", "-m", "uquota,gquota"],
];

#[test]
fn label_uuid_and_log_are_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let mut tried = 0;
    for (turn, options) in GEOMETRIES.iter().enumerate() {
        let pair = Pair::new(peers.clone(), options);
        // Every other command on all but the first, to save time.
        let chosen = NAMES.iter().enumerate().filter(|(at, _)| turn == 0 || (at + turn) % 2 == 0);
        for (_, commands) in chosen {
            pair.run(commands);
            pair.assert_same();
            tried += commands.len();
        }
        peers.assert_clean(&pair.own);
    }
    skip::say(&format!("label, uuid, logformat, version: {tried} commands, same images"));
}

/// What a command is expected to make of a filesystem with a dirty log.
#[test]
fn a_dirty_log_is_replayed_before_the_name_changes() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let dirty = scratch.path("dirty");
    peers.mkfs(&dirty, 300 << 20, &[]).unwrap();
    crash::after(&peers, &dirty, Cut::FlushLog, fill).unwrap();
    let uuid = "00112233-4455-6677-8899-aabbccddeeff";
    for (command, shown) in [
        ("label renamed", "label = \"renamed\""),
        (&*format!("uuid {uuid}"), &*format!("UUID = {uuid}")),
    ] {
        let image = scratch.path("image");
        sparse::copy(&dirty, &image).unwrap();
        let text = expert(ours::command("xfs_db"), &image, &[command]);
        assert!(text.contains("writing all SBs"), "{text}");
        let show = command.split(' ').next().unwrap();
        assert_eq!(expert(peers.command("xfs_db"), &image, &[show]).trim(), shown);
        peers.assert_clean(&image);
        // Linux finds what was only in the log.
        let names = linux::mount(&image, |root| Ok(fs::read_dir(root)?.count())).unwrap();
        assert_eq!(names, 7, "after {command}");
        fs::remove_file(&image).unwrap();
    }
    // The log of the next one holds what makes no sense: nothing changes, and the status says so.
    let text = peers
        .run(
            "xfs_db",
            ["-r", "-c", "sb", "-c", "p logstart"]
                .iter()
                .map(std::ffi::OsStr::new)
                .chain([dirty.as_os_str()]),
        )
        .unwrap();
    assert!(text.starts_with("logstart = "), "{text}");
    let before = fs::metadata(&dirty).unwrap().len();
    for command in ["label renamed", "uuid generate", "logformat"] {
        let image = scratch.path("image");
        sparse::copy(&dirty, &image).unwrap();
        if command != "logformat" {
            spoil_log(&peers, &image);
        }
        let spoilt = scratch.path("spoilt");
        sparse::copy(&image, &spoilt).unwrap();
        let output =
            ours::command("xfs_db").args(["-x", "-c", command]).arg(&image).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}: {output:?}");
        sparse::assert_same_bytes(&image, &spoilt);
        assert_eq!(fs::metadata(&image).unwrap().len(), before);
    }
}

/// Spoils a record in the middle of the log, which is then neither clean nor torn at its end.
fn spoil_log(peers: &Peers, image: &Path) {
    let fsb = expert(peers.command("xfs_db"), image, &["sb", "print logstart"]);
    let fsb = fsb.trim().strip_prefix("logstart = ").unwrap().to_owned();
    let daddr = expert(peers.command("xfs_db"), image, &[&format!("convert fsb {fsb} daddr")]);
    let daddr: u64 = daddr.split(['(', ')']).nth(1).unwrap().parse().unwrap();
    // The second record is among those that must be replayed; its first block says so.
    let commands = [format!("daddr {}", daddr + 2), "write fill 0xff 8 24".into()];
    expert(peers.command("xfs_db"), image, &[&commands[0], &commands[1]]);
}

/// Where to go, and commands that change attributes and entries there; INO is an inode number.
const CHANGES: &[(&str, &[&str])] = &[
    ("path /", &["attr_set foo bar", "attr_set foo", "attr_set -C foo x", "attr_set -R nope x"]),
    ("path /attrs", &["attr_set -v 3000 large", "attr_set -r foo baz", "attr_set -s sec x"]),
    ("path /attrs", &["attr_set -v 60000 larger", "attr_set -Z property value", "attr_set -n n n"]),
    ("path /attrs", &["attr_remove attribute3", "attr_remove attribute3", "attr_remove large"]),
    (
        "path /attr",
        &["attr_remove attribute0", "attr_remove attribute1", "attr_set -v 9000 attribute2"],
    ),
    ("path /attr", &["attr_set a b c", "attr_set -z x", "attr_set -v zz x", "attr_remove -C x"]),
    ("path /link", &["attr_set -u \"q q\" \"v v\"", "attr_remove -Z property"]),
    ("sb 0", &["attr_set a b", "attr_remove a", "link -i INO x", "unlink x"]),
    ("path /small", &["link -i INO one", "link -p /link two", "link -i INO -t fifo three"]),
    ("path /block", &["link -p /attr a_b", "unlink file_number_1", "unlink nothing"]),
    ("path /large", &["link -p /attr one", "link -p /attrs two", "unlink one"]),
    (
        "path /large",
        &["link -p /nothing x", "link x", "link -i INO -t zz x", "link -i INO", "unlink"],
    ),
    ("path /", &["unlink attr", "link -p /small also_small", "unlink block"]),
    ("path /", &["iunlink", "iunlink -n 3", "iunlink -z", "agi 0", "print unlinked"]),
];

#[test]
fn attributes_entries_and_unlinked_inodes_end_alike() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let mut tried = 0;
    for options in [&[][..], &["-n", "parent=0", "-b", "size=1k"]] {
        let pair = Pair::new(peers.clone(), options);
        let ino = pair.resolve("path /fragmented").replace("inode ", "");
        for (go, commands) in CHANGES {
            let go = pair.resolve(go);
            for command in *commands {
                let command = &*command.replace("INO", &ino);
                // The exit status is 1 after some mistakes; the text tells which.
                let (theirs, own) = (
                    shown(peers.command("xfs_db"), &pair.theirs, &[&go, command]),
                    shown(ours::command("xfs_db"), &pair.own, &[&go, command]),
                );
                assert_eq!(theirs, own, "{command}: 7.2 (left) and ours (right)");
                let look =
                    [&go, "ls", "attr_list -v", "attr_list -r -v", "attr_list -s -v", "parent"];
                let look: Vec<&str> = look.iter().map(|command| &**command).collect();
                let seen = |image: &Path| shown(peers.command("xfs_db"), image, &look);
                assert_eq!(seen(&pair.theirs), seen(&pair.own), "after {command}");
                tried += 1;
            }
        }
        // Groups are checked in any order.
        let findings = |image: &Path| {
            let text = peers.check(image).unwrap().text;
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(findings(&pair.theirs), findings(&pair.own), "what xfs_repair -n says");
    }
    skip::say(&format!("attr_*, link, unlink, iunlink: {tried} commands, same structures"));
}

fn shown(mut command: Command, image: &Path, commands: &[&str]) -> (Option<i32>, String) {
    command.arg("-x");
    for line in commands {
        command.args(["-c", line]);
    }
    let output = command.arg(image).output().unwrap();
    // xfs_db 7.2 does not end every line.
    (output.status.code(), String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Where to go, and a field with a value that makes sense there.
const JOURNALLED: &[(&[&str], &str)] = &[
    (&["agf 1"], "btreeblks 1"),
    (&["agi 2"], "newino 77"),
    (&["agfl 1"], "bno[2] 40"),
    (&["agf 0", "addr bnoroot"], "recs[1].blockcount 2"),
    (&["agi 0", "addr root"], "recs[1].freecount 5"),
    (&["path /fragmented", "addr u3.bmbt.ptrs[1]"], "recs[1].extentflag 1"),
    (&["path /block", "dblock 0"], "bu[3].filetype 2"),
    (&["path /large", "dblock 0"], "du[3].filetype 2"),
    (&["path /attr", "ablock 1"], "hdr.holes 1"),
];

#[test]
fn what_is_written_through_the_log_is_what_is_written_in_place() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let pair = Pair::new(peers.clone(), &["-n", "size=8k"]);
    for (place, change) in JOURNALLED {
        let go: Vec<String> = place.iter().map(|command| pair.resolve(command)).collect();
        let with = |last: &str| {
            let mut commands = go.clone();
            commands.push(last.to_owned());
            commands
        };
        let run = |command: Command, image: &Path, commands: &[String]| {
            let commands: Vec<&str> = commands.iter().map(String::as_str).collect();
            expert(command, image, &commands)
        };
        let theirs = run(peers.command("xfs_db"), &pair.theirs, &with(&format!("write {change}")));
        let own = run(ours::command("xfs_db"), &pair.own, &with(&format!("write -j {change}")));
        assert_eq!(theirs, own, "{place:?} {change}");
        let stamp = |line: &&str| line.contains("lsn = ") || line.contains("crc = ");
        let seen = |image: &Path| run(peers.command("xfs_db"), image, &with("print"));
        let (theirs, own) = (seen(&pair.theirs), seen(&pair.own));
        let plain =
            |text: &str| text.lines().filter(|line| !stamp(line)).collect::<Vec<_>>().join("\n");
        assert_eq!(plain(&theirs), plain(&own), "{place:?} {change}");
        assert!(!own.contains("(bad)"), "{own}");
        // What was logged has the position in the log where it was.
        let lsn = |text: &str| text.lines().find(|line| line.contains("lsn = ")).map(str::to_owned);
        assert_ne!(lsn(&theirs), lsn(&own), "{place:?} {change}");
    }
    let refused = [
        "inode 128",
        "write -j core.uid 4",
        "sb 0",
        "write -j icount 4",
        "agf 0",
        "write -j -c flcount 1",
        "write -j bnolevel 99",
    ];
    let before = fs::read(&pair.own).unwrap();
    let text = expert(ours::command("xfs_db"), &pair.own, &refused);
    assert_eq!(text.matches("-j").count(), 3, "{text}");
    assert!(text.contains("write error"), "{text}");
    assert!(fs::read(&pair.own).unwrap() == before, "a refusal changed the image");
    skip::say(&format!("write -j: {} fields, same structures", JOURNALLED.len()));
}
