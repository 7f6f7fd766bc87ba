//! Our replay against Linux's own, on images a real kernel left when its power was cut.
//!
//! Every image is recovered twice: a copy by Linux (it mounts it), a copy by our
//! `xfs_repair`. Both must hold the same tree afterwards, and `xfs_repair -n` of xfsprogs 7.2
//! must find nothing in ours. With `XFS_TEST_KEEP=DIR` in the environment, crashed images that
//! fail are copied there.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use tests::crash::{self, Cut};
use tests::linux::Linux;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse::{copy, same_bytes};
use tests::workload::Workload;

const SIZE: u64 = 512 << 20;

/// mkfs.xfs options the images are made with, in turn.
const OPTIONS: [&str; 8] = [
    "",
    "-m rmapbt=0",
    "-b size=1k",
    "-l su=32k",
    "-m rmapbt=0 -i nrext64=0",
    "-i exchange=1,size=1024 -n size=8k",
    "-i sparse=0 -d agcount=7",
    "-m finobt=0,inobtcount=0",
];

#[test]
fn mixed_work() {
    recover("mixed work", &[Workload::Mixed], 20);
}

#[test]
fn removal() {
    recover("removal", &[Workload::Unlink, Workload::Truncate], 16);
}

#[test]
fn exchange() {
    recover("exchange", &[Workload::Exchange], 10);
}

#[test]
fn sharing() {
    recover("sharing", &[Workload::Clone, Workload::CopyOnWrite], 16);
}

/// Makes and judges `count` images, alternating the workloads, cuts and mkfs options.
fn recover(name: &str, workloads: &[Workload], count: usize) {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(linux) = Linux::or_skip(&peers) else { return };
    // Booting user-mode Linux three times per image is slow.
    let count = if matches!(linux, Linux::Uml(_)) { count.div_ceil(4) } else { count };
    let mut wrong = Vec::new();
    let mut open = BTreeMap::new();
    for index in 0..count {
        let case = Case {
            workload: workloads[index % workloads.len()],
            // Mostly the log is written at the cut: else there is little to recover.
            cut: if index % 4 == 3 { Cut::DropLog } else { Cut::FlushLog },
            options: OPTIONS[index / workloads.len() % OPTIONS.len()],
            seed: 1 + index as u64,
        };
        let mut intents = BTreeSet::new();
        if let Err(error) = case.judge(&peers, &linux, &mut intents) {
            wrong.push(format!("{case:?}, open {intents:?}: {error:#}"));
        }
        intents.into_iter().for_each(|kind| *open.entry(kind).or_insert(0) += 1);
    }
    say(&format!(
        "recovery of {name}: {} of {count} images as Linux recovers them; \
         images with open intents: {open:?}",
        count - wrong.len()
    ));
    assert!(wrong.is_empty(), "{} of {count} images:\n{}", wrong.len(), wrong.join("\n"));
}

/// One image.
#[derive(Debug)]
struct Case {
    workload: Workload,
    cut: Cut,
    options: &'static str,
    seed: u64,
}

impl Case {
    /// Makes the image and compares both recoveries; notes the kinds of intents it left open.
    fn judge(
        &self,
        peers: &Peers,
        linux: &Linux,
        intents: &mut BTreeSet<&'static str>,
    ) -> Result<()> {
        let scratch = Scratch::new()?;
        let crashed = scratch.path("crashed");
        let options: Vec<&str> = self.options.split_whitespace().collect();
        peers.mkfs(&crashed, SIZE, &options)?;
        crash::within(linux, peers, &crashed, self.workload, self.seed, self.cut)
            .context("crashing")?;
        *intents = peers.open_intents(&crashed)?;
        self.compare(peers, linux, &scratch, &crashed).inspect_err(|_| self.keep(&crashed))
    }

    fn compare(
        &self,
        peers: &Peers,
        linux: &Linux,
        scratch: &Scratch,
        crashed: &Path,
    ) -> Result<()> {
        let (theirs, ours) = (scratch.path("theirs"), scratch.path("ours"));
        copy(crashed, &theirs)?;
        copy(crashed, &ours)?;
        let expected = linux.manifest(&theirs).context("Linux recovers it")?;
        run_ours(&["-n"], &ours)?;
        ensure!(same_bytes(crashed, &ours)?.is_none(), "xfs_repair -n changed the image");
        let output = run_ours(&[], &ours)?;
        ensure!(output.status.success(), "our xfs_repair failed: {}", text(&output));
        // A cut between the steps of setting an attribute leaves it incomplete, with no intent
        // to finish it by: Linux, too, leaves it so, and 7.2 mentions it.
        let (verdict, of_linux) = (peers.check(&ours)?, peers.check(&theirs)?);
        let left = |finding: &&str| finding.ends_with("is INCOMPLETE");
        let allowed: Vec<&str> = of_linux.findings().into_iter().filter(left).collect();
        let findings: Vec<&str> =
            verdict.findings().into_iter().filter(|line| !allowed.contains(line)).collect();
        ensure!(
            findings.is_empty() && (verdict.is_clean() || !allowed.is_empty()),
            "7.2 finds after our replay: {}\nwe said: {}",
            findings.join("\n"),
            text(&output)
        );
        let found = linux.manifest(&ours).context("Linux mounts what we recovered")?;
        let differences = expected.differences(&found, 20);
        ensure!(differences.is_empty(), "Linux (-) and we (+) differ:\n{}", differences.join("\n"));
        Ok(())
    }

    /// Copies the crashed image where the developer wants it.
    fn keep(&self, crashed: &Path) {
        if let Some(directory) = std::env::var_os("XFS_TEST_KEEP") {
            let name = format!("{}-{}-{}.img", self.workload, self.cut.word(), self.seed);
            let _ = copy(crashed, &Path::new(&directory).join(name));
        }
    }
}

fn run_ours(options: &[&str], image: &Path) -> Result<Output> {
    ours::command("xfs_repair").args(options).arg(image).output().context("our xfs_repair")
}

/// All that a program printed.
fn text(output: &Output) -> String {
    let bytes = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{} {}", output.status, String::from_utf8_lossy(&bytes))
}
