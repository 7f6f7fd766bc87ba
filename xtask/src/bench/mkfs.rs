//! Making filesystems.

use std::cell::Cell;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ::tests::peers::{UUID, deterministic};
use ::tests::sparse::create;
use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use super::{Bencher, Row, ours};

/// Image sizes: name, bytes.
const SIZES: [(&str, u64); 3] = [("1 GiB", 1 << 30), ("100 GiB", 100 << 30), ("8 TiB", 8 << 40)];

/// mkfs with defaults, against xfsprogs 7.2.
pub fn mkfs(bencher: &Bencher) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, size) in SIZES {
        let image = bencher.path("image");
        let written = (Cell::new(0), Cell::new(0));
        let make = |mut command: Command, bytes: &Cell<u64>| {
            create(&image, size)?;
            deterministic(&mut command).args(["-q", "-m", &format!("uuid={UUID}")]).arg(&image);
            let (time, count) = time_and_bytes(&mut command)?;
            bytes.set(count);
            Ok(time)
        };
        let mut row = bencher.compare(
            format!("mkfs {name}"),
            |_| make(ours("mkfs_xfs"), &written.0),
            |_| make(bencher.peers.command("mkfs.xfs"), &written.1),
        )?;
        let (ours, theirs) = (written.0.get() >> 10, written.1.get() >> 10);
        row.note = format!("KiB written: {ours} / {theirs}");
        rows.push(row);
        fs::remove_file(&image)?;
    }
    Ok(rows)
}

/// Runs `command`; the time it took, and the bytes it gave to write calls.
fn time_and_bytes(command: &mut Command) -> Result<(Duration, u64)> {
    let start = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let pid = Pid::from_child(&child);
    // The counters are there until the child has been waited for.
    waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT)?;
    let time = start.elapsed();
    let counters = fs::read_to_string(format!("/proc/{}/io", child.id()))?;
    let status = child.wait()?;
    ensure!(status.success(), "{command:?} ended with {status}");
    let bytes = counters.lines().find_map(|line| line.strip_prefix("wchar: "));
    Ok((time, bytes.context("/proc/PID/io has wchar")?.parse()?))
}
