//! The commands of xfs_db that go through the whole filesystem print what they print in
//! xfsprogs 7.2, on the gallery's images; their JSON is of its schema.

use std::process::{Command, Stdio};

use tests::gallery::{Exhibit, Gallery};
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
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
            if is_known_to_differ(exhibit.picture.name, case) {
                continue;
            }
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

/// What is not compared: 7.2 complains of sound filesystems with a metadata directory (its root
/// is its own parent, its btrees have a format of their own, realtime files share blocks), and
/// tells quota records one by one with -v.
fn is_known_to_differ(image: &str, case: &str) -> bool {
    let metadata_directory = ["metadir", "rtgroups", "rtgroups-deep", "zoned"].contains(&image);
    case.starts_with("blockget") && metadata_directory || image == "quota" && case == "blockget -v"
}

/// What 7.2 complains of without reason is sound for ours, and so is all else that Linux made.
#[test]
fn sound_filesystems_check_clean() {
    let Some(peers) = Peers::or_skip() else { return };
    let names = ["default", "old", "quota", "metadir", "realtime", "rtgroups", "rtgroups-deep"];
    let Some(gallery) = Gallery::or_skip(&peers, &names) else { return };
    for exhibit in &gallery.exhibits {
        let (own, complaints) = run(ours::command("xfs_db"), exhibit, "blockget; check");
        let name = exhibit.picture.name;
        assert_eq!(own, "no contradictions found\n", "{name}: {complaints}");
        assert_eq!(complaints, "", "{name}");
    }
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

/// Each damaged copy of an image gets the same complaints, in the same order.
#[test]
fn damage_gets_the_same_complaints() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, &["default"]) else { return };
    let scratch = Scratch::new().unwrap();
    let mut exhibit = gallery.get("default").clone();
    let sound = std::mem::replace(&mut exhibit.image, scratch.path("damaged"));
    let cases = include_str!("db_damage.cases").lines().filter(|line| !line.starts_with('#'));
    let (mut tried, mut failures) = (0, Vec::new());
    for case in cases {
        tests::sparse::copy(&sound, &exhibit.image).unwrap();
        let mut command = peers.command("xfs_db");
        command.arg("-x");
        for line in case.split("; ") {
            command.args(["-c", line]);
        }
        command.arg(&exhibit.image).output().unwrap();
        let (theirs, _) = run(peers.command("xfs_db"), &exhibit, "blockget");
        let (own, _) = run(ours::command("xfs_db"), &exhibit, "blockget");
        tried += 1;
        if let Some((a, b)) = first_difference(&theirs, &own) {
            failures.push(format!("{case}: 7.2\n{a}\nours\n{b}"));
        }
    }
    skip::say(&format!("xfs_db blockget: {tried} kinds of damage"));
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures.join("\n"));
}

/// The picture has a strip for each group, whose free blocks are those that 7.2 counts.
#[test]
fn map_draws_every_group() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(gallery) = Gallery::or_skip(&peers, &["default", "striped"]) else { return };
    let scratch = Scratch::new().unwrap();
    for exhibit in &gallery.exhibits {
        let count = run(peers.command("xfs_db"), exhibit, "sb 0; print agcount").0;
        let count: usize = count.trim().rsplit(' ').next().unwrap().parse().unwrap();
        let (text, _) = run(ours::command("xfs_db"), exhibit, "map -w 40");
        assert_eq!(text.lines().filter(|line| line.starts_with("AG ")).count(), count);
        for agno in 0..count {
            let free = run(peers.command("xfs_db"), exhibit, &format!("agf {agno}; print"));
            let field = |name: &str| -> f64 {
                let line = free.0.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                line.trim_start_matches(" = ").parse().unwrap()
            };
            let percent = field("freeblks") * 100.0 / field("length");
            let line = text.lines().find(|line| line.starts_with(&format!("AG {agno:4} ")));
            assert!(
                line.unwrap().ends_with(&format!(" {percent:5.1}% free")),
                "{line:?} {percent}"
            );
        }
        let file = scratch.path("map.svg");
        run(ours::command("xfs_db"), exhibit, &format!("map -o {}", file.display()));
        let svg = std::fs::read_to_string(file).unwrap();
        assert_eq!(svg.matches("% free</text>").count(), count);
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }
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
