//! One script of xfs_io commands, run by several programs on several kinds of files, and
//! everything compared that the runs leave: what was printed, and the files.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`script`] | a script, and what a run of it printed, command by command |
//! | [`world`] | who runs scripts, and on what: xfs_io 7.2 and ours on mounted files, ours on an image |
//! | [`normalise`] | the parts of the output that say the same, without times and places on the disk |
//! | [`state`] | contents, sizes, attributes and sharing of the files of a directory |
//! | [`arena`] | worlds that begin alike, cases run in all of them, and the comparison |
//! | [`generate`] | random scripts |
//! | [`shrink`] | the smallest script that still fails |

pub mod arena;
pub mod generate;
pub mod normalise;
pub mod script;
pub mod shrink;
pub mod state;
pub mod world;
