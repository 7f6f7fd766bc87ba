//! Images of a Linux whose power was cut in the middle of untorn writes by copy on write.

use std::fs::{File, OpenOptions};
use std::io::IoSlice;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libfs::device::FileDevice;
use libfs::filesystem::Filesystem;
use rustix::fs::copy_file_range;
use rustix::io::ReadWriteFlags;
use tests::crash::{self, Cut};
use tests::linux;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use super::untorn::{linux_or_skip, open};

const BLOCK: u64 = 4096;
/// Bytes of each write: as many as Linux takes on this filesystem.
const LEN: usize = 2 << 20;
const FILES: usize = 24;
const OLD: u8 = 0x11;
const NEW: u8 = 0xee;
const RWF_ATOMIC: u32 = 0x40;

fn path(index: usize) -> String {
    format!("file-{index}")
}

/// Files of which every block is an extent, shared with one block of another file.
fn prepare(root: &Path) -> Result<()> {
    let source =
        File::options().read(true).write(true).create_new(true).open(root.join("blocks"))?;
    source.write_all_at(&vec![OLD; 2 * LEN], 0)?;
    source.sync_all()?;
    for index in 0..FILES {
        let file = File::create_new(root.join(path(index)))?;
        for block in 0..LEN as u64 / BLOCK {
            // Whole blocks are shared rather than copied.
            let (mut from, mut to) = (2 * block * BLOCK, block * BLOCK);
            let len = BLOCK as usize;
            let copied = copy_file_range(&source, Some(&mut from), &file, Some(&mut to), len)?;
            ensure!(copied == len);
        }
    }
    Ok(())
}

/// Overwrites one file after the other, each in one untorn write, while another thread has
/// the log written out again and again.
fn overwrite(root: &Path, stop: &AtomicBool) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok(file) = File::create(root.join("forced")) else { return };
            while !stop.load(Ordering::Relaxed) && file.write_all_at(b"x", 0).is_ok() {
                if file.sync_all().is_err() {
                    return;
                }
            }
        });
        let mut memory = vec![0; LEN + BLOCK as usize];
        let start = memory.as_ptr().align_offset(BLOCK as usize);
        memory[start..start + LEN].fill(NEW);
        for index in 0..FILES {
            let mut options = OpenOptions::new();
            options.write(true).custom_flags(nix::libc::O_DIRECT);
            let Ok(file) = options.open(root.join(path(index))) else { return };
            let data = [IoSlice::new(&memory[start..start + LEN])];
            let flags = ReadWriteFlags::from_bits_retain(RWF_ATOMIC);
            if rustix::io::pwritev2(&file, &data, 0, flags).is_err() {
                return;
            }
        }
    });
}

/// How many of the files have new contents; an error if one has neither old nor new.
fn count_new(filesystem: &mut Filesystem) -> Result<usize> {
    let mut new = 0;
    for index in 0..FILES {
        let file = filesystem.lookup(&format!("/{}", path(index)))?;
        let mut data = vec![0; LEN];
        ensure!(filesystem.read(file, 0, &mut data)? == LEN);
        let all = |byte| data.iter().all(|found| *found == byte);
        ensure!(all(OLD) || all(NEW), "{} is torn", path(index));
        new += usize::from(all(NEW));
    }
    Ok(new)
}

#[test]
fn untorn_writes_that_linux_was_cut_off_in_are_recovered() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let Some(()) = linux_or_skip(&peers) else { return Ok(()) };
    let scratch = Scratch::new()?;
    let base = scratch.path("base");
    peers.mkfs(&base, 1 << 30, &[])?;
    linux::mount(&base, prepare)?;
    let (mut cut_off, mut written) = (0, 0);
    let tries = 10;
    for number in 0..tries {
        let [image, ours] = ["image", "ours"].map(|name| scratch.path(name));
        sparse::copy(&base, &image)?;
        let delay = Duration::from_millis(10 + 25 * number);
        crash::during(&peers, &image, Cut::FlushLog, delay, overwrite)?;
        let intents = peers.open_intents(&image)?;
        cut_off += usize::from(intents.contains("BUI"));
        sparse::copy(&image, &ours)?;

        let mut filesystem = open(Arc::new(FileDevice::open(&ours)?))?;
        let new = count_new(&mut filesystem).with_context(|| format!("{intents:?}"))?;
        filesystem.close()?;
        drop(filesystem);
        written += new;
        peers.assert_clean(&ours);
        linux::mount(&image, |_| Ok(()))?;
        let mut theirs = open(Arc::new(FileDevice::open(&image)?))?;
        ensure!(count_new(&mut theirs)? == new, "Linux recovers something else");
    }
    say(&format!(
        "{tries} power cuts of Linux, {cut_off} within an untorn write, {written} of {} files new",
        tries * FILES as u64
    ));
    ensure!(cut_off > 0 && written > 0, "the test proves nothing");
    Ok(())
}
