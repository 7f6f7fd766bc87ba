//! Which of two files may have shared blocks after an exchange: the reflink flags are those that
//! Linux gives them.

use anyhow::{Context, Result, ensure};
use libfs::file::allocate::AllocateMode;
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{CloneRange, ExchangeRange, Filesystem};
use tests::all_or_nothing::{Experiment, on_image};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;

const K: u64 = 1024;

/// A file of this many bytes, with or without shared blocks in the first [`CLONED`] of them, and a
/// range that is punched out of it.
#[derive(Debug, Clone, Copy)]
struct File {
    size: u64,
    shared: bool,
    hole: bool,
    /// Blocks are allocated behind the end.
    beyond: bool,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    one: File,
    two: File,
    range: ExchangeRange,
}

/// Bytes of the file that is cloned.
const CLONED: u64 = 64 * K;

fn cases() -> Vec<Case> {
    let file = |size| File { size, shared: false, hole: false, beyond: false };
    let clone = |size| File { shared: true, ..file(size) };
    let to_eof = ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() };
    let first = |length| ExchangeRange { length, ..ExchangeRange::default() };
    let written = |range: ExchangeRange| ExchangeRange {
        flags: range.flags | ExchangeFlags::FILE1_WRITTEN,
        ..range
    };
    let mut cases = Vec::new();
    for a in [0, 4 * K, 5000, 64 * K] {
        for b in [0, 4 * K, 6000, 64 * K] {
            cases.push(Case { one: clone(a), two: file(b), range: to_eof });
            cases.push(Case { one: file(a), two: clone(b), range: to_eof });
        }
    }
    let ranges = [
        first(8 * K),
        ExchangeRange { file1_offset: 4 * K, ..first(4 * K) },
        ExchangeRange { file2_offset: 4 * K, ..first(4 * K) },
        written(first(8 * K)),
        written(to_eof),
        to_eof,
    ];
    for range in ranges {
        for (a, b) in [(8 * K, 8 * K), (8 * K, 12 * K), (12 * K, 8 * K)] {
            for (hole, beyond) in [(false, false), (true, false), (false, true)] {
                let (with, of) = (File { hole, beyond, ..file(a) }, file(b));
                let shared = |file| File { shared: true, ..file };
                cases.push(Case { one: shared(with), two: of, range });
                cases.push(Case { one: with, two: shared(of), range });
                cases.push(Case { one: shared(of), two: with, range });
            }
        }
    }
    cases
}

impl File {
    /// The xfs_io commands that make it.
    fn script(&self, name: &str) -> String {
        let File { size, shared, hole, beyond } = *self;
        let mut commands = if shared {
            format!("-c 'reflink base 0 0 {CLONED}' -c 'truncate {size}'")
        } else {
            format!("-c 'pwrite -q 0 {size}'")
        };
        if hole {
            commands += " -c 'fpunch 4k 4k'";
        }
        if beyond {
            commands += &format!(" -c 'falloc -k {} 16k'", size + 4 * K);
        }
        format!("xfs_io -f {commands} {name} >/dev/null\n")
    }

    fn make(&self, filesystem: &mut Filesystem, name: &str) -> Result<u64> {
        let file = filesystem.create(name, 0o600)?;
        if self.shared {
            let base = filesystem.lookup("/base")?;
            let range = CloneRange { length: CLONED, ..CloneRange::default() };
            filesystem.clone_range(base, file, &range)?;
            filesystem.truncate(file, self.size)?;
        } else {
            filesystem.write(file, 0, &vec![0xcd; self.size as usize])?;
        }
        if self.hole {
            filesystem.allocate(file, AllocateMode::PunchHole, 4 * K, 4 * K)?;
        }
        if self.beyond {
            let mode = AllocateMode::Allocate { keep_size: true };
            filesystem.allocate(file, mode, self.size + 4 * K, 16 * K)?;
        }
        Ok(file)
    }
}

impl Case {
    fn script(&self, number: usize) -> String {
        let (one, two) = (format!("one{number}"), format!("two{number}"));
        let ExchangeRange { file1_offset, file2_offset, length, flags } = self.range;
        let mut options = format!("-f -s {file1_offset} -d {file2_offset}");
        if !flags.contains(ExchangeFlags::TO_EOF) {
            options += &format!(" -l {length}");
        }
        if flags.contains(ExchangeFlags::FILE1_WRITTEN) {
            options += " -w";
        }
        self.one.script(&one)
            + &self.two.script(&two)
            + &format!("xfs_io -c 'exchangerange {options} {one}' {two} >/dev/null\n")
    }

    fn run(&self, filesystem: &mut Filesystem, number: usize) -> Result<()> {
        let one = self.one.make(filesystem, &format!("/one{number}"))?;
        let two = self.two.make(filesystem, &format!("/two{number}"))?;
        Ok(filesystem.exchange_range(one, two, &self.range)?)
    }

    /// Linux forgets what file 2 keeps because file 1 has a hole there; xfs_repair then sets
    /// the flag again.
    fn is_wrong_on_linux(&self) -> bool {
        let written = self.range.flags.contains(ExchangeFlags::FILE1_WRITTEN);
        written && self.one.hole && self.two.shared
    }
}

/// The reflink flags of both files of each case.
fn flags(peers: &Peers, image: &std::path::Path, cases: usize) -> Result<Vec<[bool; 2]>> {
    let mut db = peers.command("xfs_db");
    for number in 0..cases {
        for name in ["one", "two"] {
            db.args(["-c", &format!("path /{name}{number}"), "-c", "print v3.reflink"]);
        }
    }
    let printed = tests::peers::run(db.arg("-r").arg(image))?;
    let flags: Vec<bool> = printed
        .lines()
        .filter_map(|line| line.strip_prefix("v3.reflink = "))
        .map(|value| value == "1")
        .collect();
    ensure!(flags.len() == 2 * cases, "xfs_db printed {} flags", flags.len());
    Ok(flags.chunks(2).map(|pair| [pair[0], pair[1]]).collect())
}

#[test]
fn files_that_were_exchanged_have_the_flags_that_linux_gives_them() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
    peers.mkfs(&theirs, Experiment::SIZE, &[])?;
    peers.mkfs(&ours, Experiment::SIZE, &[])?;
    let cases = cases();
    let mut script = String::from("cd $MNT\nxfs_io -f -c 'pwrite -q 0 100k' base\n");
    for (number, case) in cases.iter().enumerate() {
        script += &case.script(number);
    }
    let xfs_io = peers.prefix().with_file_name("bin").join("xfs_io");
    linux.script(&theirs, &script.replace("xfs_io ", &format!("{} ", xfs_io.display())))?;
    on_image(&ours, |filesystem| {
        let base = filesystem.create("/base", 0o600)?;
        filesystem.write(base, 0, &[0xcd; 100 << 10])?;
        for (number, case) in cases.iter().enumerate() {
            case.run(filesystem, number).with_context(|| format!("{number}: {case:?}"))?;
        }
        Ok(())
    })?;
    peers.assert_clean(&ours);
    linux.manifest(&theirs)?.assert_same(&linux.manifest(&ours)?);
    let (theirs, ours) = (flags(&peers, &theirs, cases.len())?, flags(&peers, &ours, cases.len())?);
    let mut wrong = 0;
    for (number, case) in cases.iter().enumerate() {
        if case.is_wrong_on_linux() {
            wrong += usize::from(theirs[number] != ours[number]);
            continue;
        }
        let (theirs, ours) = (theirs[number], ours[number]);
        ensure!(ours == theirs, "{number}: {case:?}: {ours:?}, Linux {theirs:?}");
    }
    say(&format!("{} exchanges, {wrong} with a flag that Linux loses", cases.len()));
    Ok(())
}
