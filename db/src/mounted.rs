//! Whether a device is mounted: xfs_db is not to look at what changes under it, unless it is
//! told that nothing matters (-r) or that the mount is for reading only (-i).

use anyhow::{Result, bail};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Fails if the device at `path` is mounted: at all, or with `read_only_is_fine`, for writing.
///
/// # Errors
///
/// An error with xfs_db 7.2's message is returned if so.
pub fn refuse(path: &Path, read_only_is_fine: bool) -> Result<()> {
    let Ok(metadata) = path.metadata() else { return Ok(()) };
    if !metadata.file_type().is_block_device() {
        return Ok(());
    }
    let device = metadata.rdev();
    let number = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let (mut mounted, mut writable) = (false, false);
    for line in mounts.lines() {
        let mut fields = line.split(' ').skip(2);
        if fields.next() == Some(&number) {
            mounted = true;
            let options = fields.nth(2).unwrap_or_default();
            writable |= !options.split(',').any(|option| option == "ro");
        }
    }
    let what = match (mounted, writable, read_only_is_fine) {
        (true, true, true) => "a mounted and writable filesystem",
        (true, _, false) => "a mounted filesystem",
        _ => return Ok(()),
    };
    bail!("{} contains {what}\n\nfatal error -- couldn't initialize XFS library", path.display());
}
