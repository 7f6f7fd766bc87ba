//! The first process inside user-mode Linux (see `tests::uml`): mounts the image if
//! `$XFS_UML_MOUNT` is set, runs the script in `$XFS_UML_DIR`, unmounts, writes the outcome to `status` there, powers off.
#![forbid(unsafe_code)]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount, umount};
use rustix::system::{RebootCommand, reboot};
use tests::uml::POINT;

fn main() -> Result<()> {
    ensure!(std::process::id() == 1, "uml_init is the init of user-mode Linux, nothing else");
    let dir = PathBuf::from(std::env::var_os("XFS_UML_DIR").context("XFS_UML_DIR is not set")?);
    let status = match work(&dir) {
        Ok(()) => "0".to_owned(),
        Err(error) => format!("{error:#}"),
    };
    fs::write(dir.join("status"), status)?;
    rustix::fs::sync();
    reboot(RebootCommand::PowerOff)?;
    Ok(())
}

/// Mounts, runs the script, unmounts.
fn work(dir: &Path) -> Result<()> {
    // The machine's own /dev shows through hostfs; the disk is only in the kernel's devtmpfs.
    attach("proc", "/proc", "proc")?;
    if !Path::new("/dev/ubda").exists() {
        attach("devtmpfs", "/dev", "devtmpfs")?;
    }
    attach("tmpfs", "/mnt", "tmpfs")?;
    let mounted = std::env::var_os("XFS_UML_MOUNT").is_some();
    if mounted {
        fs::create_dir(POINT)?;
        attach("/dev/ubda", POINT, "xfs").context("mounting the image")?;
    }
    let output = File::create(dir.join("output"))?;
    let status = Command::new("/bin/sh")
        .arg("-e")
        .arg(dir.join("script"))
        .env("MNT", POINT)
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .stdout(output.try_clone()?)
        .stderr(output)
        .status()?;
    if mounted {
        umount(POINT).context("unmounting the image")?;
    }
    ensure!(status.success(), "the script ended with {status}");
    Ok(())
}

/// Mounts a filesystem.
fn attach(source: &str, target: &str, kind: &str) -> Result<()> {
    mount(Some(source), target, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("mounting {kind} on {target}"))
}
