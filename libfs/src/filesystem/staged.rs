//! Staged files: see [`crate::file::staged`] for what several openers of one file see.

use super::Filesystem;
use crate::Result;
use crate::file::staged::{self, Staged};

impl Filesystem {
    /// Opens a file so that writes to it take effect all at once, with
    /// [`Filesystem::commit_staged`], or not at all. Ended by
    /// [`Filesystem::discard_staged`].
    ///
    /// ```
    /// # fn main() -> libfs::Result<()> {
    /// # let mut filesystem = libfs::filesystem::Filesystem::in_memory(300 << 20)?;
    /// let file = filesystem.create("/config", 0o644)?;
    /// filesystem.write(file, 0, b"old")?;
    /// let mut staged = filesystem.open_staged(file)?;
    /// filesystem.write_staged(&mut staged, 0, b"new")?;
    ///
    /// let mut seen = [0; 3];
    /// filesystem.read(file, 0, &mut seen)?;
    /// assert_eq!(&seen, b"old");
    /// filesystem.commit_staged(&mut staged)?;
    /// filesystem.read(file, 0, &mut seen)?;
    /// assert_eq!(&seen, b"new");
    /// filesystem.discard_staged(staged)?;
    /// # filesystem.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`staged::open`].
    pub fn open_staged(&mut self, ino: u64) -> Result<Staged> {
        let target = self.inode(ino)?;
        let staged = staged::open(&mut self.mount, target)?;
        self.hold(staged.target)?;
        self.hold(staged.staging)?;
        Ok(staged)
    }

    /// The size of a staged file as its opener sees it, in bytes.
    ///
    /// # Errors
    /// As reading the inode.
    pub fn size_staged(&mut self, staged: &Staged) -> Result<u64> {
        self.start();
        staged::size(&mut self.mount, staged)
    }

    /// Reads what the opener of a staged file sees; returns how many bytes there were.
    ///
    /// # Errors
    /// As [`Filesystem::read`].
    pub fn read_staged(&mut self, staged: &Staged, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.start();
        staged::read(&mut self.mount, staged, offset, buf)
    }

    /// Writes for the opener of a staged file alone.
    ///
    /// # Errors
    /// As [`staged::write`].
    pub fn write_staged(&mut self, staged: &mut Staged, offset: u64, data: &[u8]) -> Result<()> {
        self.start();
        staged::write(&mut self.mount, staged, offset, data)
    }

    /// Sets the size that a staged file will have; it can only grow.
    ///
    /// # Errors
    /// As [`staged::grow`].
    pub fn grow_staged(&mut self, staged: &mut Staged, size: u64) -> Result<()> {
        self.start();
        staged::grow(&mut self.mount, staged, size)
    }

    /// Lets everything that was written to a staged file take effect at once, durably.
    ///
    /// # Errors
    /// As [`staged::commit`].
    pub fn commit_staged(&mut self, staged: &mut Staged) -> Result<()> {
        self.start();
        staged::commit(&mut self.mount, staged)
    }

    /// Forgets what was written since the last commit, and the staging file with it.
    ///
    /// # Errors
    /// As freeing a file.
    pub fn discard_staged(&mut self, staged: Staged) -> Result<()> {
        self.release(staged.staging)?;
        self.release(staged.target)
    }
}
