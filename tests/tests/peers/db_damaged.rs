//! Whatever an image holds, looking at it ends: every command that reads, on images of Linux with
//! bytes of their metadata changed, half of the time under a checksum that is right.
//!
//! A program must neither panic nor hang nor take memory without limit. What it says of the
//! damage is compared with xfsprogs elsewhere.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use libfs::format::checksum;
use tests::gallery::Gallery;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::data_from;
use tests::workload::Random;

/// Mutations of each image.
const MUTATIONS: usize = 40;

/// What one run may take.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// KiB of address space that one run may take.
const MEMORY_LIMIT: u64 = 3 << 20;

/// Commands that look at the whole filesystem.
const WHOLE: &[&str] = &[
    "sb 0",
    "p",
    "info",
    "version",
    "agf 1",
    "p",
    "addr bnoroot",
    "p",
    "agf 0",
    "addr cntroot",
    "p",
    "agf 0",
    "addr rmaproot",
    "p",
    "agf 0",
    "addr refcntroot",
    "p",
    "agi 0",
    "p",
    "addr root",
    "p",
    "agfl 0",
    "p",
    "inode 128",
    "p",
    "bmap -ad",
    "dblock 0",
    "p",
    "path /",
    "ls",
    "ls -i /",
    "parent",
    "attr_list -v",
    "ablock 0",
    "p",
    "agf 0",
    "btdump",
    "agi 0",
    "btdump -i",
    "agresv",
    "freesp -s -d",
    "frag -v",
    "fsmap",
    "blockget -n",
    "blockuse -n",
    "ncheck",
    "blockfree",
    "check",
    "dump_iunlinked",
    "logres",
    "log",
    "map",
    "rgresv",
    "rtconvert rtblock 3 rtextent",
    "convert fsblock 99 agno",
    "dquot -u 0",
    "p",
    "btheight -b 4096 -n 1000 bnobt",
    "makecfg",
    "timelimit",
    "untorn_write_max",
    "label",
    "uuid",
    "freesp --json",
    "frag --json",
    "info --json",
    "fsmap --json",
    "log --json",
    "sb 0",
    "p --json",
];

/// Types that the changed bytes are taken for.
const TYPES: &[&str] = &[
    "agf",
    "agfl",
    "agi",
    "attr3",
    "bmapbta",
    "bmapbtd",
    "bnobt",
    "cntbt",
    "rmapbt",
    "rtrmapbt",
    "refcntbt",
    "rtrefcntbt",
    "data",
    "dir3",
    "dqblk",
    "inobt",
    "inodata",
    "inode",
    "log",
    "rtbitmap",
    "rtsummary",
    "rtsb",
    "sb",
    "symlink",
    "text",
    "finobt",
    "rgbitmap",
    "rgsummary",
];

/// A piece of metadata on an image.
struct Structure {
    offset: u64,
    len: usize,
    crc_offset: usize,
}

/// What begins with these bytes, if it is metadata: its size and where its checksum is.
fn recognise(bytes: &[u8], block: usize, inode: usize) -> Option<(usize, usize)> {
    let da = bytes.get(8..10)?;
    Some(match bytes.get(..4)? {
        b"XFSB" => (512, 224),
        b"XAGF" => (512, 216),
        b"XAGI" => (512, 312),
        b"XAFL" => (512, 32),
        b"AB3B" | b"AB3C" | b"IAB3" | b"FIB3" => (block, 52),
        b"RMB3" | b"R3FC" => (block, 48),
        b"BMA3" => (block, 64),
        b"XDB3" | b"XDD3" | b"XDF3" => (block, 4),
        b"XARM" | b"XSLM" => (block, 12),
        [b'I', b'N', ..] => (inode, 100),
        _ if matches!(da, [0x3e, 0xbe] | [0x3b, 0xee] | [0x3d, 0xf1] | [0x3d, 0xff]) => (block, 12),
        _ => return None,
    })
}

/// The metadata of an image with this block and inode size.
fn structures(image: &File, block: usize, inode: usize) -> Vec<Structure> {
    let size = image.metadata().unwrap().len();
    let (mut found, mut at) = (Vec::new(), 0);
    while let Some(piece) = data_from(image, at, size).unwrap() {
        at = piece.end;
        let mut bytes = vec![0; (piece.end - piece.start) as usize];
        image.read_exact_at(&mut bytes, piece.start).unwrap();
        for offset in (0..bytes.len()).step_by(512) {
            if let Some((len, crc_offset)) = recognise(&bytes[offset..], block, inode) {
                found.push(Structure { offset: piece.start + offset as u64, len, crc_offset });
            }
        }
    }
    found
}

/// Runs a program under limits; what it prints if it panics, dies or hangs.
fn complaint(program: &str, args: &[String], outputs: &Path) -> Option<String> {
    let (out, errors) = (outputs.join("out"), outputs.join("errors"));
    let mut command = Command::new("sh");
    let limited = format!("ulimit -v {MEMORY_LIMIT}; exec \"$@\"");
    command.args(["-c", &limited, "sh"]).arg(ours::path(program).unwrap()).args(args);
    command.current_dir(outputs).stdin(Stdio::null());
    command.stdout(File::create(&out).unwrap()).stderr(File::create(&errors).unwrap());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > TIME_LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let said = String::from_utf8_lossy(&std::fs::read(&errors).unwrap()).into_owned();
    let Some(status) = status else { return Some(format!("takes longer than {TIME_LIMIT:?}")) };
    let ended = status.code().is_some_and(|code| code != 101);
    (!ended || said.contains("panicked")).then(|| format!("{status}: {said}"))
}

/// Command lines that look at an image, of which `daddr` was changed.
fn looks(image: &str, daddr: u64, outputs: &Path) -> Vec<(&'static str, Vec<String>)> {
    let db = |commands: Vec<String>| {
        let mut args = vec!["-F".to_owned()];
        commands.into_iter().for_each(|command| args.extend(["-c".to_owned(), command]));
        args.push(image.to_owned());
        ("xfs_db", args)
    };
    let place = [format!("daddr {daddr}")];
    let types = TYPES.iter().flat_map(|name| [format!("type {name}"), "p".into(), "btdump".into()]);
    let dump = outputs.join("dump").display().to_string();
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    vec![
        db(WHOLE.iter().map(|command| (*command).to_owned()).collect()),
        db(place.into_iter().chain(types).collect()),
        db(vec!["path /".into(), format!("rdump {}", outputs.join("tree").display())]),
        ("xfs_logprint", words(&["-t", image])),
        ("xfs_logprint", words(&["-n", "-b", image])),
        ("xfs_metadump", words(&["-f", image, &dump])),
        ("xfs_metadump", words(&["-f", "-o", "-v", "2", image, &dump])),
        ("xfs_repair", words(&["-n", image])),
    ]
}

#[test]
fn no_program_panics_hangs_or_grows_on_damage() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, &["default", "dirty", "rtgroups"]) else { return };
    let mut random = Random::new(0xdb);
    let (mut runs, mut wrong) = (0, Vec::new());
    for exhibit in &gallery.exhibits {
        let image = OpenOptions::new().read(true).write(true).open(&exhibit.image).unwrap();
        let structures = structures(&image, 4096, 512);
        assert!(structures.len() > 100, "{}: {} found", exhibit.picture.name, structures.len());
        for index in 0..MUTATIONS {
            let of = &structures[random.below(structures.len() as u64) as usize];
            let mut bytes = vec![0; of.len];
            image.read_exact_at(&mut bytes, of.offset).unwrap();
            let before = bytes.clone();
            for _ in 0..1 + random.below(4) {
                let at = random.below(of.len as u64) as usize;
                bytes[at] = random.next() as u8;
            }
            if index % 2 == 0 {
                checksum::stamp(&mut bytes, of.crc_offset);
            }
            image.write_all_at(&bytes, of.offset).unwrap();
            let scratch = Scratch::in_memory().unwrap();
            let path = exhibit.image.display().to_string();
            for (program, args) in looks(&path, of.offset / 512, scratch.dir()) {
                runs += 1;
                if let Some(what) = complaint(program, &args, scratch.dir()) {
                    let name = exhibit.picture.name;
                    let changed: Vec<usize> =
                        (0..of.len).filter(|&at| bytes[at] != before[at]).collect();
                    wrong.push(format!(
                        "{name}, mutation {index} at {:#x}, bytes {changed:?}: {program} {}: {what}",
                        of.offset,
                        args.join(" ")
                    ));
                }
            }
            image.write_all_at(&before, of.offset).unwrap();
        }
    }
    say(&format!("{runs} runs on {} damaged images", MUTATIONS * gallery.exhibits.len()));
    assert!(wrong.is_empty(), "{} of {runs} runs:\n{}", wrong.len(), wrong.join("\n"));
}
