//! xfs_repair: replays the log of an unmounted filesystem and says what it did.
#![forbid(unsafe_code)]

mod options;
mod report;

use std::process::ExitCode;

use anyhow::{Context, Result};
use libfs::device::{Device, FileDevice, OverlayDevice};
use libfs::format::geometry::Geometry;
use libfs::format::superblock::Superblock;
use libfs::journal::recovery::{Replayed, replay};
use libfs::journal::{LogArea, LogState, find_ends, write_unmount_record, zero_log};

use options::{Mode, Options};

/// What xfs_repair exits with.
mod status {
    /// Nothing was wrong, or everything was put right.
    pub const SOUND: u8 = 0;
    /// It could not run, or (with -n) found something wrong.
    pub const FAILED: u8 = 1;
    /// The log is dirty and could not be replayed.
    pub const DIRTY_LOG: u8 = 2;
}

fn main() -> ExitCode {
    let options = match options::parse() {
        Ok(options) => options,
        Err(code) => return code,
    };
    match run(&options) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("xfs_repair: {error:#}");
            ExitCode::from(status::FAILED)
        }
    }
}

fn run(options: &Options) -> Result<u8> {
    let path = &options.device;
    if options.mode == Mode::NoModify {
        let below = FileDevice::open_read_only(path)?;
        let overlay = OverlayDevice::new(std::sync::Arc::new(below));
        return recover(&overlay, options);
    }
    let device = FileDevice::open(path)?;
    match options.mode {
        Mode::ZeroLog => discard_log(&device),
        _ => recover(&device, options),
    }
}

/// Reads the superblock of `device`.
fn open(device: &dyn Device) -> Result<(Superblock, Geometry)> {
    let mut sector = vec![0; (32 * 1024).min(device.size()) as usize];
    device.read_at(&mut sector, 0)?;
    let superblock = Superblock::decode(&sector)?;
    let geometry = Geometry::new(&superblock.dsb)?;
    Ok((superblock, geometry))
}

fn recover(device: &dyn Device, options: &Options) -> Result<u8> {
    let (_, geo) = open(device)?;
    let area = LogArea::internal(&geo)?;
    let replayed = match replay(device, &geo) {
        Ok(replayed) => replayed,
        Err(error) => {
            eprintln!("xfs_repair: the log cannot be replayed: {error}");
            eprintln!("Mounting the filesystem may replay it. If that fails too, -L destroys");
            eprintln!("the log; the last changes are then lost and the filesystem damaged.");
            return Ok(status::DIRTY_LOG);
        }
    };
    report::replay(&replayed, options);
    let code = finish(device, area, &replayed)?;
    report::not_checked(options);
    Ok(code)
}

/// Marks the log clean, when nothing in it is needed any more.
fn finish(device: &dyn Device, area: LogArea, replayed: &Replayed) -> Result<u8> {
    if !replayed.was_dirty {
        return Ok(status::SOUND);
    }
    if !replayed.intents.is_empty() {
        return Ok(status::DIRTY_LOG);
    }
    write_unmount_record(device, area, &replayed.ends).context("marking the log clean")?;
    Ok(status::SOUND)
}

fn discard_log(device: &dyn Device) -> Result<u8> {
    let (_, geo) = open(device)?;
    let state = find_ends(device, LogArea::internal(&geo)?).map(|ends| ends.state);
    if !matches!(state, Ok(LogState::Clean)) {
        println!("ALERT: The filesystem has valuable metadata changes in a log which is being");
        println!("destroyed because the -L option was used.");
    }
    zero_log(device, &geo)?;
    println!("The log was emptied.");
    Ok(status::SOUND)
}
