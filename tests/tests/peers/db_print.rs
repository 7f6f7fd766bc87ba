//! Our xfs_db prints what 7.2's prints, byte for byte: every structure and every field that can
//! be reached in the images of the gallery.

use std::collections::BTreeSet;

use tests::db_pair::Pair;
use tests::db_walk::{self, Difference, Limits, Walk};
use tests::gallery::{Gallery, PICTURES};
use tests::peers::Peers;
use tests::workload::Random;

/// Differences that are shown when there are any.
const SHOWN: usize = 100;

fn compare(names: &[&str], limits: Limits) {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, names) else { return };
    let mut failures = String::new();
    let mut shown = BTreeSet::new();
    for exhibit in &gallery.exhibits {
        let name = exhibit.picture.name;
        let pair = Pair::of(&peers, exhibit);
        let mut walk = Walk::of(&pair, limits).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let fields = walk.fields(&pair, 3).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        tests::skip::say(&format!(
            "{name}: {} structures, {fields} paths, {} lines; {} differ; {:?}",
            walk.seen.len(),
            walk.lines,
            walk.differences.len(),
            walk.counts()
        ));
        for difference in walk.differences.iter().filter(|difference| !is_known(difference)) {
            // One of those that differ only in numbers is enough to see why.
            let shape = db_walk::shape(&difference.commands.join(" "));
            if !shown.insert(shape) || shown.len() > SHOWN {
                continue;
            }
            failures.push_str(&format!(
                "{name}: {:?}\n  7.2:  {:.200}\n  ours: {:.200}\n",
                difference.commands, difference.theirs, difference.own
            ));
        }
    }
    assert!(failures.is_empty(), "{failures}");
}

/// Whether xfs_db 7.2 is known to be wrong there.
fn is_known(difference: &Difference) -> bool {
    // What it read before it takes for right when it reads it again.
    if difference.theirs.ends_with("(correct)") && difference.own.ends_with("(bad)") {
        return true;
    }
    // From a reference count it goes to twice the block or one more: it reads the bit before.
    let last = difference.commands.iter().rev().nth(1);
    let tree =
        difference.commands.iter().any(|line| line == "addr refcntroot" || line == "type refcntbt");
    tree && last.is_some_and(|line| line.starts_with("addr ") && line.ends_with(".startblock"))
}

#[test]
fn every_structure_and_field_prints_the_same() {
    let names: Vec<_> = match std::env::var("XFS_PICTURES") {
        Ok(names) => names.split(',').map(str::to_owned).collect(),
        Err(_) => PICTURES.iter().map(|picture| picture.name.to_owned()).collect(),
    };
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    compare(&names, Limits { inodes: 300, blocks: 12 });
}

/// Kinds of addresses that `convert` and `rtconvert` know, a few mistakes among them.
const UNITS: &[&str] = &[
    "agbno", "agblock", "agino", "aginode", "agno", "agnumber", "bboff", "daddroff", "blkoff",
    "fsboff", "agboff", "byte", "fsbyte", "daddr", "bb", "fsblock", "fsb", "fsbno", "ino", "inode",
    "inoidx", "offset", "inooff", "inodeoff", "foo",
];
const REALTIME_UNITS: &[&str] = &[
    "rgblock",
    "rgbno",
    "rgno",
    "rgnumber",
    "bboff",
    "daddroff",
    "blkoff",
    "fsboff",
    "rtboff",
    "byte",
    "fsbyte",
    "daddr",
    "bb",
    "rtblock",
    "rtb",
    "rtbno",
    "rtx",
    "rtextent",
    "rbmblock",
    "rbmb",
    "rbmword",
    "rbmw",
    "rsumblock",
    "rsmb",
    "rsuminfo",
    "rsmi",
    "rsumlog",
    "rsml",
    "foo",
];

/// Commands about addresses, with every pair of kinds, and numbers that fit in most.
fn conversions(command: &str, units: &[&str]) -> Vec<Vec<String>> {
    let mut requests = Vec::new();
    let mut random = Random::new(7);
    for from in units {
        for to in units {
            let value = random.below(30_000);
            requests.push(vec![format!("{command} {from} {value} {to}")]);
            let (other, small) =
                (units[random.below(units.len() as u64) as usize], random.below(8));
            requests.push(vec![format!("{command} {from} 2 {other} {small} {to}")]);
            requests.push(vec![format!("{command} {other} {small} {from} 3 {to}")]);
        }
    }
    requests.extend(
        ["", " agno", " agno 1", " agno x byte", " agno 1 agbno 1", " rtx x byte"]
            .map(|args| vec![format!("{command}{args}")]),
    );
    requests
}

#[test]
fn addresses_are_told_and_gone_to_as_by_7_2() {
    let Some(peers) = Peers::or_skip() else { return };
    let names =
        ["default", "realtime-extents", "rtgroups", "external-log", "quota", "metadir", "striped"];
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    let mut count = 0;
    let mut failures = String::new();
    for exhibit in &gallery.exhibits {
        let mut requests = Vec::new();
        match exhibit.picture.name {
            "default" => requests.extend(conversions("convert", UNITS)),
            "realtime-extents" | "rtgroups" => {
                requests.extend(conversions("rtconvert", REALTIME_UNITS));
            }
            _ => {}
        }
        for value in ["1", "-r 8", "-l 8", "-r x", "-l 99999999", "-r", "999999999"] {
            requests.push(vec![format!("daddr {value}"), "addr".into(), "daddr".into()]);
        }
        for command in ["rtblock", "rtextent", "logblock", "dquot -u", "dquot -g", "dquot -p"] {
            for value in ["0", "1", "77", "100", "4000", "16383", "100000", "999999999", "x"] {
                let go = format!("{command} {value}");
                requests.push(vec![go, "addr".into(), "daddr".into(), "fsblock".into()]);
                // Of a quota record on no realtime device 7.2 tells the extent behind it.
                if command.starts_with("dquot") {
                    continue;
                }
                requests.extend(["rtblock", "rtextent", "logblock"].map(|line| {
                    vec!["fsblock 30".into(), format!("{command} {value}"), line.into()]
                }));
            }
        }
        requests.extend(
            ["dquot", "dquot 1 2", "dquot -u", "dquot -x 1", "rtsb 1"]
                .map(|line| vec![line.into()]),
        );
        let answers = Pair::of(&peers, exhibit).ask(&requests).unwrap();
        count += answers.len();
        for (request, answer) in requests.iter().zip(answers) {
            if answer.theirs != answer.own {
                failures.push_str(&format!(
                    "{}: {request:?}\n7.2: {}ours: {}",
                    exhibit.picture.name, answer.theirs, answer.own
                ));
            }
        }
    }
    tests::skip::say(&format!("{count} addresses"));
    assert!(failures.is_empty(), "{failures:.20000}");
}

/// The value of a field in the text of 7.2.
fn printed<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(" = "))
}

#[test]
fn json_is_of_its_schema_and_says_what_the_text_says() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, &["default"]) else { return };
    let image = &gallery.get("default").image;
    let path = format!("{}/../db/schema/print.json", env!("CARGO_MANIFEST_DIR"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let mut compared = 0;
    for go in [
        "sb 0",
        "agf 1",
        "agi 0",
        "agfl 0",
        "inode 128",
        "inode 131",
        "inode 133",
        "daddr 0",
        "agf 0#addr bnoroot",
        "agf 0#addr rmaproot",
        "inode 128#dblock 0",
        "inode 133#ablock 0",
    ] {
        let go: Vec<&str> = go.split('#').collect();
        let own = |print: &str| {
            let mut command = tests::ours::command("xfs_db");
            for line in go.iter().chain([&print]) {
                command.args(["-c", line]);
            }
            let output = command.arg("-r").arg(image).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            let document: serde_json::Value = serde_json::from_str(&text).unwrap();
            let errors: Vec<_> = validator.iter_errors(&document).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{go:?}: {}", errors.join("\n"));
            document["data"].clone()
        };
        let document = own("print --json");
        let lines: Vec<&str> = go.iter().copied().chain(["print"]).collect();
        let theirs = peers.db(image, &lines).unwrap();
        let Some(fields) = document["fields"].as_object() else {
            assert!(document["bytes"].is_string(), "{go:?}");
            continue;
        };
        let groups = fields
            .iter()
            .filter_map(|(name, value)| Some((format!("{name}."), value.as_object()?.clone())));
        for (prefix, fields) in groups.chain([(String::new(), fields.clone())]) {
            for (name, value) in fields.iter().filter(|(_, value)| value.is_u64()) {
                let Some(text) = printed(&theirs, &format!("{prefix}{name}")) else { continue };
                let number = match (text.strip_prefix("0x"), text.strip_prefix('0')) {
                    (Some(digits), _) => u64::from_str_radix(digits, 16),
                    (_, Some(digits)) if !digits.is_empty() => u64::from_str_radix(digits, 8),
                    _ => text.parse(),
                };
                assert_eq!(number.ok(), value.as_u64(), "{go:?}: {prefix}{name}");
                compared += 1;
            }
        }
        if go == ["sb 0"] {
            let selected = own("print --json agcount uuid");
            assert_eq!(selected["selected"][0]["value"], document["fields"]["agcount"]);
            assert_eq!(selected["selected"][1]["path"], "uuid");
            assert_eq!(printed(&theirs, "uuid"), document["fields"]["uuid"].as_str());
        }
    }
    assert!(compared > 150, "only {compared} fields were compared");
}
