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
