//! xfs_repair: recover an unmounted filesystem from its log and say what was done.
#![forbid(unsafe_code)]

pub mod options;
pub mod program;
mod report;
