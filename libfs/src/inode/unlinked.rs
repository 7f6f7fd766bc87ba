//! The lists of inodes that no directory names any more but that are not freed yet.
//!
//! Each allocation group has 64 lists; the heads are in the AGI, the links in the inodes'
//! clusters (`di_next_unlinked`), where they are changed and logged directly: everything
//! else of an inode is logged as an inode item.

use super::{InodePlace, InodeRef};
use crate::buffer::{BufferId, BufferKind};
use crate::format::ag::{Agi, UNLINKED_BUCKETS};
use crate::format::geometry::Ino;
use crate::format::inode::{CRC_OFFSET, Dinode};
use crate::format::{NULL_AGINO, checksum};
use crate::mount::Mount;
use crate::space::header;
use crate::transaction::Transaction;
use crate::{At, Error, Result};
use std::mem::offset_of;

/// Byte range of the link in an inode.
const LINK: std::ops::Range<usize> =
    offset_of!(Dinode, next_unlinked)..offset_of!(Dinode, next_unlinked) + 4;

/// The list that inode `agino` belongs to.
fn bucket_of(agino: u32) -> usize {
    agino as usize % UNLINKED_BUCKETS
}

/// Byte offset in the AGI of the head of a list.
fn head_offset(bucket: usize) -> usize {
    offset_of!(Agi, unlinked) + 4 * bucket
}

/// Puts an inode whose last name went on the list of its group, at the head.
///
/// # Errors
///
/// [`Error::Corrupt`] or [`Error::Io`] from the AGI or the inode's cluster;
/// [`Error::Corrupt`] if the inode is on the list already.
pub fn add(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    let ino = tp.inode(inode).ino;
    let (agno, agino) = tp.geo.ino_parts(Ino(ino));
    let agi = tp.read_agi(agno)?;
    let bucket = bucket_of(agino);
    let head = head(tp, agno, agi, bucket)?;
    if head == Some(agino) || next(tp, agno, agino)?.is_some() {
        return Err(Error::corrupt("unlinked list", At::Inode(ino), "it is on the list already"));
    }
    if head.is_some() {
        set_next(tp, agno, agino, head)?;
    }
    header::set_field(tp, agi, head_offset(bucket), agino);
    Ok(())
}

/// Takes an inode off the list of its group, wherever it is on it.
///
/// # Errors
///
/// [`Error::Corrupt`] or [`Error::Io`] from the AGI or a cluster on the way;
/// [`Error::Corrupt`] if the inode is not on the list.
pub fn remove(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    let ino = tp.inode(inode).ino;
    let (agno, agino) = tp.geo.ino_parts(Ino(ino));
    let agi = tp.read_agi(agno)?;
    let bucket = bucket_of(agino);
    let after = next(tp, agno, agino)?;
    match previous(tp, agno, agi, agino)? {
        None => {
            let head = after.unwrap_or(NULL_AGINO);
            header::set_field(tp, agi, head_offset(bucket), head);
        }
        Some(before) => set_next(tp, agno, before, after)?,
    }
    if after.is_some() {
        set_next(tp, agno, agino, None)?;
    }
    Ok(())
}

/// The first inode of a list.
///
/// # Errors
///
/// [`Error::Corrupt`] if the head is not an inode of the group.
pub fn head(mount: &Mount, agno: u32, agi: BufferId, bucket: usize) -> Result<Option<u32>> {
    let found = header::agi(mount, agi)?.unlinked.get(bucket).map_or(NULL_AGINO, |link| link.get());
    checked(mount, agno, found, At::AgBlock(agno, 0))
}

/// Empties a list whose first inode cannot be dealt with, as Linux does: what is on it is
/// lost until the filesystem is repaired, but the filesystem can be used.
///
/// # Errors
///
/// Those of beginning and committing a transaction, and of reading the AGI.
pub fn clear_bucket(mount: &mut Mount, agno: u32, bucket: usize) -> Result<()> {
    let reservation = mount.reservations.clearagi;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    let agi = tp.read_agi(agno)?;
    header::set_field(&mut tp, agi, head_offset(bucket), NULL_AGINO);
    tp.commit()
}

/// The inode before `agino` on its list; `None` if it is the head. The walk is bounded by
/// the number of inodes in the group.
fn previous(mount: &mut Mount, agno: u32, agi: BufferId, agino: u32) -> Result<Option<u32>> {
    let most = header::agi(mount, agi)?.count.get();
    let mut at = head(mount, agno, agi, bucket_of(agino))?;
    let mut before = None;
    for _ in 0..=most {
        match at {
            Some(found) if found == agino => return Ok(before),
            Some(found) => {
                before = Some(found);
                at = next(mount, agno, found)?;
            }
            None => break,
        }
    }
    let ino = mount.geo.ino(agno, agino).0;
    let why = if at.is_some() { "the list has a cycle" } else { "it is not on the list" };
    Err(Error::corrupt("unlinked list", At::Inode(ino), why))
}

/// The inode that follows `agino` on its list.
fn next(mount: &mut Mount, agno: u32, agino: u32) -> Result<Option<u32>> {
    let (cluster, place, ino) = locate(mount, agno, agino)?;
    let bytes = mount.buffer(cluster).get(place.range(&mount.geo)).unwrap_or_default();
    let link = Dinode::view(bytes, Ino(ino))?.next_unlinked.get();
    checked(mount, agno, link, At::Inode(ino))
}

fn set_next(tp: &mut Transaction<'_>, agno: u32, agino: u32, next: Option<u32>) -> Result<()> {
    let (cluster, place, _) = locate(tp, agno, agino)?;
    let start = place.offset as usize;
    let link = next.unwrap_or(NULL_AGINO).to_be_bytes();
    tp.buffer_mut(cluster, start + LINK.start..start + LINK.end).copy_from_slice(&link);
    let range = place.range(&tp.geo);
    if let Some(inode) = tp.buffers.data_mut(cluster).get_mut(range) {
        checksum::stamp(inode, CRC_OFFSET);
    }
    Ok(())
}

fn locate(mount: &mut Mount, agno: u32, agino: u32) -> Result<(BufferId, InodePlace, u64)> {
    let ino = mount.geo.ino(agno, agino).0;
    let place = InodePlace::of(&mount.geo, ino);
    let cluster = mount.read_buffer(place.daddr, place.len, BufferKind::InodeCluster)?;
    Ok((cluster, place, ino))
}

/// A link as an inode of the group.
fn checked(mount: &Mount, agno: u32, link: u32, at: At) -> Result<Option<u32>> {
    if link == NULL_AGINO {
        return Ok(None);
    }
    if !mount.geo.valid_agino(agno, link) {
        let why = format!("it leads to inode {link} of the group, which does not exist");
        return Err(Error::corrupt("unlinked list", at, why));
    }
    Ok(Some(link))
}

/// What [`process`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UnlinkedReport {
    /// Inodes freed.
    pub freed: u64,
    /// Lists given up because of damage, with the inodes on them.
    pub lost_lists: u64,
}

/// Frees every inode on every unlinked list: the last part of recovery after a crash, when
/// nobody can hold them open any more.
///
/// # Errors
///
/// [`Error::Io`], and any error that shut the filesystem down. Damage costs the list it is
/// in, not the filesystem.
pub fn process(mount: &mut Mount) -> Result<UnlinkedReport> {
    let mut report = UnlinkedReport::default();
    for agno in 0..mount.geo.ag_count {
        let most = match mount.read_agi(agno) {
            Ok(agi) => header::agi(mount, agi)?.count.get(),
            Err(error @ Error::Corrupt(_)) => {
                tracing::warn!("AG {agno}: giving up its unlinked lists: {error}");
                report.lost_lists += UNLINKED_BUCKETS as u64;
                continue;
            }
            Err(error) => return Err(error),
        };
        for bucket in 0..UNLINKED_BUCKETS {
            if let Err(error) = process_list(mount, agno, bucket, most, &mut report.freed) {
                if mount.shutdown.is_some() || matches!(error, Error::Io { .. }) {
                    return Err(error);
                }
                tracing::warn!("AG {agno}: giving up unlinked list {bucket}: {error}");
                clear_bucket(mount, agno, bucket)?;
                report.lost_lists += 1;
            }
        }
    }
    Ok(report)
}

/// Frees the inodes of one list, each time the first. As many rounds as the group has
/// inodes are enough for any list.
fn process_list(
    mount: &mut Mount,
    agno: u32,
    bucket: usize,
    most: u32,
    freed: &mut u64,
) -> Result<()> {
    for _ in 0..=most {
        let agi = mount.read_agi(agno)?;
        let Some(agino) = head(mount, agno, agi, bucket)? else { return Ok(()) };
        let ino = mount.geo.ino(agno, agino).0;
        let inode = mount.iget(ino)?;
        if mount.inode(inode).core.nlink > 0 {
            take_off(mount, inode)?;
        } else {
            super::inactivate::inactivate(mount, inode)?;
            *freed += 1;
        }
        mount.trim_caches();
    }
    let at = At::AgBlock(agno, 0);
    Err(Error::corrupt("unlinked list", at, format!("list {bucket} does not end")))
}

/// Takes an inode that has a name off the list.
fn take_off(mount: &mut Mount, inode: InodeRef) -> Result<()> {
    let reservation = mount.reservations.ifree;
    let mut tp = Transaction::begin(mount, reservation, 0)?;
    remove(&mut tp, inode)?;
    tp.commit()
}
