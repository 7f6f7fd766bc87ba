//! Configuration files of mkfs.xfs: read, overridden, refused and written as 7.2 does it.

use tests::mkfs::{Beside, Outcome, compare};
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::{create, same_bytes};

/// Bytes of the image; the log's device is smaller.
const IMAGE: u64 = 1 << 30;
const LOG: u64 = 100 << 20;

/// Files that options name.
const FILES: &[(&str, &str)] = &[
    ("plain", "[block]\nsize=4k\n[metadata]\nrmapbt=0\n"),
    ("small", "[block]\nsize=1k\n"),
    ("empty", ""),
    ("comments", "\n# one\n; two\n   # three\n[block] behind\n size = 2k ; comment\n"),
    ("letters", "\u{feff}[Block]\r\nSIZE: 2k\r\n[METADATA]\n\tReFlink = 0\n"),
    ("unfinished", "[block]\nsize=1k"),
    ("again", "[metadata]\nrmapbt=0\n[block]\nsize=1k\n[metadata]\nreflink=0\n"),
    ("default", "[metadata]\nrmapbt=\n"),
    ("groups", "[data]\nagcount=3\n"),
    ("group_size", "[data]\nagsize=400m\n"),
    ("stripes", "[data]\nsu=64k\nsw=2\n"),
    ("naming", "[naming]\nversion=ci\nparent=0\n"),
    ("counts", "[metadata]\nfinobt=0\ninobtcount=1\n"),
    ("finobt", "[metadata]\nfinobt=0\n"),
    ("stripe_sectors", "[data]\nsunit=16\nswidth=32\n"),
    ("size", "[data]\nsize=500m\n"),
    ("inherited", "[data]\nprojinherit=8\nextszinherit=16\ncowextsize=8\n"),
    ("concurrency", "[data]\nconcurrency=3\n[log]\nconcurrency=30\n"),
    ("atomic", "[inode]\nmax_atomic_write=16m\nmaxpct=33\n[naming]\nsize=8k\n"),
    ("name", "[data]\nname=image\n"),
    ("external", "[log]\nlogdev=log\n"),
    ("log_size", "[log]\nsize=70m\n"),
    ("log_place", "[log]\nagnum=1\nsu=32k\n"),
    ("log_sectors", "[log]\nsunit=64\n"),
    ("sector", "[sector]\nsize=4k\n"),
    ("inodes", "[inode]\nperblock=4\n"),
    ("fsck", "[metadata]\nautofsck=check\n"),
    ("uuid", "[metadata]\nuuid=01234567-89ab-cdef-0123-456789abcdef\n"),
    ("quota", "[metadata]\nuqnoenforce=1\nmetadir=0\n"),
    ("no_value", "[block]\nsize=\n"),
    ("no_equals", "[block]\nsize 1k\n"),
    ("two_equals", "[block]\nsize==1k\n"),
    ("no_name", "[block]\n=1k\n"),
    ("no_bracket", "[block\nsize=1k\n"),
    ("no_section", "size=1k\n"),
    ("other_section", "[fruit]\nsize=1k\n"),
    ("spaced_section", "[ block ]\nsize=1k\n"),
    ("other_options", "[block]\nfoo=1\nbar=2\n[x]\ny=1\n"),
    ("illegal", "[block]\nsize=3k\n"),
    ("twice", "[block]\nsize=1k\nsize=2k\n"),
    ("continued", "[block]\nsize=1k\n  2k\n"),
    ("quoted", "[block]\nsize=\"1k\"\n"),
    ("hash", "[block]\nsize=1k # no comment\n"),
];

/// What each of the files is tried with.
const WITH_FILE: &[&str] = &[
    "-c options=FILE",
    "-c options=FILE -b size=2k",
    "-c options=FILE,makecfg=made",
    "-c defaults=FILE",
    "-c defaults=FILE -b size=2k",
    "-c defaults=FILE -m finobt=0 -d agcount=5",
];

/// Other command lines with these files.
const OPTIONS: &[&str] = &[
    "-c options=plain,options=plain",
    "-c defaults=plain,defaults=plain",
    "-c options=plain -c options=small",
    "-c defaults=plain -c defaults=small",
    "-c defaults=plain,options=small",
    "-c options=plain,defaults=small",
    "-c options=other_options more",
    "-c options=missing",
    "-c defaults=missing",
    "-c options=",
    "-c options",
    "-c makecfg=",
    "-c bogus=1",
    "-c ,",
    "-b foo -c bogus=1",
    "-b foo -c options=",
    "-b foo -c defaults=",
    "-b foo -c options=other_options",
    "-V -c bogus=1",
    "-V -b foo",
    "-b foo -V",
    "-c defaults=plain -V",
    "NODEVICE -c options=name",
    "NODEVICE -c options=plain",
    "-c defaults=groups -d agsize=400m",
    "-c defaults=group_size -d agcount=3",
    "-c defaults=stripes -d noalign",
    "-c defaults=stripes -d sunit=8,swidth=8",
    "-c defaults=log_size -l logdev=log",
    "-c defaults=log_size -l concurrency=2",
    "-c defaults=sector -d sectsize=1k",
    "-c defaults=inodes -i size=2048",
    "-c defaults=finobt -m inobtcount=1",
    "-c defaults=finobt -m inobtcount=0",
    "-c defaults=naming -n version=2",
    "-c makecfg=made",
    "-c makecfg=made -N",
    "-c makecfg=made -q -K -L label",
    "-c makecfg=missing/made",
    "-c makecfg=.",
    "-c makecfg=made,makecfg=made",
    "-c makecfg=made -b size=1k -m rmapbt=0",
    "-c makecfg=made -d agcount=3,su=64k,sw=2,cowextsize=8 -l size=100m -s size=4k",
    "-c makecfg=made -m autofsck=check,finobt=0",
    "-c makecfg=made -m autofsck=none",
    "-c makecfg=made -i sparse=0,nrext64=0,exchange=0 -n parent=0 -m reflink=0,bigtime=0",
    "-c makecfg=made -d projinherit=3,extszinherit=16,cowextsize=16,daxinherit=1",
    "-c makecfg=made -i size=2048,maxpct=33,sparse=0 -n size=8k,version=ci",
    "-c makecfg=made -i maxpct=25",
    "-c makecfg=made -i perblock=4",
    "-c makecfg=made -n size=4k -b size=1k",
    "-c makecfg=made -n size=16k -b size=16k",
    "-c makecfg=made -d projinherit=0",
    "-c makecfg=made -d agcount=1000",
    "-c makecfg=made -d size=100m",
    "-c makecfg=made -l logdev=log",
    "-c makecfg=made -m uquota,gqnoenforce,pquota -r extsize=64k -d extszinherit=16",
    "-c defaults=quota -m uquota -c makecfg=made",
];

#[test]
fn configuration_files_mean_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    let mut beside: Vec<Beside> =
        FILES.iter().map(|(name, text)| Beside::text(name, text)).collect();
    beside.push(Beside::device("log", LOG));
    let with_files = FILES
        .iter()
        .flat_map(|(name, _)| WITH_FILE.iter().map(|options| options.replace("FILE", name)));
    // 7.2 calls a file of defaults "(null)" where it complains of its options.
    let known = |options: &str, difference: &str| {
        options.contains("defaults=") && difference.contains("(null): invalid config file option")
    };
    let (mut made, mut refused, mut nameless) = (0, 0, 0);
    let mut wrong = Vec::new();
    for options in with_files.chain(OPTIONS.iter().map(|options| (*options).to_owned())) {
        match compare(&peers, IMAGE, &options, &beside) {
            Ok(Outcome::Made) => made += 1,
            Ok(Outcome::Refused) => refused += 1,
            Err(difference) if known(&options, &difference) => nameless += 1,
            Err(difference) => wrong.push(format!("{options}: {difference}")),
        }
    }
    say(&format!(
        "mkfs configuration files: {made} made and {refused} refused as by xfsprogs 7.2, \
         {nameless} refused with the name of the file that 7.2 does not know"
    ));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn what_was_written_makes_the_same_filesystem() {
    let Some(peers) = Peers::or_skip() else { return };
    for options in [
        "-b size=1k -m rmapbt=0 -n parent=0",
        "-i size=1024,sparse=0,maxpct=3 -n size=8k -d projinherit=7,extszinherit=32",
    ] {
        let written = format!("-c makecfg=image.cfg {options}");
        let scratch = Scratch::new().unwrap();
        create(&scratch.path("image"), IMAGE).unwrap();
        let mut mkfs = tests::ours::command("mkfs_xfs");
        mkfs.args(written.split(' ')).arg("image").current_dir(scratch.dir());
        run(&mut mkfs).unwrap();
        let text = std::fs::read_to_string(scratch.path("image.cfg")).unwrap();
        let beside = [Beside::text("cfg", &text)];
        assert_eq!(compare(&peers, IMAGE, "-c options=cfg", &beside), Ok(Outcome::Made));
        let images = ["asked", "read"].map(|name| scratch.path(name));
        let config = format!("options={}", scratch.path("image.cfg").display());
        peers.mkfs(&images[0], IMAGE, &options.split(' ').collect::<Vec<_>>()).unwrap();
        peers.mkfs(&images[1], IMAGE, &["-c", &config]).unwrap();
        assert_eq!(same_bytes(&images[0], &images[1]).unwrap(), None, "{options}");
    }
}

/// Each profile asks for what xfsprogs' own of that name asks for.
#[test]
fn profiles_ask_for_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    let theirs = peers.directory().join("prefix/usr/share/xfsprogs/mkfs");
    let ours = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../mkfs/profiles");
    let mut names: Vec<String> = [&ours, &theirs]
        .iter()
        .flat_map(|dir| std::fs::read_dir(dir).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names.dedup();
    for name in &names {
        let scratch = Scratch::new().unwrap();
        let images = [&ours, &theirs].map(|dir| {
            let config = format!("options={}", dir.join(name).display());
            let image = scratch.path(if dir == &ours { "ours" } else { "theirs" });
            peers.mkfs(&image, IMAGE, &["-c", &config]).unwrap();
            image
        });
        assert_eq!(same_bytes(&images[0], &images[1]).unwrap(), None, "{name}");
        let text = std::fs::read_to_string(ours.join(name)).unwrap();
        let beside = [Beside::text("profile", &text)];
        assert_eq!(compare(&peers, IMAGE, "-c options=profile", &beside), Ok(Outcome::Made));
    }
    say(&format!("mkfs profiles: {} the same as those of xfsprogs 7.2", names.len()));
}
