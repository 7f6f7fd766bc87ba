//! The program xfs_metadump: the command `metadump` of xfs_db with its options.

use crate::commands::metadump::COMMAND;
use crate::options::Options as DbOptions;
use crate::program::explain;
use crate::session::{Session, say};
use clap::{ArgAction, CommandFactory, Parser};
use std::process::ExitCode;

const NAME: &str = "xfs_metadump";
const USAGE: &str = "Usage: xfs_metadump [-aefFogwV] [-m max_extents] [-l logdev] [-r rtdev] \
                     [-v version] source target";

/// Copy the metadata of an XFS filesystem to a file.
#[derive(Debug, Parser)]
#[command(name = NAME, disable_version_flag = true, disable_help_flag = true)]
pub struct Options {
    /// Copy blocks whole, with the bytes that are not in use; those are not obfuscated
    #[arg(short = 'a', action = ArgAction::SetTrue)]
    pub all: bool,

    /// Stop where the source cannot be read, instead of leaving that out
    #[arg(short = 'e', action = ArgAction::SetTrue)]
    pub stop_on_error: bool,

    /// The source is an image file (it is read the same way without this)
    #[arg(short = 'f', action = ArgAction::SetTrue)]
    pub file: bool,

    /// Go on although the superblock has the wrong magic number
    #[arg(short = 'F', action = ArgAction::SetTrue)]
    pub force: bool,

    /// Show the progress: on standard output, or on standard error if the dump goes there
    #[arg(short = 'g', action = ArgAction::SetTrue)]
    pub progress: bool,

    /// Device or image file of an external log; its contents are dumped in version 2
    #[arg(short = 'l', value_name = "logdev")]
    pub log: Option<String>,

    /// Largest extent of metadata that is believed, in blocks
    #[arg(short = 'm', value_name = "max_extents")]
    pub max_extent: Option<String>,

    /// Keep names, extended attributes and targets of symbolic links as they are
    #[arg(short = 'o', action = ArgAction::SetTrue)]
    pub clear_text: bool,

    /// Realtime device or image file; the superblock of realtime groups is dumped in version 2
    #[arg(short = 'r', value_name = "rtdev")]
    pub realtime: Option<String>,

    /// Version of the dump's format, 1 or 2; the default is 1 where that can hold everything
    #[arg(short = 'v', value_name = "version")]
    pub format: Option<String>,

    /// Show warnings of metadata that makes no sense
    #[arg(short = 'w', action = ArgAction::SetTrue)]
    pub warnings: bool,

    /// Print the version and leave
    #[arg(short = 'V', action = ArgAction::SetTrue)]
    pub version: bool,

    /// Device or image file with the filesystem
    pub source: Option<String>,

    /// File for the dump; - for standard output
    pub target: Option<String>,
}

/// The options as clap knows them, for the manual page and completions too.
pub fn command() -> clap::Command {
    Options::command()
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let Ok(options) = Options::try_parse() else { return usage() };
    if options.version {
        say(&format!("{NAME} version {}\n", env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    let (Some(source), Some(target)) = (&options.source, &options.target) else { return usage() };
    match run(&options, source, target) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            eprintln!("{NAME}: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

/// Runs the command; returns the exit status.
fn run(options: &Options, source: &str, target: &str) -> anyhow::Result<u8> {
    let mut words = vec![NAME, "-r", "-i", "-p", NAME];
    let devices = [("-l", &options.log), ("-R", &options.realtime)];
    for (letter, value) in devices {
        words.extend(value.iter().flat_map(|value| [letter, value.as_str()]));
    }
    words.extend(options.force.then_some("-F"));
    words.push(source);
    let mut session = Session::open(&DbOptions::try_parse_from(words)?)?;
    let mut args = Vec::new();
    let switches = [
        (options.all, "-a"),
        (options.stop_on_error, "-e"),
        (options.progress, "-g"),
        (options.clear_text, "-o"),
        (options.warnings, "-w"),
    ];
    args.extend(switches.iter().filter(|(given, _)| *given).map(|(_, letter)| *letter));
    for (letter, value) in [("-m", &options.max_extent), ("-v", &options.format)] {
        args.extend(value.iter().flat_map(|value| [letter, value.as_str()]));
    }
    args.push(target);
    (COMMAND.run)(&mut session, &args)?;
    Ok(session.exit_status)
}
