//! `crc`: look at the checksum of a structure, spoil it or make it right.

use super::Command;
use crate::fields::{path, print};
use crate::getopt;
use crate::session::Session;
use crate::write::{self, Mode, bits::Span, field};
use anyhow::{Context, Result, anyhow, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "crc",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[-i|-r|-v]",
    summary: "manipulate crc values for V5 filesystem structures",
    help: "
 Tells whether the checksum of the structure at the cursor is right.

  -v -- only tells (this is also what happens without an option)
  -i -- makes it wrong, and writes it
  -r -- makes it right, and writes it

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let parsed = getopt::parse_or_refuse("crc", args, "irv")?;
    let cursor = session.cursor.as_ref().context("no current type")?;
    let name = cursor.kind.name();
    let not_one = || anyhow!("current type ({name}) is not a structure");
    let table = cursor.kind.fields(&session.geo).ok_or_else(not_one)?;
    let place = session.place().context("no current type")?;
    let crc = field::crc_path(table, &place);
    let crc = crc.ok_or_else(|| anyhow!("no CRC field found for type {name}"))?;
    let mut out = String::new();
    if parsed.has('i') || parsed.has('r') {
        if session.read_only {
            bail!("{} not in expert mode, writing disabled", session.program);
        }
        out.push_str(if parsed.has('i') { "Invalidating CRC:\n" } else { "Recalculating CRC:\n" });
        let done = if parsed.has('i') {
            invalidate(session)
        } else {
            write::store(session, Mode::Verified)
        };
        if let Err(error) = done {
            out.push_str(&format!("{error}\n"));
        }
    } else {
        out.push_str("Verifying CRC:\n");
    }
    let place = session.place().context("no current type")?;
    let selection = path::select(table, &place, &crc).map_err(|text| anyhow!(text))?;
    print::selection(&selection, &mut out);
    Ok(out)
}

/// Puts a wrong checksum there: what its bytes are as a big-endian number, one more, and, as
/// xfs_db 7.2 has it, stored in the other byte order.
fn invalidate(session: &mut Session) -> Result<()> {
    let cursor = session.cursor.as_mut().context("no current type")?;
    let offset = cursor.kind.crc_offset(cursor.data()).context("no CRC field found")?;
    let span = Span { start: offset * 8, bits: 32 };
    let stored = span.to_number(&span.get(cursor.data())).unwrap_or(0) as u32;
    span.set(cursor.data_mut(), &stored.wrapping_add(1).to_le_bytes());
    write::store(session, Mode::BadCrc)
}
