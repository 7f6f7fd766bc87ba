//! The commands for space and attributes: what xfs_io 7.2 prints on a mounted file, ours on a
//! mounted file and ours on an image, for every option, every error and protected files.

use tests::differential::arena::{Arena, Template};
use tests::differential::script::Script;
use tests::differential::world::Kind;
use tests::linux;
use tests::peers::Peers;
use tests::skip::say;

/// Runs the scripts, each in a directory of its own; all must go the same way everywhere.
fn alike(scripts: &[Script]) {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let template = Template::new(&peers, 400 << 20, &[], scripts.len()).unwrap();
    let kinds = [Kind::Theirs, Kind::OursMounted, Kind::OursImage];
    let mut arena = Arena::new(&template, &kinds).unwrap();
    let mut failures = Vec::new();
    for (index, script) in scripts.iter().enumerate() {
        failures.extend(arena.run(index, script).unwrap().1);
    }
    say(&format!("{} scripts: {}", scripts.len(), arena.tally()));
    failures.extend(arena.finish().unwrap());
    for failure in &failures {
        let case = failure.case;
        say(&format!("script {case:?}, {:?}: {}", failure.world, failure.what));
    }
    assert!(failures.is_empty(), "{} differences", failures.len());
}

/// One command a line, after a file with some contents was opened.
fn script(lines: &str) -> Script {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    Script::of(["open -f @/file", "pwrite -q 0 20k"].into_iter().chain(lines))
}

#[test]
fn commands_for_space_print_the_same() {
    let ranges = [
        "0 4k", "4k 4k", "4k 3k", "1 5000", "16k 4k", "20k 4k", "12k 20k", "64k 4k", "0 0", "0 1e",
        "8e 1", "7e 1e", "0 7e", "a 1", "0 a", "0", "", "0 1 2",
    ];
    let names = [
        "falloc",
        "falloc -Q",
        "falloc -k",
        "falloc -p",
        "falloc -c",
        "falloc -i",
        "falloc -u",
        "falloc -ck",
        "falloc -pk",
        "falloc -uk",
        "falloc -ip",
        "fpunch",
        "fzero",
        "fzero -k",
        "fcollapse",
        "fcollapse -k",
        "finsert",
        "funshare",
        "fwzero",
        "resvsp",
        "unresvsp",
        "zero",
        "allocsp",
        "freesp",
    ];
    let mut scripts = Vec::new();
    for name in names {
        let mut lines = String::new();
        for range in ranges {
            // What 7.2 prints of numbers as large as extents then have is cut off.
            let inserts = ["finsert", "falloc -i", "falloc -pi"].contains(&name);
            if inserts && ["0 7e", "0 1e"].contains(&range) {
                continue;
            }
            lines += &format!("{name} {range}\nbmap -vp\n");
        }
        scripts.push(script(&lines));
    }
    alike(&scripts);
}

#[test]
fn commands_for_attributes_print_the_same() {
    let hints = script(
        "extsize\nextsize 8k\nextsize 0\nextsize 8k 9k\nextsize a\nextsize -x\nextsize -DR
         extsize -D\nextsize -R\ncowextsize\ncowextsize 64k\ncowextsize\ncowextsize a
         cowextsize 3\ncowextsize 1g\ncowextsize 8k 16k\ncowextsize -DR\ncowextsize -R\nstat
         cowextsize 0\nstat\ntruncate 0\nextsize 8k\nextsize\nstat\nextsize 5000\nextsize 1g
         pwrite -q 0 4k\nextsize 0\nextsize 16k\nbmap -vp\nfalloc 100k 4k\nbmap -vp",
    );
    let flags = script(
        "lsattr\nlsattr -a\nlsattr -v\nlsattr -av\nlsattr -D\nlsattr -R\nlsattr -vR\nlsattr -aR
         lsattr -q\nlsattr x\nchattr\nchattr +\nchattr -\nchattr foo\nchattr +q\nchattr +x -Q
         chattr +s\nlsattr\nchattr -s +d\nlsattr\nchattr +sdA\nlsattr -v\nchattr -sdA\nlsattr
         chattr +E\nchattr +r\nchattr +p\nchattr +X\nchattr +t\nchattr +P\nchattr +n\nlsattr
         chattr +fSx\nstat\nchattr -fSx\nchattr -D +s\nchattr -R +A\nchattr -RD +A\nlsattr
         chattr -R -A",
    );
    let projects = script(
        "lsproj\nchproj\nchproj a\nchproj -x 3\nchproj 5\nlsproj\nchproj 70000\nlsproj\nchproj 5 6
         chproj -1\nchproj 4294967294\nlsproj\nchproj 4294967295\nchproj 5000000000\nlsproj 4
         lsproj -z\nlsproj -D\nlsproj -R\nchproj -R 6\nlsproj\nchproj -D 7\nlsproj\nchproj -RD 7
         stat",
    );
    let times = script(
        "utimes 1 2 3 4\nstat -r\nutimes -5 0 1 1\nutimes 1\nutimes a b c d\nutimes 1 x 3 4
         utimes 1 2 x 4\nutimes 1 2 3 x\nutimes 1 2 3 -1\nutimes 1 2000000000 1 1\nutimes 1 2 3",
    );
    let directory = Script::of(
        "open -f @/a
         open -f @/b
         pwrite -q 0 4k
         open -r @
         lsattr -R\nlsattr -D\nlsattr\nlsproj\nlsproj -R\nlsproj -D\nextsize -R\nextsize -D
         extsize 8k\nextsize -R 64k\nextsize -R\ncowextsize -R 32k\ncowextsize -R\ncowextsize -D 8k
         cowextsize -R\nchproj -R 5\nlsproj -R\nchproj -D 9\nlsproj -R\nchattr +P\nchattr -R +s
         lsattr -R\nchattr -D -s\nlsattr -R\nchattr -R +E\nchattr -R -s\nopen -f @/new\nstat\nlsattr
         open -r @\nextsize 3\nfalloc 0 4k\nfpunch 0 4k\nseek -d 0\nextsize -R 0"
            .lines()
            .map(str::trim),
    );
    alike(&[hints, flags, projects, times, directory]);
}

#[test]
fn seek_prints_the_same() {
    let mut lines = String::from(
        "truncate 0\npwrite -q 0 8k\npwrite -q 16k 4k\nfalloc 24k 8k\ntruncate 40k\nfsync\n",
    );
    let options = [
        "-a", "-d", "-h", "-r -a", "-r -d", "-r -h", "-s -a", "-s -r -a", "-s -d -r", "-s -h -r",
        "-ad", "-ah", "-dh", "-z", "-r", "",
    ];
    let offsets = [
        "0", "1", "4k", "8k", "8191", "12k", "16k", "18k", "20k", "24k", "28k", "32k", "39k",
        "40959", "40k", "41k", "100m", "x", "",
    ];
    for option in options {
        for offset in offsets {
            lines += &format!("seek {option} {offset}\n");
        }
    }
    let full = "seek -a 0\nseek -ar 0\nseek -h 0\ntruncate 0\nseek -a 0\nseek -ar 0\nseek -d 0";
    alike(&[script(&lines), script(full)]);
}

/// What one who has a file open can still do when it becomes immutable or append-only, and
/// how it can be opened then.
#[test]
fn protected_files_are_open_to_the_same() {
    let operations = [
        "falloc 0 4k",
        "falloc -k 0 4k",
        "falloc -k 64k 4k",
        "falloc 64k 4k",
        "fpunch 4k 8k",
        "fzero 4k 8k",
        "fzero -k 4k 8k",
        "fcollapse 4k 4k",
        "finsert 4k 4k",
        "resvsp 0 4k",
        "resvsp 60k 9k",
        "unresvsp 4k 4k",
        "zero 4k 4k",
        "funshare 0 8k",
        "truncate 10k",
        "truncate 50k",
        "pwrite -q 0 4k",
        "pwrite -q 20k 4k",
        "utimes 1 2 3 4",
        "chproj 5",
        "cowextsize 64k",
        "extsize 8k",
        "exchangerange @/other",
        "reflink @/other 0 0 4k",
        "chattr +d",
        "fsync",
    ];
    let opens = [
        "open @/file",
        "open -r @/file",
        "open -a @/file",
        "open -t @/file",
        "open -at @/file",
        "open -f @/file",
        "open -fa @/file",
        "open -rt @/file",
    ];
    let mut scripts = Vec::new();
    for flag in ["i", "a"] {
        for operation in operations {
            let lines = format!("chattr +{flag}\n{operation}\nchattr -{flag}\nstat\nbmap -vp");
            let mut all = script(&lines);
            all.commands.insert(0, "open -f @/other".to_owned());
            all.commands.insert(1, "pwrite -q -S 7 0 20k".to_owned());
            scripts.push(all);
        }
        for open in opens {
            let lines = format!(
                "chattr +{flag}\nclose\n{open}\npwrite -q 0 4k\nfalloc 0 30k\ntruncate 5k\nstat\n\
                 close\nopen -r @/file\nchattr -{flag}\nstat"
            );
            scripts.push(script(&lines));
        }
    }
    alike(&scripts);
}
