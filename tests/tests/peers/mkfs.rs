//! mkfs_xfs against mkfs.xfs 7.2: the same bytes on the image, the same words on the
//! screen, the same refusals.
//!
//! Every line of a table is one case: a size and options as typed. Both programs run in a
//! directory of their own on a file `image`, with the environment that makes 7.2's output
//! reproducible.

use std::os::unix::fs::FileExt;

use tests::mkfs::{self, parse_size, words};
use tests::ours;
use tests::peers::{Peers, UUID};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::{create, same_bytes};

/// A size as for `-d size=`, and further options.
type Case = (&'static str, &'static str);

const SIZES: &[Case] = &[
    ("300m", ""),
    ("301m", ""),
    ("319m", ""),
    ("400m", ""),
    ("511m", ""),
    ("512m", ""),
    ("1g", ""),
    ("1025m", ""),
    ("3g", ""),
    ("10g", ""),
    ("33g", ""),
    ("100g", ""),
    ("500g", ""),
    ("1t", ""),
    ("2047g", ""),
    ("4t", ""),
    ("7t", ""),
    ("15t", ""),
];

/// These need a tmpfs, which has no cheap zeroing: all but one name a small log.
const HUGE: &[Case] = &[
    ("17t", "-l size=64m"),
    ("20t", "-l size=100m -b size=1k"),
    ("33t", "-l size=64m -m rmapbt=0"),
    ("50t", "-l size=64m -d agcount=64"),
    ("64t", "-l size=64m -i size=1024"),
    ("100t", "-l size=64m"),
    ("100t", "-l size=128m -m reflink=0"),
    ("100t", ""),
];

const BLOCKS: &[Case] = &[
    ("300m", "-b size=1k"),
    ("1g", "-b size=1k"),
    ("1g", "-b size=2k"),
    ("1g", "-b size=4k"),
    ("1g", "-b size=8k"),
    ("2g", "-b size=16k"),
    ("2g", "-b size=32k"),
    ("4g", "-b size=64k"),
    ("100g", "-b size=64k"),
    ("40g", "-b size=1k"),
];

const DATA: &[Case] = &[
    ("1g", "-d agcount=2"),
    ("1g", "-d agcount=3"),
    ("2g", "-d agcount=16"),
    ("10g", "-d agcount=100"),
    ("1g", "-d agsize=80m"),
    ("1g", "-d agsize=100m"),
    ("4g", "-d agsize=1g"),
    // The log leaves too few blocks in its group for a free list.
    ("300g", "-d agsize=128m"),
    ("20g", "-d agcount=40"),
    ("20g", "-d agcount=7"),
    ("20g", "-d agsize=768m"),
    ("1g", "-d size=500m"),
    ("1g", "-d size=300m,agcount=4"),
    ("3g", "-d size=2000m,agsize=333m"),
    ("1g", "-d file=1,name=image,size=1g"),
    ("1g", "-d sunit=128,swidth=512"),
    ("10g", "-d su=64k,sw=4"),
    ("20g", "-d su=512k,sw=3"),
    ("20g", "-d su=64k,sw=4 -l agnum=0"),
    ("20g", "-d su=64k,sw=4,agcount=8"),
    ("20g", "-d su=1m,sw=2 -l su=128k"),
    ("1g", "-d noalign"),
    ("20g", "-d concurrency=8"),
    ("20g", "-d concurrency=0"),
    ("100g", "-d concurrency=16"),
    ("1g", "-d rtinherit=1"),
    ("1g", "-d extszinherit=16"),
    ("1g", "-d projinherit=70000 -d cowextsize=8"),
    ("1g", "-d daxinherit=1"),
];

const LOGS: &[Case] = &[
    ("1g", "-l size=64m"),
    ("1g", "-l size=65m"),
    ("1g", "-l size=100m"),
    ("2g", "-l size=200m"),
    ("10g", "-l size=2038m"),
    ("1g", "-l size=20000b"),
    ("100g", "-l size=500m -b size=1k"),
    ("4g", "-l agnum=2"),
    ("4g", "-l agnum=0"),
    ("20g", "-l size=67109376"),
    ("20g", "-l concurrency=16"),
    ("20g", "-l concurrency=0"),
    ("1g", "-l su=256k -n parent=0"),
    ("1g", "-l internal=1,version=2"),
    ("1g", "-l sunit=64"),
    ("1g", "-l su=32k"),
    ("1g", "-l lazy-count=1"),
];

const METADATA: &[Case] = &[
    ("1g", "-m crc=1"),
    ("1g", "-m finobt=0"),
    ("1g", "-m finobt=0,inobtcount=0"),
    ("1g", "-m rmapbt=0"),
    ("1g", "-m reflink=0"),
    ("1g", "-m rmapbt=0,reflink=0"),
    ("1g", "-m bigtime=0"),
    ("1g", "-m inobtcount=0"),
    ("1g", "-m bigtime=0,inobtcount=0,reflink=0,rmapbt=0"),
    ("1g", "-m uuid=89abcdef-0123-4567-89ab-cdef01234567"),
    ("50g", "-m rmapbt=0,reflink=0"),
    ("2t", "-m finobt=0,inobtcount=0,rmapbt=0"),
    ("1g", "-m rmapbt=0 -b size=1k"),
    ("1g", "-m reflink=0 -b size=64k"),
    ("1g", "-m finobt=0,rmapbt=0,reflink=0 -b size=64k"),
    ("300m", "-n parent=0"),
    ("300m", "-n parent=0 -m rmapbt=0"),
    ("300m", "-n parent=0 -b size=1k"),
    ("9t", "-m reflink=0 -n parent=0"),
    ("1g", "-m autofsck=0"),
    ("1g", "-m autofsck=check -n parent=0"),
    ("1g", "-m rmapbt=0 -m autofsck=optimize"),
    ("1g", "-m bigtime=0 -i nrext64=0"),
];

const INODES: &[Case] = &[
    ("1g", "-i exchange=0"),
    ("1g", "-i exchange=1"),
    ("1g", "-i exchange=0 -n parent=0"),
    ("1g", "-i nrext64=0"),
    ("1g", "-i nrext64=1"),
    ("1g", "-i size=1024"),
    ("1g", "-i size=2048"),
    ("1g", "-i size=1024 -b size=2k"),
    ("1g", "-i size=2048 -b size=64k"),
    ("1g", "-i sparse=0 -b size=64k"),
    ("1g", "-i sparse=0,size=2048"),
    ("1g", "-i sparse=0"),
    ("1g", "-i sparse=0,size=1024,nrext64=0"),
    ("1g", "-i maxpct=50"),
    ("1g", "-i maxpct=0"),
    ("1g", "-i perblock=4"),
    ("1g", "-i attr=2,projid32bit=1"),
    ("1g", "-i max_atomic_write=4k"),
    ("1g", "-i max_atomic_write=128m"),
    ("1g", "-i max_atomic_write=256m"),
    ("1g", "-i max_atomic_write=128m -m rmapbt=0"),
    ("1g", "-i max_atomic_write=256m,size=2048 -m rmapbt=0"),
    ("16g", "-i max_atomic_write=128m -m rmapbt=0 -s size=4k"),
    ("1g", "-i max_atomic_write=128m -n parent=0"),
    ("1g", "-i max_atomic_write=32m -b size=2k"),
    ("1g", "-i max_atomic_write=16m -b size=1k"),
    ("4g", "-i max_atomic_write=1g -b size=64k -d agcount=2"),
    ("100g", "-i max_atomic_write=1g"),
    ("100g", "-i max_atomic_write=256m -b size=1k"),
    ("300m", "-i max_atomic_write=2m"),
    ("300m", "-i max_atomic_write=64m -n parent=0"),
    ("1g", "-i max_atomic_write=32m -d agsize=100m"),
    ("1g", "-i max_atomic_write=32m -d agcount=3"),
    ("700m", "-i max_atomic_write=4m -d su=64k,sw=5,agsize=80m"),
    ("700m", "-i max_atomic_write=64m -d su=64k,sw=5,agsize=80m"),
    ("1g", "-i max_atomic_write=4096b -l size=200m -l su=128k"),
    ("20g", "-i sparse=0 -b size=16k"),
];

const NAMING: &[Case] = &[
    ("1g", "-n size=8k"),
    ("1g", "-n size=64k"),
    ("1g", "-n size=16k -b size=1k"),
    ("1g", "-n ftype=1"),
    ("1g", "-n version=ci"),
    ("1g", "-n parent=0"),
    ("1g", "-n parent=1"),
    ("1g", "-L label"),
    ("1g", "-L twelve-chars"),
    ("1g", "-q"),
    ("1g", "-K"),
    ("1g", "-s size=4096"),
    ("1g", "-N"),
    ("1g", "-N -b size=1k -l size=100m"),
];

/// What both must refuse, leaving the file as it was.
const REFUSED: &[Case] = &[
    ("1m", ""),
    ("100m", ""),
    ("299m", ""),
    ("1g", "-b size=3k"),
    ("1g", "-b size=256"),
    ("1g", "-b size=128k"),
    ("1g", "-b size=4k -b size=4k"),
    ("1g", "-b"),
    ("1g", "-b bogus=1"),
    ("1g", "-b log=11"),
    ("1g", "-d size=2g"),
    ("1g", "-d agcount=1"),
    ("1g", "-d agcount=16"),
    ("1g", "-d agsize=64m"),
    ("1g", "-d file=1,name=image"),
    ("1g", "-d agcount=4,agsize=256m"),
    ("1g", "-d agsize=1m"),
    ("1g", "-d agcount=1000"),
    ("1g", "-d size=abc"),
    ("1g", "-d agcount"),
    ("1g", "-l size=1m"),
    ("1g", "-l size=63m"),
    ("1g", "-l size=3g"),
    ("1g", "-m uuid=zebra"),
    ("1g", "-m finobt=2"),
    ("1g", "-i size=256"),
    ("1g", "-i size=1k"),
    ("1g", "-i size=4096 -b size=4k"),
    ("1g", "-i exchange=2"),
    ("1g", "-i max_atomic_write=0"),
    ("1g", "-i max_atomic_write=2g"),
    ("1g", "-i max_atomic_write=3m"),
    ("1g", "-i max_atomic_write=3m -d agcount=1000"),
    ("1g", "-i max_atomic_write=3m -l su=3000"),
    ("1g", "-i max_atomic_write=1k"),
    ("1g", "-i max_atomic_write=abc"),
    ("1g", "-i max_atomic_write"),
    ("1g", "-i max_atomic_write=4k,max_atomic_write=8k"),
    ("1g", "-i max_atomic_write=512m"),
    ("1g", "-i max_atomic_write=512m -l agnum=9"),
    ("1g", "-i max_atomic_write=32m -d agcount=50"),
    ("1g", "-i max_atomic_write=16m -d agcount=65"),
    ("1g", "-i max_atomic_write=1m -m reflink=0"),
    ("1g", "-i max_atomic_write=3m -m reflink=0 -d cowextsize=8"),
    ("1g", "-i max_atomic_write=128m -l size=64m"),
    ("300m", "-i max_atomic_write=128m"),
    ("300m", "-i max_atomic_write=64m -b size=1k"),
    ("100g", "-i max_atomic_write=1g -b size=1k"),
    ("1g", "-n size=1k"),
    ("1g", "-n size=128k"),
    ("1g", "-L thirteen-char"),
    ("1g", "-Z"),
    ("1g", "-d ,"),
    ("1g", "-d agcount=4,agcount=5"),
    ("1g", "-d su=64k,sw=4,sunit=128"),
    ("1g", "-d su=64k"),
    ("1g", "-d sunit=128"),
    ("1g", "-d su=1000,sw=2"),
    ("1g", "-d agsize=100000001"),
    ("1g", "-d sunit=130,swidth=131"),
    ("1g", "-l agnum=9"),
    ("1g", "-l size=300m"),
    ("1g", "-l su=3000"),
    ("1g", "-l lazy-count=0"),
    ("1g", "-l version=1"),
    ("1g", "-i attr=1"),
    ("1g", "-i projid32bit=0"),
    ("1g", "-i align=0"),
    ("1g", "-i maxpct=101"),
    ("1g", "-n ftype=0"),
    ("1g", "-n version=1"),
    ("1g", "-m finobt=0,inobtcount=1"),
    ("1g", "-m autofsck=maybe"),
    ("1g", "-m crc=x"),
    ("1g", "-m crc=1k"),
    ("1g", "-s size=8192"),
    ("1g", "-s size=512 -d sectsize=512"),
    ("1g", "-d extszinherit=4000000"),
    ("1g", "-m reflink=0 -d cowextsize=8"),
    ("1g", "more words"),
];

#[test]
fn sizes() {
    compare("sizes", SIZES);
}

#[test]
fn huge_sizes() {
    compare("huge sizes", HUGE);
}

#[test]
fn block_sizes() {
    compare("block sizes", BLOCKS);
}

#[test]
fn data_options() {
    compare("data options", DATA);
}

#[test]
fn log_options() {
    compare("log options", LOGS);
}

#[test]
fn metadata_options() {
    compare("metadata options", METADATA);
}

#[test]
fn inode_options() {
    compare("inode options", INODES);
}

#[test]
fn naming_and_other_options() {
    compare("naming and other options", NAMING);
}

#[test]
fn refusals() {
    compare("refusals", REFUSED);
}

#[test]
fn an_existing_filesystem_is_kept() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &["-L", "precious"]).unwrap();
    let before = scratch.path("before");
    tests::sparse::copy(&image, &before).unwrap();
    let theirs = peers.output("mkfs.xfs", [&image]).unwrap();
    let ours = ours::command("mkfs_xfs").arg(&image).output().unwrap();
    assert_eq!(words(&ours), words(&theirs));
    assert_eq!(same_bytes(&image, &before).unwrap(), None);
    let output = ours::command("mkfs_xfs").arg("-f").arg(&image).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_ne!(same_bytes(&image, &before).unwrap(), None);
    peers.assert_clean(&image);
}

#[test]
fn what_was_there_before_does_not_shine_through() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let [left, right] = ["ours", "theirs"].map(|name| scratch.path(name));
    let noise: Vec<u8> = (0..400u32 << 20 >> 2)
        .flat_map(|word| word.wrapping_mul(0x9e37_79b9).rotate_left(13).to_le_bytes())
        .collect();
    for path in [&left, &right] {
        std::fs::write(path, &noise).unwrap();
    }
    // Each filesystem is made over the one before.
    for options in ["", "-f -b size=1k", "-f -b size=64k -d agcount=3", "-f -d size=350m"] {
        for (mut mkfs, path) in
            [(ours::command("mkfs_xfs"), &left), (peers.command("mkfs.xfs"), &right)]
        {
            mkfs.args(["-q", "-m", &format!("uuid={UUID}")]).args(options.split_whitespace());
            assert!(mkfs.arg(path).status().unwrap().success(), "{options}");
        }
        assert_eq!(same_bytes(&left, &right).unwrap(), None, "{options}");
    }
}

#[test]
fn an_image_named_as_such_is_made_but_never_overwritten() {
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let option = format!("file,name={},size=300m", image.display());
    let make = |options: &[&str]| {
        ours::command("mkfs_xfs").args(["-q", "-d", &option]).args(options).output().unwrap()
    };
    let output = make(&["-N"]);
    assert!(output.status.success() && !image.exists(), "{output:?}");
    let output = make(&["-L", "first"]);
    assert!(output.status.success(), "{output:?}");
    let before = scratch.path("before");
    tests::sparse::copy(&image, &before).unwrap();
    let output = make(&[]);
    assert!(words(&output).contains("Use the -f option to force overwrite."), "{output:?}");
    assert_eq!(same_bytes(&image, &before).unwrap(), None);
    assert!(make(&["-f"]).status.success());
}

#[test]
fn version_4_is_refused() {
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    create(&image, 300 << 20).unwrap();
    let output = ours::command("mkfs_xfs").args(["-m", "crc=0"]).arg(&image).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(words(&output).contains("V4 filesystems"), "{output:?}");
    assert_eq!(tests::sparse::data_bytes(&image).unwrap(), 0);
}

#[test]
fn other_content_is_recognised() {
    let Some(peers) = Peers::or_skip() else { return };
    let partition: &[u8] = &[0x80, 0, 2, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 0, 1, 0];
    for (content, place) in [
        (&[0x55, 0xaa][..], 510),
        (&[partition, &[0; 48], &[0x55, 0xaa]].concat(), 446),
        (b"LUKS\xba\xbe\0\x02", 0),
        (b"hsqs", 0),
    ] {
        let scratch = Scratch::new().unwrap();
        let image = scratch.path("image");
        create(&image, 300 << 20).unwrap().write_all_at(content, place).unwrap();
        let theirs = peers.output("mkfs.xfs", [&image]).unwrap();
        let ours = ours::command("mkfs_xfs").arg(&image).output().unwrap();
        assert_eq!(words(&ours), words(&theirs));
        assert!(words(&ours).contains("Use the -f option"), "{content:x?}");
    }
}

/// Runs all cases of a table, then fails with those that differ.
fn compare(name: &str, cases: &[Case]) {
    let Some(peers) = Peers::or_skip() else { return };
    let mut wrong = Vec::new();
    for (size, options) in cases {
        if let Err(difference) = mkfs::compare(&peers, parse_size(size), options, &[]) {
            wrong.push(format!("size {size} {options}: {difference}"));
        }
    }
    let same = cases.len() - wrong.len();
    say(&format!("mkfs {name}: {same} of {} cases the same as xfsprogs 7.2", cases.len()));
    assert!(wrong.is_empty(), "{} of {name} differ:\n{}", wrong.len(), wrong.join("\n"));
}
