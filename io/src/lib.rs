//! xfs_io: work on files, those of mounted filesystems or those inside an unmounted XFS
//! filesystem, atomically. The program is `program`; what it can do is in `commands`.
#![deny(unsafe_code)]

pub mod commands;
mod numbers;
pub mod program;
mod prompt;
mod session;
mod target;
mod transfer;
