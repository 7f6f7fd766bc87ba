//! Command lines that mkfs.xfs 7.2 refuses: ours must refuse each with the same words and exit
//! status, and leave the image as it was.

use tests::mkfs::{Beside, Outcome, compare, parse_size};
use tests::peers::Peers;
use tests::skip::say;

/// Bytes of the log's device.
const LOG: u64 = 100 << 20;

#[test]
fn refused_command_lines() {
    let Some(peers) = Peers::or_skip() else { return };
    let lines = include_str!("mkfs_refusals.cases").lines();
    let cases: Vec<&str> =
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut wrong = Vec::new();
    for case in &cases {
        let (size, options) = case.split_once('|').unwrap_or(("1g", case));
        let beside = [Beside::device("log", LOG)];
        match compare(&peers, parse_size(size.trim()), options, &beside) {
            Ok(Outcome::Refused) => {}
            Ok(Outcome::Made) => wrong.push(format!("{case}: nobody refused")),
            Err(difference) => wrong.push(format!("{case}: {difference}")),
        }
    }
    let same = cases.len() - wrong.len();
    say(&format!("mkfs refusals: {same} of {} command lines as by xfsprogs 7.2", cases.len()));
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
