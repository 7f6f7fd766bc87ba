//! Reading and changing single fields of the AGF and AGI.

use crate::buffer::BufferId;
use crate::format::ag::{Agf, Agi};
use crate::format::overlay;
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{At, Error, Result};

/// The AGF in a buffer.
pub(crate) fn agf(mount: &Mount, id: BufferId) -> Result<&Agf> {
    overlay(mount.buffer(id), "AGF", At::Byte(0))
}

/// The AGI in a buffer.
pub(crate) fn agi(mount: &Mount, id: BufferId) -> Result<&Agi> {
    overlay(mount.buffer(id), "AGI", At::Byte(0))
}

/// The 32-bit field at byte `offset`.
pub(crate) fn field(mount: &Mount, id: BufferId, offset: usize) -> u32 {
    let bytes = mount.buffer(id).get(offset..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}

/// Sets the 32-bit field at byte `offset`, logged.
pub(crate) fn set_field(tp: &mut Transaction<'_>, id: BufferId, offset: usize, value: u32) {
    tp.buffer_mut(id, offset..offset + 4).copy_from_slice(&value.to_be_bytes());
}

/// Adds to the 32-bit field at byte `offset`, logged.
///
/// # Errors
/// [`Error::Corrupt`] when the sum is not possible: the field was wrong.
pub(crate) fn add_to_field(
    tp: &mut Transaction<'_>,
    id: BufferId,
    offset: usize,
    delta: i64,
) -> Result<()> {
    let old = field(tp, id, offset);
    let new = i64::from(old).checked_add(delta).and_then(|sum| u32::try_from(sum).ok());
    let Some(new) = new else {
        let buffer = tp.buffers.buffer(id);
        let why = format!("the count at byte {offset} is {old}, cannot add {delta}");
        return Err(Error::corrupt(buffer.kind().name(), At::Daddr(buffer.daddr()), why));
    };
    set_field(tp, id, offset, new);
    Ok(())
}
