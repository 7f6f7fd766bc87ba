//! Files of the filesystem as it lies on the device, the log left alone: what commands need
//! that name them by path, or list what they hold.

use crate::session::Session;
use crate::types::Type;
use anyhow::{Context, Result, anyhow, bail};
use libfs::device::Device;
use libfs::format::geometry::{Fork, Ino};
use libfs::format::inode::ForkFormat;
use libfs::format::superblock::Superblock;
use libfs::mount::Mount;
use libfs::{Errno, Error, dir};
use std::sync::Arc;

/// How a name is looked up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tree {
    /// From the root directory.
    Files,
    /// From the root of the metadata directories.
    Metadata,
}

impl Session {
    /// The filesystem for reading, as it lies on the device. It sees no later changes of
    /// the device: each command takes its own.
    ///
    /// # Errors
    ///
    /// An error is returned if the first sector cannot be read.
    pub fn files(&self) -> Result<Mount> {
        let sb = Superblock { dsb: self.superblock()? };
        let device: Arc<dyn Device> = Arc::clone(&self.device) as _;
        Ok(Mount::new(device, sb, self.geo.clone(), None))
    }

    /// Whether commands can work on a tree.
    ///
    /// # Errors
    ///
    /// An error is returned if there are no metadata directories.
    pub fn check_tree(&self, tree: Tree) -> Result<()> {
        if tree == Tree::Metadata && !self.geo.features.metadir {
            bail!("filesystem does not support metadata directories.");
        }
        Ok(())
    }

    /// The inode at the cursor, if the cursor is on one.
    pub fn inode_at_cursor(&self) -> Option<Ino> {
        let at_inode = self.cursor.as_ref().is_some_and(|cursor| cursor.kind == Type::Inode);
        self.ino.filter(|_| at_inode)
    }

    /// The inode that a path names. Symbolic links are not followed. Relative paths start at
    /// the directory the cursor is on.
    ///
    /// # Errors
    ///
    /// ENOTDIR, ENOENT; errors of reading what is on the way.
    pub fn resolve(&self, files: &mut Mount, tree: Tree, path: &str) -> libfs::Result<Ino> {
        let not_a_directory = || Error::os(Errno::ENOTDIR, path);
        let path = unquoted(path);
        let start = match (path.starts_with('/'), tree) {
            (true, Tree::Files) => Some(self.geo.root_ino),
            (true, Tree::Metadata) => Some(self.geo.metadir_ino),
            (false, _) => self.inode_at_cursor(),
        };
        let start = start.ok_or_else(not_a_directory)?;
        let mut found = files.iget(start.0)?;
        if !path.starts_with('/') && !files.inode(found).core.is_dir() {
            return Err(not_a_directory());
        }
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        let mut ino = start;
        while let Some(name) = names.next() {
            if !files.inode(found).core.is_dir() {
                return Err(not_a_directory());
            }
            let entry = dir::lookup(files, found, name.as_bytes())?;
            ino = Ino(entry.ok_or_else(|| Error::os(Errno::ENOENT, path))?.0);
            if names.peek().is_none() && self.is_rooted(ino) {
                break;
            }
            found = files.iget(ino.0)?;
        }
        Ok(ino)
    }

    /// Whether a btree of the realtime section is in an inode, which libfs does not open.
    fn is_rooted(&self, ino: Ino) -> bool {
        let rooted = Some(ForkFormat::MetaBtree);
        self.inode_core(ino).is_ok_and(|core| core.fork_format(Fork::Data) == rooted)
    }

    /// Moves the cursor to what a path names.
    ///
    /// # Errors
    ///
    /// An error with the path and the reason is returned if it names nothing.
    pub fn go_path(&mut self, tree: Tree, path: &str) -> Result<()> {
        self.check_tree(tree)?;
        let mut files = self.files()?;
        let found = self.resolve(&mut files, tree, path);
        let ino = found.map_err(|error| anyhow!("{path}: {}", reason(&error)))?;
        self.go_inode(ino).with_context(|| path.to_owned())
    }
}

/// A path without the double quotes that keep the spaces in it together.
fn unquoted(path: &str) -> &str {
    path.strip_prefix('"').and_then(|path| path.strip_suffix('"')).unwrap_or(path)
}

/// Why something cannot be done, as programs say it that know errno only.
pub fn reason(error: &Error) -> &'static str {
    match error {
        Error::Corrupt(_) | Error::Incompatible(_) => Errno::EUCLEAN.desc(),
        _ => error.errno().desc(),
    }
}
