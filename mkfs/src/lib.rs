//! mkfs.xfs: make an XFS filesystem. The program is `program`; what can be asked of it, for the
//! manual page and completions too, is in `cli` and `suboptions`.
#![forbid(unsafe_code)]

pub mod cli;
mod config;
mod environment;
mod ini;
pub mod manual;
mod number;
pub mod program;
pub mod report;
mod signatures;
pub mod suboptions;
mod target;
mod usage;
