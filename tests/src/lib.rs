//! Shared pieces of the peer tests: the real Linux and the real xfsprogs that judge
//! this project, and ways to compare what they say.
//!
//! | module | what it gives |
//! | --- | --- |
//! | [`peers`] | xfsprogs 7.2 from the peers directory (`cargo xtask peers` fills it) |
//! | [`linux`] | a Linux kernel that mounts an image: the machine's own, or user-mode Linux |
//! | [`uml`] | user-mode Linux on its own: no root needed |
//! | [`crash`] | images a real kernel left behind when its power was cut |
//! | [`workload`] | what goes on when the power is cut |
//! | [`differential`] | one script run by several programs on several kinds of files, compared |
//! | [`db_pair`] | commands run by both xfs_db, 7.2's and ours |
//! | [`db_walk`] | every structure of an image, printed by both xfs_db |
//! | [`gallery`] | images that Linux filled, with every kind of structure in them |
//! | [`enumerate`] | every state a power cut can leave, from a recording of device writes |
//! | [`all_or_nothing`] | one operation, the power cut at every point of it |
//! | [`manifest`] | everything a tree of files holds, as comparable lines |
//! | [`mkfs`] | one command line for our mkfs and for 7.2's, and all they did compared |
//! | [`sparse`] | comparing and copying images of up to 100 TiB without reading their holes |
//! | [`ours`] | this workspace's own programs |
//! | [`scratch`] | temporary directories that can hold large sparse files |
//! | [`skip`] | what a test does when a peer is missing: loud locally, a failure in CI |
#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub mod all_or_nothing;
pub mod crash;
pub mod db_pair;
pub mod db_walk;
pub mod differential;
pub mod enumerate;
pub mod gallery;
pub mod linux;
pub mod manifest;
pub mod metadump;
pub mod mkfs;
pub mod ours;
pub mod peers;
pub mod scratch;
pub mod skip;
pub mod sparse;
pub mod uml;
pub mod workload;
