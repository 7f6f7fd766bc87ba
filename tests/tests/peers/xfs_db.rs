//! Our xfs_db prints what xfsprogs 7.2's prints, byte for byte, on images that Linux filled.
//!
//! Left out is what xfs_db 7.2 gets wrong: `bmap` with a range can print without end,
//! `addr` from a reference count record goes to twice the block, and `ablock` looks for the
//! fork offset in whatever the cursor is on.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::Result;
use tests::crash::{self, Cut};
use tests::linux;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;

use crate::format_accepts_linux::fill;

const SIZE: u64 = 600 << 20;

/// An image, and the inodes in its root directory.
struct Filled {
    image: PathBuf,
    inodes: Vec<u64>,
}

fn filled(peers: &Peers, scratch: &Scratch, name: &str, options: &[&str]) -> Filled {
    let image = scratch.path(name);
    peers.mkfs(&image, SIZE, options).unwrap();
    let inodes = linux::mount(&image, |root| {
        fill(root)?;
        let odd: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
        symlink(
            <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&odd),
            root.join("odd"),
        )?;
        let own = fs::metadata(root)?.ino();
        let mut inodes = vec![own, own + 1, own + 2];
        for entry in fs::read_dir(root)? {
            inodes.push(entry?.metadata()?.ino());
        }
        Ok(inodes)
    })
    .unwrap();
    Filled { image, inodes }
}

fn run(mut command: Command, image: &Path, lines: &[&str]) -> Output {
    command.arg("-r").env("TZ", "UTC");
    for line in lines {
        command.args(["-c", line]);
    }
    command.arg(image).output().unwrap()
}

/// Runs the commands in both programs; both must print the same and exit the same.
#[track_caller]
fn compare(peers: &Peers, image: &Path, lines: &[&str]) {
    let theirs = run(peers.command("xfs_db"), image, lines);
    let own = run(ours::command("xfs_db"), image, lines);
    assert_eq!(theirs.status.code(), own.status.code(), "{lines:?}");
    let (theirs, own) =
        (String::from_utf8_lossy(&theirs.stdout), String::from_utf8_lossy(&own.stdout));
    if theirs != own {
        let differ = theirs.lines().zip(own.lines()).find(|(a, b)| a != b);
        let (a, b) = differ.unwrap_or(("(the end)", "(the end)"));
        panic!("{lines:?}: xfs_db 7.2 prints\n{a}\nours\n{b}");
    }
}

#[test]
fn headers_trees_and_inodes_print_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    for options in [
        &[][..],
        &["-b", "size=1k", "-L", "a\"b\\c é"],
        &[
            "-b",
            "size=2k",
            "-n",
            "size=8k",
            "-i",
            "size=1024,nrext64=0,sparse=0",
            "-m",
            "bigtime=0",
        ],
        &["-b", "size=64k"],
    ] {
        let filled = filled(&peers, &scratch, "image", options);
        let image = &filled.image;
        for header in ["sb", "sb 1", "agf 0", "agf 3", "agi 1", "agi 0", "agfl 2", "agfl 0"] {
            compare(&peers, image, &[header, "print", "addr", "daddr", "fsblock"]);
        }
        for root in ["bnoroot", "cntroot", "rmaproot", "refcntroot"] {
            let go = format!("addr {root}");
            let down = ["agf 0", &go, "p", "addr", "a ptrs[1]", "p", "addr", "a rightsib", "p"];
            compare(&peers, image, &down);
        }
        for root in ["addr root", "addr free_root"] {
            compare(&peers, image, &["agi 0", root, "p", "addr", "a recs[1].startino", "p"]);
        }
        for ino in &filled.inodes {
            let go = format!("inode {ino}");
            let data = [&go, "p", "addr", "bmap", "bmap -d", "bmap -a", "dblock 0", "p", "addr"];
            compare(&peers, image, &data);
            compare(&peers, image, &[&go, "ablock 0", "addr", "p"]);
            compare(&peers, image, &[&go, "ablock 1", "addr", "p"]);
        }
        fs::remove_file(image).unwrap();
    }
}

#[test]
fn directories_and_forks_print_the_same_block_by_block() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let filled = filled(&peers, &scratch, "image", &["-n", "size=8k"]);
    for ino in &filled.inodes {
        let go = format!("inode {ino}");
        // The second half of the leaf section is where leaves are, the third where free
        // blocks are.
        for block in [0u64, 2, 8388608, 8388610, 8388612, 16777216] {
            let block = format!("dblock {block}");
            compare(&peers, &filled.image, &[&go, &block, "p", "addr"]);
        }
        for block in [0, 2, 5] {
            let block = format!("ablock {block}");
            compare(&peers, &filled.image, &[&go, &block, "p", "addr"]);
        }
        for path in ["u3.bmbt.ptrs[1]", "a.bmbt.ptrs[1]", "u3.bmx[0].startblock"] {
            let follow = format!("addr {path}");
            compare(&peers, &filled.image, &[&go, &follow, "addr", "p", "a ptrs[1]", "p"]);
        }
    }
}

/// Field paths, on an object of each shape: single fields, ranges, structures, mistakes.
const PATHS: &[(&str, &[&str])] = &[
    (
        "sb 0",
        &[
            "magicnum",
            "dblocks agcount",
            "uuid.x",
            "fname[0]",
            "foo",
            "magicnum foo",
            "-x",
            ".x",
            "x.",
            "a..b",
            "magicnum[",
        ],
    ),
    ("agfl 0", &["bno", "bno[1-3]", "bno[2]", "bno[118]", "bno[119]", "bno[3-200]", "bno[9-3]"]),
    ("agi 0", &["unlinked", "unlinked[3]", "unlinked[0-2]", "unlinked[64]", "newino dirino"]),
    (
        "inode 128",
        &[
            "core",
            "core.mode core.size",
            "core.atime",
            "core.flags",
            "core.mode[0]",
            "core[1]",
            "v3",
            "v3.pad2",
            "v3.pad2[3]",
            "v3.pad2[3-5]",
            "u3",
            "u3.bmx",
            "u3.sfdir3.hdr",
            "u3.sfdir3.list[0]",
            "u3.sfdir3.list[1-2]",
            "u3.sfdir3.list[0-2].name",
            "u3.sfdir3.list.name",
            "u3.sfdir3.list[99]",
            "a",
            "a.sfattr.list[0].name",
            "next_unlinked",
            "u3 u3",
        ],
    ),
];

#[test]
fn field_paths_select_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let filled = filled(&peers, &scratch, "image", &[]);
    for (object, paths) in PATHS {
        for path in *paths {
            let print = format!("print {path}");
            compare(&peers, &filled.image, &[object, &print]);
            let follow = format!("addr {path}");
            compare(&peers, &filled.image, &[object, &follow, "addr"]);
        }
    }
    let tree = ["agf 0", "addr bnoroot"];
    for path in ["recs[1]", "recs[1-3]", "recs[2-3].startblock", "recs[0]", "recs[9999]", "keys"] {
        let print = format!("print {path}");
        compare(&peers, &filled.image, &[tree[0], tree[1], &print]);
    }
}

#[test]
fn mistakes_are_answered_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    for line in [
        "p",
        "type foo",
        "addr",
        "a foo",
        "inode",
        "inode zz",
        "inode -1",
        "inode 999999999999",
        "inode 1 2",
        "fsblock",
        "fsblock zz",
        "fsblock -1",
        "fsblock 99999999",
        "daddr",
        "daddr zz",
        "daddr 99999999999",
        "agf 99",
        "agf x",
        "agi -1",
        "sb 1 2",
        "bmap",
        "hash",
        "hash hello a-longer-name",
        "foo",
        "help foo",
        "quit 3",
        "",
        "  ",
    ] {
        compare(&peers, &image, &[line, "addr"]);
    }
    for line in ["bmap -x", "bmap a", "bmap 1 b", "bmap 1 2 3 4", "dblock x", "dblock", "ablock 1"]
    {
        compare(&peers, &image, &["inode 128", line, "addr"]);
    }
    for line in ["type text", "type data", "type sb"] {
        compare(&peers, &image, &["daddr 0", line, "p", "fsblock 3", line]);
    }
    compare(&peers, &image, &["sb", "quit", "p"]);
}

#[test]
fn what_is_no_filesystem_is_refused() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let zeros = scratch.path("zeros");
    File::create(&zeros).unwrap().set_len(20 << 20).unwrap();
    let missing = scratch.path("missing");
    let tiny = scratch.path("tiny");
    fs::write(&tiny, b"x").unwrap();
    for image in [&zeros, &missing, &tiny] {
        compare(&peers, image, &["sb", "p"]);
    }
    let own = run(ours::command("xfs_db"), &zeros, &["sb"]);
    let text = String::from_utf8_lossy(&own.stderr).into_owned();
    assert!(text.contains("is not a valid XFS filesystem (unexpected SB magic number 0x00000000)"));
}

#[test]
fn a_damaged_superblock_is_replaced_by_a_backup() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let before = run(ours::command("xfs_db"), &image, &["agf 1", "p"]);
    let file = File::options().write(true).open(&image).unwrap();
    file.write_all_at(&[0xff; 40], 80).unwrap();
    let after = run(ours::command("xfs_db"), &image, &["agf 1", "p"]);
    assert_eq!(after.stdout, before.stdout);
    assert!(String::from_utf8_lossy(&after.stderr).contains("using the backup at daddr"));
}

#[test]
fn damage_is_printed_and_never_fatal() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let filled = filled(&peers, &scratch, "image", &[]);
    let file = File::options().read(true).write(true).open(&filled.image).unwrap();
    // Behind the superblock, change a byte in every 64 of the first 2 MiB, and of the
    // first blocks of the other groups.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for start in [512, 150 << 20, 300 << 20, 450 << 20] {
        for at in (start..start + (2 << 20)).step_by(64) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = at + state % 64;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ (state >> 32) as u8], at).unwrap();
        }
    }
    let mut lines = Vec::new();
    for go in ["agf 0", "agf 1", "agi 0", "agfl 0", "agf 0#a bnoroot", "agf 0#a rmaproot"] {
        lines.extend(go.split('#').map(String::from));
        lines.extend(["p".to_owned(), "a ptrs[1]".into(), "p".into()]);
    }
    for ino in &filled.inodes {
        for go in ["p", "bmap", "dblock 0", "p", "ablock 0", "p", "dblock 8388608", "p"] {
            lines.extend([format!("inode {ino}"), go.to_owned()]);
        }
        for go in ["dblock 0", "dblock 1", "dblock 8388608", "dblock 16777216", "ablock 0"] {
            lines.extend([format!("inode {ino}"), go.to_owned(), "p".to_owned()]);
            for kind in ["dir3", "attr3", "symlink", "bmapbtd", "bnobt", "rmapbt", "dqblk", "sb"] {
                lines.extend([format!("type {kind}"), "p".into()]);
            }
        }
    }
    lines.push("log".into());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let own = run(ours::command("xfs_db"), &filled.image, &lines);
    let text = String::from_utf8_lossy(&own.stderr).into_owned();
    assert_eq!(own.status.code(), Some(0), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    assert!(String::from_utf8_lossy(&own.stdout).contains("(bad)"));
}

/// Lines of xfs_logprint that start an item of this kind.
fn logged(text: &str, start: &str) -> usize {
    text.lines().filter(|line| line.trim_start().starts_with(start)).count()
}

#[test]
fn the_journal_holds_what_xfs_logprint_finds() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[]).unwrap();
    let work = |root: &Path| -> Result<()> {
        fill(root)?;
        fs::remove_file(root.join("fragmented"))?;
        Ok(fs::remove_dir_all(root.join("leaf"))?)
    };
    crash::after(&peers, &image, Cut::FlushLog, work).unwrap();
    let theirs = peers.output("xfs_logprint", ["-t".as_ref(), image.as_os_str()]).unwrap();
    let theirs = String::from_utf8_lossy(&theirs.stdout).into_owned();
    let own = run(ours::command("xfs_db"), &image, &["log"]);
    let own = String::from_utf8_lossy(&own.stdout).into_owned();
    assert!(own.starts_with("log dirty"), "{own}");
    for (name, start) in [
        ("buf", "BUF: cnt:"),
        ("inode", "INO: cnt:"),
        ("icreate", "ICR: cnt:"),
        ("record", "LOG REC AT LSN"),
    ] {
        let kind = if name == "record" { "record ".to_owned() } else { format!("{name}: ") };
        assert_eq!(logged(&own, &kind), logged(&theirs, start), "{name}");
        assert!(logged(&own, &kind) > 0, "{name}");
    }
    let clean = scratch.path("clean");
    peers.mkfs(&clean, SIZE, &[]).unwrap();
    let own = run(ours::command("xfs_db"), &clean, &["log"]);
    assert!(own.stdout.starts_with(b"log clean"));
}
