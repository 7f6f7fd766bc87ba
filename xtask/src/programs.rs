//! The programs there are: what cargo calls them, what users call them, and their options.

use clap::Command;

/// One program.
pub struct Program {
    /// Cargo's name of the binary.
    pub binary: &'static str,
    /// The name it is installed under.
    pub name: &'static str,
    /// Its options, with the names of what they can be given.
    pub options: fn() -> Command,
}

/// All of them.
pub const PROGRAMS: &[Program] = &[
    Program { binary: "mkfs_xfs", name: "mkfs.xfs", options: mkfs::cli::command },
    Program { binary: "xfs_io", name: "xfs_io", options: io::program::command },
    Program { binary: "xfs_repair", name: "xfs_repair", options: repair::options::command },
    Program { binary: "xfs_db", name: "xfs_db", options: db::options::command },
    Program { binary: "xfs_metadump", name: "xfs_metadump", options: db::metadump::command },
    Program { binary: "xfs_mdrestore", name: "xfs_mdrestore", options: db::mdrestore::command },
    Program {
        binary: "xfs_logprint",
        name: "xfs_logprint",
        options: db::logprint::options::command,
    },
];
