//! Directories in every format: inline in the inode, a single block, data blocks with one
//! leaf block, and data blocks with a hash tree and a free index.

pub(crate) mod bytes;
pub(crate) mod hash_tree;
pub(crate) mod store;

mod block;
mod change;
mod convert;
mod data;
mod free_index;
mod leaf;
mod lookup;
mod shortform;

pub use lookup::DirEntry;

#[cfg(test)]
mod tests;
