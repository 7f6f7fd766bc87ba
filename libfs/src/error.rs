//! The one error type of libfs.
//!
//! Errors are split by what the caller can do about them: the device failed
//! ([`Error::Io`]), the image is damaged ([`Error::Corrupt`]), the image is sound but
//! not ours to handle ([`Error::Incompatible`]), or the request itself cannot be done
//! ([`Error::Os`], which carries the errno Linux would return for the same request).

use std::fmt;
use std::io;

pub use nix::errno::Errno;

/// Result of every fallible function in libfs.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an operation on a filesystem or its device failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The device failed, or could not be opened.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, with offset and length in bytes where there are any.
        what: String,
        /// The operating system's reason.
        source: io::Error,
    },

    /// A structure on the device is not what it must be.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),

    /// The filesystem is sound but uses something this code must not touch.
    #[error("{0}")]
    Incompatible(String),

    /// The request cannot be carried out; Linux would return this errno for it.
    #[error("{what}: {}", .errno.desc())]
    Os {
        /// The errno Linux returns for the same request.
        errno: Errno,
        /// What was asked, in a few words.
        what: String,
    },

    /// An earlier error (or the user) stopped the filesystem; nothing is written any more.
    #[error("the filesystem was shut down: {0}")]
    Shutdown(String),
}

impl Error {
    /// The request fails as Linux would fail it, with `errno`.
    pub fn os(errno: Errno, what: impl Into<String>) -> Self {
        Error::Os { errno, what: what.into() }
    }

    /// A device operation described by `what` failed with `source`.
    pub fn io(what: impl Into<String>, source: io::Error) -> Self {
        Error::Io { what: what.into(), source }
    }

    /// The structure named `structure` at `at` is damaged: `why`.
    pub fn corrupt(structure: &'static str, at: At, why: impl Into<String>) -> Self {
        Error::Corrupt(Corrupt { structure, at, why: why.into() })
    }

    /// The errno that Linux would report for this error.
    pub fn errno(&self) -> Errno {
        match self {
            Error::Io { source, .. } => source.raw_os_error().map_or(Errno::EIO, Errno::from_raw),
            Error::Corrupt(_) => Errno::EUCLEAN,
            Error::Incompatible(_) => Errno::EINVAL,
            Error::Os { errno, .. } => *errno,
            Error::Shutdown(_) => Errno::EIO,
        }
    }
}

/// Damage found in one on-disk structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrupt {
    /// XFS's name of the structure, for example "AGF" or "inode btree block".
    pub structure: &'static str,
    /// Where it lies.
    pub at: At,
    /// What is wrong with it, with the values found.
    pub why: String,
}

impl std::error::Error for Corrupt {}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} is corrupt: {}", self.structure, self.at, self.why)
    }
}

/// An address inside a filesystem, as a person would look it up in xfs_db.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// Disk address in 512-byte basic blocks from the start of the data device.
    Daddr(u64),
    /// Inode number.
    Inode(u64),
    /// Allocation group number and block within it.
    AgBlock(u32, u32),
    /// Block of the realtime section, as mappings count it.
    RtBlock(u64),
    /// Log position: cycle and 512-byte block.
    Lsn(u32, u32),
    /// Byte offset inside whatever was given to the decoder.
    Byte(usize),
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            At::Daddr(d) => write!(f, "daddr {d}"),
            At::Inode(i) => write!(f, "inode {i}"),
            At::AgBlock(ag, block) => write!(f, "AG {ag} block {block}"),
            At::RtBlock(block) => write!(f, "realtime block {block}"),
            At::Lsn(cycle, block) => write!(f, "log {cycle}/{block}"),
            At::Byte(offset) => write!(f, "byte {offset}"),
        }
    }
}
