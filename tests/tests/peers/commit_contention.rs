//! Many writers of one file, each of whom commits on the condition that nobody else did: no
//! update is lost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::{Context, Result, ensure};
use libfs::device::FileDevice;
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{ExchangeRange, Filesystem};
use libfs::{Errno, Error};
use tests::all_or_nothing::{Experiment, contents, open};
use tests::linux::Linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;

const WRITERS: u64 = 4;
const COMMITS: u64 = 100_000;

fn whole() -> ExchangeRange {
    ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() }
}

fn lock(filesystem: &Mutex<Filesystem>) -> MutexGuard<'_, Filesystem> {
    filesystem.lock().expect("no writer panics")
}

/// One writer: reads the counter, prepares the next value in a file of its own and commits,
/// until it did so `count` times. Others may do anything wherever the lock is let go.
fn writer(shared: &Mutex<Filesystem>, file: u64, count: u64, refused: &AtomicU64) -> Result<()> {
    let own = lock(shared).create_temporary("/", 0o600)?;
    let mut done = 0;
    while done < count {
        let (fresh, value) = {
            let mut filesystem = lock(shared);
            let fresh = filesystem.start_commit(file)?;
            let mut value = [0; 8];
            filesystem.read(file, 0, &mut value)?;
            (fresh, u64::from_le_bytes(value))
        };
        std::thread::yield_now();
        lock(shared).write(own, 0, &(value + 1).to_le_bytes())?;
        match lock(shared).commit_range(own, file, &whole(), &fresh) {
            Ok(()) => done += 1,
            Err(Error::Os { errno: Errno::EBUSY, .. }) => {
                refused.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(lock(shared).release(own)?)
}

#[test]
fn writers_that_contend_lose_no_update() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, 300 << 20, &[])?;
    let mut filesystem = open(Arc::new(FileDevice::open(&image)?))?;
    let file = filesystem.create("/counter", 0o644)?;
    filesystem.write(file, 0, &0u64.to_le_bytes())?;
    let shared = Mutex::new(filesystem);
    let refused = AtomicU64::new(0);
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| scope.spawn(|| writer(&shared, file, COMMITS / WRITERS, &refused)))
            .collect();
        writers.into_iter().try_for_each(|writer| writer.join().expect("no writer panics"))
    })?;
    let mut filesystem = shared.into_inner().context("no writer panicked")?;
    let counter = contents(&mut filesystem, "/counter")?;
    ensure!(counter == COMMITS.to_le_bytes(), "{counter:?} after {COMMITS} commits");
    filesystem.close()?;
    drop(filesystem);
    peers.assert_clean(&image);
    let hex = linux.script(&image, "od -An -tu8 $MNT/counter")?;
    ensure!(hex.trim() == COMMITS.to_string(), "Linux reads {hex}");
    let refused = refused.into_inner();
    ensure!(refused > 0, "the writers never met");
    say(&format!("{WRITERS} writers, {COMMITS} commits, {refused} refused and repeated"));
    Ok(())
}

/// Processes that change one mounted file through the system calls: each counts in a part of
/// its own, and nobody else may ever set it back.
const PROCESSES: &str = r#"
    truncate -s 8192 $MNT/file
    writer() {
        n=1
        while [ $n -le 25 ]; do
            seen=$(od -An -tu1 -j $(($1 * 512)) -N 1 $MNT/file)
            [ $seen = $((n - 1)) ] || { echo "$1 was set back from $((n - 1)) to $seen"; return; }
            said=$($XFS_IO -c startupdate -c "pwrite -q -S $n $(($1 * 512)) 512" \
                -c "commitupdate -q" $MNT/file 2>&1 || true)
            case $said in
                Committed*) n=$((n + 1)) ;;
                *busy*) echo refused ;;
                *) echo "$said"; return ;;
            esac
        done
        echo done
    }
    for number in 0 1 2 3; do writer $number & done
    wait
    od -An -v -tu1 -w512 -N 2048 $MNT/file | awk '{print $1, $512}'
"#;

#[test]
fn processes_that_contend_for_a_mounted_file_lose_no_update() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(linux) = Linux::or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, Experiment::SIZE, &[])?;
    let xfs_io = tests::ours::path("xfs_io")?;
    let printed = linux.script(&image, &format!("XFS_IO={}\n{PROCESSES}", xfs_io.display()))?;
    let count = |what| printed.lines().filter(|line| *line == what).count();
    let (done, refused) = (count("done"), count("refused"));
    ensure!(done == 4 && count("25 25") == 4, "{printed}");
    ensure!(printed.lines().count() == done + refused + 4, "{printed}");
    ensure!(refused > 0, "the processes never met");
    peers.assert_clean(&image);
    say(&format!("100 commits of 4 processes on a mounted file, {refused} refused and repeated"));
    Ok(())
}
