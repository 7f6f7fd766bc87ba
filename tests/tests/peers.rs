//! Tests against real peers: Linux and xfsprogs 7.2. CONTRIBUTING.md says how to add one.
#![forbid(unsafe_code)]

#[path = "peers/allocate.rs"]
mod allocate;
#[path = "peers/allocate_commands.rs"]
mod allocate_commands;
#[path = "peers/allocate_crash.rs"]
mod allocate_crash;
#[path = "peers/attributes.rs"]
mod attributes;
#[path = "peers/bad_input.rs"]
mod bad_input;
#[path = "peers/clone.rs"]
mod clone;
#[path = "peers/clone_crash.rs"]
mod clone_crash;
#[path = "peers/commit.rs"]
mod commit;
#[path = "peers/commit_contention.rs"]
mod commit_contention;
#[path = "peers/commit_errors.rs"]
mod commit_errors;
#[path = "peers/cow.rs"]
mod cow;
#[path = "peers/cow_chains.rs"]
mod cow_chains;
#[path = "peers/cow_crash.rs"]
mod cow_crash;
#[path = "peers/cow_unshare.rs"]
mod cow_unshare;
#[path = "peers/crash_enumeration.rs"]
mod crash_enumeration;
#[path = "peers/db_damaged.rs"]
mod db_damaged;
#[path = "peers/db_look.rs"]
mod db_look;
#[path = "peers/db_print.rs"]
mod db_print;
#[path = "peers/db_scan.rs"]
mod db_scan;
#[path = "peers/db_structure.rs"]
mod db_structure;
#[path = "peers/db_write.rs"]
mod db_write;
#[path = "peers/device_errors.rs"]
mod device_errors;
#[path = "peers/differential.rs"]
mod differential;
#[path = "peers/dir.rs"]
mod dir;
#[path = "peers/examples.rs"]
mod examples;
#[path = "peers/exchange_sharing.rs"]
mod exchange_sharing;
#[path = "peers/external_log.rs"]
mod external_log;
#[path = "peers/file.rs"]
mod file;
#[path = "peers/format_accepts_linux.rs"]
mod format_accepts_linux;
#[path = "peers/gallery.rs"]
mod gallery;
#[path = "peers/harness.rs"]
mod harness;
#[path = "peers/inode.rs"]
mod inode;
#[path = "peers/logprint.rs"]
mod logprint;
#[path = "peers/metadump.rs"]
mod metadump;
#[path = "peers/mkfs.rs"]
mod mkfs;
#[path = "peers/mkfs_config.rs"]
mod mkfs_config;
#[path = "peers/mkfs_devices.rs"]
mod mkfs_devices;
#[path = "peers/mkfs_pairs.rs"]
mod mkfs_pairs;
#[path = "peers/mkfs_realtime.rs"]
mod mkfs_realtime;
#[path = "peers/mkfs_refusals.rs"]
mod mkfs_refusals;
#[path = "peers/power_cut.rs"]
mod power_cut;
#[path = "peers/quota.rs"]
mod quota;
#[path = "peers/recovery.rs"]
mod recovery;
#[path = "peers/recovery_log.rs"]
mod recovery_log;
#[path = "peers/same_steps.rs"]
mod same_steps;
#[path = "peers/scripts.rs"]
mod scripts;
#[path = "peers/space.rs"]
mod space;
#[path = "peers/staged.rs"]
mod staged;
#[path = "peers/swap_extents.rs"]
mod swap_extents;
#[path = "peers/temporary.rs"]
mod temporary;
#[path = "peers/untorn.rs"]
mod untorn;
#[path = "peers/untorn_crash.rs"]
mod untorn_crash;
#[path = "peers/untorn_matrix.rs"]
mod untorn_matrix;
#[path = "peers/untorn_of_linux.rs"]
mod untorn_of_linux;
#[path = "peers/xattr.rs"]
mod xattr;
#[path = "peers/xfs_db.rs"]
mod xfs_db;
#[path = "peers/xfs_io.rs"]
mod xfs_io;
