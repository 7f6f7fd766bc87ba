//! Bad input: every refusal is one clear line and a failing exit status, and leaves the
//! image as it was.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Output;

use anyhow::{Context, Result, ensure};
use tests::linux;
use tests::ours;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

const SIZE: u64 = 300 << 20;
const SECTOR: u64 = 512;
const BLOCK: u64 = 4096;

/// What is done to an image, and a word that the refusal has to contain.
struct Damage {
    name: &'static str,
    apply: fn(&File) -> std::io::Result<()>,
    says: &'static str,
}

fn flip(file: &File, offset: u64) -> std::io::Result<()> {
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset)?;
    file.write_all_at(&[byte[0] ^ 0x40], offset)
}

/// Sets bits of a 32-bit superblock field and makes the checksum right again.
fn set_superblock_bits(file: &File, offset: usize, bits: u32) -> std::io::Result<()> {
    let mut sector = [0; SECTOR as usize];
    file.read_exact_at(&mut sector, 0)?;
    for (byte, bit) in sector[offset..offset + 4].iter_mut().zip(bits.to_be_bytes()) {
        *byte |= bit;
    }
    sector[224..228].fill(0);
    let crc = crc32c::crc32c(&sector);
    sector[224..228].copy_from_slice(&crc.to_le_bytes());
    file.write_all_at(&sector, 0)
}

/// Damage that must stop every program that would write.
const REFUSED: &[Damage] = &[
    Damage { name: "truncated image", apply: |f| f.set_len(SIZE / 2), says: "bytes" },
    Damage { name: "empty image", apply: |f| f.set_len(0), says: "bytes" },
    Damage { name: "wrong magic", apply: |f| f.write_all_at(b"XFSX", 0), says: "superblock" },
    Damage { name: "superblock checksum", apply: |f| flip(f, 110), says: "superblock" },
    Damage {
        name: "unknown incompatible feature",
        apply: |f| set_superblock_bits(f, 216, 1 << 30),
        says: "features",
    },
];

/// Damage found when a file with many extents is written: headers and tree roots of the
/// first group.
const FOUND: &[Damage] = &[
    Damage { name: "AGF checksum", apply: |f| flip(f, SECTOR + 200), says: "AGF" },
    Damage { name: "AGI checksum", apply: |f| flip(f, 2 * SECTOR + 200), says: "AGI" },
    Damage { name: "AGFL checksum", apply: |f| flip(f, 3 * SECTOR + 100), says: "AGFL" },
    Damage { name: "bnobt root", apply: |f| flip(f, BLOCK + 70), says: "free space btree" },
    Damage { name: "cntbt root", apply: |f| flip(f, 2 * BLOCK + 70), says: "free space btree" },
    Damage { name: "inobt root", apply: |f| flip(f, 3 * BLOCK + 70), says: "inode btree" },
    Damage { name: "finobt root", apply: |f| flip(f, 4 * BLOCK + 70), says: "inode btree" },
    Damage { name: "rmapbt root", apply: |f| flip(f, 5 * BLOCK + 70), says: "reverse mapping" },
    Damage { name: "root inode", apply: |f| flip(f, 16 * BLOCK + 60), says: "inode 128" },
];

fn one_clear_line(case: &str, output: &Output, says: &str) -> Result<()> {
    let error = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "{case}: exit status 0; said {error:?}");
    ensure!(output.status.code().is_some(), "{case}: killed by a signal; said {error:?}");
    let lines: Vec<&str> = error.lines().filter(|line| !line.trim().is_empty()).collect();
    ensure!(!lines.is_empty(), "{case}: nothing was said");
    let first = lines[0];
    ensure!(
        lines.iter().all(|line| *line == first || line.contains("shut down")),
        "{case}: {error:?}"
    );
    ensure!(error.contains(says), "{case}: {error:?} does not say {says:?}");
    ensure!(!error.contains("panicked"), "{case}: {error:?}");
    Ok(())
}

/// Writes enough extents for the trees to split, which takes blocks from the free list.
fn write_to(image: &Path) -> Result<Output> {
    let mut command = ours::command("xfs_io");
    command.arg("-D").arg(image).arg("-f");
    for extent in (0..400).rev() {
        command.args(["-c".into(), format!("pwrite -q {} 4k", extent * 8192)]);
    }
    Ok(command.args(["-c", "fsync", "/new"]).output()?)
}

fn damaged_copy(base: &Path, image: &Path, damage: &Damage) -> Result<()> {
    sparse::copy(base, image)?;
    let file = OpenOptions::new().read(true).write(true).open(image)?;
    (damage.apply)(&file).with_context(|| damage.name)
}

#[test]
fn a_refusal_is_one_line_and_changes_nothing() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let (base, image, copy) = (scratch.path("base"), scratch.path("image"), scratch.path("copy"));
    peers.mkfs(&base, SIZE, &[])?;
    let mut tried = 0;
    for damage in FOUND {
        // What was done before the damage was met may stay.
        damaged_copy(&base, &image, damage)?;
        one_clear_line(damage.name, &write_to(&image)?, damage.says)?;
        tried += 1;
    }
    for damage in REFUSED {
        damaged_copy(&base, &image, damage)?;
        sparse::copy(&image, &copy)?;
        let output = write_to(&image)?;
        one_clear_line(damage.name, &output, damage.says)?;
        ensure!(sparse::same_bytes(&image, &copy)?.is_none(), "{}: image changed", damage.name);
        tried += 1;
    }
    for damage in REFUSED {
        damaged_copy(&base, &image, damage)?;
        sparse::copy(&image, &copy)?;
        let output = ours::command("xfs_repair").arg(&image).output()?;
        one_clear_line(damage.name, &output, damage.says)?;
        ensure!(sparse::same_bytes(&image, &copy)?.is_none(), "{}: image changed", damage.name);
        tried += 1;
    }
    say(&format!("{tried} kinds of damage named in one line; refusals left the image alone"));
    Ok(())
}

/// A feature bit that only forbids writing makes the filesystem readable, not writable.
#[test]
fn an_unknown_read_only_feature_forbids_writing_alone() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[])?;
    let file = OpenOptions::new().read(true).write(true).open(&image)?;
    set_superblock_bits(&file, 212, 1 << 30)?;
    drop(file);
    one_clear_line("read-only feature", &write_to(&image)?, "/new")?;
    let listing =
        ours::command("xfs_io").arg("-D").arg(&image).args(["-r", "-c", "ls"]).output()?;
    ensure!(listing.status.success(), "{}", String::from_utf8_lossy(&listing.stderr));
    Ok(())
}

#[test]
fn a_device_in_use_is_refused() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[])?;
    linux::mount(&image, |_| {
        one_clear_line("mounted image", &write_to(&image)?, "busy")?;
        let repair = ours::command("xfs_repair").arg(&image).output()?;
        one_clear_line("mounted image", &repair, "busy")
    })?;
    let text = scratch.path("nothing-here");
    one_clear_line("no such file", &write_to(&text)?, "nothing-here")?;
    one_clear_line("a directory", &write_to(scratch.dir())?, "no file or block device")
}

#[test]
fn a_full_filesystem_says_so_and_stays_sound() -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    let scratch = Scratch::new()?;
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[])?;
    let output = ours::command("xfs_io")
        .arg("-D")
        .arg(&image)
        .args(["-f", "-c", "pwrite -q -b 8m 0 1g", "-c", "pwrite -q 2g 4k", "/big"])
        .output()?;
    one_clear_line("full filesystem", &output, "No space left on device")?;
    peers.assert_clean(&image);
    let output = ours::command("xfs_io").arg("-D").arg(&image).args(["-c", "rm /big"]).output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    ensure!(write_to(&image)?.status.success(), "no room after removing the big file");
    peers.assert_clean(&image);
    Ok(())
}
