//! Metadata dumps: all metadata of a filesystem in one file, to be looked at elsewhere, and
//! back to a filesystem without its data. The formats are those of xfsprogs' xfs_metadump.
//!
//! Everything streams: memory does not go with the size of the filesystem.

mod copy;
pub mod format;
mod obfuscate;
mod reader;
mod restore;
mod writer;

#[cfg(test)]
mod tests;

pub use copy::{Listener, Options, Progress, Source, dump, log_is_dirty};
pub use format::{Info, Section, Version};
pub use obfuscate::{Key, Names, Obfuscator};
pub use reader::{Place, Reader};
pub use restore::{Restore, Sizes, Target, Targets};
pub use writer::Writer;
