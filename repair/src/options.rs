//! The command line, as xfsprogs's xfs_repair takes it.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser};
use libfs::device::WriteCrashDevice;
use libfs::filesystem::Devices;

/// What to do with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Replay and repair.
    Repair,
    /// Look only: replay in memory.
    NoModify,
    /// Destroy the log.
    ZeroLog,
}

/// What the user asked for.
#[derive(Debug, Clone)]
pub struct Options {
    /// Device or image file.
    pub device: PathBuf,
    /// Device of the log, if it has its own.
    pub log_device: Option<PathBuf>,
    /// What to do with it.
    pub mode: Mode,
    /// Say more.
    pub verbose: bool,
}

impl Options {
    /// Opens the devices. Where the environment says so, the program dies after some writes
    /// to them, so that scripts can test what a crash of it leaves behind.
    ///
    /// # Errors
    ///
    /// As [`Devices::files`].
    pub fn devices(&self, read_only: bool) -> libfs::Result<Devices> {
        let devices = Devices::files(&self.device, self.log_device.as_deref(), read_only)?;
        if read_only {
            return Ok(devices);
        }
        let log = devices.log.map(|log| WriteCrashDevice::by_environment(log, "logdev"));
        Ok(Devices { data: WriteCrashDevice::by_environment(devices.data, "ddev"), log })
    }
}

/// Replay the log of an unmounted XFS filesystem, and repair the filesystem.
#[derive(Parser, Debug)]
#[command(name = "xfs_repair", disable_version_flag = true)]
struct Arguments {
    /// The device is an image file (found out without it, too)
    #[arg(short = 'f')]
    file: bool,

    /// Destroy the log, when it can be replayed neither here nor by mounting
    #[arg(short = 'L', conflicts_with = "no_modify")]
    zero_log: bool,

    /// Device or image file with the log, when it is not inside the filesystem
    #[arg(short = 'l', value_name = "LOGDEV")]
    log_device: Option<PathBuf>,

    /// Only look: replay the log in memory and write nothing
    #[arg(short = 'n')]
    no_modify: bool,

    /// Repair a filesystem that is mounted read-only
    #[arg(short = 'd')]
    dangerously: bool,

    /// Exit with 4 if damage was repaired (replaying the log is no damage)
    #[arg(short = 'e')]
    exit_code: bool,

    /// Disable prefetching (accepted, without effect)
    #[arg(short = 'P')]
    no_prefetch: bool,

    /// Memory to use at most, in MiB (accepted, without effect)
    #[arg(short = 'm', value_name = "MIB")]
    max_memory: Option<u64>,

    /// Options: bhash=N, ag_stride=N, force_geometry, phase2_threads=N, noquota
    #[arg(short = 'o', value_name = "SUBOPTS")]
    options: Vec<String>,

    /// Seconds between reports of progress
    #[arg(short = 't', value_name = "SECONDS")]
    interval: Option<u64>,

    /// Say more; twice for more still
    #[arg(short = 'v', action = ArgAction::Count)]
    verbose: u8,

    /// Print the version and exit
    #[arg(short = 'V')]
    version: bool,

    /// Device or image file
    #[arg(required_unless_present = "version")]
    device: Option<PathBuf>,
}

/// The options as clap knows them, for the manual page and completions too.
pub fn command() -> clap::Command {
    Arguments::command()
}

/// The suboptions of -o.
const SUBOPTIONS: [&str; 5] = ["bhash", "ag_stride", "force_geometry", "phase2_threads", "noquota"];

/// Parses the command line; `Err` is the status to exit with at once.
pub fn parse() -> Result<Options, ExitCode> {
    let arguments = Arguments::try_parse().map_err(|error| {
        let _ = error.print();
        // xfsprogs exits with 1 for a wrong command line.
        if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS }
    })?;
    if arguments.version {
        println!("xfs_repair version {}", env!("CARGO_PKG_VERSION"));
        return Err(ExitCode::SUCCESS);
    }
    for option in arguments.options.iter().flat_map(|list| list.split(',')) {
        let name = option.split('=').next().unwrap_or(option);
        if !SUBOPTIONS.contains(&name) {
            eprintln!("xfs_repair: unknown option -o {option}");
            return Err(ExitCode::from(1));
        }
    }
    let mode = match (arguments.no_modify, arguments.zero_log) {
        (true, _) => Mode::NoModify,
        (_, true) => Mode::ZeroLog,
        _ => Mode::Repair,
    };
    let Some(device) = arguments.device else { return Err(ExitCode::from(1)) };
    Ok(Options { device, log_device: arguments.log_device, mode, verbose: arguments.verbose > 0 })
}
