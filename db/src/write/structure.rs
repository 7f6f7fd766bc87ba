//! Changes of the filesystem's structure: through transactions, and so through the log, where
//! fields and blocks are written in place. A log that is dirty is replayed first.

use crate::session::Session;
use anyhow::{Context, Result};
use libfs::filesystem::{Devices, Filesystem, Opened};
use libfs::journal::{LogState, find_ends};
use std::sync::Arc;

/// The devices of the filesystem.
pub fn devices(session: &Session) -> Devices {
    let log = session.log_device.as_ref();
    Devices { data: session.device.clone(), log: log.map(|log| Arc::clone(log) as _) }
}

/// Fails unless the filesystem may be changed. A failure of a change makes the program exit with
/// status 1.
///
/// # Errors
///
/// An error with xfs_db 7.2's message is returned without expert mode and when the filesystem is
/// open for reading only.
fn begin(session: &mut Session) -> Result<()> {
    session.exit_status = 1;
    session.check_expert()
}

/// Whether the log has something to be replayed.
///
/// # Errors
///
/// An error is returned if the log makes no sense, or cannot be read.
pub fn log_is_dirty(session: &Session) -> Result<bool> {
    let place = devices(session).log_place(&session.geo)?;
    Ok(find_ends(place.device.as_ref(), place.area)?.state == LogState::Dirty)
}

/// Does `change` to the filesystem and closes it, after replaying its log if it is dirty; then the
/// cursor has what is on the device now.
///
/// # Errors
///
/// An error is returned if the filesystem may not be changed or is damaged, or `change` fails.
pub fn change<T>(
    session: &mut Session,
    change: impl FnOnce(&mut Filesystem) -> libfs::Result<T>,
) -> Result<T> {
    let status = session.exit_status;
    begin(session)?;
    let mut filesystem = match Filesystem::open_with(devices(session))? {
        Opened::Clean(filesystem) => filesystem,
        Opened::Dirty(unrecovered) => {
            let (filesystem, report) = unrecovered.recover().context("replaying the log")?;
            eprintln!("{report}");
            filesystem
        }
    };
    let changed = change(&mut filesystem);
    filesystem.close()?;
    super::store::refresh(session)?;
    let changed = changed?;
    session.exit_status = status;
    Ok(changed)
}

/// Does `change` to the devices of a filesystem whose log is clean, or was replayed.
///
/// # Errors
///
/// As [`change()`].
pub fn change_in_place<T>(
    session: &mut Session,
    in_place: impl FnOnce(&Devices) -> libfs::Result<T>,
) -> Result<T> {
    let status = session.exit_status;
    begin(session)?;
    // With a clean log nothing but the superblock need be sound.
    if log_is_dirty(session)? {
        change(session, |_| Ok(()))?;
    }
    let changed = in_place(&devices(session))?;
    super::store::refresh(session)?;
    session.exit_status = status;
    Ok(changed)
}
