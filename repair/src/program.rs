//! xfs_repair: recovers an unmounted filesystem from its log and says what it did.

use std::process::ExitCode;

use anyhow::Result;
use libfs::filesystem::{Filesystem, Opened, RecoveryReport, Unrecovered, read_superblock};
use libfs::journal::{LogState, find_ends, zero_log};

use crate::options::{self, Mode, Options};
use crate::report;

/// What xfs_repair exits with.
mod status {
    /// Nothing was wrong, or everything was put right.
    pub const SOUND: u8 = 0;
    /// It could not run, or (with -n) found something wrong.
    pub const FAILED: u8 = 1;
    /// The log is dirty and could not be replayed.
    pub const DIRTY_LOG: u8 = 2;
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let options = match options::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Errors of the device name it, errors in what it holds do not.
            let (path, text) = (options.device.display().to_string(), error.to_string());
            let prefix = if text.contains(&path) { String::new() } else { format!("{path}: ") };
            eprintln!("xfs_repair: {prefix}{text}");
            ExitCode::from(status::FAILED)
        }
    }
}

fn run(options: &Options) -> Result<u8> {
    match options.mode {
        Mode::ZeroLog => discard_log(options),
        Mode::NoModify => look(options),
        Mode::Repair => recover(options),
    }
}

/// The filesystem, if its log is dirty; otherwise says that there is nothing to do.
fn open_dirty(options: &Options, read_only: bool) -> Result<Option<Unrecovered>> {
    match Filesystem::open_with(options.devices(read_only)?)? {
        Opened::Clean(_) => {
            report::clean();
            report::not_checked();
            Ok(None)
        }
        Opened::Dirty(unrecovered) => {
            report::log_ends(unrecovered.log_ends(), options);
            Ok(Some(unrecovered))
        }
    }
}

/// Recovers the filesystem on the device.
fn recover(options: &Options) -> Result<u8> {
    let Some(unrecovered) = open_dirty(options, false)? else { return Ok(status::SOUND) };
    let closed = unrecovered.recover().and_then(|(mut filesystem, report)| {
        filesystem.close()?;
        Ok(report)
    });
    finish(closed, options)
}

/// Recovers the filesystem in memory; the device is not written.
fn look(options: &Options) -> Result<u8> {
    let Some(unrecovered) = open_dirty(options, true)? else { return Ok(status::SOUND) };
    finish(unrecovered.recover_in_memory().map(|(_, report)| report), options)
}

/// Reports what recovery did.
fn finish(outcome: libfs::Result<RecoveryReport>, options: &Options) -> Result<u8> {
    let Some(done) = settle(outcome)? else { return Ok(status::DIRTY_LOG) };
    report::recovered(&done, options);
    report::not_checked();
    Ok(status::SOUND)
}

/// `None`, with the reason printed, if the log cannot be replayed; errors of the device
/// are passed on.
fn settle(outcome: libfs::Result<RecoveryReport>) -> Result<Option<RecoveryReport>> {
    match outcome {
        Ok(report) => Ok(Some(report)),
        Err(error @ (libfs::Error::Corrupt(_) | libfs::Error::Incompatible(_))) => {
            report::log_unusable(&error);
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// Throws the log away.
fn discard_log(options: &Options) -> Result<u8> {
    let devices = options.devices(false)?;
    let (superblock, geo) = read_superblock(devices.data.as_ref())?;
    if let Some(reason) = superblock.read_only_reason() {
        anyhow::bail!("{reason}");
    }
    let log = devices.log_place(&geo)?;
    let state = find_ends(log.device.as_ref(), log.area).map(|ends| ends.state);
    if !matches!(state, Ok(LogState::Clean)) {
        report::destroying();
    }
    zero_log(&log)?;
    println!("The log was emptied.");
    report::not_checked();
    Ok(status::SOUND)
}
