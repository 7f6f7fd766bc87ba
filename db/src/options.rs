//! The command line.

use clap::{ArgAction, CommandFactory, Parser};
use std::path::PathBuf;

/// How to call the program.
pub const USAGE: &str =
    "Usage: xfs_db [-ifFrxV] [-p prog] [-l logdev] [-R rtdev] [-c cmd]... device";

/// Look at the structures of an XFS filesystem.
#[derive(Debug, Parser)]
#[command(
    name = "xfs_db",
    disable_version_flag = true,
    override_usage = "xfs_db [-ifFrxV] [-p prog] [-l logdev] [-R rtdev] [-c cmd]... device"
)]
pub struct Options {
    /// Run this command; several are run in order. Without any, commands are read from
    /// standard input
    #[arg(short = 'c', value_name = "cmd")]
    pub commands: Vec<String>,

    /// The device is an image file (it is looked at the same way without this)
    #[arg(short = 'f')]
    pub file: bool,

    /// Go on although the superblock has the wrong magic number
    #[arg(short = 'F')]
    pub force: bool,

    /// Allow a filesystem that is mounted read-only
    #[arg(short = 'i')]
    pub mounted: bool,

    /// Open read-only, so that not even expert mode changes anything
    #[arg(short = 'r')]
    pub read_only: bool,

    /// Expert mode: know the commands that change things
    #[arg(short = 'x')]
    pub expert: bool,

    /// Name of the program in messages and the prompt
    #[arg(short = 'p', value_name = "prog", default_value = "xfs_db")]
    pub program: String,

    /// Device of an external log
    #[arg(short = 'l', value_name = "logdev")]
    pub log_device: Option<PathBuf>,

    /// Realtime device
    #[arg(short = 'R', value_name = "rtdev")]
    pub realtime_device: Option<PathBuf>,

    /// Print JSON where a command can
    #[arg(long)]
    pub json: bool,

    /// Print the version and leave
    #[arg(short = 'V', action = ArgAction::SetTrue)]
    pub version: bool,

    /// Device or image file
    pub device: Option<PathBuf>,
}

/// The options as clap knows them, for the manual page and completions too.
pub fn command() -> clap::Command {
    Options::command()
}
