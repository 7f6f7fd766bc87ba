//! The command line.

use clap::{ArgAction, CommandFactory, Parser};
use std::path::PathBuf;

/// How to call the program, as xfsprogs 7.2 words it.
pub const USAGE: &str = "\
Usage: xfs_logprint [options...] <device>

Options:
    -c	            try to continue if error found in log
    -C <filename>   copy the log from the filesystem to filename
    -d	            dump the log in log-record format
    -e	            exit when an error is found in the log
    -f	            specified device is actually a file
    -h		    print hex data in host-endian order
    -l <device>     filename of external log
    -n	            don't try and interpret log data
    -o	            print buffer data in hex
    -s <start blk>  block # to start printing
    -v              print \"overwrite\" data
    -t	            print out transactional view
	-b          in transactional view, extract buffer info
	-i          in transactional view, extract inode info
	-q          in transactional view, extract quota info
    -D              print only data; no decoding
    -V              print version information";

/// Print the log of an XFS filesystem.
#[derive(Debug, Default, Parser)]
#[command(name = "xfs_logprint", disable_version_flag = true, disable_help_flag = true)]
pub struct Options {
    /// In the transactional view, say what is in buffers
    #[arg(short = 'b', overrides_with = "buffers")]
    pub buffers: bool,

    /// Go on where an error is found in the log
    #[arg(short = 'c', overrides_with = "go_on")]
    pub go_on: bool,

    /// Copy the log to this file
    #[arg(short = 'C', value_name = "filename")]
    pub copy: Option<PathBuf>,

    /// List the records and where cycles change
    #[arg(short = 'd', overrides_with = "dump")]
    pub dump: bool,

    /// Print the blocks of the log as numbers
    #[arg(short = 'D', overrides_with = "data")]
    pub data: bool,

    /// Exit where an error is found in the log (this is what happens anyway)
    #[arg(short = 'e', overrides_with = "exit")]
    pub exit: bool,

    /// The device is a copy of a log, as -C makes it
    #[arg(short = 'f', overrides_with = "file")]
    pub file: bool,

    /// In the transactional view, say what is in inodes
    #[arg(short = 'i', overrides_with = "inodes")]
    pub inodes: bool,

    /// Device of an external log
    #[arg(short = 'l', value_name = "logdev")]
    pub log_device: Option<PathBuf>,

    /// Print operations as bytes
    #[arg(short = 'n', overrides_with = "no_decoding")]
    pub no_decoding: bool,

    /// Print the contents of buffers as numbers too
    #[arg(short = 'o', overrides_with = "contents")]
    pub contents: bool,

    /// In the transactional view, say what is in quota records
    #[arg(short = 'q', overrides_with = "quotas")]
    pub quotas: bool,

    /// Block to start at, or the first record after it
    #[arg(short = 's', value_name = "start-block")]
    pub start: Option<String>,

    /// Print the transactions that recovery would see
    #[arg(short = 't', overrides_with = "transactions")]
    pub transactions: bool,

    /// Print the words that cycle numbers took the place of
    #[arg(short = 'v', overrides_with = "overwritten")]
    pub overwritten: bool,

    /// Print the version and exit
    #[arg(short = 'V', action = ArgAction::SetTrue)]
    pub version: bool,

    /// Device or image file
    pub device: Option<PathBuf>,
}

/// The options as clap knows them, for the manual page and completions too.
pub fn command() -> clap::Command {
    Options::command()
}
