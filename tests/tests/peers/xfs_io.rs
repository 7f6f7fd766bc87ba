//! The command line of xfs_io: options, several files, usage, exit status and help. Sessions of
//! many commands are compared in `differential`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::differential::normalise;
use tests::linux::{self, Mount};
use tests::manifest::Manifest;
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

/// What a run printed, without times and places, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    output: String,
    errors: String,
    exit: Option<i32>,
}

/// One line of the cases.
struct Case<'a> {
    line: &'a str,
    mounted: bool,
    options: Vec<&'a str>,
    files: Vec<&'a str>,
    commands: Vec<&'a str>,
}

impl<'a> Case<'a> {
    fn parse(line: &'a str) -> Self {
        let mut parts = line.splitn(3, '|');
        let words = |part: Option<&'a str>| -> Vec<&'a str> {
            part.unwrap_or_default().split_whitespace().collect()
        };
        let mut options = words(parts.next());
        let files = words(parts.next());
        let mounted = options.first() == Some(&"mounted");
        options.drain(..usize::from(mounted));
        let commands = parts.next().unwrap_or_default().split(" ; ").map(str::trim).collect();
        Case { line, mounted, options, files, commands }
    }

    /// Runs it with `base` for the directory.
    fn run(&self, mut program: Command, base: &str) -> Seen {
        program.args(&self.options);
        for command in &self.commands {
            program.arg("-c").arg(command.replace('@', base));
        }
        program.args(self.files.iter().map(|file| file.replace('@', base)));
        let Output { status, stdout, stderr } = program.output().unwrap();
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(base, "@");
            normalise::text(&text, true).lines().map(line).collect::<String>()
        };
        // Errors of the command line begin with the path of the program, or are clap's.
        let (output, mut errors) = (text(&stdout), text(&stderr));
        if errors.contains("invalid option") && errors.contains("Usage: ")
            || errors.contains("unexpected argument")
        {
            errors = "wrong options\n".to_owned();
        }
        Seen { output, errors, exit: status.code() }
    }
}

/// A line without the width of the directory's name, condensed times, and the addresses of
/// mappings.
fn line(line: &str) -> String {
    let condensed: Vec<&str> = line.splitn(3, ',').collect();
    match condensed.as_slice() {
        [bytes, ops, _] if bytes.parse::<u64>().is_ok() => format!("{bytes},{ops}\n"),
        _ if line.contains("(xfs,") || line.contains(" - 0x") => {
            let words = line.split_whitespace().filter(|word| !word.starts_with("0x"));
            words.collect::<Vec<_>>().join(" ") + "\n"
        }
        _ => format!("{line}\n"),
    }
}

#[test]
fn command_lines_print_and_do_what_those_of_xfsprogs_do() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("template");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    linux::mount(&image, |root| Ok(std::fs::create_dir(root.join("dir"))?)).unwrap();
    let images: Vec<PathBuf> = ["theirs", "mounted", "image"].map(|n| scratch.path(n)).to_vec();
    images.iter().for_each(|copy| sparse::copy(&image, copy).unwrap());

    let theirs = Mount::with(&images[0], "allocsize=4k").unwrap();
    let mounted = Mount::with(&images[1], "allocsize=4k").unwrap();
    let base = |mount: &Mount| mount.path("dir").display().to_string();
    let mut failures = Vec::new();
    let lines = include_str!("xfs_io.cases").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let cases: Vec<Case<'_>> = lines.map(Case::parse).collect();
    for case in &cases {
        let expected = case.run(peers.command("xfs_io"), &base(&theirs));
        let got = case.run(ours::command("xfs_io"), &base(&mounted));
        failures.extend(difference("mounted", case, &expected, &got));
        let mut program = ours::command("xfs_io");
        program.arg("-D").arg(&images[2]);
        // The device cannot be changed with -r; Linux writes times in directories, at most.
        if !case.mounted {
            let got = case.run(program, "/dir");
            failures.extend(difference("image", case, &expected, &got));
        }
    }
    theirs.unmount().unwrap();
    mounted.unmount().unwrap();
    say(&format!("{} command lines of xfs_io", cases.len()));
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert_same_files(&images[0], &images[1]);
    assert_same_files(&images[0], &images[2]);
    peers.assert_clean(&images[2]);
}

/// Says what differs, if anything does.
fn difference(world: &str, case: &Case<'_>, expected: &Seen, got: &Seen) -> Option<String> {
    (expected != got).then(|| {
        let lines = |a: &str, b: &str| -> String {
            let (a, b): (Vec<_>, Vec<_>) = (a.lines().collect(), b.lines().collect());
            let gone = a.iter().filter(|line| !b.contains(line)).map(|l| format!("  - {l}\n"));
            let new = b.iter().filter(|line| !a.contains(line)).map(|l| format!("  + {l}\n"));
            gone.chain(new).collect()
        };
        format!(
            "{world}: {}\n{}{}  exit {:?} {:?}, {} and {} lines",
            case.line,
            lines(&expected.output, &got.output),
            lines(&expected.errors, &got.errors),
            expected.exit,
            got.exit,
            expected.output.lines().count(),
            got.output.lines().count(),
        )
    })
}

/// Names, contents, sizes and permissions; not of what only mounted files were used for.
fn assert_same_files(a: &Path, b: &Path) {
    let tree = |image: &Path| {
        let mut manifest = linux::mount(image, Manifest::of).unwrap();
        manifest.files.remove("dir/mm");
        manifest
    };
    tree(a).assert_same(&tree(b));
}

/// What only an image has: why an untorn write went which way, and staged files.
#[test]
fn untorn_and_staged_writes_of_an_image_say_and_show_what_they_do() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let io = |arguments: &[&str]| {
        run(ours::command("xfs_io").arg("-D").arg(&image).args(arguments)).unwrap()
    };
    io(&["-f", "-c", "pwrite -q -S 0x41 0 64k", "/file"]);
    let quiet = io(&["-d", "-c", "pwrite -A -V 1 -b 16k 0 16k", "/file"]);
    let told = io(&["-d", "-c", "pwrite -v -A -V 1 -b 16k 0 16k", "/file"]);
    let (quiet, told): (Vec<_>, Vec<_>) = (quiet.lines().collect(), told.lines().collect());
    assert_eq!(quiet.len(), 2, "{quiet:?}");
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told[0].starts_with("copy-on-write: "), "{told:?}");
    assert_eq!(told[1], quiet[0]);

    let seen = io(&[
        "-c",
        "open -A /file",
        "-C",
        "pwrite -q -S 0x5a 20k 4",
        "-C",
        "pread -v 20k 4",
        "-C",
        "file 0",
        "-C",
        "pread -v 20k 4",
        "-C",
        "file 1",
        "-C",
        "fsync",
        "-C",
        "file 0",
        "-C",
        "pread -v 20k 4",
        "/file",
    ]);
    let dumped: Vec<&str> = seen.lines().filter(|line| line.starts_with("00005000")).collect();
    let (old, new) = ("00005000:  41 41 41 41  AAAA", "00005000:  5a 5a 5a 5a  ZZZZ");
    assert_eq!(dumped, [new, old, new], "{seen}");
    peers.assert_clean(&image);
}

/// Scripts look for `^ FLAG (ARGUMENT )?--` in the help of a command before they use a flag.
#[test]
fn help_names_every_flag_that_help_of_xfsprogs_names() {
    let Some(peers) = Peers::or_skip() else { return };
    let help = |program: &mut Command, of: &str| {
        run(program.args(["-x", "-c"]).arg(format!("help {of}"))).unwrap()
    };
    let names = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.contains("--"));
        lines.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let flags = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| line.starts_with(" -") || line.starts_with(" +"));
        let flag = |line: &str| {
            let (words, _) = line.split_once("--")?;
            let mut words = words.split_whitespace();
            let flag = words.next()?.to_owned();
            (words.count() <= 1).then_some(flag)
        };
        lines.filter_map(flag).collect()
    };
    let theirs = names(&help(&mut peers.command("xfs_io"), ""));
    let ours = names(&help(&mut ours::command("xfs_io"), ""));
    let mut missing = Vec::new();
    let mut count = 0;
    for name in ours.iter().filter(|name| theirs.contains(name)) {
        let wanted = flags(&help(&mut peers.command("xfs_io"), name));
        let there = flags(&help(&mut ours::command("xfs_io"), name));
        count += wanted.len();
        let lost = wanted.iter().filter(|flag| !there.contains(flag));
        missing.extend(lost.map(|flag| format!("{name} {flag}")));
    }
    say(&format!("{} commands of xfs_io, {count} flags in their help", ours.len()));
    assert!(count > 100, "only {count} flags found in the help of xfsprogs");
    assert!(missing.is_empty(), "flags without help: {missing:?}");
}
