//! Looking inodes up in the inode btree of an allocation group.

use super::trees::Inobt;
use crate::format::btree_record::InodeChunk;
use crate::format::geometry::{INODES_PER_CHUNK, Ino};
use crate::mount::Mount;
use crate::{At, Error, Result};

/// The chunk of group `agno` that inode `agino` belongs to, if it has blocks.
///
/// # Errors
///
/// [`Error::Corrupt`] or [`Error::Io`] from the AGI or the tree.
pub fn find_chunk(mount: &mut Mount, agno: u32, agino: u32) -> Result<Option<InodeChunk>> {
    let agi = mount.read_agi(agno)?;
    let mut cursor = Inobt::cursor(mount, agno, agi);
    if !cursor.lookup_le(mount, &agino)? {
        return Ok(None);
    }
    let chunk = cursor.expect(mount)?;
    Ok(bit(&chunk, agino).filter(|bit| chunk.allocated_mask() & bit != 0).map(|_| chunk))
}

/// Whether inode `ino` is in use; `None` if it has no blocks.
///
/// # Errors
///
/// As [`find_chunk`].
pub fn is_allocated(mount: &mut Mount, ino: u64) -> Result<Option<bool>> {
    let (agno, agino) = mount.geo.ino_parts(Ino(ino));
    let chunk = find_chunk(mount, agno, agino)?;
    Ok(chunk.and_then(|chunk| Some(bit(&chunk, agino)? & chunk.free == 0)))
}

/// The bit of inode `agino` in the masks of `chunk`; `None` if it is not in the chunk.
pub(super) fn bit(chunk: &InodeChunk, agino: u32) -> Option<u64> {
    let index = agino.checked_sub(chunk.startino)?;
    (index < INODES_PER_CHUNK).then(|| 1 << index)
}

/// The error for inode btrees that disagree.
pub(super) fn inconsistent(mount: &Mount, agno: u32, agino: u32, why: &str) -> Error {
    let ino = mount.geo.ino(agno, agino);
    Error::corrupt("inode btree", At::Inode(ino.0), why)
}
