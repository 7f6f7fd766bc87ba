//! Filesystems with realtime sections, metadata directories and quotas, as mkfs.xfs 7.2 makes
//! them: the same bytes on both devices, the same words, the same refusals; Linux mounts them,
//! and addresses in them are what xfs_db says.
//!
//! Every line of mkfs_realtime.cases is one case: size of the file `image`, size of the file
//! `rt` (0 for none), and options as typed. Both programs run in a directory of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use libfs::device::FileDevice;
use libfs::filesystem::read_superblock;
use libfs::format::geometry::Geometry;
use tests::ours;
use tests::peers::{Peers, UUID, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::{create, same_bytes};
use tests::uml::Uml;

/// One filesystem to make.
struct Case<'a> {
    image: u64,
    rt: u64,
    options: Vec<&'a str>,
    line: &'a str,
}

/// The cases between `[title]` and the next title.
fn cases(title: &str) -> Vec<Case<'static>> {
    let lines = include_str!("mkfs_realtime.cases").lines().filter(|line| !line.starts_with('#'));
    let after = lines.skip_while(|line| *line != format!("[{title}]")).skip(1);
    let cases = after.take_while(|line| !line.starts_with('[')).filter(|line| !line.is_empty());
    cases.map(case).collect()
}

fn case(line: &'static str) -> Case<'static> {
    let mut words = line.split_whitespace();
    let mut size = || words.next().and_then(bytes).unwrap_or_else(|| panic!("{line}"));
    let (image, rt) = (size(), size());
    Case { image, rt, options: words.collect(), line }
}

fn bytes(word: &str) -> Option<u64> {
    let shift = match word.as_bytes().last()? {
        b'k' => 10,
        b'm' => 20,
        b'g' => 30,
        b't' => 40,
        _ => return word.parse().ok(),
    };
    Some(word.get(..word.len() - 1)?.parse::<u64>().ok()? << shift)
}

/// The directory where one of the two programs makes its filesystem.
struct Place {
    dir: PathBuf,
}

impl Place {
    fn new(scratch: &Scratch, name: &str) -> Self {
        let dir = scratch.path(name);
        fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    fn image(&self) -> PathBuf {
        self.dir.join("image")
    }

    fn rt(&self) -> PathBuf {
        self.dir.join("rt")
    }

    fn make(&self, mut mkfs: Command, case: &Case) -> Output {
        let _ = fs::remove_file(self.rt());
        create(&self.image(), case.image).unwrap();
        if case.rt != 0 {
            create(&self.rt(), case.rt).unwrap();
        }
        let uuid = format!("uuid={UUID}");
        mkfs.current_dir(&self.dir).args(["-f", "-m", &uuid]).args(&case.options);
        tests::peers::deterministic(&mut mkfs).arg("image").output().unwrap()
    }
}

/// Makes every filesystem under `title` with both programs and compares all there is.
fn compare(title: &str) {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let (left, right) = (Place::new(&scratch, "ours"), Place::new(&scratch, "theirs"));
    let cases = cases(title);
    let (mut made, mut different) = (0, Vec::new());
    for case in &cases {
        let ours = left.make(ours::command("mkfs_xfs"), case);
        let theirs = right.make(peers.command("mkfs.xfs"), case);
        let mut differ = |what: String| different.push(format!("{}: {what}", case.line));
        let (our_words, their_words) = (words(&ours), words(&theirs));
        if our_words != their_words {
            let lines = our_words.lines().zip(their_words.lines());
            differ(format!("words {:?}", lines.into_iter().find(|(ours, theirs)| ours != theirs)));
        }
        if ours.status.code() != theirs.status.code() {
            differ(format!("ours {}, theirs {}", ours.status, theirs.status));
        }
        let mut paths = vec![(left.image(), right.image())];
        if case.rt != 0 {
            paths.push((left.rt(), right.rt()));
        }
        for (ours, theirs) in paths {
            if let Some(difference) = same_bytes(&ours, &theirs).unwrap() {
                differ(format!("{}: {difference:?}", ours.display()));
            }
        }
        made += usize::from(ours.status.success());
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
    say(&format!("mkfs of realtime, {title}: {} cases compared, {made} of them made", cases.len()));
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned()
}

#[test]
fn sections_without_groups() {
    compare("without groups");
}

#[test]
fn sections_with_groups() {
    compare("groups");
}

#[test]
fn sizes_of_groups() {
    compare("group sizes");
}

#[test]
fn zoned_sections() {
    compare("zones");
}

#[test]
fn metadata_directories_and_quotas() {
    compare("metadata directory");
}

#[test]
fn refusals() {
    compare("refusals");
}

/// What our programs make is sound to xfs_repair, and Linux mounts it and keeps files there.
#[test]
fn linux_uses_what_was_made() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(uml) = Uml::or_skip(&peers) else { return };
    let scratch = Scratch::new().unwrap();
    let cases = cases("mounted");
    let mut places = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let place = Place::new(&scratch, &format!("case{number}"));
        let output = place.make(ours::command("mkfs_xfs"), case);
        assert!(output.status.success(), "{}: {output:?}", case.line);
        places.push(place);
    }
    let mut disks = Vec::new();
    let mut script = String::from("set -e\nmkdir -p /mnt/t\n");
    for (case, place) in cases.iter().zip(&places) {
        let mut disk = |path: PathBuf| {
            disks.push(path);
            format!("/dev/ubd{}", char::from(b'a' + disks.len() as u8 - 1))
        };
        let image = disk(place.image());
        let rt =
            if case.rt != 0 { format!("-o rtdev={}", disk(place.rt())) } else { String::new() };
        script += &format!(
            "mount -t xfs {rt} {image} /mnt/t\n\
             mkdir /mnt/t/dir\n\
             head -c 300000 /dev/urandom >/mnt/t/dir/file\n\
             sync\n\
             md5sum </mnt/t/dir/file >/mnt/sum\n\
             umount /mnt/t\n\
             mount -t xfs {rt} {image} /mnt/t\n\
             md5sum </mnt/t/dir/file | cmp - /mnt/sum\n\
             umount /mnt/t\n"
        );
    }
    let disks: Vec<&Path> = disks.iter().map(PathBuf::as_path).collect();
    uml.run(&disks, &script).unwrap();
    for (case, place) in cases.iter().zip(&places) {
        assert_sound(&peers, case, place);
    }
    say(&format!("Linux keeps files on {} realtime filesystems made here", cases.len()));
}

/// Many groups make a directory of several blocks, which is not compared byte by byte.
#[test]
fn many_groups_are_sound() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let cases = cases("many groups");
    for case in &cases {
        let place = Place::new(&scratch, "many");
        let output = place.make(ours::command("mkfs_xfs"), case);
        assert!(output.status.success(), "{}: {output:?}", case.line);
        assert_sound(&peers, case, &place);
    }
    say(&format!("{} filesystems of many realtime groups are sound", cases.len()));
}

fn assert_sound(peers: &Peers, case: &Case, place: &Place) {
    let mut repair = peers.command("xfs_repair");
    repair.args(["-n", "-f"]);
    if case.rt != 0 {
        repair.arg("-r").arg(place.rt());
    }
    let output = repair.arg(place.image()).output().unwrap();
    assert!(output.status.success(), "{}: {}", case.line, words(&output));
}

/// Options that make a filesystem on `data` with a realtime section on `rt`.
const SECTIONS: &[&str] = &[
    "-r rtdev=rt,size=1g -m rmapbt=0,reflink=0",
    "-r rtdev=rt,size=999m,extsize=64k -m rmapbt=0,reflink=0",
    "-r rtdev=rt,extsize=28k -m rmapbt=0,reflink=0 -b size=1k",
    "-r rtdev=rt -m metadir=1",
    "-r rtdev=rt,rgcount=7 -m metadir=1",
    "-r rtdev=rt,rgsize=100m,extsize=1m -m metadir=1",
    "-r rtdev=rt,rgsize=600m,extsize=12k -m metadir=1 -b size=1k",
    "-r rtdev=rt,rgcount=5,size=3g -m metadir=1 -b size=64k",
    "-r rtdev=rt,zoned=1 -m metadir=1",
    "-r zoned=1,start=1g -m metadir=1",
    "-m metadir=1",
];

/// The filesystem's geometry, and xfs_db's answer to `rtconvert` for each of `questions`.
fn made(
    peers: &Peers,
    scratch: &Scratch,
    options: &str,
    questions: &[String],
) -> (Geometry, Vec<u64>) {
    let (data, rt) = (scratch.path("data"), scratch.path("rt"));
    create(&data, 8 << 30).unwrap();
    create(&rt, 4 << 30).unwrap();
    let mut mkfs = peers.command("mkfs.xfs");
    mkfs.current_dir(scratch.dir()).args(["-q", "-f", "-m", &format!("uuid={UUID}")]);
    run(mkfs.args(options.split(' ')).arg("data")).unwrap();
    let (_, geo) = read_superblock(&FileDevice::open_read_only(&data).unwrap()).unwrap();
    let answers = ask(peers, &data, options.contains("rtdev").then_some(&*rt), questions);
    (geo, answers)
}

fn ask(peers: &Peers, data: &Path, rt: Option<&Path>, questions: &[String]) -> Vec<u64> {
    let mut db = peers.command("xfs_db");
    db.arg("-r");
    if let Some(rt) = rt {
        db.arg("-R").arg(rt);
    }
    for question in questions {
        db.args(["-c", &format!("rtconvert {question}")]);
    }
    let text = run(db.arg(data)).unwrap();
    let number = |line: &str| line.split(['(', ')']).nth(1)?.parse().ok();
    text.lines().map(|line| number(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

#[test]
fn realtime_addresses_are_those_of_xfs_db() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let mut compared = 0;
    for options in SECTIONS {
        let (geo, _) = made(&peers, &scratch, options, &[]);
        let section = &geo.realtime;
        if section.blocks == 0 {
            continue;
        }
        let groups = section.group_count.min(5);
        let places: Vec<(u32, u32)> =
            (0..groups).flat_map(|rgno| [(rgno, 0), (rgno, 1), (rgno, 777)]).collect();
        // 7.2 answers nonsense for groups of an internal section.
        let by_group = section.has_groups && !section.is_internal();
        let mut questions = Vec::new();
        for &(rgno, rgbno) in &places {
            let block = geo.rt_block(rgno, rgbno);
            questions.push(format!("rtblock {block} daddr"));
            questions.push(format!("rtblock {block} rtx"));
            if by_group {
                questions.push(format!("rgno {rgno} rgbno {rgbno} rtblock"));
            }
        }
        let (_, answers) = made(&peers, &scratch, options, &questions);
        let mut answers = answers.into_iter();
        for &(rgno, rgbno) in &places {
            let block = geo.rt_block(rgno, rgbno);
            assert_eq!(geo.rt_block_parts(block), (rgno, rgbno), "{options}");
            let daddr = geo.rt_block_daddr(block);
            assert_eq!(Some(daddr), answers.next(), "{options}: {rgno}/{rgbno}");
            assert_eq!(geo.daddr_rt_block(daddr), Some(block), "{options}");
            // Realtime extents are counted from the start of the device there.
            let linear = section.start
                + u64::from(rgno) * u64::from(section.group_blocks)
                + u64::from(rgbno);
            assert_eq!(Some(linear / u64::from(section.extent_size)), answers.next(), "{options}");
            if by_group {
                assert_eq!(Some(block), answers.next(), "{options}: {rgno}/{rgbno}");
            }
            compared += 1;
        }
    }
    say(&format!("{compared} realtime addresses as xfs_db gives them"));
}
