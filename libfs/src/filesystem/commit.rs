//! Commits: exchanging contents on the condition that the target has not changed.

use super::{ExchangeRange, Filesystem};
use crate::Result;
use crate::file::exchange::{self, Freshness};

impl Filesystem {
    /// Samples what a file looks like, for a later [`Filesystem::commit_range`].
    ///
    /// # Errors
    /// As reading the inode.
    pub fn start_commit(&mut self, file2: u64) -> Result<Freshness> {
        let inode = self.inode(file2)?;
        Ok(exchange::start_commit(&self.mount, inode))
    }

    /// Exchanges ranges of two files, if file 2 has not changed since `fresh` was sampled.
    ///
    /// Writers that share a file read it, prepare the new contents in a file of their own, and
    /// commit; who comes too late is told so, and begins again:
    ///
    /// ```
    /// use libfs::Errno;
    /// use libfs::file::exchange::ExchangeFlags;
    /// use libfs::filesystem::{ExchangeRange, Filesystem};
    ///
    /// # fn main() -> libfs::Result<()> {
    /// let mut filesystem = Filesystem::in_memory(300 << 20)?;
    /// let file = filesystem.create("/counter", 0o644)?;
    /// filesystem.write(file, 0, b"1")?;
    ///
    /// let fresh = filesystem.start_commit(file)?;
    /// let new = filesystem.create_temporary("/", 0o644)?;
    /// filesystem.write(new, 0, b"2")?;
    /// // Meanwhile, somebody else:
    /// filesystem.write(file, 0, b"5")?;
    ///
    /// let whole = ExchangeRange { flags: ExchangeFlags::TO_EOF, ..ExchangeRange::default() };
    /// let refused = filesystem.commit_range(new, file, &whole, &fresh).unwrap_err();
    /// assert_eq!(refused.errno(), Errno::EBUSY);
    ///
    /// let fresh = filesystem.start_commit(file)?;
    /// filesystem.write(new, 0, b"6")?;
    /// filesystem.commit_range(new, file, &whole, &fresh)?;
    /// let mut seen = [0];
    /// filesystem.read(file, 0, &mut seen)?;
    /// assert_eq!(&seen, b"6");
    /// filesystem.release(new)?;
    /// filesystem.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`exchange::commit_range`].
    pub fn commit_range(
        &mut self,
        file1: u64,
        file2: u64,
        range: &ExchangeRange,
        fresh: &Freshness,
    ) -> Result<()> {
        let request = self.exchange_request(file1, file2, range)?;
        exchange::commit_range(&mut self.mount, &request, fresh)
    }
}
