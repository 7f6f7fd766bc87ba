//! XFS v5 in userspace: the on-disk format, a real journal, and files on top of it.
//!
//! The modules are layers; each uses only those above it in this list.
//! ARCHITECTURE.md describes them and the rules between them.
#![forbid(unsafe_code)]

pub mod btree;
pub mod buffer;
pub mod device;
pub mod dir;
pub mod error;
pub mod file;
pub mod filesystem;
pub mod format;
pub mod inode;
pub mod journal;
pub mod metadump;
pub mod mkfs;
pub mod mount;
pub mod parent;
pub mod scan;
pub mod space;
pub mod symlink;
pub mod transaction;
pub mod xattr;

pub use error::{At, Corrupt, Errno, Error, Result};
