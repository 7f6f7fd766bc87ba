//! Atomic updates: the same commands for xfs_io, ours on the image, 7.2's on Linux's loop
//! mount of its copy. Many operations in one run, so that starting a program and opening
//! the filesystem, which ours does within its time, weigh little.

use std::fmt::Write as _;
use std::fs::File;

use ::tests::linux;
use ::tests::sparse::copy;
use anyhow::Result;

use super::files::{feed, write_extents};
use super::{Bencher, Row, ours};

/// Size of the image.
const IMAGE: u64 = 2 << 30;

/// One benchmark: how many operations, and the lines that do them on files whose directory
/// is the argument.
struct Work {
    name: &'static str,
    operations: usize,
    /// Options of xfs_io; the file is always the first of `files`.
    options: &'static [&'static str],
    /// Names and extents of the files that are there before.
    files: &'static [(&'static str, u64)],
    script: fn(directory: &str, operations: usize) -> String,
}

/// Repeats the line that `line` gives for each number.
fn repeat(operations: usize, line: impl Fn(usize) -> String) -> String {
    (0..operations).fold(String::new(), |mut script, index| {
        let _ = writeln!(script, "{}", line(index));
        script
    })
}

/// Clones the file `a` into a new file each time.
fn clone_to_new_files(directory: &str, operations: usize) -> String {
    repeat(operations, |i| format!("open -f {directory}/new{i}\nreflink {directory}/a\nclose"))
}

const WORK: &[Work] = &[
    Work {
        name: "clone 1 extent",
        operations: 5000,
        options: &[],
        files: &[("b", 1), ("a", 1)],
        script: |dir, n| repeat(n, |_| format!("reflink {dir}/a 0 0 4096")),
    },
    Work {
        name: "clone 10,000 extents",
        operations: 4,
        options: &[],
        files: &[("b", 1), ("a", 10_000)],
        script: clone_to_new_files,
    },
    Work {
        name: "exchange 1 extent",
        operations: 5000,
        options: &[],
        files: &[("a", 1), ("b", 1)],
        script: |dir, n| repeat(n, |_| format!("exchangerange {dir}/b")),
    },
    Work {
        name: "exchange 1,000 extents",
        operations: 20,
        options: &[],
        files: &[("a", 1000), ("b", 1000)],
        script: |dir, n| repeat(n, |_| format!("exchangerange {dir}/b")),
    },
    Work {
        name: "commit 4 KiB",
        operations: 1000,
        options: &[],
        files: &[("a", 1)],
        script: |_, n| repeat(n, |_| "startupdate\npwrite -q 0 4k\ncommitupdate -q".into()),
    },
    Work {
        name: "untorn write of 4 KiB",
        operations: 3000,
        options: &["-d"],
        files: &[("a", 64)],
        script: |_, n| repeat(n, |i| format!("pwrite -q -A -V 1 -b 4k {}k 4k", 8 * (i % 64))),
    },
    Work {
        name: "untorn write of 16 KiB",
        operations: 3000,
        options: &["-d"],
        files: &[("a", 64)],
        script: |_, n| repeat(n, |i| format!("pwrite -q -A -V 1 -b 16k {}k 16k", 16 * (i % 32))),
    },
    Work {
        name: "untorn write of 16 KiB, synced",
        operations: 1000,
        options: &["-d"],
        files: &[("a", 64)],
        script: |_, n| repeat(n, |i| format!("pwrite -q -A -D -V 1 -b 16k {}k 16k", 16 * (i % 32))),
    },
    Work {
        name: "untorn write of 64 KiB",
        operations: 3000,
        options: &["-d"],
        files: &[("a", 64)],
        script: |_, n| repeat(n, |i| format!("pwrite -q -A -V 1 -b 64k {}k 64k", 64 * (i % 8))),
    },
    Work {
        name: "copy-on-write rewrite of 64 MiB",
        operations: 4,
        options: &[],
        files: &[("a", 1), ("b", 1)],
        script: |dir, n| {
            "pwrite -q -b 1m 0 64m\n".to_string()
                + &repeat(n, |i| {
                    format!(
                        "open -f {dir}/new{i}\nreflink {dir}/a\nfsync\npwrite -q -b 64k 0 64m\nfsync\nclose"
                    )
                })
        },
    },
];

/// All of [`WORK`].
pub fn atomic(bencher: &Bencher) -> Result<Vec<Row>> {
    WORK.iter().map(|work| measure(bencher, work)).collect()
}

fn measure(bencher: &Bencher, work: &Work) -> Result<Row> {
    let (image, copied) = (bencher.path("image"), bencher.path("work"));
    bencher.peers.mkfs(&image, IMAGE, &[])?;
    linux::mount(&image, |root| {
        work.files.iter().try_for_each(|(name, extents)| write_extents(&root.join(name), *extents))
    })?;
    let first = work.files.first().map_or("a", |(name, _)| name);
    let mut row = bencher.compare(
        work.name,
        |_| {
            copy(&image, &copied)?;
            File::open(&copied)?.sync_all()?;
            let script = (work.script)("", work.operations);
            let mut io = ours("xfs_io");
            feed(io.args(work.options).arg("-D").arg(&copied).arg(format!("/{first}")), &script)
        },
        |_| {
            copy(&image, &copied)?;
            File::open(&copied)?.sync_all()?;
            linux::mount(&copied, |root| {
                let script = (work.script)(&root.display().to_string(), work.operations);
                let mut io = bencher.peers.command("xfs_io");
                feed(io.args(work.options).arg(root.join(first)), &script)
            })
        },
    )?;
    let rate = |time: std::time::Duration| work.operations as f64 / time.as_secs_f64();
    row.note = format!("{:.1}/s, peer {:.1}/s", rate(row.ours), rate(row.theirs));
    Ok(row)
}
