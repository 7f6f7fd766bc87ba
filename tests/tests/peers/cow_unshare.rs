//! funshare of files that share blocks, by xfs_io 7.2 and by us: the same errors, sizes,
//! contents and blocks.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libfs::Errno;
use rustix::fs::{FallocateFlags, fallocate};
use tests::all_or_nothing::on_image;
use tests::enumerate::Random;
use tests::linux::{self, Linux};
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

use crate::clone::{Inode, inodes};

/// `XFS_DIFLAG2_REFLINK`
const REFLINK: u64 = 0x2;
const CASES: usize = 150;

/// A file with data, holes and unwritten blocks; each case shares its data.
fn make_source(path: &Path, block: u64) -> Result<()> {
    let file = File::create(path)?;
    for (first, count) in [(0, 5), (7, 3), (20, 15)] {
        let data: Vec<u8> = (0..count * block).map(|i| (first + i / 512) as u8 | 1).collect();
        file.write_all_at(&data, first * block)?;
    }
    fallocate(&file, FallocateFlags::empty(), 12 * block, 4 * block)?;
    file.set_len(34 * block + 100)?;
    Ok(file.sync_all()?)
}

/// Offset and length of a request.
fn request(random: &mut Random, block: u64) -> (u64, u64) {
    let number = |random: &mut Random, most: u64| random.below(most as usize) as u64;
    match random.below(10) {
        0 => (0, 40 * block),
        1 => (number(random, 1 << 20), 0),
        2 => ((1 << 63) - 4096, 8192),
        3..=5 => (number(random, 40) * block, (1 + number(random, 20)) * block),
        _ => (number(random, 40 * block), 1 + number(random, 12 * block)),
    }
}

fn flags2(inode: &Inode) -> Result<u64> {
    let flags = inode.fields.get("v3.flags2").context("xfs_db shows no flags")?;
    Ok(u64::from_str_radix(flags.trim_start_matches("0x"), 16)?)
}

fn compare(options: &[&str], block: u64, seed: u64) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (base, image, ours) = (scratch.path("base"), scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&base, 300 << 20, options)?;
    let (source, numbers) = linux::mount(&base, |root| {
        let source = root.join("source");
        make_source(&source, block)?;
        let mut numbers = Vec::new();
        for i in 0..CASES {
            let path = root.join(format!("case{i}"));
            File::create(&path)?;
            peers.io(&path, &[&format!("reflink {}", source.display())])?;
            if i % 10 == 0 {
                // Shares nothing any more, but does not say so.
                peers.io(&path, &[&format!("pwrite -q 0 {}", 35 * block), "fsync"])?;
            }
            numbers.push(fs::metadata(&path)?.ino());
        }
        Ok((fs::metadata(&source)?.ino(), numbers))
    })?;
    let mut random = Random(seed);
    let requests: Vec<(u64, u64)> = (0..CASES).map(|_| request(&mut random, block)).collect();
    sparse::copy(&base, &image)?;
    sparse::copy(&base, &ours)?;
    let words = [("Invalid argument", Errno::EINVAL), ("File too large", Errno::EFBIG)];
    let by_linux = linux::mount(&image, |root| {
        let mut outcomes = Vec::new();
        for (i, (at, len)) in requests.iter().enumerate() {
            let mut command = peers.command("xfs_io");
            command.args(["-c", &format!("funshare {at} {len}")]);
            let output = command.arg(root.join(format!("case{i}"))).output()?;
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            let found = words.iter().find(|(text, _)| said.trim_end().ends_with(text));
            ensure!(found.is_some() || said.trim().is_empty(), "{at} {len}: {said}");
            outcomes.push(found.map(|(_, errno)| *errno));
        }
        Ok(outcomes)
    })?;
    on_image(&ours, |filesystem| {
        for ((ino, (at, len)), linux) in numbers.iter().zip(&requests).zip(&by_linux) {
            let us = filesystem.unshare(*ino, *at, *len).err().map(|error| error.errno());
            ensure!(us == *linux, "{len} bytes at {at}: Linux says {linux:?}, we {us:?}");
        }
        Ok(())
    })?;
    peers.assert_clean(&ours);
    Linux::Host.manifest(&image)?.assert_same(&Linux::Host.manifest(&ours)?);
    let known: Vec<u64> =
        inodes(&peers, &base, &[source])?[0].blocks.values().map(|(block, _)| *block).collect();
    let of_linux = inodes(&peers, &image, &numbers)?;
    let of_us = inodes(&peers, &ours, &numbers)?;
    let mut unshared = 0;
    for ((linux, us), (at, len)) in of_linux.iter().zip(&of_us).zip(&requests) {
        let what = || format!("{len} bytes at {at}: Linux {linux:?}, we {us:?}");
        let shape = |inode: &Inode| -> Vec<(u64, bool, bool)> {
            let blocks = inode.blocks.iter();
            blocks
                .map(|(&at, (block, unwritten))| (at, known.contains(block), *unwritten))
                .collect()
        };
        ensure!(shape(linux) == shape(us), what());
        for field in ["core.size", "core.nblocks"] {
            ensure!(linux.fields.get(field) == us.fields.get(field), what());
        }
        ensure!(flags2(linux)? == flags2(us)?, what());
        unshared += usize::from(flags2(us)? & REFLINK == 0);
    }
    let refused = by_linux.iter().flatten().count();
    ensure!(refused > 0 && unshared > 0, "{refused} refused, {unshared} unshared");
    say(&format!(
        "seed {seed:#x}: {CASES} times funshare with {options:?} as on Linux, {refused} refused, \
         {unshared} files say that they share nothing any more"
    ));
    Ok(())
}

#[test]
fn unsharing_ends_as_on_linux() -> Result<()> {
    compare(&[], 4096, 0xc0e4_0001)?;
    compare(&["-b", "size=1k", "-m", "rmapbt=0"], 1024, 0xc0e4_0002)
}
