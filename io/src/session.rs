//! What one run of xfs_io works on: a target and its table of open files.

use std::io::Write;

use libfs::Result;

use crate::numbers::{self, Units};
use crate::target::{Freshness, Handle, Host, Image, Memory, OpenFlags, Protection, Target};

/// One entry of the file table.
#[derive(Debug, Clone)]
pub struct OpenFile {
    /// As the user named it.
    pub path: String,
    pub handle: Handle,
    pub flags: OpenFlags,
    /// Not on an XFS filesystem.
    pub foreign: bool,
    /// Set for the temporary file of an update.
    pub update: Option<Update>,
}

/// What a temporary file will replace.
#[derive(Debug, Clone)]
pub struct Update {
    pub original: Box<OpenFile>,
    /// What the original was like when the update began, and its size in bytes.
    pub seen: Freshness,
    pub size: u64,
}

impl OpenFile {
    /// "non-sync,non-direct,read-write" and so on, as `file` prints it.
    pub fn describe_flags(&self) -> String {
        let path = if self.flags.path_only { ",path" } else { "" };
        let no_follow = if self.flags.no_follow { ",nofollow" } else { "" };
        self.describe_access() + path + no_follow
    }

    /// The same without what was only for opening, as `stat` prints it.
    pub fn describe_access(&self) -> String {
        let flags = &self.flags;
        let optional = [
            (flags.realtime, ",real-time"),
            (flags.append, ",append-only"),
            (flags.nonblocking, ",non-block"),
            (flags.temporary, ",tmpfile"),
            (flags.staged, ",staged"),
        ];
        let mut words = format!(
            "{},{},{}",
            if flags.sync { "sync" } else { "non-sync" },
            if flags.direct { "direct" } else { "non-direct" },
            if flags.read_only { "read-only" } else { "read-write" },
        );
        words.extend(optional.iter().filter(|(set, _)| *set).map(|(_, word)| *word));
        words
    }
}

/// A part of a file in memory.
#[derive(Debug)]
pub struct Mapped {
    /// The file, as the user named it.
    pub path: String,
    /// First byte of the file.
    pub offset: u64,
    pub protection: Protection,
    pub memory: Memory,
}

/// The state that commands work on.
pub struct Session {
    pub target: Box<dyn Target>,
    pub files: Vec<OpenFile>,
    /// Index of the current file in `files`.
    pub current: usize,
    pub expert: bool,
    pub exit_code: u8,
    pub quit: bool,
    /// Parts of files in memory.
    pub mappings: Vec<Mapped>,
    /// Index of the current one in `mappings`.
    pub mapping: usize,
    /// Vectors of pread and pwrite: the last -V given stays in force, as in xfsprogs.
    pub vectors: usize,
    /// Most rows of fiemap; 0 for all. The last -n given stays in force, as in xfsprogs.
    pub fiemap_most: usize,
}

impl Session {
    /// A session without files.
    pub fn new(target: Box<dyn Target>, expert: bool) -> Self {
        Self {
            target,
            files: Vec::new(),
            current: 0,
            expert,
            exit_code: 0,
            quit: false,
            mappings: Vec::new(),
            mapping: 0,
            vectors: 0,
            fiemap_most: 0,
        }
    }

    /// The image, or why a command cannot be used.
    pub fn image(&mut self) -> anyhow::Result<&mut Image> {
        self.target.image().ok_or_else(|| anyhow::anyhow!("this command needs an image (-D)"))
    }

    /// The system calls, or why a command cannot be used.
    pub fn host(&mut self) -> anyhow::Result<&mut Host> {
        let words = "this command needs a mounted file (no -D)";
        self.target.host().ok_or_else(|| anyhow::anyhow!(words))
    }

    /// Units for number suffixes: block and sector size of the current file's filesystem.
    pub fn units(&self) -> Units {
        let file = self.files.get(self.current);
        let geometry = file.and_then(|file| self.target.geometry(file.handle));
        geometry.map_or(Units { block: 4096, sector: 512 }, |geometry| Units {
            block: u64::from(geometry.block_size),
            sector: u64::from(geometry.sector_size),
        })
    }

    /// Parses a number that may be negative (and is then refused by who it is meant for).
    pub fn signed(&self, text: &str) -> Option<i64> {
        numbers::parse(text, self.units())
    }

    /// Parses a number, or says which argument is none.
    pub fn number(&self, text: &str, what: &str) -> anyhow::Result<u64> {
        let value = self.signed(text).and_then(|value| u64::try_from(value).ok());
        value.ok_or_else(|| Complaint(format!("non-numeric {what} argument -- {text}")).into())
    }

    /// The current file.
    pub fn file(&self) -> anyhow::Result<&OpenFile> {
        self.files.get(self.current).ok_or_else(|| anyhow::anyhow!("no files are open"))
    }

    /// Handle of the current file.
    pub fn handle(&self) -> anyhow::Result<Handle> {
        Ok(self.file()?.handle)
    }

    /// Opens (or creates) a file and makes it the current one.
    pub fn open_file(&mut self, path: &str, flags: OpenFlags) -> Result<()> {
        let handle = self.target.open(path, &flags)?;
        let foreign = !flags.path_only && self.target.geometry(handle).is_none();
        self.files.push(OpenFile { path: path.to_string(), handle, flags, foreign, update: None });
        self.current = self.files.len() - 1;
        Ok(())
    }

    /// Closes the current file; the one behind it becomes current.
    pub fn close_file(&mut self) -> anyhow::Result<()> {
        if self.current < self.files.len() {
            let file = self.files.remove(self.current);
            self.current = self.current.min(self.files.len().saturating_sub(1));
            self.target.close(file.handle)?;
        }
        Ok(())
    }

    /// Closes every file and the target.
    pub fn close(&mut self) -> Result<()> {
        std::io::stdout().flush().ok();
        self.files.clear();
        self.target.finish()
    }
}

/// A complaint about how a command was called: printed as it is, to standard output, as
/// xfsprogs does.
#[derive(Debug)]
pub struct Complaint(pub String);

impl std::fmt::Display for Complaint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Complaint {}
