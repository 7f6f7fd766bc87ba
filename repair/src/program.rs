//! xfs_repair: recovers an unmounted filesystem from its log and says what it did.

use std::process::ExitCode;

use anyhow::Result;
use libfs::filesystem::{Filesystem, Opened, RecoveryReport, read_superblock};
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

/// Recovers the filesystem on the device.
fn recover(options: &Options) -> Result<u8> {
    let unrecovered = match Filesystem::open_with(options.devices(false)?)? {
        Opened::Clean(_) => {
            report::clean();
            report::not_checked();
            return Ok(status::SOUND);
        }
        Opened::Dirty(unrecovered) => unrecovered,
    };
    report::log_ends(unrecovered.log_ends(), options);
    let closed = unrecovered.recover().and_then(|(mut filesystem, report)| {
        filesystem.close()?;
        Ok(report)
    });
    let done = match settle(closed)? {
        Some(done) => done,
        None => return Ok(status::DIRTY_LOG),
    };
    report::recovered(&done, options);
    report::not_checked();
    Ok(status::SOUND)
}

/// Recovers the filesystem in memory and reports; the device is not written.
fn look(options: &Options) -> Result<u8> {
    let unrecovered = match Filesystem::open_with(options.devices(true)?)? {
        Opened::Clean(_) => {
            report::clean();
            report::not_checked();
            return Ok(status::SOUND);
        }
        Opened::Dirty(unrecovered) => unrecovered,
    };
    report::log_ends(unrecovered.log_ends(), options);
    let recovered = unrecovered.recover_in_memory().map(|(_, report)| report);
    let Some(done) = settle(recovered)? else { return Ok(status::DIRTY_LOG) };
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
