//! The program xfs_mdrestore: makes a filesystem image of a metadata dump.

use crate::program::explain;
use crate::session::say;
use anyhow::{Context, Result, bail};
use clap::{ArgAction, CommandFactory, Parser};
use libfs::device::{Device, FileDevice};
use libfs::metadump::{Info, Reader, Restore, Target, Targets, Version};
use std::fs::File;
use std::io::{BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const NAME: &str = "xfs_mdrestore";
const USAGE: &str = "Usage: xfs_mdrestore [-V] [-g] [-i] [-l logdev] [-r rtdev] source target";
/// Bytes that are read from the dump at once.
const INPUT: usize = 1 << 20;

/// Restore an XFS metadata dump to a filesystem image.
#[derive(Debug, Parser)]
#[command(name = NAME, disable_version_flag = true, disable_help_flag = true)]
pub struct Options {
    /// Show the progress on standard output
    #[arg(short = 'g', action = ArgAction::SetTrue)]
    pub progress: bool,

    /// Show what the dump says about itself; without a target, nothing else is done
    #[arg(short = 'i', action = ArgAction::SetTrue)]
    pub info: bool,

    /// Device or image file for the log, for a dump of version 2 that holds an external log
    #[arg(short = 'l', value_name = "logdev")]
    pub log: Option<PathBuf>,

    /// Device or image file for the realtime section, for a dump of version 2 with one
    #[arg(short = 'r', value_name = "rtdev")]
    pub realtime: Option<PathBuf>,

    /// Print the version and leave
    #[arg(short = 'V', action = ArgAction::SetTrue)]
    pub version: bool,

    /// The dump; - for standard input
    pub source: Option<PathBuf>,

    /// Device or image file for the data section
    pub target: Option<PathBuf>,
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
    let Some(source) = &options.source else { return usage() };
    if options.target.is_none() && !options.info {
        return usage();
    }
    match run(&options, source) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => usage(),
        Err(error) => {
            eprintln!("{NAME}: {}", explain(&error));
            ExitCode::FAILURE
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}

/// Does it; `false` if the options do not fit the dump.
fn run(options: &Options, source: &Path) -> Result<bool> {
    let reader = Reader::new(BufReader::with_capacity(INPUT, open(source)?))?;
    let info = reader.info();
    if info.version == Version::V1 && options.log.is_some() {
        return Ok(false);
    }
    if info.external_log && options.log.is_none() {
        bail!("External Log device is required");
    }
    if info.realtime && options.realtime.is_none() {
        bail!("Realtime device is required");
    }
    if options.info {
        say(&describe(source, &info));
    }
    let Some(target) = &options.target else { return Ok(true) };
    let restore = Restore::new(reader)?;
    let sizes = restore.sizes();
    let data = open_target(target, sizes.data)?;
    let log = options.log.as_deref().map(|path| open_target(path, sizes.log)).transpose()?;
    let realtime = options.realtime.as_deref();
    let realtime = realtime.map(|path| open_target(path, sizes.realtime)).transpose()?;
    let targets = Targets {
        data: target_of(&data),
        log: log.as_ref().map(target_of),
        realtime: realtime.as_ref().map(target_of),
    };
    let mut shown = 0;
    restore.run(targets, &mut |bytes| {
        let megabytes = bytes >> 20;
        if options.progress && megabytes > shown {
            shown = megabytes;
            say(&format!("\r{:<59}", format!("{megabytes} MB read")));
            let _ = std::io::stdout().flush();
        }
    })?;
    if shown > 0 {
        say("\n");
    }
    Ok(true)
}

/// Opens the dump.
fn open(source: &Path) -> Result<Box<dyn Read>> {
    if source != Path::new("-") {
        return Ok(Box::new(File::open(source).context("cannot open source dump file")?));
    }
    let input = std::io::stdin();
    if input.is_terminal() {
        bail!("cannot read from a terminal");
    }
    Ok(Box::new(input.lock()))
}

/// Opens a device or makes an image file, of at least `size` bytes. A file is emptied first.
fn open_target(path: &Path, size: u64) -> Result<FileDevice> {
    let couldnt = || format!("couldn't open \"{}\"", path.display());
    let is_file = std::fs::metadata(path).map_or(true, |found| found.is_file());
    if is_file {
        // FileDevice wants it to be there; and refuses it while it is in use, before it is cut.
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(couldnt)?;
    }
    let mut device = FileDevice::open(path).with_context(couldnt)?;
    if is_file {
        let resize = device.set_size(0).and_then(|()| device.set_size(size));
        resize.context("cannot set filesystem image size")?;
    } else if device.size() < size {
        bail!("failed to write last block, is target too small? (it has {} bytes)", device.size());
    }
    Ok(device)
}

fn target_of(device: &FileDevice) -> Target<'_> {
    Target { is_blank: !device.is_block_device(), device }
}

/// What -i prints.
fn describe(source: &Path, info: &Info) -> String {
    let source = source.display();
    let not = |set: bool| if set { "" } else { "not " };
    let log = if info.dirty_log { "dirty" } else { "clean" };
    let blocks = if info.full_blocks { "full" } else { "zeroed" };
    match info.version {
        _ if !info.has_flags => format!("{source}: no informational flags present\n"),
        Version::V1 => format!(
            "{source}: {}obfuscated, {log} log, {blocks} metadata blocks\n",
            not(info.obfuscated)
        ),
        Version::V2 => format!(
            "{source}: {}obfuscated, {log} log, external log contents are {}dumped, \
             rt device contents are {}dumped, {blocks} metadata blocks,\n",
            not(info.obfuscated),
            not(info.external_log),
            not(info.realtime)
        ),
    }
}
