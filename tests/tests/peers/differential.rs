//! One script, three executions: xfs_io 7.2 on a mounted file, ours on a mounted file, ours on
//! an image. They must print the same, and leave the same files.

#[path = "differential/refused.rs"]
mod refused;

use std::collections::BTreeSet;

use tests::differential::arena::{Arena, Failure, Tally, Template};
use tests::differential::generate;
use tests::differential::script::{Answer, Case, Script, cases};
use tests::differential::shrink::shrink;
use tests::differential::world::Kind;
use tests::linux;
use tests::peers::Peers;
use tests::skip::say;

/// Environment variable: how many random scripts each of the random tests runs.
const SCRIPTS: &str = "XFS_DIFFERENTIAL_SCRIPTS";
/// Environment variable: the seed of the first script.
const SEED: &str = "XFS_DIFFERENTIAL_SEED";

/// Commands of a random script.
const LENGTH: usize = 50;
/// Scripts that share their filesystems.
const BATCH: usize = 125;

const SIZE: u64 = 512 << 20;

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A script that went wrong, by its seed.
type Failed = (u64, Failure);

/// Runs scripts from the seed `first` on in worlds of these kinds; returns the failures.
fn random(peers: &Peers, kinds: &[Kind], first: u64, count: u64) -> Vec<Failed> {
    let template = Template::new(peers, SIZE, &[], BATCH).unwrap();
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    let seeds: Vec<u64> = (first..first + count).collect();
    for batch in seeds.chunks(BATCH) {
        let mut batch = batch.to_vec();
        while let Err(seed) = random_batch(&template, kinds, &batch, &mut tally, &mut failed) {
            let what = "Linux shuts the filesystem down\n".to_owned();
            failed.push((seed, Failure { case: None, world: Kind::Theirs, what }));
            batch.retain(|other| *other != seed);
        }
    }
    say(&format!("{count} scripts: {tally}"));
    failed
}

/// Runs the scripts of these seeds on the same filesystems.
///
/// # Errors
///
/// The seed of a script that a filesystem does not survive; nothing is known of the others then.
fn random_batch(
    template: &Template,
    kinds: &[Kind],
    seeds: &[u64],
    tally: &mut Tally,
    failed: &mut Vec<Failed>,
) -> Result<(), u64> {
    let mut arena = Arena::new(template, kinds).unwrap();
    let mut failures = Vec::new();
    for (index, seed) in seeds.iter().enumerate() {
        failures.extend(arena.run(index, &generate::script(*seed, LENGTH)).unwrap().1);
        if arena.is_shut_down() {
            return Err(*seed);
        }
    }
    tally.merge(arena.tally());
    failures.extend(arena.finish().unwrap());
    let seed = |failure: &Failure| seeds[failure.case.unwrap_or(0)];
    failed.extend(failures.into_iter().map(|failure| (seed(&failure), failure)));
    Ok(())
}

/// What goes wrong with one script on filesystems of its own.
fn alone(template: &Template, kinds: &[Kind], script: &Script) -> Vec<Failure> {
    let mut arena = Arena::new(template, kinds).unwrap();
    let (_, mut failures) = arena.run(0, script).unwrap();
    if arena.is_shut_down() {
        let what = "Linux shuts the filesystem down\n".to_owned();
        return vec![Failure { case: None, world: Kind::Theirs, what }];
    }
    failures.extend(arena.finish().unwrap());
    failures
}

/// Prints the failures, the first few with the smallest script that still fails; panics when
/// there are any.
fn judge(peers: &Peers, kinds: &[Kind], failed: &[Failed], count: u64) {
    let Some((first, _)) = failed.first() else {
        say(&format!(
            "{count} random scripts of {LENGTH} commands, {} worlds: all alike",
            kinds.len()
        ));
        return;
    };
    let template = Template::new(peers, SIZE, &[], 1).unwrap();
    let mut seeds: Vec<u64> = failed.iter().map(|(seed, _)| *seed).collect();
    seeds.sort_unstable();
    seeds.dedup();
    let mut kinds_seen = BTreeSet::new();
    let shrunk = usize::try_from(number("XFS_DIFFERENTIAL_SHOWN", 3)).unwrap();
    let shrink_tries = usize::try_from(number("XFS_DIFFERENTIAL_TRIES", 150)).unwrap();
    let first_of_kind = failed.iter().filter(|(_, failure)| kinds_seen.insert(failure.kind()));
    for (seed, failure) in first_of_kind.take(shrunk) {
        say(&format!("seed {seed}: {:?}: {}", failure.world, failure.what));
        if shrink_tries == 0 {
            continue;
        }
        let script = generate::script(*seed, LENGTH);
        let Some(kind) = alone(&template, kinds, &script).first().map(Failure::kind) else {
            say(&format!("seed {seed}: does not fail on filesystems of its own"));
            continue;
        };
        let alike = |failures: &[Failure]| failures.iter().any(|failure| failure.kind() == kind);
        let with = |commands: &[String]| Script { commands: commands.to_vec(), ..script.clone() };
        let small = shrink(script.commands.clone(), shrink_tries, |commands| {
            alike(&alone(&template, kinds, &with(commands)))
        });
        let small = with(&small);
        say(&format!("seed {seed}: the smallest script that fails:\n{small}"));
        for failure in alone(&template, kinds, &small).iter().take(2) {
            say(&format!("{:?}: {}", failure.world, failure.what));
        }
    }
    panic!("{} of {count} scripts differ, the first has seed {first}: {seeds:?}", seeds.len());
}

/// The whole of a random test.
fn random_test(kinds: &[Kind], part: u64, default: u64) {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let count = number(SCRIPTS, default);
    let first = number(SEED, 1) + part * 1_000_000;
    say(&format!("random scripts from seed {first} on"));
    let mut failed = random(&peers, kinds, first, count);
    let known = failed.iter().filter(|(seed, _)| KNOWN_SEEDS.contains(seed)).count();
    if known > 0 && count > 1 {
        failed.retain(|(seed, _)| !KNOWN_SEEDS.contains(seed));
        say(&format!("{known} differences of scripts that are known to differ: {KNOWN_SEEDS:?}"));
    }
    judge(&peers, kinds, &failed, count);
}

/// Random scripts with differences that are known: said, not failed, unless run alone.
///
/// In the last one Linux counts blocks whose allocation it has delayed as blocks of the file
/// and refuses an extent size hint; in the others it shows old contents behind what was the
/// end of a file, where ours reads zeros.
const KNOWN_SEEDS: [u64; 4] = [247, 1_000_359, 2_000_446, 2_000_494];

/// The random scripts, in parts that run side by side.
const PARTS: u64 = 4;

macro_rules! random {
    ($name:ident, $part:literal) => {
        #[test]
        fn $name() {
            random_test(&WORLDS, $part, 2_000 / PARTS);
        }
    };
}

random!(random_scripts_1, 0);
random!(random_scripts_2, 1);
random!(random_scripts_3, 2);
random!(random_scripts_4, 3);

/// What xfs_io 7.2 does to one of two filesystems after the same script ran on both: each must
/// be found.
const SEEDED: [&str; 9] = [
    "pwrite -S 9 5000 1",
    "truncate 65537",
    "funshare 4k 4k",
    "reflink @/b 8k 12k 4k",
    "fzero 0 4k",
    "falloc -k 1m 4k",
    "fpunch 20k 4k",
    "cowextsize 16k",
    "flink @/c",
];

#[test]
fn differences_between_filesystems_are_found() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let template = Template::new(&peers, SIZE, &[], SEEDED.len() + 1).unwrap();
    let mut arena = Arena::new(&template, &[Kind::Theirs, Kind::Theirs]).unwrap();
    let script = Script::of([
        "open -f @/b",
        "pwrite -S 1 0 64k",
        "open -f @/a",
        "reflink @/b 0 0 16k",
        "pwrite -S 2 16k 48k",
        "pwrite -S 3 0 4k",
    ]);
    for case in 0..=SEEDED.len() {
        assert!(arena.run(case, &script).unwrap().1.is_empty());
    }
    for (case, command) in SEEDED.iter().enumerate() {
        let directory = arena.directory(1, case).unwrap();
        let command = command.replace('@', &directory.display().to_string());
        peers.io(&directory.join("a"), &[&command]).unwrap();
    }
    let failures = arena.finish().unwrap();
    let found: Vec<usize> = failures.iter().filter_map(|failure| failure.case).collect();
    assert_eq!(found, (0..SEEDED.len()).collect::<Vec<_>>(), "{failures:#?}");
    // What a command prints is compared as well.
    let mut arena = Arena::new(&template, &[Kind::Theirs, Kind::Theirs]).unwrap();
    std::fs::write(arena.directory(1, 0).unwrap().join("a"), "something").unwrap();
    let (_, failures) = arena.run(0, &Script::of(["open -f @/a", "pread 0 4"])).unwrap();
    assert!(failures[0].what.contains("command 1 `pread 0 4`"), "{failures:#?}");
}

#[test]
fn two_mounted_filesystems_are_alike_to_xfsprogs() {
    random_test(&[Kind::Theirs, Kind::Theirs], 9, 60);
}

/// Cases with differences that are known, as `MATRIX: TITLE`: said, not failed.
const KNOWN: &str = include_str!("differential/known");

/// The worlds of the differential.
const WORLDS: [Kind; 3] = [Kind::Theirs, Kind::OursMounted, Kind::OursImage];

/// Runs the cases of a list in all worlds, on filesystems made with these mkfs.xfs options.
fn matrix(name: &str, list: &str, size: u64, options: &[&str], kinds: &[Kind]) {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let only = std::env::var("XFS_DIFFERENTIAL_CASE").unwrap_or_default();
    let mut list = cases(list);
    list.retain(|case| case.title.contains(&only));
    let template = Template::new(&peers, size, options, list.len()).unwrap();
    let mut arena = Arena::new(&template, kinds).unwrap();
    let mut wrong = Vec::new();
    let mut failures = Vec::new();
    for (index, case) in list.iter().enumerate() {
        let (transcript, differences) = arena.run(index, &case.script).unwrap();
        assert!(!arena.is_shut_down(), "Linux does not survive `{}`", case.title);
        let text = show(case, &transcript.answers);
        if !only.is_empty() || std::env::var_os("XFS_DIFFERENTIAL_SHOW").is_some() {
            say(&text);
        }
        for reached in case.reached.iter().filter(|reached| !text.contains(*reached)) {
            wrong.push(format!("{}: 7.2 never prints `{reached}`:\n{text}", case.title));
        }
        failures.extend(differences);
    }
    let tally = arena.tally().to_string();
    failures.extend(arena.finish().unwrap());
    let mut known = BTreeSet::new();
    for failure in &failures {
        let title = failure.case.and_then(|case| list.get(case)).map_or("?", |case| &case.title);
        if KNOWN.lines().any(|line| line == format!("{name}: {title}")) {
            known.insert(title);
            continue;
        }
        wrong.push(format!("{title}: {:?}: {}", failure.world, failure.what));
    }
    wrong.sort();
    if !known.is_empty() {
        say(&format!("{name}: differences that are known in: {known:?}"));
    }
    say(&format!("{name}: {} cases in {} worlds: {tally}", list.len(), kinds.len()));
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// A case with its answers.
fn show(case: &Case, answers: &[Answer]) -> String {
    let mut text = format!("= {}\n", case.title);
    for (index, answer) in answers.iter().enumerate() {
        let command = case.script.commands.get(index).map_or("(end)", String::as_str);
        text += &format!("  {command}\n{answer}");
    }
    text
}

macro_rules! matrix {
    ($name:ident) => {
        #[test]
        fn $name() {
            let list = include_str!(concat!("differential/", stringify!($name), ".cases"));
            matrix(stringify!($name), list, SIZE, &[], kinds());
        }
    };
}

#[test]
fn mounted() {
    let list = include_str!("differential/mounted.cases");
    matrix("mounted", list, SIZE, &[], &[Kind::Theirs, Kind::OursMounted]);
}

fn kinds() -> &'static [Kind] {
    if std::env::var_os("XFS_DIFFERENTIAL_THEIRS").is_some() {
        return &[Kind::Theirs, Kind::Theirs];
    }
    &WORLDS
}

matrix!(attributes);
matrix!(copy_range);
matrix!(dedupe);
matrix!(exchangerange);
matrix!(falloc);
matrix!(funshare);
matrix!(maps);
matrix!(open);
matrix!(pread);
matrix!(pwrite);
matrix!(reflink);
matrix!(swapext);
matrix!(update);
