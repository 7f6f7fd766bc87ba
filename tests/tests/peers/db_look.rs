//! The commands of xfs_db that look, and its command language: the cases of `db_look.cases`
//! print what they print in xfsprogs 7.2, on images of several kinds.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result};
use rustix::fs::{XattrFlags, setxattr};
use tests::gallery::Gallery;
use tests::linux;
use tests::manifest::Manifest;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip;

use crate::format_accepts_linux::fill;

/// One run of xfs_db.
struct Case<'a> {
    /// Line in the file.
    line: usize,
    /// Images it is for; none means the four of [`IMAGES`].
    images: Vec<&'a str>,
    options: Vec<&'a str>,
    commands: Vec<&'a str>,
    /// Words differ, such as those of usage: only the exit status is compared.
    status_only: bool,
}

fn cases() -> Vec<Case<'static>> {
    let mut cases = Vec::new();
    let mut open = None;
    for (number, line) in include_str!("db_look.cases").lines().chain([""]).enumerate() {
        if line.is_empty() {
            cases.extend(open.take());
        } else if open.is_some() || !(line.starts_with("# ") || line == "#") {
            let case: &mut Case = open.get_or_insert(Case {
                line: number + 1,
                images: Vec::new(),
                options: Vec::new(),
                commands: Vec::new(),
                status_only: false,
            });
            match (case.commands.is_empty(), line.strip_prefix("@ ")) {
                (true, Some(images)) => case.images.extend(images.split(' ')),
                (true, None) if line == "! status" => case.status_only = true,
                (true, None) if line.starts_with('-') => case.options.extend(line.split(' ')),
                _ => case.commands.push(line),
            }
        }
    }
    cases
}

/// What the images are made with.
const IMAGES: &[(&str, &[&str])] = &[
    ("default", &[]),
    ("small-blocks", &["-b", "size=1k", "-L", "a\"b\\c é"]),
    (
        "older",
        &[
            "-i",
            "size=1024,nrext64=0,sparse=0,exchange=0",
            "-m",
            "bigtime=0,inobtcount=0,reflink=0,rmapbt=0",
            "-n",
            "size=8k,parent=0",
        ],
    ),
    ("metadir", &["-m", "metadir=1", "-d", "agcount=2,su=64k,sw=2", "-s", "size=4k"]),
];

fn filled(peers: &Peers, image: &Path, options: &[&str]) -> Result<()> {
    peers.mkfs(image, 600 << 20, options)?;
    linux::mount(image, |root| {
        match fill(root) {
            // Without reflink, what comes last of filling is refused.
            Err(error) if error.downcast_ref() == Some(&rustix::io::Errno::OPNOTSUPP) => {}
            other => other?,
        }
        more(root)
    })
}

/// What [`fill`] leaves out: device files, attributes of all namespaces, names of all bytes.
fn more(root: &Path) -> Result<()> {
    let flags = XattrFlags::empty();
    let file = root.join("short/file");
    fs::write(&file, "contents\n")?;
    for (name, value) in [
        ("user.one", &b"1"[..]),
        ("user.bytes", b"a\0\n\xff\\\"'"),
        ("user.empty", b""),
        ("user.large", &[b'L'; 3000]),
        ("user.huge", &[b'H'; 40_000]),
        ("trusted.root", b"of trusted"),
        ("security.label", b"of security\0"),
    ] {
        setxattr(&file, name, value, flags).with_context(|| name.to_owned())?;
    }
    setxattr(root, "trusted.xfs:autofsck", b"repair", flags)?;
    fs::hard_link(&file, root.join("block/another name of the file"))?;
    symlink("../short", root.join("short/up"))?;
    fs::create_dir_all(root.join("short/deep/deeper"))?;
    for (name, kind) in [("null", "c"), ("disk", "b"), ("pipe", "p")] {
        let mut command = Command::new("mknod");
        command.arg(root.join("short").join(name)).arg(kind);
        tests::peers::run(if kind == "p" { &mut command } else { command.args(["7", "300"]) })?;
    }
    let odd: Vec<u8> = (1..=255).filter(|&byte| byte != b'/').collect();
    let odd = <std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&odd);
    File::create(root.join(odd))?;
    Ok(())
}

/// Changes a byte in every 64 behind the superblock, in the first 2 MiB of each group.
fn damage(image: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).open(image)?;
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    for start in [2048, 150 << 20, 300 << 20, 450 << 20] {
        for at in (start..start + (2 << 20)).step_by(64) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let at = at + state % 64;
            let mut byte = [0];
            file.read_exact_at(&mut byte, at)?;
            file.write_all_at(&[byte[0] ^ (state >> 32) as u8], at)?;
        }
    }
    Ok(())
}

/// An image with what options tell of its other devices.
struct Subject {
    name: &'static str,
    image: PathBuf,
    devices: Vec<String>,
}

fn run(mut command: Command, subject: &Subject, case: &Case) -> Result<Output> {
    command.args(&case.options).args(&subject.devices).env("TZ", "UTC").stdin(Stdio::null());
    for line in &case.commands {
        command.args(["-c", line]);
    }
    Ok(command.arg("-r").arg(&subject.image).output()?)
}

/// What differs between the programs, if anything does.
fn difference(peers: &Peers, subject: &Subject, case: &Case) -> Result<Option<String>> {
    let theirs = run(peers.command("xfs_db"), subject, case)?;
    let own = run(ours::command("xfs_db"), subject, case)?;
    if theirs.status.code() != own.status.code() {
        let text = String::from_utf8_lossy(&own.stderr).into_owned();
        return Ok(Some(format!("exit: 7.2 {}, ours {}\n{text}", theirs.status, own.status)));
    }
    if case.status_only || theirs.stdout == own.stdout {
        return Ok(None);
    }
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let (theirs, own) = (text(&theirs), text(&own));
    let differ = theirs.lines().chain(["(the end)"]).zip(own.lines().chain(["(the end)"]));
    let (a, b) = differ.clone().find(|(a, b)| a != b).unwrap_or(("other bytes", "other bytes"));
    Ok(Some(format!("7.2 prints\n{a}\nours\n{b}")))
}

/// Runs the cases for each image; all must print and exit the same.
fn compare(peers: &Peers, subjects: &[Subject]) {
    let only = std::env::var("XFS_DB_LOOK").ok();
    let (mut runs, mut failures) = (0, Vec::new());
    for case in &cases() {
        for subject in subjects {
            let own = IMAGES.iter().any(|(name, _)| *name == subject.name);
            let meant =
                if case.images.is_empty() { own } else { case.images.contains(&subject.name) };
            if !meant || only.as_ref().is_some_and(|only| *only != case.line.to_string()) {
                continue;
            }
            runs += 1;
            if let Some(text) = difference(peers, subject, case).unwrap() {
                let (line, name) = (case.line, subject.name);
                failures.push(format!("db_look.cases:{line} on {name}: {text}"));
            }
        }
    }
    let images: Vec<&str> = subjects.iter().map(|subject| subject.name).collect();
    skip::say(&format!("xfs_db look: {runs} runs on {}", images.join(", ")));
    assert!(
        runs > 0 && failures.is_empty(),
        "{} differ\n{}",
        failures.len(),
        failures.join("\n\n")
    );
}

#[test]
fn cases_print_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let mut subjects = Vec::new();
    for (name, options) in IMAGES {
        let image = scratch.path(name);
        filled(&peers, &image, options).unwrap();
        subjects.push(Subject { name, image, devices: Vec::new() });
    }
    let damaged = scratch.path("damaged");
    tests::sparse::copy(&subjects[0].image, &damaged).unwrap();
    damage(&damaged).unwrap();
    subjects.push(Subject { name: "damaged", image: damaged, devices: Vec::new() });
    compare(&peers, &subjects);
}

#[test]
fn cases_print_the_same_on_the_gallery() {
    let Some(peers) = Peers::or_skip() else { return };
    let own = |name: &str| name == "damaged" || IMAGES.iter().any(|(own, _)| *own == name);
    let named = cases().into_iter().flat_map(|case| case.images);
    let names: BTreeSet<&str> = named.filter(|name| !own(name)).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    let subjects = gallery.exhibits.iter().map(|exhibit| Subject {
        name: exhibit.picture.name,
        image: exhibit.image.clone(),
        devices: exhibit.device_options("-R", "-l"),
    });
    compare(&peers, &subjects.collect::<Vec<_>>());
}

/// Linux says what is right: xfs_db 7.2 dumps large attribute values as zeros, and files of
/// several names as several files. But it must find the same things, and fail alike.
#[test]
fn rdump_copies_what_linux_sees() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let (from, to) = (scratch.path("from"), scratch.path("to"));
    filled(&peers, &from, &[]).unwrap();
    let original = linux::mount(&from, Manifest::of).unwrap();
    for paths in ["", "/short /block", "/short", "/short/file", "/nope", "/linked /short/up"] {
        let dumped = |mut command: Command| -> Result<(Option<i32>, Manifest)> {
            peers.mkfs(&to, 600 << 20, &[])?;
            linux::mount(&to, |root| {
                let case = format!("rdump {paths} {}", root.display());
                let output = command.args(["-r", "-c", &case]).arg(&from).output()?;
                Ok((output.status.code(), Manifest::of(root)?))
            })
        };
        let (theirs, seen) = dumped(peers.command("xfs_db")).unwrap();
        let (own, copied) = dumped(ours::command("xfs_db")).unwrap();
        assert_eq!(theirs, own, "exit status for {paths:?}");
        let names = |manifest: &Manifest| manifest.files.keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&seen), names(&copied), "names for {paths:?}");
        if paths.is_empty() {
            copied.assert_same(&original);
        }
    }
}

/// The long texts are our own words; the lines that scripts look for are those of 7.2.
/// Commands with options that 7.2 does not have, or whose help leaves some of its options out;
/// `freesp -f` is not in the manual page either.
const MORE_THAN_7_2: [&str; 5] = ["log", "freesp", "blocktrash", "fuzz", "write"];

#[test]
fn help_names_the_commands_of_7_2() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let help = |mut command: Command, expert: bool, name: &str| -> String {
        let line = format!("help {name}");
        let command = command.args(if expert { &["-x", "-r"][..] } else { &["-r"] });
        let output = command.args(["-c", &line]).arg(&image).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let (mut same, mut missing, mut differ) = (0, Vec::new(), Vec::new());
    for expert in [false, true] {
        let theirs = help(peers.command("xfs_db"), expert, "");
        let own = help(ours::command("xfs_db"), expert, "");
        for line in theirs.lines().take_while(|line| !line.is_empty()) {
            // `path` has two spaces there.
            let line = line.replace("  ", " ");
            let name = line.split(' ').next().unwrap_or_default();
            let found = own.lines().find(|own| own.split(' ').next() == Some(name));
            match found {
                None => missing.push(name.to_owned()),
                Some(_) if MORE_THAN_7_2.contains(&name) => {}
                Some(found) if found.replace(" [--json]", "") == line => {
                    same += 1;
                    let long = help(ours::command("xfs_db"), expert, name);
                    assert_eq!(long.lines().next(), Some(found));
                    assert!(long.lines().count() > 2, "{name} is not explained");
                }
                Some(found) => differ.push(format!("{line}\n{found}")),
            }
        }
    }
    missing.sort();
    missing.dedup();
    skip::say(&format!("xfs_db help: {same} lines; not known yet: {}", missing.join(" ")));
    assert!(same > 90 && differ.is_empty(), "{}", differ.join("\n"));
}

#[test]
fn commands_come_from_files_and_standard_input() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let file = |name: &str, text: &str| {
        fs::write(scratch.path(name), text).unwrap();
    };
    file("inner", "sb\np magicnum\n");
    file("outer", "echo before\nsource inner\necho after\n\npath /nope\n");
    file("leave", "quit\n");
    file("through", "echo one\nsource leave\necho not this either\n");
    for (lines, input) in [
        (&["source outer", "p blocksize"][..], ""),
        (&["source through", "echo two"], ""),
        (&["source", "source a b"], ""),
        (&[], "sb\np magicnum\n"),
        (&[], "sb\np magicnum\nquit\np blocksize\n"),
        (&[], "path /nope\n"),
        (&[], "path /nope\nquit\n"),
        (&[], "source outer\nsource leave\necho still here\n"),
        (&[], "\n\n  \nfoo\n"),
    ] {
        file("input", input);
        let run = |mut command: Command| {
            for line in lines {
                command.args(["-c", line]);
            }
            let input = File::open(scratch.path("input")).unwrap();
            command.current_dir(scratch.dir()).stdin(input).arg("-r").arg(&image);
            let output = command.output().unwrap();
            (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
        };
        let (theirs, own) = (run(peers.command("xfs_db")), run(ours::command("xfs_db")));
        assert_eq!(theirs, own, "{lines:?} {input:?}");
    }
}

#[test]
fn options_are_taken_as_7_2_takes_them() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let image = image.to_str().unwrap();
    for args in [
        &["-r", "-i", "-c", "echo a", image][..],
        &["-rfixF", "-c", "echo a", "-c", "echo b", image],
        &["-rc", "echo a", image],
        &["-c", "echo a", "-p", "name", image],
        &["-c", "echo a", "-p"],
        &["-c", "echo a", image, image],
        &["-q", image],
        &["-c", "echo a"],
        &["-l", "/nonexistent", "-c", "echo a", image],
        &["-R", "/nonexistent", "-c", "echo a", image],
        &["-c", "echo a", "/nonexistent"],
        &["-c", "echo a", "/tmp"],
    ] {
        let run = |mut command: Command| {
            let output = command.args(args).stdin(Stdio::null()).output().unwrap();
            (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
        };
        let (theirs, own) = (run(peers.command("xfs_db")), run(ours::command("xfs_db")));
        assert_eq!(theirs, own, "{args:?}");
    }
    // What scripts ask for to know whether there is the option.
    let help = ours::command("xfs_db").arg("--help").output().unwrap();
    assert!(String::from_utf8_lossy(&help.stdout).contains("[-R rtdev]"));
    let version = ours::command("xfs_db").arg("-V").output().unwrap();
    assert!(String::from_utf8_lossy(&version.stdout).starts_with("xfs_db version "));
}

#[test]
fn what_is_mounted_is_refused_without_r() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let mut tried = 0;
    for mount in ["rw", "ro"] {
        let mounted = linux::Mount::with(&image, mount).unwrap();
        let found = Command::new("findmnt").args(["-no", "SOURCE"]).arg(mounted.root()).output();
        let device = String::from_utf8(found.unwrap().stdout).unwrap();
        for options in [&[][..], &["-i"], &["-r"], &["-x"], &["-x", "-r"]] {
            let run = |mut command: Command| {
                command.args(options).args(["-c", "sb 0", "-c", "p agcount"]).arg(device.trim());
                let output = command.output().unwrap();
                (String::from_utf8_lossy(&output.stdout).into_owned(), output.status.code())
            };
            let (theirs, own) = (run(peers.command("xfs_db")), run(ours::command("xfs_db")));
            assert_eq!(theirs, own, "{mount} {options:?}");
            tried += 1;
        }
        mounted.unmount().unwrap();
    }
    assert_eq!(tried, 10);
}

/// Names with the hash of another, as 7.2 calculates it; and files of such names.
#[test]
fn names_that_collide_hash_the_same_in_7_2() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let hashes = |image: &Path, commands: &[&str]| -> Vec<String> {
        let mut db = peers.command("xfs_db");
        db.arg("-r");
        for command in commands {
            db.args(["-c", command]);
        }
        let text = db.arg(image).output().unwrap().stdout;
        let text = String::from_utf8_lossy(&text).into_owned();
        text.lines()
            .filter_map(|line| line.split(' ').find(|word| word.starts_with("0x")))
            .map(String::from)
            .collect()
    };
    let made = |args: &str, image: &Path| {
        let line = format!("hashcoll {args}");
        let output = ours::command("xfs_db").args(["-r", "-c", &line]).arg(image).output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
        output.stdout
    };
    let again = made("-s 5 -n 40 some-name", &image);
    assert_eq!(again, made("-s 5 -n 40 some-name", &image));
    assert_eq!(again.split(|byte| *byte == 0).filter(|name| name.len() == 9).count(), 40);
    let copy = scratch.path("copy");
    tests::sparse::copy(&image, &copy).unwrap();
    linux::mount(&copy, |root| {
        made(&format!("-s 7 -n 200 -p {} a-name-that-collides", root.display()), &image);
        Ok(())
    })
    .unwrap();
    peers.assert_clean(&copy);
    let wanted = hashes(&image, &["hash a-name-that-collides"]);
    let found = hashes(&copy, &["ls /"]);
    let colliding = found.iter().filter(|hash| wanted.contains(hash)).count();
    assert_eq!((found.len(), colliding), (203, 201));
}

#[test]
fn info_as_json_is_of_its_schema() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, &["default", "rtgroups", "external-log"]) else {
        return;
    };
    let schema = format!("{}/../db/schema/info.json", env!("CARGO_MANIFEST_DIR"));
    let schema = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    for exhibit in &gallery.exhibits {
        let run = |mut command: Command, line: &str| {
            command.args(exhibit.device_options("-R", "-l")).args(["-r", "-c", line]);
            String::from_utf8(command.arg(&exhibit.image).output().unwrap().stdout).unwrap()
        };
        let text = run(ours::command("xfs_db"), "info --json");
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{}", errors.join("\n"));
        let theirs = run(peers.command("xfs_db"), "info");
        let data = &document["data"];
        for (name, value) in [
            ("isize", &data["inode_size"]),
            ("agsize", &data["data"]["ag_blocks"]),
            ("rtextents", &data["realtime"]["extents"]),
            ("rgcount", &data["realtime"]["group_count"]),
        ] {
            let has = |end| theirs.contains(&format!("{name}={value}{end}"));
            assert!(has(' ') || has('\n'), "{name}={value} in\n{theirs}");
        }
    }
}
