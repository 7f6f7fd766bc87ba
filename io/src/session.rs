//! What one run of xfs_io works on: a filesystem and its table of open files.

use std::path::Path;
use std::sync::Arc;

use libfs::device::{Device, FileDevice};
use libfs::filesystem::{Filesystem, Opened};
use libfs::{Errno, Error};

use crate::numbers::{self, Units};

/// How a file was opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct OpenFlags {
    pub create: bool,
    pub truncate: bool,
    pub read_only: bool,
    pub append: bool,
    pub sync: bool,
    pub direct: bool,
    pub mode: u16,
}

/// One entry of the file table.
#[derive(Debug, Clone)]
pub struct OpenFile {
    /// As the user named it.
    pub path: String,
    pub ino: u64,
    pub flags: OpenFlags,
}

impl OpenFile {
    /// "non-sync,non-direct,read-write" and so on, as `file` and `stat` print it.
    pub fn describe_flags(&self) -> String {
        let flags = &self.flags;
        format!(
            "{},{},{}{}",
            if flags.sync { "sync" } else { "non-sync" },
            if flags.direct { "direct" } else { "non-direct" },
            if flags.read_only { "read-only" } else { "read-write" },
            if flags.append { ",append-only" } else { "" },
        )
    }
}

/// The state that commands work on.
pub struct Session {
    pub filesystem: Filesystem,
    pub files: Vec<OpenFile>,
    /// Index of the current file in `files`.
    pub current: usize,
    pub expert: bool,
    pub exit_code: u8,
    pub quit: bool,
}

impl Session {
    /// Opens the filesystem on `path`, replaying its log if it is dirty.
    pub fn open(path: &Path, read_only: bool, expert: bool) -> anyhow::Result<Self> {
        let device: Arc<dyn Device> = if read_only {
            Arc::new(FileDevice::open_read_only(path)?)
        } else {
            Arc::new(FileDevice::open(path)?)
        };
        let filesystem = match Filesystem::open(device)? {
            Opened::Clean(filesystem) => filesystem,
            Opened::Dirty(dirty) if read_only => dirty.recover_in_memory()?.0,
            Opened::Dirty(dirty) => {
                let (filesystem, report) = dirty.recover()?;
                eprintln!("{}: {report}", path.display());
                filesystem
            }
        };
        Ok(Self { filesystem, files: Vec::new(), current: 0, expert, exit_code: 0, quit: false })
    }

    /// Units for number suffixes: the filesystem's block and sector size.
    pub fn units(&self) -> Units {
        let geo = self.filesystem.geometry();
        Units { block: u64::from(geo.block_size), sector: u64::from(geo.sector_size) }
    }

    /// Parses a number, or says which argument is none.
    pub fn number(&self, text: &str, what: &str) -> anyhow::Result<u64> {
        numbers::parse(text, self.units())
            .ok_or_else(|| anyhow::anyhow!("non-numeric {what} argument -- {text}"))
    }

    /// The current file.
    pub fn file(&self) -> anyhow::Result<&OpenFile> {
        self.files.get(self.current).ok_or_else(|| anyhow::anyhow!("no files are open"))
    }

    /// Opens (or creates) a file and makes it the current one.
    pub fn open_file(&mut self, path: &str, flags: OpenFlags) -> Result<(), Error> {
        let ino = match self.filesystem.lookup(path) {
            Ok(ino) => ino,
            Err(error) if flags.create && error.errno() == Errno::ENOENT => {
                self.filesystem.create(path, flags.mode)?
            }
            Err(error) => return Err(error),
        };
        self.filesystem.hold(ino)?;
        if flags.truncate && !flags.read_only {
            self.filesystem.truncate(ino, 0)?;
        }
        self.files.push(OpenFile { path: path.to_string(), ino, flags });
        self.current = self.files.len() - 1;
        Ok(())
    }

    /// Closes the current file; the one before it becomes current.
    pub fn close_file(&mut self) -> anyhow::Result<()> {
        if self.current < self.files.len() {
            let file = self.files.remove(self.current);
            self.filesystem.release(file.ino)?;
            self.current = self.current.saturating_sub(1);
        }
        Ok(())
    }

    /// Closes every file and the filesystem. One that was shut down stays as it lies.
    pub fn close(&mut self) -> anyhow::Result<()> {
        if self.filesystem.is_shut_down() {
            return Ok(());
        }
        while !self.files.is_empty() {
            self.current = self.files.len() - 1;
            self.close_file()?;
        }
        self.filesystem.close()?;
        Ok(())
    }
}
