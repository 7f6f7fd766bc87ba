//! What scripts depend on without saying so (counted over public filesystem test scripts): the
//! commands and options they use, the help they probe, and the words they cut out of outputs.

use std::path::Path;
use std::process::Command;

use tests::ours;
use tests::peers::{Peers, deterministic};
use tests::scratch::Scratch;
use tests::skip::say;

/// Commands of xfs_io that scripts use most. What this program does not have, it does not list
/// either, and scripts leave it out.
const IO_COMMANDS: &str = "pwrite fsync truncate falloc cowextsize fpunch mmap mwrite munmap mread \
    msync bmap pread reflink stat fiemap exchangerange chattr fcollapse extsize fdatasync fzero \
    funshare finsert copy_range statx open resvsp startupdate commitupdate cancelupdate dedupe \
    lsattr chproj close shutdown sync_range syncfs sync swapext label seek flink file utimes \
    sendfile fadvise mremap resblks inject freeze thaw help";

/// Commands of xfs_db that scripts use.
const DB_COMMANDS: &str = "print p inode stack blocktrash sb addr a write agf path agi dblock bmap \
    ablock fuzz ls parent echo type version convert link unlink uuid freesp agfl attr_get \
    attr_list attr_set attr_remove btdump daddr iunlink logformat blockget dquot fsblock fsmap \
    hashcoll info label pop push ring rdump source timelimit help";

/// Options of mkfs.xfs that scripts use; each is tried, and must do what 7.2's does.
const MKFS_OPTIONS: &[&str] = &[
    "-d size=400m",
    "-m crc=1",
    "-d agcount=2",
    "-f",
    "-b size=1k",
    "-l size=70m",
    "-i size=1024",
    "-d agsize=200m",
    "-l version=2",
    "-m finobt=0,inobtcount=0",
    "-d rtinherit=1",
    "-d su=64k,sw=4",
    "-n version=ci",
    "-m rmapbt=0",
    "-N",
    "-n size=8192",
    "-m inobtcount=0",
    "-m reflink=0",
    "-m bigtime=0",
    "-n parent=0",
    "-s size=4096",
    "-L label",
    "-m metadir=1",
    "-m metadir=1,uquota",
    "-l lazy-count=1",
    "-d concurrency=2",
];

fn printed(command: &mut Command) -> String {
    let output = deterministic(command).output().unwrap();
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

/// The flags that help explains, as scripts look for them: `^ flag (arg )?--`.
fn flags(help: &str) -> Vec<String> {
    let flag = |line: &str| {
        let (words, _) = line.strip_prefix(" -")?.split_once("--")?;
        let letter = words.chars().next()?;
        let one = words.len() > 1 && words[1..].starts_with(' ');
        (one && words.split_whitespace().count() <= 2).then(|| format!("-{letter}"))
    };
    help.lines().filter_map(flag).collect()
}

#[test]
fn help_tells_what_xfs_io_can_do() {
    let Some(peers) = Peers::or_skip() else { return };
    let list = printed(ours::command("xfs_io").args(["-x", "-c", "help"]));
    let names: Vec<&str> = list.lines().filter_map(|line| line.split(' ').next()).collect();
    let (mut commands, mut found) = (0, 0);
    for name in IO_COMMANDS.split_whitespace() {
        assert!(names.contains(&name), "help does not list {name}");
        let help = ["-x", "-c", &format!("help {name}")].map(str::to_owned);
        let theirs = flags(&printed(peers.command("xfs_io").args(&help)));
        let ours = flags(&printed(ours::command("xfs_io").args(&help)));
        for flag in &theirs {
            assert!(ours.contains(flag), "help {name} does not explain {flag}: {ours:?}");
        }
        commands += 1;
        found += theirs.len();
    }
    assert!(found > 60, "only {found} flags in the help of 7.2");
    say(&format!("{commands} commands of xfs_io with {found} flags explained as in 7.2"));
}

#[test]
fn xfs_db_knows_the_commands_and_prints_a_field_alone() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[]).unwrap();
    let ask = |commands: &[&str]| {
        let mut command = ours::command("xfs_db");
        command.arg("-x");
        commands.iter().for_each(|text| _ = command.args(["-c", text]));
        printed(command.arg(&image))
    };
    for name in DB_COMMANDS.split_whitespace() {
        let help = ask(&[&format!("help {name}")]);
        assert!(!help.contains("not found") && !help.trim().is_empty(), "{name}: {help}");
    }
    assert_eq!(ask(&["sb 0", "print agcount"]), "agcount = 4\n");
    let help = printed(ours::command("xfs_db").arg("--help"));
    assert!(help.contains("-R"), "{help}");
    say(&format!("{} commands of xfs_db known", DB_COMMANDS.split_whitespace().count()));
}

#[test]
fn mkfs_takes_the_options_and_prints_words_to_be_parsed() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    for options in MKFS_OPTIONS {
        let run = |mut command: Command| {
            std::fs::File::create(&image).unwrap().set_len(500 << 20).unwrap();
            command.args(options.split_whitespace()).arg("-f").arg(&image);
            printed(&mut command)
        };
        let (theirs, ours) = (run(peers.command("mkfs.xfs")), run(ours::command("mkfs_xfs")));
        assert_eq!(theirs, ours, "{options}");
        let words: Vec<&str> = ours.split([' ', ',', '\n']).collect();
        assert!(words.iter().any(|word| word.starts_with("agcount=")), "{options}: {ours}");
    }
    let usage = printed(ours::command("mkfs_xfs").arg("--help"));
    let suboptions = ["concurrency=", "parent=0", "rmapbt=", "reflink=", "uquota", "metadir="];
    for word in suboptions.into_iter().chain(["lazy-count="]) {
        assert!(usage.contains(word), "usage does not name {word}");
    }
    say(&format!("{} option lists of mkfs.xfs print what 7.2 prints", MKFS_OPTIONS.len()));
}

/// A filesystem counts as good when the view of the log says `<CLEAN>` and `xfs_repair -n`
/// exits with 0, of either side.
fn assert_good(peers: &Peers, image: &Path, after: &str) {
    for mut view in [peers.command("xfs_logprint"), ours::command("xfs_logprint")] {
        let text = printed(view.arg("-t").arg(image));
        assert!(text.contains("<CLEAN>"), "after {after}: {text}");
    }
    for mut check in [peers.command("xfs_repair"), ours::command("xfs_repair")] {
        let output = check.args(["-n", "-f"]).arg(image).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "after {after}: {output:?}");
    }
}

#[test]
fn the_log_is_clean_and_repair_content_after_each_program() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    std::fs::File::create(&image).unwrap().set_len(300 << 20).unwrap();
    let path = image.display().to_string();
    let run = |program: &str, args: &[&str]| {
        let output = ours::command(program).args(args).output().unwrap();
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        assert_good(&peers, &image, &format!("{program} {args:?}"));
    };
    run("mkfs_xfs", &["-q", "-f", &path]);
    run("xfs_io", &["-D", &path, "-f", "-c", "pwrite -q 0 1m", "-c", "reflink /f 0 1m 64k", "/f"]);
    run("xfs_db", &["-x", "-c", "label made", &path]);
    run("xfs_db", &["-x", "-c", "uuid generate", &path]);
    run("xfs_db", &["-x", "-c", "path /f", "-c", "attr_set -u name", &path]);
    run("xfs_io", &["-D", &path, "-c", "fpunch 4k 8k", "/f"]);
    // 7.2 leaves a log behind whose blocks were not written one after the other.
    peers.run("xfs_db", ["-x", "-c", "uuid generate", &path]).unwrap();
    run("xfs_io", &["-D", &path, "-c", "fpunch 16k 8k", "/f"]);
    run("xfs_repair", &[&path]);
    run("xfs_repair", &["-L", &path]);
}
