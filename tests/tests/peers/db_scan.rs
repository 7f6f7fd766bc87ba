//! The commands of xfs_db that go through the whole filesystem print what they print in
//! xfsprogs 7.2, on the gallery's images; their JSON is of its schema.

use std::process::{Command, Stdio};

use tests::gallery::{Exhibit, Gallery};
use tests::ours;
use tests::peers::Peers;
use tests::skip;

/// Images that differ in what is counted: tree heights, shared blocks, realtime, metadata
/// directory, sparse inodes, external log.
const IMAGES: &[&str] = &[
    "default",
    "deep",
    "old",
    "striped",
    "sparse-inodes",
    "directories-64k",
    "blocks-2k",
    "blocks-64k",
    "frozen",
    "ci",
    "external-log",
    "quota",
    "metadir",
    "realtime",
    "rtgroups",
];

/// Standard output and standard error of one run; several commands are divided by `;`.
fn run(mut command: Command, exhibit: &Exhibit, commands: &str) -> (String, String) {
    command.arg("-r").args(exhibit.device_options("-R", "-l"));
    for line in commands.split("; ") {
        command.args(["-c", line]);
    }
    let output = command.arg(&exhibit.image).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn cases_print_the_same() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, IMAGES) else { return };
    let cases = include_str!("db_scan.cases").lines();
    let cases: Vec<_> = cases.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut failures = Vec::new();
    for exhibit in &gallery.exhibits {
        for case in &cases {
            let (theirs, _) = run(peers.command("xfs_db"), exhibit, case);
            let (own, complaints) = run(ours::command("xfs_db"), exhibit, case);
            if let Some((a, b)) = first_difference(&theirs, &own) {
                let name = exhibit.picture.name;
                failures.push(format!("{case} on {name}: 7.2\n{a}\nours\n{b}\n{complaints}"));
            }
        }
    }
    let (images, cases) = (gallery.exhibits.len(), cases.len());
    skip::say(&format!("xfs_db scan: {cases} cases on {images} images"));
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures.join("\n"));
}

/// The first lines that differ, if any do.
fn first_difference(theirs: &str, own: &str) -> Option<(String, String)> {
    if theirs == own {
        return None;
    }
    let mut lines = theirs.lines().chain(["(the end)"]).zip(own.lines().chain(["(the end)"]));
    let (a, b) = lines.find(|(a, b)| a != b).unwrap_or(("other bytes", "other bytes"));
    Some((a.into(), b.into()))
}

/// Whether a document is of a schema in `db/schema`; panics with what is wrong.
fn assert_valid(name: &str, document: &serde_json::Value) {
    let path = format!("{}/../db/schema/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let schema = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let errors: Vec<_> = validator.iter_errors(document).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {}", errors.join("\n"));
}

/// The same numbers as in the text of 7.2, and nothing that the schema does not know.
#[test]
fn json_is_of_its_schema() {
    let Some(peers) = Peers::or_skip() else { return };
    let names = ["default", "sparse-inodes"];
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    for exhibit in &gallery.exhibits {
        let json = |command: &str| -> serde_json::Value {
            let (own, _) = run(ours::command("xfs_db"), exhibit, command);
            let document = serde_json::from_str(&own).unwrap();
            assert_valid(command.split(' ').next().unwrap(), &document);
            document["data"].clone()
        };
        let text = |command: &str| run(peers.command("xfs_db"), exhibit, command).0;

        let data = json("freesp -d --json");
        let totals = text("freesp -s");
        assert!(totals.contains(&format!("total free extents {}\n", data["extents"])));
        assert!(totals.contains(&format!("total free blocks {}\n", data["blocks"])));
        let list: u64 = sum(&data["list"], "blocks");
        assert_eq!(list, data["blocks"].as_u64().unwrap());
        assert_eq!(sum(&data["histogram"], "blocks"), list);

        let data = json("frag -v --json");
        let summary = format!("actual {}, ideal {},", data["actual"], data["ideal"]);
        let theirs = text("frag -v");
        assert!(theirs.contains(&summary));
        let inodes = theirs.lines().filter(|line| line.starts_with("inode ")).count();
        assert_eq!(data["inodes"].as_array().unwrap().len(), inodes);

        let data = json("fsmap --json");
        let lines = text("fsmap").lines().count();
        assert_eq!(data["mappings"].as_array().unwrap().len(), lines);
    }
}

fn sum(list: &serde_json::Value, key: &str) -> u64 {
    list.as_array().unwrap().iter().map(|item| item[key].as_u64().unwrap()).sum()
}
