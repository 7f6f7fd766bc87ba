//! What xfs_logprint says of logs that Linux left: the same text as xfsprogs 7.2 prints, apart
//! from the addresses of its memory that 7.2 prints in the view by transactions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tests::crash::{self, Cut};
use tests::linux::{self, Linux, Mount};
use tests::ours;
use tests::peers::{Peers, run};
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::copy;
use tests::uml::Uml;
use tests::workload::Workload;

/// Every way to look.
const VIEWS: [&str; 15] = [
    "",
    "-t",
    "-t -b -i -q",
    "-t -b -i -q -o",
    "-t -n",
    "-t -D",
    "-n",
    "-o",
    "-v",
    "-n -v",
    "-d",
    "-s 100",
    "-s 100 -n",
    "-c",
    "-e -o",
];

/// What a program says and how it ends.
struct Said {
    text: String,
    errors: String,
    status: Option<i32>,
}

fn said(command: &mut Command) -> Result<Said> {
    let output = command.output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Said { text: without_addresses(&text), errors, status: output.status.code() })
}

/// The text with zeroes for the addresses behind `a:0x` and `q:0x`.
fn without_addresses(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let words = line.split(' ').map(|word| {
            let address = word.starts_with("a:0x") || word.starts_with("q:0x");
            if address { &word[..2] } else { word }
        });
        out.push_str(&words.collect::<Vec<_>>().join(" "));
        out.push('\n');
    }
    out
}

/// Compares all views of a log; `args` name it.
fn alike(peers: &Peers, args: &[&str], kinds: &mut BTreeMap<String, usize>) -> Result<usize> {
    for view in VIEWS {
        let options: Vec<&str> = view.split_whitespace().collect();
        let theirs = said(peers.command("xfs_logprint").args(&options).args(args))?;
        let found = said(ours::command("xfs_logprint").args(&options).args(args))?;
        let lines = theirs.text.lines().zip(found.text.lines());
        if let Some((number, (their, our))) = lines.enumerate().find(|(_, (a, b))| a != b) {
            anyhow::bail!("{view:?}, line {}:\n{their}\nours:\n{our}", number + 1);
        }
        let count = |said: &Said| said.text.lines().count();
        ensure!(
            theirs.text == found.text,
            "{view:?}: {} lines, ours {}",
            count(&theirs),
            count(&found)
        );
        ensure!(theirs.status == found.status, "{view:?}: {:?}, {:?}", theirs.status, found.status);
        ensure!(theirs.errors == found.errors, "{view:?}: {:?}, {:?}", theirs.errors, found.errors);
        if view == "-t" {
            let items = theirs.text.lines().filter_map(|line| line.split_once(": cnt:"));
            items.for_each(|(kind, _)| *kinds.entry(kind.trim().to_owned()).or_default() += 1);
        }
    }
    Ok(VIEWS.len())
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Changes of parent pointers are seldom unfinished when a power cut comes, so they are stopped.
#[test]
fn changes_of_attributes_are_printed_as_xfsprogs_does() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let mut kinds = BTreeMap::new();
    let changes = ["mkdir /name-of-bytes-in-fours", "mkdir /padded-name", "rm -d /there"];
    for (index, change) in changes.into_iter().enumerate() {
        let image = scratch.path(&index.to_string());
        peers.mkfs(&image, 300 << 20, &[]).unwrap();
        let io = |commands: &[&str]| {
            let mut command = ours::command("xfs_io");
            command.args(["-x", "-D"]).arg(&image);
            commands.iter().for_each(|line| _ = command.args(["-c", line]));
            command.output().unwrap().status
        };
        assert!(io(&["mkdir /there"]).success());
        assert!(!io(&["inject attr_finish_one", change]).success());
        alike(&peers, &[path(&image)], &mut kinds).context(change).unwrap();
    }
    assert_eq!(kinds.get("ATTRI"), Some(&changes.len()), "{kinds:?}");
}

#[test]
fn logs_of_workloads_are_printed_as_xfsprogs_does() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    let cases = [
        (Workload::Mixed, Cut::FlushLog, ""),
        (Workload::Unlink, Cut::FlushLog, ""),
        (Workload::Exchange, Cut::FlushLog, ""),
        (Workload::CopyOnWrite, Cut::DropLog, ""),
        (Workload::Clone, Cut::FlushLog, ""),
        (Workload::Truncate, Cut::DropLog, "-b size=1k -m rmapbt=0"),
        (Workload::Mixed, Cut::DropLog, "-n size=16k -l su=32k -m bigtime=0"),
        (Workload::Mixed, Cut::FlushLog, "-l su=256k -i size=2048,nrext64=0 -m reflink=0"),
        (Workload::Unlink, Cut::FlushLog, "-s size=4k -n parent=0"),
    ];
    let (mut kinds, mut compared) = (BTreeMap::new(), 0);
    for (seed, (workload, cut, options)) in (21..).zip(cases) {
        let scratch = Scratch::new().unwrap();
        let image = scratch.path("image");
        let options: Vec<&str> = options.split_whitespace().collect();
        peers.mkfs(&image, 400 << 20, &options).unwrap();
        crash::within(&linux, &peers, &image, workload, seed, cut).unwrap();
        let result = alike(&peers, &[path(&image)], &mut kinds);
        keep(&image, result.is_err());
        compared += result.with_context(|| format!("{workload} on {options:?}")).unwrap();
        unfinished_alike(&peers, &image).unwrap();
    }
    say(&format!("{compared} views of 9 logs, with {kinds:?}"));
    // Which intents are in a log is up to the moment of the cut.
    for kind in ["BUF", "INO", "ICR"] {
        assert!(kinds.contains_key(kind), "no {kind}");
    }
}

/// xfs_db's view of a log as JSON: valid, with the transactions that 7.2 sees and the kinds of
/// intents for which 7.2 prints no done item.
fn unfinished_alike(peers: &Peers, image: &Path) -> Result<()> {
    let text = run(ours::command("xfs_db").args(["-r", "-c", "log --json"]).arg(image))?;
    let document: serde_json::Value = serde_json::from_str(&text)?;
    let schema = serde_json::from_str(include_str!("../../../db/schema/log.json"))?;
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    ensure!(validator.is_valid(&document), "{:?}", validator.iter_errors(&document).next());
    let data = &document["data"];
    let seen = run(peers.command("xfs_logprint").arg("-t").arg(image))?;
    let count = |start: &str| seen.lines().filter(|line| line.starts_with(start)).count();
    let length = |name: &str| data[name].as_array().map_or(0, Vec::len);
    ensure!(length("records") == count("LOG REC AT"), "{} records", length("records"));
    ensure!(length("transactions") == count("TRANS:"), "{} transactions", length("transactions"));
    let unfinished = data["unfinished"].as_array().into_iter().flatten();
    let kinds = unfinished.filter_map(|intent| intent["kind"].as_str());
    // Changes of attributes are not among what the peer is asked for.
    let kinds: BTreeSet<&str> = kinds.filter(|kind| *kind != "ATTRI").collect();
    let theirs = peers.open_intents(image)?;
    ensure!(kinds == theirs, "unfinished {kinds:?}, by 7.2 {theirs:?}");
    let listed = run(ours::command("xfs_db").args(["-r", "-c", "log -i"]).arg(image))?;
    ensure!(listed.contains(&format!("unfinished intents: {}", length("unfinished"))), "{listed}");
    Ok(())
}

/// Keeps an image that shows a difference where the environment asks for that.
fn keep(image: &Path, different: bool) {
    if let (true, Some(directory)) = (different, std::env::var_os("XFS_TEST_KEEP")) {
        copy(
            image,
            &Path::new(&directory)
                .join(image.file_name().unwrap_or_default())
                .with_extension("kept"),
        )
        .unwrap();
    }
}

/// Quota, realtime and what else the machine's own Linux may lack.
#[test]
fn logs_of_quota_and_realtime_are_printed_as_xfsprogs_does() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(uml) = Uml::or_skip(&peers) else { return };
    let scratch = Scratch::new().unwrap();
    let (data, realtime) = (scratch.path("data"), scratch.path("realtime"));
    std::fs::File::create(&realtime).unwrap().set_len(200 << 20).unwrap();
    let device = format!("rtdev={}", realtime.display());
    let options = ["-m", "metadir=1", "-r", &device, "-d", "rtinherit=1"];
    peers.mkfs(&data, 400 << 20, &options).unwrap();
    let quota = scratch.path("quota");
    peers.mkfs(&quota, 400 << 20, &["-d", "agcount=2"]).unwrap();
    let workload = ours::path("workload").unwrap();
    let script = format!(
        "export XFS_PEERS_DIR='{peers}'\n\
         mkdir /mnt/a /mnt/b\n\
         mount -t xfs -o rtdev=/dev/ubdb /dev/ubda /mnt/a\n\
         '{workload}' mixed /mnt/a 31 flush\n\
         umount /mnt/a\n\
         mount -t xfs -o uquota,gquota,pquota /dev/ubdc /mnt/b\n\
         for name in one two three; do echo $name > /mnt/b/$name; chown 1000:100 /mnt/b/$name; done\n\
         '{peers}/bin/xfs_io' -c 'label -s changed' /mnt/b\n\
         '{workload}' mixed /mnt/b 32 flush\n\
         umount /mnt/b\n",
        peers = peers.directory().display(),
        workload = workload.display()
    );
    uml.run(&[&data, &realtime, &quota], &script).unwrap();
    let mut kinds = BTreeMap::new();
    for image in [&data, &quota] {
        let result = alike(&peers, &[path(image)], &mut kinds);
        keep(image, result.is_err());
        result.unwrap();
    }
    say(&format!("logs of quota and realtime, with {kinds:?}"));
    assert!(kinds.contains_key("DQ"), "{kinds:?}");
}

#[test]
fn clean_external_and_copied_logs_are_printed_as_xfsprogs_does() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let (image, log) = (scratch.path("image"), scratch.path("log"));
    std::fs::File::create(&log).unwrap().set_len(64 << 20).unwrap();
    let mut kinds = BTreeMap::new();
    peers.mkfs(&image, 400 << 20, &["-l", &format!("logdev={}", log.display())]).unwrap();
    alike(&peers, &["-l", path(&log), path(&image)], &mut kinds).unwrap();
    alike(&peers, &[path(&image)], &mut kinds).expect("an external log that was not named");
    peers.mkfs(&image, 400 << 20, &[]).unwrap();
    alike(&peers, &[path(&image)], &mut kinds).unwrap();
    let clean = run(ours::command("xfs_logprint").arg("-t").arg(&image)).unwrap();
    assert!(clean.contains("<CLEAN>"), "{clean}");
    let copies: [PathBuf; 2] = ["theirs", "ours"].map(|name| scratch.path(name));
    run(peers.command("xfs_logprint").arg("-C").args([&copies[0], &image])).unwrap();
    run(ours::command("xfs_logprint").arg("-C").args([&copies[1], &image])).unwrap();
    assert!(std::fs::read(&copies[0]).unwrap() == std::fs::read(&copies[1]).unwrap());
    // Of a copy, 7.2 prints the transactional view alone as it should.
    let copied = said(peers.command("xfs_logprint").args(["-t", "-f"]).arg(&copies[0])).unwrap();
    let found = said(ours::command("xfs_logprint").args(["-t", "-f"]).arg(&copies[0])).unwrap();
    assert_eq!((copied.text, copied.status), (found.text, found.status));
    let below = |said: Said| said.text.lines().skip(3).map(str::to_owned).collect::<Vec<_>>();
    let copied = said(ours::command("xfs_logprint").arg("-f").arg(&copies[0])).unwrap();
    assert_eq!(below(copied), below(said(ours::command("xfs_logprint").arg(&image)).unwrap()));
    if linux::host_or_skip() {
        // After recovery the log is clean, behind records of its past.
        let mount = Mount::new(&image).unwrap();
        std::fs::write(mount.path("file"), "").unwrap();
        mount.unmount().unwrap();
        alike(&peers, &[path(&image)], &mut kinds).unwrap();
    }
}

#[test]
fn wrong_options_are_refused_as_xfsprogs_does() {
    let Some(peers) = Peers::or_skip() else { return };
    let lines = ["", "-x image", "-Z", "image more", "-s", "-h image", "-l", "/nonexistent", "-V"];
    for line in lines.iter().chain(&["-f /nonexistent"]) {
        let args: Vec<&str> = line.split_whitespace().collect();
        let theirs = said(peers.command("xfs_logprint").args(&args)).unwrap();
        let found = said(ours::command("xfs_logprint").args(&args)).unwrap();
        assert_eq!(theirs.status, found.status, "{line}");
        // getopt names the program by its path.
        let errors = |said: &Said| -> Vec<String> {
            let lines = said.errors.lines().map(|line| {
                line.rsplit_once("xfs_logprint:").map_or(line, |(_, rest)| rest).to_owned()
            });
            lines.collect()
        };
        assert_eq!(errors(&theirs), errors(&found), "{line}");
    }
}
