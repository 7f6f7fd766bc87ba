//! Every pair of option values of mkfs.xfs: each pair on its own, and all of them again in
//! command lines that set everything at once. Both programs must do the same with each.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tests::mkfs::{Beside, Outcome, compare};
use tests::peers::Peers;
use tests::skip::say;

/// Bytes of the image and of the log's device.
const IMAGE: u64 = 4 << 30;
const LOG: u64 = 100 << 20;

/// Choices, of which a command line makes at most one in each row. What cannot go together is
/// in one row, as far as it is known before sizes are.
const FACTORS: &[&[&str]] = &[
    &["-b size=1k", "-b size=2k", "-b size=16k", "-b size=64k"],
    &["-d size=3500m", "-d size=3333333k"],
    &[
        "-d agcount=2",
        "-d agcount=9",
        "-d agsize=100m",
        "-d agsize=123456k",
        "-d concurrency=3",
        "-d concurrency=0",
    ],
    &["-d su=64k,sw=4", "-d su=256k,sw=1", "-d sunit=16,swidth=160", "-d noalign"],
    &["-s size=4k", "-s size=1k", "-d sectsize=2k", "-d sectsize=4k"],
    &["-d rtinherit=1"],
    &["-d projinherit=70000"],
    &["-d extszinherit=16"],
    &["-d cowextsize=8"],
    &["-d daxinherit=1"],
    &["-i size=1024", "-i size=2048", "-i perblock=4"],
    &["-i maxpct=50", "-i maxpct=0"],
    &["-i sparse=0", "-i sparse=1"],
    &["-i nrext64=0"],
    &["-i exchange=0", "-i exchange=1"],
    &["-i max_atomic_write=64k", "-i max_atomic_write=16m"],
    &["-l agnum=0", "-l agnum=1", "-l logdev=log", "-l logdev=log,sectsize=4k"],
    &["-l size=64m", "-l size=77777k", "-l size=20000b", "-l concurrency=8", "-l concurrency=0"],
    &["-l su=32k", "-l su=256k", "-l sunit=8"],
    &["-m metadir=1", "-m uquota,gqnoenforce", "-m pquota"],
    &["-m finobt=0", "-m finobt=1"],
    &["-m rmapbt=0", "-m rmapbt=1"],
    &["-m reflink=0", "-m reflink=1"],
    &["-m inobtcount=0", "-m inobtcount=1"],
    &["-m bigtime=0"],
    &["-m autofsck=check", "-m autofsck=0"],
    &["-n size=8k", "-n size=64k"],
    &["-n version=ci"],
    &["-n parent=0", "-n parent=1"],
    &["-L label", "-N", "-q"],
    &["--unsupported"],
];

#[test]
fn every_pair_of_values() {
    let values = || {
        FACTORS.iter().enumerate().flat_map(|(factor, row)| row.iter().map(move |v| (factor, *v)))
    };
    let mut lines = vec![String::new()];
    lines.extend(values().map(|(_, value)| value.to_owned()));
    for (factor, one) in values() {
        let others = values().filter(|(other, _)| *other > factor);
        lines.extend(others.map(|(_, two)| format!("{one} {two}")));
    }
    judge("pairs of options", &lines, 1500);
}

#[test]
fn every_pair_of_values_among_many() {
    judge("command lines with all options", &covering_lines(), 50);
}

/// Gives each line to both programs; at least `least` of them must make a filesystem.
fn judge(what: &str, lines: &[String], least: usize) {
    let Some(peers) = Peers::or_skip() else { return };
    let (next, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let wrong = Mutex::new(Vec::new());
    let work = || {
        while let Some(options) = lines.get(next.fetch_add(1, Ordering::Relaxed)) {
            match compare(&peers, IMAGE, options, &[Beside::device("log", LOG)]) {
                Ok(Outcome::Made) => {
                    made.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Outcome::Refused) => {}
                Err(difference) => wrong.lock().unwrap().push(format!("{options}: {difference}")),
            }
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(work);
        work();
    });
    let (wrong, made) = (wrong.into_inner().unwrap(), made.into_inner());
    let refused = lines.len() - made - wrong.len();
    say(&format!("mkfs {what}: {made} made and {refused} refused as by xfsprogs 7.2"));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(made >= least, "only {made} of {} made", lines.len());
}

/// Choices that are refused together, so that they are kept apart where many are made at once:
/// any of the first with any of the second.
const APART: &[(&[&str], &[&str])] = &[
    (
        &["-b size=1k"],
        &["-s size=4k", "-d sectsize=4k", "-d sectsize=2k", "-l logdev=log,sectsize=4k"],
    ),
    (&["-b size=2k"], &["-s size=4k", "-d sectsize=4k", "-l logdev=log,sectsize=4k"]),
    (&["-b size=1k"], &["-i size=1024", "-i size=2048", "-i perblock=4", "-l size=20000b"]),
    (&["-b size=2k"], &["-i size=2048", "-l size=20000b"]),
    (&["-b size=16k", "-b size=64k"], &["-i perblock=4", "-n size=8k", "-d sunit=16,swidth=160"]),
    (&["-b size=16k", "-b size=64k"], &["-l sunit=8"]),
    (&["-b size=64k"], &["-l su=32k", "-l size=20000b"]),
    (&["-l logdev=log", "-l logdev=log,sectsize=4k"], &["-l concurrency=8", "-l concurrency=0"]),
    (&["-l agnum=0"], &["-l su=256k", "-d su=256k,sw=1"]),
    (&["-l su=256k"], &["-l size=77777k", "-l size=20000b"]),
    (&["-d su=64k,sw=4", "-d su=256k,sw=1"], &["-l size=77777k", "-l size=20000b"]),
    (&["-m reflink=0"], &["-d cowextsize=8", "-i max_atomic_write=64k", "-i max_atomic_write=16m"]),
    (&["-m finobt=0"], &["-m inobtcount=1"]),
    (&["-m metadir=1", "-m uquota,gqnoenforce", "-m pquota"], &["-i exchange=0"]),
];

/// Whether both choices can be in one of the command lines with all options.
fn go_together(one: &str, two: &str) -> bool {
    APART.iter().all(|(first, second)| {
        let both = |one, two| first.contains(&one) && second.contains(&two);
        !both(one, two) && !both(two, one)
    })
}

/// A choice: a row of [`FACTORS`], and a place in it; 0 is the default.
type Choice = (usize, usize);

fn words(choice: Choice) -> &'static str {
    choice.1.checked_sub(1).map_or("", |place| FACTORS[choice.0][place])
}

fn choices(row: usize) -> impl DoubleEndedIterator<Item = Choice> {
    (0..=FACTORS[row].len()).map(move |place| (row, place))
}

/// Command lines that choose in every row, or leave the default, so that every pair of choices
/// that go together is in one of them. Each line takes the choices with the most new pairs.
fn covering_lines() -> Vec<String> {
    let fits = |one: Choice, two: Choice| go_together(words(one), words(two));
    let mut missing = BTreeSet::new();
    for row in 0..FACTORS.len() {
        for (one, other) in
            choices(row).flat_map(|one| (row + 1..FACTORS.len()).map(move |o| (one, o)))
        {
            missing.extend(choices(other).filter(|two| fits(one, *two)).map(|two| (one, two)));
        }
    }
    let mut lines = Vec::new();
    while let Some((one, two)) = missing.first().copied() {
        let mut line: Vec<Choice> = vec![one, two];
        for row in (0..FACTORS.len()).filter(|row| *row != one.0 && *row != two.0) {
            let new = |choice: &Choice| {
                let pair =
                    |other: &&Choice| missing.contains(&(*choice.min(*other), *choice.max(*other)));
                line.iter().filter(pair).count()
            };
            let possible =
                choices(row).rev().filter(|choice| line.iter().all(|other| fits(*choice, *other)));
            line.push(possible.max_by_key(new).unwrap_or((row, 0)));
        }
        line.sort_unstable();
        for (at, first) in line.iter().enumerate() {
            for second in &line[at + 1..] {
                missing.remove(&(*first, *second));
            }
        }
        let words: Vec<&str> = line.iter().map(|choice| words(*choice)).collect();
        lines.push(words.join(" "));
    }
    lines
}
