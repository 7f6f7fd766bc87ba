//! xfs_db: look at the structures of an XFS filesystem, sound or not, mounted or not, and
//! in expert mode change them.
//!
//! It reads the device directly and never replays the log for looking. What a structure
//! looks like is in `fields`, what can be done in `commands`. The programs that xfsprogs
//! builds from its xfs_db, and those that print what it prints, are in `bin`.
#![forbid(unsafe_code)]

pub mod attributes;
pub mod commands;
mod convert;
pub mod fields;
pub mod files;
pub mod getopt;
mod journal;
pub mod json;
pub mod logprint;
pub mod map;
pub mod mdrestore;
pub mod metadump;
mod mounted;
pub mod options;
mod positions;
pub mod program;
mod prompt;
mod rdump;
pub mod session;
pub mod types;
pub mod usage;
pub mod write;
