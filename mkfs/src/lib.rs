//! mkfs.xfs: make an XFS filesystem. The program is `program`; what can be asked of it, for the
//! manual page and completions too, is in `cli` and `suboptions`.
#![forbid(unsafe_code)]

mod cli;
mod environment;
mod number;
pub mod program;
mod report;
mod signatures;
mod suboptions;
mod target;
mod usage;
