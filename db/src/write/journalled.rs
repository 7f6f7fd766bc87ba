//! Writing the block at the cursor through the log (-j): a crash leaves it as it was or as it is to
//! become, and nothing between.

use super::verify::{self, buffer_kind};
use super::{Mode, structure};
use crate::session::{Cursor, Session, Source};
use crate::types::Type;
use anyhow::{Context, Result, bail};
use libfs::buffer::{BufferKind, Segment};
use libfs::transaction::Transaction;

/// Replays the log if it is dirty, so that what is changed is what the filesystem holds.
///
/// # Errors
///
/// An error is returned for what Linux does not log as blocks: data, superblocks, inodes, quota
/// records and values of attributes that lie apart; and as [`structure::change`].
pub fn begin(session: &mut Session) -> Result<()> {
    let cursor = session.cursor.as_ref().context("no current type")?;
    kind_of(cursor)?;
    structure::change(session, |_| Ok(()))
}

fn kind_of(cursor: &Cursor) -> Result<BufferKind> {
    let logged = cursor.source == Source::Data
        && !matches!(cursor.kind, Type::Inode | Type::Sb | Type::Dqblk);
    let kind = buffer_kind(cursor.kind, cursor.data()).filter(|_| logged);
    match kind {
        Some(BufferKind::AttrRemote) | None => {
            bail!("type {} is not logged as blocks: -j is not possible", cursor.kind.name())
        }
        Some(kind) => Ok(kind),
    }
}

/// Logs what the cursor's buffer has that the device has not, and writes it.
///
/// # Errors
///
/// An error is returned if the structure makes no sense, and as [`structure::change`]; the cursor
/// then has what the device has.
pub fn write(session: &mut Session) -> Result<()> {
    let mut cursor = session.cursor.clone().context("no current type")?;
    super::store::stamp(&mut cursor);
    if super::store::check(session, &cursor, Mode::Verified).is_err() {
        super::store::refresh(session)?;
        bail!("write error: Structure needs cleaning");
    }
    verify::verify(&session.geo, &cursor)?;
    let kind = kind_of(&cursor)?;
    let segments: Vec<Segment> = cursor
        .pieces()
        .into_iter()
        .map(|(daddr, range)| Segment { daddr, len: range.len() as u32 })
        .collect();
    structure::change(session, |filesystem| {
        let mount = filesystem.mount();
        let reservation = mount.reservations.itruncate;
        let mut tp = Transaction::begin(mount, reservation, 0)?;
        let id = tp.read_buffer_map(&segments, kind)?;
        let old = tp.buffers.data(id).to_vec();
        let differs = |&at: &usize| old.get(at) != cursor.buffer.get(at);
        let first = (0..old.len()).find(differs);
        let last = (0..old.len()).rev().find(differs);
        if let (Some(first), Some(last)) = (first, last)
            && let Some(new) = cursor.buffer.get(first..=last)
        {
            tp.buffer_mut(id, first..last + 1).copy_from_slice(new);
        }
        tp.commit()
    })
}
