//! Our xfs_db prints what 7.2's prints, byte for byte: every structure and every field that can
//! be reached in the images of the gallery.

use std::collections::BTreeSet;

use tests::db_pair::Pair;
use tests::db_walk::{self, Difference, Limits, Walk};
use tests::gallery::{Gallery, PICTURES};
use tests::peers::Peers;

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
