//! Putting the structure at the cursor back on the device.

use super::{Mode, journalled, verify};
use crate::session::{BASIC_BLOCK, Cursor, Session};
use crate::types::Type;
use anyhow::{Context, Result, bail};
use libfs::format::checksum;

/// Writes the buffer at the cursor to the device, with or without its checksum made right.
///
/// # Errors
///
/// An error is returned if the structure must make sense and does not, or the device
/// fails; the cursor then has what the device has.
pub fn store(session: &mut Session, mode: Mode) -> Result<()> {
    if mode == Mode::Journalled {
        return journalled::write(session);
    }
    let mut cursor = session.cursor.take().context("no current type")?;
    if mode != Mode::BadCrc {
        stamp(&mut cursor);
    }
    if mode == Mode::GoodCrc {
        tell_unknown(session, &cursor);
    }
    let result = check(session, &cursor, mode).and_then(|()| write(session, &cursor));
    if result.is_err() {
        reload(session, &mut cursor)?;
    }
    cursor.check_crc();
    session.cursor = Some(cursor);
    result
}

/// Says of what kind of block nothing is known: no checksum was made.
fn tell_unknown(session: &mut Session, cursor: &Cursor) {
    let data = cursor.data();
    if cursor.kind.crc_offset(data).is_some() {
        return;
    }
    let bytes = |at: usize| data.get(at).copied().unwrap_or(0);
    match cursor.kind {
        // The two places of a magic number, as a little-endian machine would load them.
        Type::Dir3 => session.show(&format!(
            "Unknown directory buffer type! {:x} {:x}\n",
            u32::from_le_bytes([bytes(0), bytes(1), bytes(2), bytes(3)]),
            u16::from_le_bytes([bytes(8), bytes(9)]),
        )),
        Type::Attr3 => session.show("Unknown attribute buffer type!\n"),
        _ => {}
    }
}

/// Gives the object the checksum it should have, if its type has one. Inodes have one from
/// version 3 on.
pub fn stamp(cursor: &mut Cursor) {
    if cursor.kind == Type::Inode && cursor.data().get(4).is_none_or(|&version| version < 3) {
        return;
    }
    let Some(offset) = cursor.kind.crc_offset(cursor.data()) else { return };
    let len = cursor.summed().len();
    if let Some(summed) = cursor.data_mut().get_mut(..len)
        && offset.saturating_add(4) <= len
    {
        checksum::stamp(summed, offset);
    }
}

/// Fails unless the structure makes sense, if it must, and tells why.
///
/// # Errors
///
/// An error with xfs_db 7.2's message is returned.
pub fn check(session: &Session, cursor: &Cursor, mode: Mode) -> Result<()> {
    if mode != Mode::Verified || cursor.kind == Type::Data {
        return Ok(());
    }
    let Err(error) = verify::verify(&session.geo, cursor) else { return Ok(()) };
    let (name, daddr) = (cursor.kind.complaint_name(), cursor.daddr);
    eprintln!("Metadata corruption detected, {name} block {daddr:#x}/{:#x}", cursor.buffer.len());
    eprintln!("{error}");
    bail!("write error: Structure needs cleaning")
}

fn write(session: &Session, cursor: &Cursor) -> Result<()> {
    for (daddr, range) in cursor.pieces() {
        session.write_to(cursor.source, daddr, cursor.buffer.get(range).unwrap_or(&[]))?;
    }
    Ok(())
}

/// Reads what is on the device, where the cursor is.
fn reload(session: &Session, cursor: &mut Cursor) -> Result<()> {
    let mut buffer = Vec::new();
    for (daddr, range) in cursor.pieces() {
        buffer.extend(session.read_from(cursor.source, daddr, range.len())?);
    }
    cursor.buffer = buffer;
    Ok(())
}

/// Gives the cursor, and the geometry, what is on the device now.
///
/// # Errors
///
/// An error is returned if the device fails.
pub fn refresh(session: &mut Session) -> Result<()> {
    if let Ok((_, geo)) = libfs::filesystem::read_superblock(&*session.device) {
        session.geo = geo;
    }
    let Some(mut cursor) = session.cursor.take() else { return Ok(()) };
    reload(session, &mut cursor)?;
    cursor.check_crc();
    session.cursor = Some(cursor);
    Ok(())
}

impl Cursor {
    /// The parts of the buffer that are together on the device, each with its disk address.
    pub fn pieces(&self) -> Vec<(u64, std::ops::Range<usize>)> {
        let len = self.buffer.len();
        if self.scattered.is_empty() {
            return vec![(self.daddr, 0..len)];
        }
        let step = (len / self.scattered.len()).max(BASIC_BLOCK);
        let parts = self.scattered.iter().enumerate();
        parts.map(|(at, &daddr)| (daddr, at * step..((at + 1) * step).min(len))).collect()
    }
}
