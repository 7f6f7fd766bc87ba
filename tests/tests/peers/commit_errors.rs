//! Which commits are refused, and how: the same requests to Linux and to us, by ioctl there.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Context, Result, ensure};
use libfs::file::exchange::{ExchangeFlags, Freshness};
use libfs::filesystem::{ExchangeRange, Filesystem};
use tests::all_or_nothing::on_image;
use tests::enumerate::Random;
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;

const SEED: u64 = 0xc0_e440;
const REQUESTS: usize = 4000;

/// The files of the test: name and size. "dir" is a directory, "fixed" immutable, "pipe" has
/// no contents at all.
const FILES: [(&str, u64); 8] = [
    ("two", 8192),
    ("three", 12288),
    ("odd", 5000),
    ("same", 5000),
    ("empty", 0),
    ("fixed", 8192),
    ("dir", 0),
    ("pipe", 0),
];

/// How the sample is made that a request comes with: from that of file 2, by exclusive or.
const SAMPLES: [(&str, [u64; 6]); 8] = [
    ("as it was taken", [0; 6]),
    ("of another filesystem", [1 << 40, 0, 0, 0, 0, 0]),
    ("of another file", [0, 3, 0, 0, 0, 0]),
    ("before another second of modification", [0, 0, 1, 0, 0, 0]),
    ("before another second of change", [0, 0, 0, 1, 0, 0]),
    ("before another nanosecond", [0, 0, 0, 0, 1 << 32, 0]),
    ("of another generation", [0, 0, 0, 0, 0, 1]),
    ("that is none", [0, 0, 0, 0, 0, 1 << 32]),
];

/// One request to commit; the numbers are places in [`FILES`] and [`SAMPLES`].
struct Request {
    file1: usize,
    file2: usize,
    sample: usize,
    range: ExchangeRange,
}

impl Request {
    fn random(random: &mut Random) -> Self {
        const FAR: u64 = i64::MAX as u64 - 4095;
        const PLACES: [u64; 10] = [0, 0, 0, 4096, 8192, 5000, 1, 12288, FAR, u64::MAX - 4095];
        const LENGTHS: [u64; 8] = [4096, 4096, 8192, 5000, 0, 904, 100, u64::MAX - 4095];
        const FLAGS: [u64; 8] = [0, 0, 0, 1, 1, 8, 9, 2];
        let mut one_of = |from: &[u64]| from[random.below(from.len())];
        let (file1_offset, file2_offset) = (one_of(&PLACES), one_of(&PLACES));
        let (length, flags) = (one_of(&LENGTHS), one_of(&FLAGS));
        let unknown = if random.below(20) == 0 { 1 << (4 + random.below(60)) } else { 0 };
        let sample = random.below(2) * random.below(SAMPLES.len());
        // What has no contents is asked for now and then only.
        let rare = random.below(6) == 0;
        let file1 = random.below(if rare { FILES.len() } else { 5 });
        let file2 = random.below(if rare { 6 } else { 5 });
        // Nothing ever changes, so the requests do not depend on one another.
        let flags = ExchangeFlags::from_bits_retain(flags | unknown) | ExchangeFlags::DRY_RUN;
        let range = ExchangeRange { file1_offset, file2_offset, length, flags };
        Request { file1, file2, sample, range }
    }

    /// The request on a line, for the program that Linux runs.
    fn line(&self) -> String {
        let ExchangeRange { file1_offset, file2_offset, length, flags } = self.range;
        let mut line = format!("{} {}", FILES[self.file1].0, FILES[self.file2].0);
        for number in [file1_offset, file2_offset, length, flags.bits()] {
            write!(line, " {number}").expect("a string takes all");
        }
        for word in SAMPLES[self.sample].1 {
            write!(line, " {word}").expect("a string takes all");
        }
        line
    }
}

/// Makes the files, samples them and sends each request; prints the samples, then an error
/// number for each request, or 0. The numbers are those of `XFS_IOC_START_COMMIT`,
/// `XFS_IOC_COMMIT_RANGE` and `FS_IOC_SETFLAGS` with `FS_IMMUTABLE_FL`.
const PROGRAM: &str = r#"
    my (%file, %sample);
    while (<STDIN>) {
        my ($what, @rest) = split;
        if ($what eq "file") {
            my ($name, $size) = @rest;
            my $path = "$ENV{MNT}/$name";
            if ($name eq "dir") { mkdir $path; sysopen $file{$name}, $path, 0 or die }
            elsif ($name eq "pipe") { system "mkfifo", $path; open $file{$name}, "+<", $path or die }
            else { open $file{$name}, "+>", $path or die; syswrite $file{$name}, "x" x $size }
        } elsif ($what eq "sample") {
            my ($name) = @rest;
            my $flags = pack "q", 0x10;
            if ($name eq "fixed") { ioctl $file{$name}, 0x40086602, $flags or die }
            my $data = "\0" x 88;
            ioctl $file{$name}, 0x80585882, $data or die "START_COMMIT: $!";
            $sample{$name} = [unpack "Q6", substr $data, 40];
            print "@{$sample{$name}}\n";
        } else {
            my ($one, $two, $offset1, $offset2, $length, $flags, @change) = @rest;
            my @words = map { $sample{$two}[$_] ^ $change[$_] } 0..5;
            my $request = pack "lLQQQQQ6", fileno $file{$one}, 0, $offset1, $offset2, $length,
                $flags, @words;
            print ioctl($file{$two}, 0x40585883, $request) ? 0 : $! + 0, "\n";
        }
    }
"#;

fn ours(filesystem: &mut Filesystem, request: &Request) -> Result<i32> {
    let mut look_up = |place: usize| filesystem.lookup(&format!("/{}", FILES[place].0));
    let (file1, file2) = (look_up(request.file1)?, look_up(request.file2)?);
    let mut words = filesystem.start_commit(file2)?.to_words();
    for (word, change) in words.iter_mut().zip(SAMPLES[request.sample].1) {
        *word ^= change;
    }
    let fresh = Freshness::from_words(words);
    match filesystem.commit_range(file1, file2, &request.range, &fresh) {
        Ok(()) => Ok(0),
        Err(error) => Ok(error.errno() as i32),
    }
}

#[test]
fn samples_and_refusals_are_those_of_linux() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let mut random = Random(SEED);
    let requests: Vec<Request> = (0..REQUESTS).map(|_| Request::random(&mut random)).collect();
    let mut input = String::new();
    for (name, size) in FILES {
        writeln!(input, "file {name} {size}")?;
    }
    // What can be file 2.
    for (name, _) in &FILES[..6] {
        writeln!(input, "sample {name}")?;
    }
    for request in &requests {
        writeln!(input, "request {}", request.line())?;
    }
    let lines = scratch.path("requests");
    std::fs::write(&lines, input)?;
    let script = format!("perl -e '{PROGRAM}' <{}", lines.display());
    let printed = linux.script(&image, &script)?;
    let mut lines = printed.lines();
    let mut outcomes = BTreeMap::new();
    on_image(&image, |filesystem| {
        for (name, _) in &FILES[..6] {
            let file = filesystem.lookup(&format!("/{name}"))?;
            let words = filesystem.start_commit(file)?.to_words().map(|word| word.to_string());
            let theirs = lines.next().context("Linux said too little")?;
            ensure!(words.join(" ") == theirs, "sample of {name}: {words:?}, Linux {theirs}");
        }
        for request in &requests {
            let theirs: i32 = lines.next().context("Linux said too little")?.parse()?;
            let ours = ours(filesystem, request)?;
            let sample = SAMPLES[request.sample].0;
            ensure!(ours == theirs, "{} (sample {sample}): {ours}, Linux {theirs}", request.line());
            *outcomes.entry(theirs).or_insert(0) += 1;
        }
        Ok(())
    })?;
    ensure!(outcomes.len() >= 5, "{outcomes:?}: the test compares too little");
    say(&format!(
        "seed {SEED:#x}: {REQUESTS} commits; how many ended with which errno: {outcomes:?}"
    ));
    Ok(())
}
