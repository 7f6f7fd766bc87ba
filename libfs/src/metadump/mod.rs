//! Metadata dumps: all metadata of a filesystem in one file, to be looked at elsewhere, and
//! back to a filesystem without its data. The formats are those of xfsprogs' xfs_metadump.
//!
//! Everything streams: memory does not go with the size of the filesystem.

pub mod format;
mod reader;
mod restore;

#[cfg(test)]
mod tests;

pub use format::{Info, Section, Version};
pub use reader::{Place, Reader};
pub use restore::{Restore, Sizes, Target, Targets};
