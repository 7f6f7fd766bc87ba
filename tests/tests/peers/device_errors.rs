//! EIO on any single write: one clear error, and recovery finds everything old or new.

use std::sync::Arc;

use anyhow::{Result, ensure};
use libfs::Error;
use libfs::device::{Device, FaultDevice, FaultRule, FileDevice, OverlayDevice};
use libfs::file::exchange::ExchangeFlags;
use libfs::filesystem::{ExchangeRange, Filesystem, Opened};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;

const BLOCK: usize = 4096;
const BLOCKS: usize = 40;

fn open(device: Arc<dyn Device>) -> libfs::Result<Filesystem> {
    Ok(match Filesystem::open(device)? {
        Opened::Clean(filesystem) => filesystem,
        Opened::Dirty(unrecovered) => unrecovered.recover()?.0,
    })
}

fn contents(fill: u8) -> Vec<u8> {
    (0..BLOCKS * BLOCK).map(|i| fill ^ (i / BLOCK) as u8).collect()
}

fn put(filesystem: &mut Filesystem, path: &str, data: &[u8]) -> libfs::Result<()> {
    let file = filesystem.create(path, 0o600)?;
    for (i, block) in data.chunks(BLOCK).enumerate().rev() {
        filesystem.write(file, (i * BLOCK) as u64, block)?;
    }
    Ok(())
}

fn read_all(filesystem: &mut Filesystem, path: &str) -> libfs::Result<Vec<u8>> {
    let file = filesystem.lookup(path)?;
    let mut data = vec![0; filesystem.stat(file)?.size as usize];
    filesystem.read(file, 0, &mut data)?;
    Ok(data)
}

/// A bit of everything, with syncs between.
fn workload(device: Arc<dyn Device>) -> libfs::Result<()> {
    let mut filesystem = open(device)?;
    let (a, b) = (filesystem.lookup("/a")?, filesystem.lookup("/b")?);
    let range = ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() };
    filesystem.exchange_range(a, b, &range)?;
    filesystem.sync()?;
    filesystem.make_directory("/dir", 0o755)?;
    put(&mut filesystem, "/dir/new", &contents(0x77))?;
    filesystem.sync()?;
    filesystem.unlink("/gone")?;
    filesystem.close()
}

fn check(device: Arc<dyn Device>) -> Result<()> {
    let mut filesystem = open(device)?;
    let (a, b) = (contents(0x10), contents(0x80));
    let found = (read_all(&mut filesystem, "/a")?, read_all(&mut filesystem, "/b")?);
    ensure!(found == (a.clone(), b.clone()) || found == (b, a), "the exchange is torn");
    filesystem.close()?;
    Ok(())
}

#[test]
fn eio_on_any_single_write_loses_nothing() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let base_path = scratch.path("base");
    peers.mkfs(&base_path, 300 << 20, &[])?;
    let mut filesystem = open(Arc::new(FileDevice::open(&base_path)?))?;
    put(&mut filesystem, "/a", &contents(0x10))?;
    put(&mut filesystem, "/b", &contents(0x80))?;
    put(&mut filesystem, "/gone", &contents(0x33))?;
    filesystem.close()?;
    drop(filesystem);

    let base: Arc<dyn Device> = Arc::new(FileDevice::open_read_only(&base_path)?);
    let count = Arc::new(FaultDevice::new(Arc::new(OverlayDevice::new(base.clone())), Vec::new()));
    workload(count.clone())?;
    let writes = count.writes();
    for number in 0..writes {
        for rule in [FaultRule::FailWrite(number), FaultRule::FailWritesFrom(number)] {
            let below: Arc<dyn Device> = Arc::new(OverlayDevice::new(base.clone()));
            let faulty = Arc::new(FaultDevice::new(below.clone(), vec![rule.clone()]));
            let Err(error) = workload(faulty) else { anyhow::bail!("{rule:?} went unnoticed") };
            ensure!(matches!(error, Error::Io { .. }), "{rule:?}: {error}");
            let line = error.to_string();
            ensure!(line.contains("offset") && !line.contains('\n'), "{rule:?}: {line}");
            check(below).map_err(|error| error.context(format!("{rule:?}")))?;
        }
    }
    say(&format!("{writes} writes failed once and for good: {} runs recovered", 2 * writes));
    Ok(())
}
