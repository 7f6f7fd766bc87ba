//! Developer commands, run as `cargo xtask COMMAND`.
#![forbid(unsafe_code)]

mod bench;
mod completions;
mod deb;
mod demo;
mod install;
mod man;
mod peers;
mod programs;
mod shell;
mod test;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use install::Profile;

/// Developer commands of xfsprogs-rs.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Check format and lints, build everything, run all tests (sets up the peers first)
    Test {
        /// Only run tests whose name contains this
        filter: Option<String>,
    },
    /// Exchange two files on an image, cut the power in the middle, replay the log
    Demo,
    /// Measure against xfsprogs 7.2 and Linux; prints a table with ratios
    Bench {
        /// Only run benchmarks whose name contains this
        #[arg(default_value = "")]
        filter: String,
        /// Directory for the images [default: the temporary directory]
        #[arg(long)]
        dir: Option<PathBuf>,
        /// How often each side of each benchmark runs
        #[arg(long, default_value_t = 5)]
        runs: usize,
    },
    /// Install xfsprogs 7.2 and user-mode Linux from Debian into a cache directory, without root
    Peers,
    /// Make the manual pages
    Man {
        /// Directory that gets them
        #[arg(default_value = "target/man")]
        directory: PathBuf,
    },
    /// Build the programs optimised and make a Debian package of them
    Deb {
        /// Directory that gets it
        #[arg(default_value = "target/debian")]
        directory: PathBuf,
        /// Package the unoptimised programs of tests
        #[arg(long)]
        unoptimised: bool,
    },
    /// Build the programs optimised and install them; mkfs_xfs becomes mkfs.xfs
    Install {
        /// Directory that gets sbin/ with the programs, and share/ with manual pages, completions
        /// for shells, and profiles for mkfs.xfs
        #[arg(long, default_value = "/usr/local")]
        prefix: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Test { filter } => test::run(filter.as_deref()),
        Task::Demo => demo::run(),
        Task::Bench { filter, dir, runs } => bench::run(&filter, dir.as_deref(), runs),
        Task::Peers => peers::set_up().map(drop),
        Task::Man { directory } => man::run(&directory),
        Task::Deb { directory, unoptimised } => {
            deb::run(&directory, Profile::of(unoptimised)).map(drop)
        }
        Task::Install { prefix } => install::run(&prefix, Profile::Optimised),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
