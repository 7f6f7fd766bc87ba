//! Untorn writes of every kind to files of every kind, by Linux and by us: the same errno,
//! the same contents.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use libfs::device::{AtomicWriteLimits, Device, FileDevice, LimitedDevice};
use libfs::file::untorn::UntornWay;
use rustix::fs::FallocateFlags;
use tests::linux;
use tests::manifest::Manifest;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use super::untorn::{linux_or_skip, open};

const KIBI: u64 = 1 << 10;
/// Bytes that the prepared files are about.
const LEN: u64 = 256 * KIBI;

/// What a file has before the write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Empty,
    /// One written extent.
    Written,
    /// Ends within a block.
    Odd,
    Hole,
    Unwritten,
    /// Blocks written in turns with another file's.
    Fragmented,
    /// A clone of the whole.
    Shared,
    /// A clone of one block in the middle.
    SharedInPart,
    /// Data, holes, unwritten and shared blocks in turns.
    Mixed,
    /// Blocks allocated behind the end.
    Preallocated,
}

const LAYOUTS: [Layout; 10] = [
    Layout::Empty,
    Layout::Written,
    Layout::Odd,
    Layout::Hole,
    Layout::Unwritten,
    Layout::Fragmented,
    Layout::Shared,
    Layout::SharedInPart,
    Layout::Mixed,
    Layout::Preallocated,
];

/// Offset and length of the writes.
const WRITES: &[(u64, u64)] = &[
    (0, 0),
    (0, 1),
    (0, 512),
    (0, KIBI),
    (0, 2 * KIBI),
    (0, 4 * KIBI),
    (0, 4 * KIBI + 1),
    (0, 8 * KIBI),
    (0, 12 * KIBI),
    (0, 16 * KIBI),
    (0, 64 * KIBI),
    (0, 1024 * KIBI),
    (0, 4096 * KIBI),
    (1, 4 * KIBI),
    (512, 4 * KIBI),
    (3, 5000),
    (4 * KIBI, 4 * KIBI),
    (4 * KIBI, 8 * KIBI),
    (32 * KIBI, 16 * KIBI),
    (128 * KIBI, 128 * KIBI),
    (256 * KIBI, 64 * KIBI),
    (768 * KIBI, 256 * KIBI),
    (1 << 62, 4 * KIBI),
    ((1 << 63) - 8 * KIBI, 4 * KIBI),
    ((1 << 63) - 4 * KIBI, 4 * KIBI),
];

/// One write to one file.
#[derive(Debug, Clone, Copy)]
struct Case {
    layout: Layout,
    offset: u64,
    len: u64,
    direct: bool,
}

impl Case {
    fn all() -> Vec<Case> {
        let mut all = Vec::new();
        for layout in LAYOUTS {
            for &(offset, len) in WRITES {
                all.extend([true, false].map(|direct| Case { layout, offset, len, direct }));
            }
        }
        all
    }

    fn name(&self) -> String {
        let how = if self.direct { "direct" } else { "buffered" };
        format!("{:?}-{}-{}-{how}", self.layout, self.offset, self.len)
    }

    fn data(&self) -> Vec<u8> {
        (0..self.len).map(|i| 0x80 | (i / 509) as u8).collect()
    }
}

fn prepare(root: &Path, case: &Case) -> Result<()> {
    let path = root.join(case.name());
    let file = File::create_new(&path)?;
    let written = vec![0x11; LEN as usize];
    let allocate = |flags, offset, len| rustix::fs::fallocate(&file, flags, offset, len);
    let clone = || -> Result<()> {
        let other = File::create_new(path.with_extension("clone"))?;
        Ok(rustix::fs::ioctl_ficlone(&other, &file)?)
    };
    match case.layout {
        Layout::Empty => {}
        Layout::Written => file.write_all_at(&written, 0)?,
        Layout::Odd => file.write_all_at(&written[..5000], 0)?,
        Layout::Hole => file.set_len(LEN)?,
        Layout::Unwritten => allocate(FallocateFlags::empty(), 0, LEN)?,
        Layout::Fragmented => {
            let other = File::create_new(path.with_extension("other"))?;
            for block in 0..LEN / 4096 {
                for file in [&file, &other] {
                    file.write_all_at(&written[..4096], block * 4096)?;
                    file.sync_data()?;
                }
            }
        }
        Layout::Shared => {
            file.write_all_at(&written, 0)?;
            clone()?;
        }
        Layout::SharedInPart => {
            file.write_all_at(&written, 0)?;
            clone()?;
            for (start, end) in [(0, 8192), (12288, LEN as usize)] {
                file.write_all_at(&vec![0x12; end - start], start as u64)?;
            }
        }
        Layout::Mixed => {
            file.set_len(LEN)?;
            file.write_all_at(&written[..4096], 8192)?;
            clone()?;
            allocate(FallocateFlags::empty(), 16384, 8192)?;
            file.write_all_at(&written[..20480], 40960)?;
        }
        Layout::Preallocated => {
            file.write_all_at(&written[..8192], 0)?;
            allocate(FallocateFlags::KEEP_SIZE, 0, LEN)?;
        }
    }
    Ok(())
}

/// 0, or the errno.
fn by_linux(root: &Path, case: &Case) -> Result<i32> {
    const RWF_ATOMIC: u32 = 0x40;
    let mut options = OpenOptions::new();
    options.write(true).custom_flags(if case.direct { nix::libc::O_DIRECT } else { 0 });
    let file = options.open(root.join(case.name()))?;
    let data = case.data();
    let mut memory = vec![0; data.len() + 4096];
    let start = memory.as_ptr().align_offset(4096);
    let aligned = &mut memory[start..start + data.len()];
    aligned.copy_from_slice(&data);
    let flags = rustix::io::ReadWriteFlags::from_bits_retain(RWF_ATOMIC);
    let aligned = [std::io::IoSlice::new(aligned)];
    match rustix::io::pwritev2(&file, &aligned, case.offset, flags) {
        Ok(n) => {
            ensure!(n == data.len(), "Linux wrote {n} of {} bytes", data.len());
            Ok(0)
        }
        Err(errno) => Ok(errno.raw_os_error()),
    }
}

/// Does all writes by us, on `device`; returns what came of each, and how many went which
/// way and why.
fn by_us(device: Arc<dyn Device>, cases: &[Case]) -> Result<(Vec<i32>, BTreeMap<String, usize>)> {
    let mut filesystem = open(device)?;
    let mut ways = BTreeMap::new();
    let mut outcomes = Vec::new();
    for case in cases {
        let file = filesystem.lookup(&format!("/{}", case.name()))?;
        match filesystem.write_untorn(file, case.offset, &case.data(), case.direct) {
            Ok(way) => {
                let words = match way {
                    UntornWay::Device { .. } => "device".to_string(),
                    _ => way.to_string(),
                };
                // Numbers differ from case to case; the reason is what counts.
                let words = words.replace(|c: char| c.is_ascii_digit(), "");
                *ways.entry(words).or_default() += 1;
                outcomes.push(0);
            }
            Err(error) => outcomes.push(error.errno() as i32),
        }
        if outcomes.len() % 50 == 0 {
            filesystem.sync()?;
        }
    }
    filesystem.close()?;
    Ok((outcomes, ways))
}

fn compare(options: &[&str], limits: Option<AtomicWriteLimits>) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(()) = linux_or_skip(&peers) else { return Ok(()) };
    let cases = Case::all();
    let scratch = Scratch::new()?;
    let (image, ours) = (scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&image, 1 << 30, options)?;
    linux::mount(&image, |root| cases.iter().try_for_each(|case| prepare(root, case)))?;
    sparse::copy(&image, &ours)?;

    let expected = linux::mount(&image, |root| {
        cases.iter().map(|case| by_linux(root, case)).collect::<Result<Vec<i32>>>()
    })?;
    let device: Arc<dyn Device> = Arc::new(FileDevice::open(&ours)?);
    let device = match limits {
        Some(limits) => Arc::new(LimitedDevice::new(device, limits)),
        None => device,
    };
    let (found, ways) = by_us(device, &cases).context("our writes")?;
    for (case, (found, expected)) in cases.iter().zip(found.iter().zip(&expected)) {
        ensure!(found == expected, "{case:?}: errno {found}, Linux says {expected}");
    }
    peers.assert_clean(&ours);
    let [theirs, ours] = [&image, &ours].map(|image| linux::mount(image, Manifest::of));
    theirs?.assert_same(&ours?);
    let done = expected.iter().filter(|errno| **errno == 0).count();
    say(&format!(
        "{} untorn writes, {done} not refused, as Linux does them: {ways:?}",
        cases.len()
    ));
    Ok(())
}

#[test]
fn untorn_writes_do_what_those_of_linux_do() -> Result<()> {
    compare(&[], None)
}

#[test]
fn also_where_the_device_can_write_untorn() -> Result<()> {
    compare(&[], Some(AtomicWriteLimits { unit_min: 512, unit_max: 65536 }))
}

#[test]
fn also_with_small_blocks() -> Result<()> {
    compare(&["-b", "size=1k"], None)
}
