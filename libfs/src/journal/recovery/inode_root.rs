//! Btree roots in inodes: logged as memory has them, with the header of a full block;
//! on disk with a header of four bytes.

use crate::format::geometry::Fork;
use crate::format::inode::{Dinode, ForkFormat, MetafileType};

/// Bytes of the header of a block with 64-bit pointers.
const BLOCK_HEADER: usize = 72;
/// Bytes of the header of a root on disk: level and number of records.
const ROOT_HEADER: usize = 4;
/// Bytes of a pointer.
const POINTER: usize = 8;

/// Sizes of a tree's keys and records in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    key: usize,
    /// Zero if the root is never a leaf.
    record: usize,
}

impl Shape {
    /// Extents of a file.
    const BMAP: Shape = Shape { key: 8, record: 0 };
    /// Owners of a realtime group: low and high key.
    const RT_RMAP: Shape = Shape { key: 40, record: 24 };
    /// Reference counts of a realtime group.
    const RT_REFCOUNT: Shape = Shape { key: 4, record: 12 };

    /// The shape of the tree whose root is in this fork.
    pub(super) fn of(inode: &Dinode, fork: Fork) -> Option<Shape> {
        match (inode.fork_format(fork)?, inode.metafile_type()) {
            (ForkFormat::Btree, _) => Some(Shape::BMAP),
            (ForkFormat::MetaBtree, Some(MetafileType::RtRmap)) => Some(Shape::RT_RMAP),
            (ForkFormat::MetaBtree, Some(MetafileType::RtRefcount)) => Some(Shape::RT_REFCOUNT),
            _ => None,
        }
    }
}

/// Converts a root as logged to one as on disk, in `place`, the whole fork.
///
/// Fails with a reason if it has too many records for either.
pub(super) fn to_disk(shape: Shape, logged: &[u8], place: &mut [u8]) -> Result<(), String> {
    let header = logged.get(4..8).filter(|_| logged.len() >= BLOCK_HEADER);
    let header = header.ok_or_else(|| format!("{} bytes", logged.len()))?;
    let level = u16::from_be_bytes([header[0], header[1]]);
    let count = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if place.len() < ROOT_HEADER {
        return Err("the fork has no room".into());
    }
    let room = place.len();
    place[..ROOT_HEADER].copy_from_slice(header);
    let body = &logged[BLOCK_HEADER..];
    let target = &mut place[ROOT_HEADER..];
    let mut copy = |from: usize, to: usize, len: usize| match (
        body.get(from..from + len),
        target.get_mut(to..to + len),
    ) {
        (Some(source), Some(target)) => {
            target.copy_from_slice(source);
            Ok(())
        }
        _ => Err(format!("{count} records at level {level} do not fit {room} bytes")),
    };
    if level == 0 {
        if shape.record == 0 {
            return Err("it is a leaf".into());
        }
        return copy(0, 0, count * shape.record);
    }
    // Pointers begin behind as many keys as there is room for.
    let most = |bytes: usize| bytes / (shape.key + POINTER);
    let (logged_most, disk_most) = (most(body.len()), most(room - ROOT_HEADER));
    if count > logged_most || count > disk_most {
        return Err(format!("{count} records at level {level} do not fit {room} bytes"));
    }
    copy(0, 0, count * shape.key)?;
    copy(logged_most * shape.key, disk_most * shape.key, count * POINTER)
}

/// The blocks that the root of an extent btree in `fork`, on disk, points to.
pub(super) fn children(fork: &[u8]) -> Option<Vec<u64>> {
    let header = fork.first_chunk::<ROOT_HEADER>()?;
    let level = u16::from_be_bytes([header[0], header[1]]);
    let count = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let most = (fork.len() - ROOT_HEADER) / (Shape::BMAP.key + POINTER);
    if level == 0 || count > most {
        return None;
    }
    Some(pointers(&fork[ROOT_HEADER..], most, count))
}

/// The blocks that a block of an extent btree points to; none for a leaf.
pub(super) fn block_children(block: &[u8]) -> Vec<u64> {
    let (Some(header), Some(body)) = (block.get(4..8), block.get(BLOCK_HEADER..)) else {
        return Vec::new();
    };
    if header[..2] == [0, 0] {
        return Vec::new();
    }
    let count = usize::from(u16::from_be_bytes([header[2], header[3]]));
    let most = body.len() / (Shape::BMAP.key + POINTER);
    pointers(body, most, count.min(most))
}

fn pointers(body: &[u8], most: usize, count: usize) -> Vec<u64> {
    let from = most * Shape::BMAP.key;
    let bytes = body.get(from..from + count * POINTER).unwrap_or_default();
    bytes
        .chunks_exact(POINTER)
        .map(|pointer| pointer.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logged(level: u16, count: u16, body: usize) -> Vec<u8> {
        let mut block = vec![0; BLOCK_HEADER + body];
        block[4..6].copy_from_slice(&level.to_be_bytes());
        block[6..8].copy_from_slice(&count.to_be_bytes());
        block
    }

    #[test]
    fn pointers_move_to_where_the_disk_root_has_them() {
        let mut root = logged(1, 2, 32);
        root[BLOCK_HEADER..BLOCK_HEADER + 16].copy_from_slice(&[1; 16]);
        root[BLOCK_HEADER + 16..].copy_from_slice(&[2; 16]);
        let mut fork = vec![0; 4 + 5 * 16];
        to_disk(Shape::BMAP, &root, &mut fork).unwrap();
        assert_eq!(fork[..4], [0, 1, 0, 2]);
        assert_eq!(fork[4..20], [1; 16]);
        assert_eq!(fork[4 + 40..4 + 56], [2; 16]);
        assert_eq!(children(&fork).unwrap(), [0x0202_0202_0202_0202; 2]);
    }

    #[test]
    fn roots_that_do_not_fit_are_refused() {
        let mut fork = vec![0; 40];
        assert!(to_disk(Shape::BMAP, &logged(1, 3, 64), &mut fork).is_err());
        assert!(to_disk(Shape::BMAP, &logged(0, 1, 64), &mut fork).is_err());
        assert!(to_disk(Shape::BMAP, &[0; 20], &mut fork).is_err());
        assert!(to_disk(Shape::BMAP, &logged(1, 0xffff, 64), &mut []).is_err());
    }
}
