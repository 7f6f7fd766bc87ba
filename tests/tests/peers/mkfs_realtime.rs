//! Realtime sections as mkfs.xfs 7.2 makes them: their superblocks are accepted, and addresses
//! in them are what xfs_db says.

use std::path::Path;

use libfs::device::FileDevice;
use libfs::filesystem::read_superblock;
use libfs::format::geometry::Geometry;
use tests::peers::{Peers, UUID, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::create;

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
