//! Changing what is at the cursor in place, as `write`, `fuzz`, `blocktrash` and `crc` do:
//! the device is written at once and nothing is logged, so that a filesystem can be damaged
//! or mended by hand.

pub mod attribute;
pub mod bits;
pub mod block;
pub mod field;
mod journalled;
pub mod names;
mod store;
pub mod structure;
pub mod trash;
pub mod value;
pub mod verb;
mod verify;

pub use store::store;

use crate::getopt;
use crate::session::Session;
use anyhow::{Context, Result, bail};

/// What becomes of the checksum, and whether the structure has to make sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The structure is verified, and its checksum made right.
    Verified,
    /// Anything is written; the checksum stays as it is (-c).
    BadCrc,
    /// Anything is written, with the right checksum (-d).
    GoodCrc,
    /// As verified, but through the log (-j).
    Journalled,
}

/// What `write` and `fuzz` do first: the mode and the arguments that are no options.
///
/// # Errors
///
/// An error is returned if nothing may be written, the cursor is nowhere, or the options
/// make no sense for what is there.
pub fn begin<'a>(
    session: &mut Session,
    command: &str,
    args: &[&'a str],
) -> Result<(Mode, Vec<&'a str>)> {
    if session.read_only {
        let doing = if command == "fuzz" { "fuzzing" } else { "writing" };
        bail!("{} started in read only mode, {doing} disabled", session.program);
    }
    let kind = session.cursor.as_ref().context("no current type")?.kind;
    let given = getopt::parse_or_refuse(command, args, "cdj")?;
    let mode = match (given.has('c'), given.has('d')) {
        _ if given.has('j') && (given.has('c') || given.has('d')) => {
            bail!("Cannot specify -j with -c or -d: the log is for what makes sense")
        }
        _ if given.has('j') => Mode::Journalled,
        (true, true) => bail!("Cannot specify both -c and -d options"),
        (true, false) => Mode::BadCrc,
        (false, true) => Mode::GoodCrc,
        (false, false) => Mode::Verified,
    };
    if mode == Mode::GoodCrc && !kind.has_crc() {
        bail!("Cannot recalculate CRCs on this type of object");
    }
    if mode == Mode::Journalled {
        journalled::begin(session)?;
    }
    Ok((mode, given.words))
}

/// Says that something wrong may be written to a structure, if it may.
pub fn warn(session: &mut Session, command: &str, mode: Mode) {
    let crc = match mode {
        Mode::Verified | Mode::Journalled => return,
        Mode::BadCrc => "and bad",
        Mode::GoodCrc => "with good",
    };
    session.show(&format!("Allowing {command} of corrupted data {crc} CRC\n"));
}
