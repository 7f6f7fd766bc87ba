//! Inodes in memory.

pub mod extent_map;
pub mod fork;
