//! What xfs_db's expert commands write in place: the same command with xfsprogs 7.2's and
//! ours, on two copies of an image; what they print and the images must be the same.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use tests::linux;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip;
use tests::sparse;

/// Two copies of an image: one for xfsprogs' program, one for ours.
pub struct Pair {
    peers: Peers,
    pub theirs: PathBuf,
    pub own: PathBuf,
    _scratch: Scratch,
}

/// Where the structures are, by the commands that go there.
const PLACES: &[&[&str]] = &[
    &["sb 0"],
    &["sb 1"],
    &["agf 0"],
    &["agf 1"],
    &["agi 0"],
    &["agfl 1"],
    &["agf 0", "addr bnoroot"],
    &["agf 0", "addr cntroot"],
    &["agf 0", "addr rmaproot"],
    &["agf 0", "addr refcntroot"],
    &["agi 0", "addr root"],
    &["agi 0", "addr free_root"],
    &["inode 128"],
    &["path /fragmented"],
    &["path /fragmented", "addr u3.bmbt.ptrs[1]"],
    &["path /link", "dblock 0"],
    &["path /small"],
    &["path /block", "dblock 0"],
    &["path /large", "dblock 0"],
    &["path /large", "dblock 8388608"],
    &["path /attrs", "ablock 0"],
    &["path /attr", "ablock 0"],
    &["path /attr", "ablock 1"],
];

impl Pair {
    pub fn new(peers: Peers, options: &[&str]) -> Self {
        let scratch = Scratch::new().unwrap();
        let (theirs, own) = (scratch.path("theirs"), scratch.path("own"));
        peers.mkfs(&theirs, 300 << 20, options).unwrap();
        linux::mount(&theirs, fill).unwrap();
        sparse::copy(&theirs, &own).unwrap();
        Pair { peers, theirs, own, _scratch: scratch }
    }

    /// Runs the commands in both programs and compares what they print; returns that.
    #[track_caller]
    pub fn run(&self, commands: &[&str]) -> String {
        let (theirs, own) = self.text(commands);
        assert_eq!(theirs, own, "{commands:?}: 7.2 (left) and ours (right) print different text");
        theirs
    }

    /// What both programs print.
    fn text(&self, commands: &[&str]) -> (String, String) {
        let theirs = expert(self.peers.command("xfs_db"), &self.theirs, commands);
        (theirs, expert(ours::command("xfs_db"), &self.own, commands))
    }

    /// The bytes that both images have at `offset`; both get back what `sound` has there.
    fn bytes_and_mend(&self, offset: u64, sound: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let swap = |path: &Path| {
            let mut bytes = vec![0; sound.len()];
            let file = File::options().read(true).write(true).open(path).unwrap();
            file.read_exact_at(&mut bytes, offset).unwrap();
            file.write_all_at(sound, offset).unwrap();
            bytes
        };
        (swap(&self.theirs), swap(&self.own))
    }

    /// Compares all of both images.
    #[track_caller]
    pub fn assert_same(&self) {
        sparse::assert_same_bytes(&self.theirs, &self.own);
    }

    /// The commands that go to a place, with paths replaced by inode numbers, and the byte
    /// offset and length of the buffer there.
    fn locate(&self, place: &[&str]) -> (Vec<String>, u64, usize) {
        let go: Vec<String> = place.iter().map(|command| self.resolve(command)).collect();
        let mut commands: Vec<&str> = go.iter().map(String::as_str).collect();
        commands.push("addr");
        let text = self.run(&commands);
        let number = |before: &str| -> u64 {
            let rest = text.split(before).nth(1).unwrap_or_else(|| panic!("{go:?}: {text}"));
            rest.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap()
        };
        let (offset, len) = (number("buffer block ") * 512, number("), ") as usize * 512);
        (go, offset, len)
    }

    pub fn resolve(&self, command: &str) -> String {
        let Some(path) = command.strip_prefix("path ") else { return command.into() };
        let mut theirs = self.peers.command("xfs_db");
        theirs.args(["-r", "-c", &format!("ls -i {path}")]).arg(&self.theirs);
        let text = tests::peers::run(&mut theirs).unwrap();
        format!("inode {}", text.split_whitespace().next().unwrap())
    }
}

pub fn expert(mut command: Command, image: &Path, commands: &[&str]) -> String {
    command.arg("-x").env("TZ", "UTC");
    for line in commands {
        command.args(["-c", line]);
    }
    let output = command.arg(image).output().unwrap();
    assert!(output.status.success(), "{commands:?}: {output:?}");
    // What is wrong with a structure, xfs_db 7.2 tells in two ways.
    let text = String::from_utf8_lossy(&output.stdout);
    text.replace("write error: Invalid argument", "write error: Structure needs cleaning")
}

/// A file, directory, link or attribute fork of every format.
pub fn fill(root: &Path) -> anyhow::Result<()> {
    let fragmented = File::create(root.join("fragmented"))?;
    for block in 0..100 {
        fragmented.write_all_at(&[1; 4096], block * 8192)?;
    }
    fragmented.sync_all()?;
    symlink("x/".repeat(400), root.join("link"))?;
    for (name, entries) in [("small", 3), ("block", 40), ("large", 600)] {
        std::fs::create_dir(root.join(name))?;
        for entry in 0..entries {
            File::create(root.join(name).join(format!("file number {entry}")))?;
        }
    }
    for (name, value) in [("attrs", 100), ("attr", 3000)] {
        File::create(root.join(name))?;
        for number in 0..10 {
            let key = format!("user.attribute{number}");
            rustix::fs::setxattr(
                root.join(name),
                key,
                &vec![b'v'; value],
                rustix::fs::XattrFlags::empty(),
            )?;
        }
    }
    Ok(())
}

/// The paths of a structure's fields, taken from what `print` says, arrays by one element;
/// and for each whether it is a number, not something wider.
fn fields(printed: &str) -> BTreeMap<String, bool> {
    let lines = printed.lines().filter_map(|line| line.split_once(" = "));
    let lines = lines.filter(|(path, _)| !path.is_empty() && !skip_field(path));
    lines.map(|(path, value)| (element(path), is_number(value))).collect()
}

fn is_number(value: &str) -> bool {
    let wide = value.starts_with(['"', '[']) || value.matches('-').count() == 4;
    !wide
}

/// A path with ranges of elements replaced by the first one.
fn element(path: &str) -> String {
    let mut out = String::new();
    for part in path.split_inclusive(']') {
        match part.split_once('[') {
            Some((name, range)) => {
                let first = range.split(['-', ']']).next().unwrap_or("0");
                out.push_str(&format!("{name}[{first}]"));
            }
            None => out.push_str(part),
        }
    }
    out
}

/// xfs_db 7.2 does not look at a checksum again after it wrote it, and says what it said before.
fn skip_field(path: &str) -> bool {
    path.ends_with("crc")
}

/// Fields that our verifiers take more, or less, seriously than xfs_db 7.2's when a structure
/// is written: ours look at entries of directory blocks, at the order in nodes and at the whole
/// of a symbolic link; theirs know more of feature bits.
const VERIFIED_OTHERWISE: &[&str] = &[
    "features2",
    "features_incompat",
    "features_log_incompat",
    "features_ro_compat",
    "logstart",
    "rextslog",
    "level",
    "core.version",
    "next_unlinked",
    "offset",
    ".filetype",
    ".namelen",
    "nbtree",
    "nhdr.count",
    "btree[",
    "hdr.count",
];

/// Does `commands` to every field of every structure in both programs.
fn every_field(pair: &Pair, command: impl Fn(&str, bool) -> Vec<String>) -> usize {
    let (mut tried, mut wrong) = (0, Vec::new());
    for place in PLACES {
        let (go, offset, len) = pair.locate(place);
        let mut sound = vec![0; len];
        File::open(&pair.theirs).unwrap().read_exact_at(&mut sound, offset).unwrap();
        let mut start: Vec<&str> = go.iter().map(String::as_str).collect();
        start.push("print");
        let printed = pair.run(&start);
        start.pop();
        for (path, is_number) in fields(&printed) {
            let own = command(&path, is_number);
            let mut lines = start.clone();
            lines.extend(own.iter().map(String::as_str));
            let text = pair.text(&lines);
            let bytes = pair.bytes_and_mend(offset, &sound);
            if text.0 != text.1 || bytes.0 != bytes.1 {
                wrong.push(format!("{place:?} {own:?}\n{}\n{}", text.0, text.1));
            }
            tried += own.len();
        }
    }
    assert!(wrong.is_empty(), "7.2 and ours differ after {}:\n{}", wrong.len(), wrong.join("\n"));
    pair.assert_same();
    tried
}

fn pair() -> Option<Pair> {
    let peers = Peers::or_skip()?;
    linux::host_or_skip().then(|| Pair::new(peers, &[]))
}

#[test]
fn fuzz_spoils_every_field_alike() {
    let Some(pair) = pair() else { return };
    let verbs = ["lastbit", "firstbit", "middlebit", "add", "sub", "ones", "zeroes"];
    let tried = every_field(&pair, |path, _| {
        verbs.iter().map(|verb| format!("fuzz -d {path} {verb}")).collect()
    });
    skip::say(&format!("fuzz: {tried} changes of fields, same images"));
}

#[test]
fn write_gives_every_field_the_same_value() {
    let Some(pair) = pair() else { return };
    let values = ["1", "0x41", "#4142", "\"a b\\101\"", "00112233-4455-6677-8899-aabbccddeeff"];
    let tried = every_field(&pair, |path, is_number| {
        // A number in a field of more than 64 bits leaves rubbish before it in 7.2.
        let values = values.iter().skip(if is_number { 0 } else { 2 });
        values.map(|value| format!("write -c {path} {value}")).collect()
    });
    skip::say(&format!("write: {tried} values of fields, same images"));
}

/// Changes of a block of bytes, by the words after `write`. Left out are those that xfs_db 7.2 crashes
/// on (a shift by more than the length) and, of course, random bytes.
const BLOCK_CHANGES: &[&str] = &[
    "",
    "lshift",
    "lshift 3",
    "lshift 3 8",
    "lshift 3 8 16",
    "lshift 8 8 8",
    "lshift foo",
    "lsh 3",
    "lshift -3",
    "lshift 1 2 3 4",
    "rshift 0",
    "rshift 5 10 20",
    "rs 1",
    "rsxx 1",
    "lrot 3 0 10",
    "lrot 3",
    "lr 1",
    "lrxx 1",
    "rrot 3 0 10",
    "rrot 3",
    "rrot 512",
    "rr 1",
    "sequence",
    "sequence 3",
    "sequence 3 7",
    "sequence 3 7 4",
    "sequence 3 7 4 20",
    "sequence 7 3 4 20",
    "sequence 250 260 0 20",
    "sequence 260 250 0 20",
    "sequence -- -1 5 0 10",
    "sequence 0 0",
    "sequence 0 0 0 5",
    "seq 3",
    "se 3",
    "sequence 1 2 3 4 5",
    "fill",
    "fill 0xff",
    "fill 300 8 4",
    "fill 0xaa 5",
    "fill 0xaa 5 7",
    "fill zz",
    "fill 0xaa 600 70",
    "fill 3 -1",
    "fill 3 zz",
    "fill 3 4 zz",
    "fill 1 2 3 4",
    "fill 3 512",
    "fill 3 511",
    "fill 3 511 5",
    "fill 7 500 0",
    "fill 7 0x10 010",
    "fillx 3",
    "fi 3",
    "f 3",
    "FILL 3",
    "-c fill 3",
    "-d fill 3",
    "-z fill 3",
    "random",
    "random 1 2 3",
    "l",
    "\"abc\"",
];

#[test]
fn blocks_are_moved_filled_and_numbered_alike() {
    let Some(pair) = pair() else { return };
    for change in BLOCK_CHANGES {
        pair.run(&["daddr 256", "write sequence 0", &format!("write {change}"), "print"]);
        pair.assert_same();
    }
    skip::say(&format!("write: {} changes of blocks, same images", BLOCK_CHANGES.len()));
}

/// Commands that are refused, or do something else than they seem to, after those that go to a
/// structure.
const WORDS: &[(&str, &[&str])] = &[
    (
        "sb 0",
        &[
            "write",
            "write icount",
            "write icount 4 5",
            "write -z icount 4",
            "write -c -d icount 4",
            "write icount -d 5 -c",
            "write -c icount -1",
            "write -c -- icount -1",
            "write -c -- agcount -1",
            "write -c nofield 4",
            "write -d a..b 3",
            "write -c uuid.x 3",
            "write -c icount zz",
            "write -c icount 08",
            "write -c icount 0x",
            "write -c icount #",
            "write -c icount #123",
            "write -c icount 1-2",
            "write -c icount 99999999999999999999999",
            "write -c fname hello",
            "write -c fname \"no end",
            "write -c fname \"\"",
            "write -c agcount 0x1234567890",
            "fuzz",
            "fuzz icount",
            "fuzz icount ones zeroes",
            "fuzz -z icount ones",
            "fuzz foo ones",
            "fuzz -c icount foo",
            "fuzz -c uuid add",
            "fuzz -c -d icount ones",
            "crc",
            "crc -v",
            "crc -z",
            "crc foo",
            "crc -i -r",
        ],
    ),
    (
        "agfl 0",
        &[
            "write -d bno[200] 3",
            "write -d bno[ 3",
            "write -d bno[3-4] 400",
            "write -d bno[7] 400",
            "fuzz -d bno[3-4] ones",
            "crc -r",
            "crc -i",
            "crc -r",
        ],
    ),
    (
        "inode 128",
        &[
            "write -c core.atime 3",
            "write -c v3.reflink 3",
            "write core.mode 040700",
            "write core.uid 23",
            "write -c core.mode.x 1",
            "crc -i",
            "crc -r",
            "write -c core 5",
        ],
    ),
    ("daddr 8", &["fuzz", "fuzz a ones", "crc", "crc -i"]),
];

#[test]
fn refusals_and_oddities_are_the_same() {
    let Some(pair) = pair() else { return };
    let mut tried = 0;
    for (place, commands) in WORDS {
        for command in *commands {
            pair.run(&[place, command]);
            pair.assert_same();
            tried += 1;
        }
    }
    skip::say(&format!("write: {tried} odd commands, same text and images"));
}

/// Values that are written with the verifiers on: sound ones are, others are refused.
#[test]
fn structures_are_verified_before_they_are_written() {
    let Some(pair) = pair() else { return };
    let tried = every_field(&pair, |path, _| {
        if VERIFIED_OTHERWISE.iter().any(|name| path.contains(name)) {
            return Vec::new();
        }
        ["lastbit", "zeroes", "ones"].map(|verb| format!("fuzz {path} {verb}")).to_vec()
    });
    skip::say(&format!("fuzz: {tried} changes of fields with verifiers, same images"));
}

/// Options of blocktrash, after the seed.
const TRASHING: &[&str] = &[
    "",
    "-0",
    "-1",
    "-2",
    "-3",
    "-n 3 -3",
    "-o 0 -x 8 -y 8 -2",
    "-o 100 -x 16 -y 16 -1",
    "-o +100 -x 16 -y 16",
    "-o 3000 -y 9 -3",
    "-x 3 -y 20",
    "-x 5 -y 6",
    "-x 1 -y 1 -2",
    "-x 64 -y 4096 -3",
    "-t sb",
    "-x 9 -y 8",
    "-x zz",
    "-y 2000000",
    "-n 0",
    "-o +zz",
    "-q",
    "-x 0",
    "-o 4 -x 8 -y 8",
];

#[test]
fn trashed_blocks_are_the_same_for_the_same_seed() {
    let Some(pair) = pair() else { return };
    let mut tried = 0;
    for (turn, place) in PLACES.iter().enumerate() {
        let (go, offset, len) = pair.locate(place);
        let mut sound = vec![0; len];
        File::open(&pair.theirs).unwrap().read_exact_at(&mut sound, offset).unwrap();
        for (at, options) in TRASHING.iter().enumerate() {
            let mut lines: Vec<&str> = go.iter().map(String::as_str).collect();
            // Seeds on both sides of 2^31, and 0.
            let seed = [1, 2, 3, 0, 77, u32::MAX, 1 << 31][(turn + at) % 7];
            let command = format!("blocktrash -z -s {seed} {options}");
            lines.push(&command);
            let text = pair.run(&lines);
            let (theirs, own) = pair.bytes_and_mend(offset, &sound);
            assert!(theirs == own, "{place:?} {command}: {text}");
            tried += 1;
        }
    }
    pair.run(&["blocktrash -z", "blocktrash", "blocktrash -s 1"]);
    pair.assert_same();
    skip::say(&format!("blocktrash: {tried} times, same images"));
}

#[test]
fn each_device_gets_what_is_written_there() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let (data, realtime, log) = (scratch.path("data"), scratch.path("rt"), scratch.path("log"));
    for (path, size) in [(&realtime, 200 << 20), (&log, 100 << 20)] {
        File::create(path).unwrap().set_len(size).unwrap();
    }
    let (rtdev, logdev) =
        (format!("rtdev={}", realtime.display()), format!("logdev={}", log.display()));
    let options = ["-m", "metadir=1", "-r", &rtdev, "-r", "rgcount=2", "-l", &logdev];
    peers.mkfs(&data, 300 << 20, &options).unwrap();
    let written = |program: Command, kept: &str| {
        let copies = [&data, &realtime, &log].map(|path| {
            let copy = path.with_extension(kept);
            sparse::copy(path, &copy).unwrap();
            copy
        });
        let mut program = program;
        program.args(["-x", "-R"]).arg(&copies[1]).arg("-l").arg(&copies[2]);
        for line in [
            "rtsb",
            // With -d xfs_db 7.2 puts the checksum where other superblocks have it.
            "write -c fname \"rt\"",
            "fuzz -c uuid lastbit",
            "rtblock 64",
            "write fill 5",
            "logblock 2",
            "write fill 6",
            "sb 0",
            "write fname \"data\"",
            "path -m /rtgroups/0.bitmap",
            "dblock 0",
            "fuzz -d rtwords[1] zeroes",
            "path -m /rtgroups/1.rmap",
            "write core.gen 5",
        ] {
            program.args(["-c", line]);
        }
        let output = program.arg(&copies[0]).output().unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), copies)
    };
    let (theirs, their_copies) = written(peers.command("xfs_db"), "theirs");
    let (own, our_copies) = written(ours::command("xfs_db"), "own");
    assert_eq!(theirs, own);
    for (theirs, own) in their_copies.iter().zip(&our_copies) {
        sparse::assert_same_bytes(theirs, own);
    }
    assert!(sparse::same_bytes(&data, &our_copies[0]).unwrap().is_some(), "{own}");
    assert!(sparse::same_bytes(&realtime, &our_copies[1]).unwrap().is_some(), "{own}");
    assert!(sparse::same_bytes(&log, &our_copies[2]).unwrap().is_some(), "{own}");
}
