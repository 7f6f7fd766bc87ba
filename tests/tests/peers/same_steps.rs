//! The same steps by our `xfs_io` on an unmounted image and by Linux on a mounted one.
//!
//! Both begin with the same bytes (our mkfs, 7.2's mkfs). Afterwards Linux mounts ours and must
//! find the tree that the steps gave on its own; `xfs_repair -n` must find nothing; and our
//! `get` must bring every file out as Linux reads it.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use tests::linux::Linux;
use tests::manifest::Manifest;
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::workload::Random;

const SIZE: u64 = 512 << 20;

/// mkfs options every scenario runs with.
const OPTIONS: [&str; 4] = ["", "-b size=1k", "-m rmapbt=0,reflink=0 -i nrext64=0", "-n parent=1"];

/// One step. Paths begin with a slash; in commands `@` stands for the root.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Copy a file of this many bytes in.
    Put(u64, &'static str),
    Mkdir(&'static str),
    Remove(&'static str),
    RemoveDirectory(&'static str),
    /// Create empty files `PATH0`, `PATH1`, ... in one run.
    Many(usize, &'static str),
    /// Remove every second one of them in one run.
    Thin(usize, &'static str),
    /// xfs_io commands on a file, which is created when missing.
    Io(&'static str, &'static [&'static str]),
}

use Step::{Io, Many, Mkdir, Put, Remove, RemoveDirectory, Thin};

const SIZES: &[Step] = &[
    Put(0, "/empty"),
    Put(1, "/one"),
    Put(511, "/sector"),
    Put(4095, "/less"),
    Put(4096, "/block"),
    Put(4097, "/more"),
    Put(65_536, "/even"),
    Put((1 << 20) + 3, "/large"),
    Put(17 << 20, "/larger"),
];

const DIRECTORIES: &[Step] = &[
    Mkdir("/a"),
    Mkdir("/a/b"),
    Mkdir("/a/b/c"),
    Put(100, "/a/b/c/file"),
    Many(1, "/a/one"),
    Mkdir("/few"),
    Many(12, "/few/name"),
    Mkdir("/block"),
    Many(70, "/block/a-name-of-some-length-"),
    Mkdir("/leaf"),
    Many(400, "/leaf/another-name-of-some-more-length-"),
    Mkdir("/node"),
    Many(3000, "/node/and-a-name-that-is-longer-than-all-the-others-before-"),
    Thin(3000, "/node/and-a-name-that-is-longer-than-all-the-others-before-"),
    Thin(400, "/leaf/another-name-of-some-more-length-"),
    Mkdir("/gone"),
    RemoveDirectory("/gone"),
    Remove("/a/b/c/file"),
];

const WRITES: &[Step] = &[
    Io("/hole", &["pwrite -S 0x11 1m 100k"]),
    Io("/hole", &["pwrite -S 0x22 4m 5000", "fsync"]),
    Io("/over", &["pwrite -S 0x33 0 1m", "pwrite -S 0x44 100k 300", "fsync"]),
    Io("/over", &["truncate 500k"]),
    Io("/over", &["truncate 3m", "pwrite -S 0x55 2m 1"]),
    Io("/tail", &["pwrite -S 0x66 0 5000", "truncate 4500", "truncate 9000"]),
    Io("/gone", &["pwrite 0 2m"]),
    Remove("/gone"),
    Io("/empty", &["truncate 1g"]),
    Io("/many", &["pwrite 0 4k", "pwrite 8k 4k", "pwrite 16k 4k", "pwrite 4k 4k", "pwrite 64k 4k"]),
];

const EXCHANGES: &[Step] = &[
    Put(1_000_000, "/a"),
    Put(3_000_001, "/b"),
    Io("/a", &["exchangerange @/b"]),
    Put(77, "/small"),
    Io("/small", &["exchangerange -f @/b"]),
    Put(0, "/empty"),
    Io("/empty", &["exchangerange @/a"]),
    Io("/c", &["pwrite -S 0x11 0 1m"]),
    Io("/d", &["pwrite -S 0x22 64k 64k", "pwrite -S 0x22 512k 64k", "truncate 1m"]),
    Io("/c", &["exchangerange -s 64k -d 128k -l 64k @/d"]),
    Io("/c", &["exchangerange -w @/d"]),
    Io("/c", &["exchangerange -n @/d"]),
    Io("/e", &["pwrite -S 0x33 0 300k"]),
    Io("/f", &["pwrite -S 0x44 0 100k"]),
    Io("/e", &["exchangerange -s 64k -d 64k @/f"]),
];

#[test]
fn copying_in() {
    compare("copying in", SIZES);
}

#[test]
fn directories() {
    compare("directories", DIRECTORIES);
}

#[test]
fn writes_and_truncation() {
    compare("writes and truncation", WRITES);
}

#[test]
fn exchanges() {
    compare("exchanges", EXCHANGES);
}

/// Does the steps with all mkfs options.
fn compare(name: &str, steps: &[Step]) {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let mut wrong = Vec::new();
    for options in OPTIONS {
        if let Err(error) = compare_one(&peers, &linux, steps, options) {
            wrong.push(format!("mkfs {options}: {error:#}"));
        }
    }
    let right = OPTIONS.len() - wrong.len();
    say(&format!(
        "{name}: {} steps, {right} of {} kinds of filesystem as Linux",
        steps.len(),
        OPTIONS.len()
    ));
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn compare_one(peers: &Peers, linux: &Linux, steps: &[Step], options: &str) -> Result<()> {
    let scratch = Scratch::new()?;
    let [ours, theirs] = ["ours", "theirs"].map(|name| scratch.path(name));
    let words: Vec<&str> = options.split_whitespace().collect();
    peers.mkfs(&theirs, SIZE, &words)?;
    tests::sparse::create(&ours, SIZE)?;
    run(ours::command("mkfs_xfs").arg("-q").args(&words).arg(&ours))?;
    let mut script = String::new();
    for step in steps {
        write_host_file(scratch.dir(), step)?;
        our_step(&ours, scratch.dir(), step).with_context(|| format!("{step:?}"))?;
        script.push_str(&their_step(peers, scratch.dir(), step));
    }
    linux.script(&theirs, &script).context("the steps on Linux")?;
    let expected = linux.manifest(&theirs)?;
    let verdict = peers.check(&ours)?;
    ensure!(verdict.is_clean(), "7.2 finds {}", verdict.findings().join("\n"));
    let found = linux.manifest(&ours).context("Linux mounts ours")?;
    let differences = expected.differences(&found, 20);
    ensure!(differences.is_empty(), "Linux (-) and we (+):\n{}", differences.join("\n"));
    get_all(&ours, scratch.dir(), &expected)
}

/// The host file that a `Put` copies, named by its size.
fn write_host_file(directory: &Path, step: &Step) -> Result<()> {
    let Put(size, _) = step else { return Ok(()) };
    let mut random = Random::new(*size);
    let bytes: Vec<u8> = (0..*size).map(|_| random.next() as u8).collect();
    fs::write(directory.join(format!("host{size}")), bytes)?;
    Ok(())
}

/// Does one step with our xfs_io.
fn our_step(image: &Path, directory: &Path, step: &Step) -> Result<()> {
    let mut io = ours::command("xfs_io");
    io.arg("-D").arg(image);
    match *step {
        Put(size, path) => {
            let host = directory.join(format!("host{size}"));
            io.arg("-c").arg(format!("put {} {path}", host.display()));
        }
        Mkdir(path) => drop(io.arg("-c").arg(format!("mkdir {path}"))),
        Remove(path) => drop(io.arg("-c").arg(format!("rm {path}"))),
        RemoveDirectory(path) => drop(io.arg("-c").arg(format!("rm -d {path}"))),
        Many(count, path) => {
            let lines = (0..count).map(|index| format!("open -f {path}{index}\nclose\n"));
            return feed(&mut io, &lines.collect::<String>());
        }
        Thin(count, path) => {
            let lines = (0..count).step_by(2).map(|index| format!("rm {path}{index}\n"));
            return feed(&mut io, &lines.collect::<String>());
        }
        Io(path, commands) => {
            io.arg("-f");
            for words in commands {
                io.arg("-c").arg(words.replace('@', ""));
            }
            io.arg(path);
        }
    }
    run(&mut io).map(drop)
}

/// Runs `command` with `script` as its standard input.
fn feed(command: &mut Command, script: &str) -> Result<()> {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn()?;
    let mut input = child.stdin.take().context("the pipe is there")?;
    let script = script.to_owned();
    let writer = std::thread::spawn(move || input.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    let _ = writer.join();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{command:?} ended with {}: {error}", output.status);
    Ok(())
}

/// One step as shell commands for Linux.
fn their_step(peers: &Peers, directory: &Path, step: &Step) -> String {
    let io = format!(
        "'{}' --library-path '{}' '{}' -x",
        peers.loader().display(),
        peers.libraries().display(),
        peers.prefix().join("usr/sbin/xfs_io").display()
    );
    match *step {
        Put(size, path) => {
            let host = directory.join(format!("host{size}"));
            format!("cp '{}' $MNT{path}\n", host.display())
        }
        Mkdir(path) => format!("mkdir $MNT{path}\n"),
        Remove(path) => format!("rm $MNT{path}\n"),
        RemoveDirectory(path) => format!("rmdir $MNT{path}\n"),
        Many(count, path) => format!(
            "i=0; while [ $i -lt {count} ]; do echo \"open -f $MNT{path}$i\"; echo close; \
             i=$((i+1)); done | {io} >/dev/null\n"
        ),
        Thin(count, path) => {
            format!(
                "i=0; while [ $i -lt {count} ]; do echo $MNT{path}$i; i=$((i+2)); done | xargs rm\n"
            )
        }
        Io(path, commands) => {
            let mut line = format!("{io} -f");
            for words in commands {
                let _ = write!(line, " -c \"{}\"", words.replace('@', "$MNT"));
            }
            format!("{line} $MNT{path} >/dev/null\n")
        }
    }
}

/// Gets every file out of our image with our xfs_io and compares it with what Linux read.
fn get_all(image: &Path, directory: &Path, expected: &Manifest) -> Result<()> {
    let out = directory.join("out");
    let files = expected.files.iter().filter(|(_, entry)| entry.kind == "file" && entry.size > 0);
    for (path, entry) in files {
        let command = format!("get /{path} {}", out.display());
        run(ours::command("xfs_io").arg("-D").arg(image).args(["-c", &command]))?;
        let found = Manifest::of(&out)?;
        let found = &found.files["."];
        ensure!(
            (found.size, found.content) == (entry.size, entry.content),
            "get of {path}: {} bytes, sum {:08x}; Linux: {} bytes, sum {:08x}",
            found.size,
            found.content,
            entry.size,
            entry.content
        );
        fs::remove_file(&out)?;
    }
    Ok(())
}
