//! Sharing blocks between files, and exchanging all of them.

use super::Filesystem;
use crate::Result;
use crate::file::exchange;
pub use crate::file::remap::Dedupe;
use crate::file::remap::{self, RemapRequest};

/// Two ranges of equal length, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CloneRange {
    /// Where the range of the source begins.
    pub source_offset: u64,
    /// Where the range of the target begins.
    pub target_offset: u64,
    /// Length of both. For a clone, 0 means: to the end of the source.
    pub length: u64,
}

impl Filesystem {
    /// Gives `target` the contents of a range of `source` by sharing its blocks
    /// (`FICLONERANGE`).
    ///
    /// ```
    /// use libfs::filesystem::{CloneRange, Filesystem};
    ///
    /// # fn main() -> libfs::Result<()> {
    /// # let mut filesystem = Filesystem::in_memory(300 << 20)?;
    /// let original = filesystem.create("/database", 0o600)?;
    /// filesystem.write(original, 0, b"of today")?;
    /// let backup = filesystem.create("/database.backup", 0o600)?;
    /// filesystem.clone_range(original, backup, &CloneRange::default())?;
    /// filesystem.write(original, 0, b"tomorrow")?;
    ///
    /// let mut seen = [0; 8];
    /// filesystem.read(backup, 0, &mut seen)?;
    /// assert_eq!(&seen, b"of today");
    /// # filesystem.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`remap::clone_range`].
    pub fn clone_range(&mut self, source: u64, target: u64, range: &CloneRange) -> Result<()> {
        let request = self.remap_request(source, target, range)?;
        remap::clone_range(&mut self.mount, &request)
    }

    /// Lets `target` share the blocks of `source` in two ranges, if those have the same
    /// contents (`FIDEDUPERANGE`).
    ///
    /// # Errors
    /// As [`remap::dedupe_range`].
    pub fn dedupe_range(&mut self, source: u64, target: u64, range: &CloneRange) -> Result<Dedupe> {
        let request = self.remap_request(source, target, range)?;
        remap::dedupe_range(&mut self.mount, &request)
    }

    /// Copies bytes from `source` to `target` (`copy_file_range(2)`), sharing blocks where
    /// that is possible; returns how many, which may be fewer than asked for.
    ///
    /// # Errors
    /// As [`remap::copy_range`].
    pub fn copy_range(&mut self, source: u64, target: u64, range: &CloneRange) -> Result<u64> {
        let request = self.remap_request(source, target, range)?;
        remap::copy_range(&mut self.mount, &request)
    }

    /// Lets `target` and `donor`, which have the same size, exchange all their extents
    /// (`XFS_IOC_SWAPEXT`).
    ///
    /// # Errors
    /// As [`exchange::swap_extents`].
    pub fn swap_extents(&mut self, target: u64, donor: u64) -> Result<()> {
        let target = self.inode(target)?;
        let donor = self.mount.iget(donor)?;
        exchange::swap_extents(&mut self.mount, target, donor)
    }

    fn remap_request(
        &mut self,
        source: u64,
        target: u64,
        range: &CloneRange,
    ) -> Result<RemapRequest> {
        let source = self.inode(source)?;
        let target = self.mount.iget(target)?;
        let CloneRange { source_offset, target_offset, length } = *range;
        Ok(RemapRequest { source, source_offset, target, target_offset, length })
    }
}
