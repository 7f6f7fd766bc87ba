//! Files without names: making them, and naming them later.

use super::Filesystem;
use super::operations::owned_by_root;
use crate::Result;
use crate::file::namespace;

impl Filesystem {
    /// Makes an empty file without a name (`O_TMPFILE`) and returns its inode number. It is
    /// held as by [`Filesystem::hold`]; [`Filesystem::release`] frees it, unless
    /// [`Filesystem::link_ino`] gave it a name meanwhile, and so does recovery after a crash.
    ///
    /// `directory` says where on the device the file goes, and what it inherits.
    ///
    /// ```
    /// # fn main() -> libfs::Result<()> {
    /// # let mut filesystem = libfs::filesystem::Filesystem::in_memory(300 << 20)?;
    /// filesystem.make_directory("/photos", 0o755)?;
    /// let file = filesystem.create_temporary("/photos", 0o644)?;
    /// filesystem.write(file, 0, b"all that belongs to it")?;
    /// // Whoever sees the name finds the whole file.
    /// filesystem.link_ino(file, "/photos/cat")?;
    /// filesystem.release(file)?;
    /// assert_eq!(filesystem.lookup("/photos/cat")?, file);
    /// # filesystem.close()
    /// # }
    /// ```
    ///
    /// # Errors
    /// ENOENT, ENOTDIR, EPERM for an immutable directory, ENOSPC.
    pub fn create_temporary(&mut self, directory: &str, permissions: u16) -> Result<u64> {
        self.start();
        let dir = namespace::resolve(&mut self.mount, directory.as_bytes(), true)?;
        let new = owned_by_root(permissions);
        let inode = namespace::create_temporary(&mut self.mount, dir, &new)?;
        let ino = self.mount.inode(inode).ino;
        self.mount.hold_inode(inode);
        self.held.push(ino);
        Ok(ino)
    }

    /// Gives the file `ino` the (further or first) name `path`.
    ///
    /// # Errors
    /// EEXIST, ENOENT, ENOTDIR; ENOENT for a file that lost its last name; EPERM for
    /// directories and for what is immutable or append-only; EXDEV, EMLINK, ENOSPC.
    pub fn link_ino(&mut self, ino: u64, path: &str) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        let inode = self.mount.iget(ino)?;
        namespace::link(&mut self.mount, inode, dir, &name)
    }
}
