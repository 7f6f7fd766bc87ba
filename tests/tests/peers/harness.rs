//! The harness itself, before it judges anything: what the peers say about an image that
//! is all their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Result;
use tests::crash::{self, Cut};
use tests::linux::{self, Mount};
use tests::manifest::Manifest;
use tests::peers::Peers;
use tests::scratch::Scratch;
use tests::sparse::{copy, same_bytes};
use tests::uml::Uml;

const SIZE: u64 = 300 << 20;

/// Makes files of several kinds below `root`.
fn write_files(root: &Path) -> Result<()> {
    fs::create_dir(root.join("dir"))?;
    for index in 0..40 {
        fs::write(root.join(format!("dir/file{index}")), vec![index; usize::from(index) * 777])?;
    }
    fs::hard_link(root.join("dir/file3"), root.join("link"))?;
    symlink("dir/file3", root.join("symlink"))?;
    let sparse = fs::File::create(root.join("sparse"))?;
    sparse.set_len(1 << 40)?;
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(root.join("dir"), "user.colour", b"blue", flags)?;
    Ok(())
}

/// What the tests below have on an image.
fn image_with_files(peers: &Peers, image: &Path) -> Manifest {
    peers.mkfs(image, SIZE, &[]).unwrap();
    let mount = Mount::new(image).unwrap();
    write_files(mount.root()).unwrap();
    let manifest = Manifest::of(mount.root()).unwrap();
    mount.unmount().unwrap();
    manifest
}

#[test]
fn linux_and_xfsprogs_agree_on_their_own_image() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let written = image_with_files(&peers, &image);
    assert_eq!(written.files.len(), 45);
    peers.assert_clean(&image);
    written.assert_same(&linux::mount(&image, Manifest::of).unwrap());
}

#[test]
fn user_mode_linux_reads_what_the_host_wrote() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(uml) = Uml::or_skip(&peers) else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    let written = image_with_files(&peers, &image);
    written.assert_same(&uml.manifest(&image).unwrap());
    assert_eq!(uml.script(&image, "cat $MNT/dir/file5 | wc -c").unwrap().trim(), "3885");
    assert!(uml.script(&image, "false").is_err());
}

#[test]
fn user_mode_linux_needs_no_root() {
    let Some(peers) = Peers::or_skip() else { return };
    let Some(uml) = Uml::or_skip(&peers) else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[]).unwrap();
    uml.script(&image, "mkdir $MNT/d; echo hello >$MNT/d/f").unwrap();
    peers.assert_clean(&image);
    let manifest = uml.manifest(&image).unwrap();
    assert_eq!(manifest.files["d/f"].size, 6);
}

#[test]
fn a_cut_leaves_a_dirty_log_that_linux_replays() {
    let Some(peers) = Peers::or_skip() else { return };
    if !linux::host_or_skip() {
        return;
    }
    let scratch = Scratch::new().unwrap();
    for cut in Cut::ALL {
        let image = scratch.path("image");
        peers.mkfs(&image, SIZE, &[]).unwrap();
        crash::after(&peers, &image, cut, write_files).unwrap();
        let crashed = scratch.path("crashed");
        copy(&image, &crashed).unwrap();
        let log = peers.output("xfs_logprint", ["-t".as_ref(), crashed.as_os_str()]).unwrap();
        let log = String::from_utf8_lossy(&log.stdout).into_owned();
        assert_eq!(log.contains("<DIRTY>"), cut == Cut::FlushLog, "{cut:?}: {log}");
        let recovered = linux::mount(&image, Manifest::of).unwrap();
        assert_eq!(recovered.files.len(), if cut == Cut::FlushLog { 45 } else { 1 });
        peers.assert_clean(&image);
        assert!(same_bytes(&image, &crashed).unwrap().is_some());
    }
}

#[test]
fn repair_finds_damage() {
    let Some(peers) = Peers::or_skip() else { return };
    let scratch = Scratch::new().unwrap();
    let image = scratch.path("image");
    peers.mkfs(&image, SIZE, &[]).unwrap();
    let damage = ["-x", "-c", "agf 1", "-c", "write -d freeblks 7"];
    peers.run("xfs_db", damage.iter().map(AsRef::as_ref).chain([image.as_os_str()])).unwrap();
    let verdict = peers.check(&image).unwrap();
    assert!(!verdict.is_clean());
    assert!(!verdict.findings().is_empty(), "{}", verdict.text);
}
