//! Exchanging all extents of two files (`swapext`) against Linux.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::{Context, Result, ensure};
use libfs::Errno;
use tests::all_or_nothing::on_image;
use tests::linux;
use tests::manifest::Manifest;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::skip::say;
use tests::sparse;

const IMAGE: u64 = 300 << 20;

/// Every pair of files whose extents can, or cannot, be exchanged as a whole.
fn swaps(options: &[&str], block: u64) -> Result<()> {
    let Some(peers) = Peers::or_skip() else { return Ok(()) };
    if !linux::host_or_skip() {
        return Ok(());
    }
    let scratch = Scratch::new()?;
    let (image, ours) = (scratch.path("image"), scratch.path("ours"));
    peers.mkfs(&image, IMAGE, options)?;
    // Numbers of one-block extents, sizes in blocks, whether extended attributes take room.
    let files = [(0, 0), (1, 40), (12, 40), (18, 40), (20, 41), (300, 600)];
    let mut pairs = Vec::new();
    linux::mount(&image, |root| {
        for one in 0..files.len() {
            for two in 0..files.len() {
                for attributes in [false, true] {
                    let pair = format!("{one}-{two}-{attributes}");
                    let both = [(files[one], 1u8, "a"), (files[two], 7, "b")];
                    for ((extents, size), fill, end) in both {
                        let path = root.join(format!("{pair}{end}"));
                        let file = File::create(&path)?;
                        if attributes && end == "a" {
                            rustix::fs::setxattr(
                                &path,
                                "user.a",
                                &[1; 200],
                                rustix::fs::XattrFlags::empty(),
                            )?;
                        }
                        for i in 0..extents {
                            let data = vec![fill.wrapping_add(i as u8) | 1; block as usize];
                            file.write_all_at(&data, 2 * i * block)?;
                        }
                        file.set_len(size * block)?;
                    }
                    pairs.push(pair);
                }
            }
        }
        Ok(())
    })?;
    sparse::copy(&image, &ours)?;
    let errors = [("Bad address", Errno::EFAULT), ("Invalid argument", Errno::EINVAL)];
    let by_linux: Vec<Option<Errno>> = linux::mount(&image, |root| {
        let swap = |pair: &String| {
            let line = format!("swapext {}", root.join(format!("{pair}b")).display());
            let output =
                peers.output("xfs_io", ["-c", &line, &format!("{}/{pair}a", root.display())])?;
            let said = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
            if said.is_empty() {
                return Ok(None);
            }
            let found = errors.iter().find(|(words, _)| said.ends_with(words));
            found.map(|(_, errno)| Some(*errno)).with_context(|| said.clone())
        };
        pairs.iter().map(swap).collect()
    })?;
    on_image(&ours, |filesystem| {
        for (pair, linux) in pairs.iter().zip(&by_linux) {
            let a = filesystem.lookup(&format!("/{pair}a"))?;
            let b = filesystem.lookup(&format!("/{pair}b"))?;
            let extents = [a, b].map(|ino| filesystem.stat(ino).map(|stat| stat.nextents));
            let us = filesystem.swap_extents(a, b).err().map(|error| error.errno());
            ensure!(us == *linux, "{options:?} {pair} {extents:?}: Linux {linux:?}, we {us:?}");
            let itself = filesystem.swap_extents(a, a).map_err(|error| error.errno());
            ensure!(itself == Err(Errno::EINVAL), "{itself:?}");
        }
        Ok(())
    })?;
    peers.assert_clean(&ours);
    let manifest = linux::mount(&image, Manifest::of)?;
    manifest.assert_same(&linux::mount(&ours, Manifest::of)?);
    let count = |errno| by_linux.iter().filter(|found| **found == errno).count();
    let (done, fault, invalid) =
        (count(None), count(Some(Errno::EFAULT)), count(Some(Errno::EINVAL)));
    ensure!(done > 10 && fault > 10 && invalid > 4, "{done}, {fault}, {invalid}");
    say(&format!("{options:?}: {done} pairs exchanged, {fault} EFAULT, {invalid} EINVAL"));
    Ok(())
}

#[test]
fn whole_files_exchange_their_extents_as_on_linux() -> Result<()> {
    swaps(&[], 4096)?;
    swaps(&["-m", "rmapbt=0", "-b", "size=1k", "-n", "parent=0"], 1024)?;
    swaps(&["-i", "exchange=0"], 4096)?;
    swaps(&["-i", "exchange=0", "-m", "rmapbt=0,reflink=0"], 4096)
}
