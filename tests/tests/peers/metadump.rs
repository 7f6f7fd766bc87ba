//! Metadata dumps are exchanged with xfsprogs 7.2, in both directions.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use tests::gallery::Gallery;
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

#[test]
fn dumps_of_xfsprogs_are_restored_as_xfsprogs_does() {
    let Some(peers) = Peers::or_skip() else { return };
    let names = ["blocks-2k", "external-log", "rtgroups"];
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    let scratch = Scratch::new().unwrap();
    let mut cases = 0;
    for exhibit in &gallery.exhibits {
        let devices = exhibit.device_options("-R", "-l");
        for options in ["-v 1 -o", "-v 2 -o", "-v 2 -a -o", "-v 2"] {
            let others = exhibit.realtime.is_some() || exhibit.log.is_some();
            if others && options.starts_with("-v 1") {
                continue;
            }
            let dump = scratch.path("dump");
            metadump::by_peer(&peers, options, &devices, &exhibit.image, &dump).unwrap();
            let restore = |who: &str, command: &mut Command| {
                let path = |part: &str| scratch.path(&format!("{who}-{part}"));
                let (log, realtime) = (path("log"), path("realtime"));
                if exhibit.log.is_some() {
                    command.arg("-l").arg(&log);
                }
                if exhibit.realtime.is_some() {
                    command.arg("-r").arg(&realtime);
                }
                let printed = run(command.arg("-i").arg(&dump).arg(path("data"))).unwrap();
                let wanted = [path("data"), log, realtime];
                (printed, wanted.into_iter().filter(|path| path.exists()).collect::<Vec<_>>())
            };
            let theirs = restore("theirs", &mut peers.command("xfs_mdrestore"));
            let ours = restore("ours", &mut ours::command("xfs_mdrestore"));
            assert_eq!(ours.0, theirs.0);
            assert_eq!(ours.1.len(), theirs.1.len());
            for (ours, theirs) in ours.1.iter().zip(&theirs.1) {
                assert_same_bytes(ours, theirs);
                fs::remove_file(ours).unwrap();
                fs::remove_file(theirs).unwrap();
            }
            cases += 1;
        }
    }
    tests::skip::say(&format!("{cases} dumps of xfsprogs restored"));
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
