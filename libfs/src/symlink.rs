//! Symbolic links: the target is in the inode, or in blocks with a header for each extent.

use crate::buffer::{BufferKind, Segment};
use crate::format::geometry::Geometry;
use crate::format::symlink::{MAGIC, MAX_LEN, SymlinkHeader};
use crate::inode::bmap::{self, alloc};
use crate::inode::{InodeFork, InodeLogFlags, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{At, Errno, Error, Result};
use zerocopy::IntoBytes;

const HEADER: usize = size_of::<SymlinkHeader>();

/// The target of a symbolic link.
///
/// # Errors
/// EINVAL if `inode` is not a link; [`Error::Corrupt`] if it is damaged; [`Error::Io`].
pub fn read(mount: &mut Mount, inode: InodeRef) -> Result<Vec<u8>> {
    let found = mount.inode(inode);
    if !found.core.is_symlink() {
        return Err(Error::os(Errno::EINVAL, "reading a link that is none"));
    }
    let (ino, size) = (found.ino, found.core.size);
    let bad = |why: String| Error::corrupt("symbolic link", At::Inode(ino), why);
    let len = usize::try_from(size).ok().filter(|len| (1..=MAX_LEN).contains(len));
    let len = len.ok_or_else(|| bad(format!("its target has {size} bytes")))?;
    if let Some(target) = found.data.local() {
        return Ok(target.to_vec());
    }
    bmap::load(mount, inode, WhichFork::Data)?;
    let mut target = Vec::with_capacity(len);
    for segment in segments(mount, inode)? {
        if target.len() == len {
            break;
        }
        let id = mount.read_buffer(segment.daddr, segment.len, BufferKind::Symlink)?;
        let block = mount.buffer(id);
        let header = SymlinkHeader::view(block, At::Daddr(segment.daddr))?;
        let part = (len - target.len()).min(SymlinkHeader::capacity(block.len()));
        let expected = (ino, target.len() as u32, part as u32);
        if (header.owner.get(), header.offset.get(), header.bytes.get()) != expected {
            return Err(bad(format!("the block at daddr {} is another's", segment.daddr)));
        }
        target.extend_from_slice(block.get(HEADER..HEADER + part).unwrap_or_default());
    }
    if target.len() != len {
        return Err(bad(format!("only {} of {len} bytes are there", target.len())));
    }
    Ok(target)
}

/// The link's extents, each a buffer.
fn segments(mount: &Mount, inode: InodeRef) -> Result<Vec<Segment>> {
    let map = bmap::extents(mount, inode, WhichFork::Data)?;
    // Of a target of 1024 bytes no more is needed in the smallest blocks.
    const MOST: usize = 3;
    let segment = |extent: crate::format::extent::Extent| Segment {
        daddr: mount.geo.fsblock_daddr(extent.start),
        len: (extent.len.min(MOST as u64) << mount.geo.block_log) as u32,
    };
    Ok(map.iter().take(MOST).map(segment).collect())
}

/// Blocks that a target of `len` bytes takes outside the inode.
pub(crate) fn blocks_for(geo: &Geometry, len: usize) -> u64 {
    len.div_ceil(SymlinkHeader::capacity(geo.block_size as usize)) as u64
}

/// Makes a new inode a link to `target`, of 1 to 1023 bytes. If that does not fit in the
/// inode, the transaction must have blocks reserved for it.
///
/// # Errors
/// ENOSPC.
pub(crate) fn write(tp: &mut Transaction<'_>, inode: InodeRef, target: &[u8]) -> Result<()> {
    let fits = target.len() <= tp.inode(inode).fork_size(&tp.geo, WhichFork::Data);
    let found = tp.inode_mut(inode);
    found.core.size = target.len() as u64;
    if fits {
        found.data = InodeFork::Local(target.to_vec());
        tp.log_inode(inode, InodeLogFlags::CORE | InodeLogFlags::DDATA);
        return Ok(());
    }
    found.data = InodeFork::default();
    tp.log_inode(inode, InodeLogFlags::CORE | InodeLogFlags::DEXT);
    let blocks = blocks_for(&tp.geo, target.len());
    let mut done = 0;
    let mut rest = target;
    while !rest.is_empty() {
        let request = alloc::Request {
            inode,
            which: WhichFork::Data,
            offset: done,
            min: 1,
            max: blocks.saturating_sub(done).max(1),
            unwritten: false,
        };
        let extent = alloc::allocate(tp, &request)?;
        let room = SymlinkHeader::capacity((extent.len << tp.geo.block_log) as usize);
        let (part, behind) = rest.split_at(room.min(rest.len()));
        let daddr = tp.geo.fsblock_daddr(extent.start);
        let len = (extent.len << tp.geo.block_log) as u32;
        write_block(tp, inode, Segment { daddr, len }, target.len() - rest.len(), part);
        done = extent.end();
        rest = behind;
    }
    Ok(())
}

fn write_block(
    tp: &mut Transaction<'_>,
    inode: InodeRef,
    place: Segment,
    offset: usize,
    part: &[u8],
) {
    let header = SymlinkHeader {
        magic: MAGIC.into(),
        offset: (offset as u32).into(),
        bytes: (part.len() as u32).into(),
        crc: 0.into(),
        uuid: tp.geo.meta_uuid,
        owner: tp.inode(inode).ino.into(),
        blkno: place.daddr.into(),
        lsn: u64::MAX.into(),
    };
    let id = tp.get_buffer(place.daddr, place.len, BufferKind::Symlink);
    let end = HEADER + part.len();
    let bytes = tp.buffer_mut(id, 0..end);
    bytes[..HEADER].copy_from_slice(header.as_bytes());
    bytes[HEADER..].copy_from_slice(part);
}

/// Makes room in a link's inode for attributes: the target moves to a block.
pub(crate) fn leave_inode(tp: &mut Transaction<'_>, inode: InodeRef) -> Result<()> {
    let Some(target) = tp.inode(inode).data.local().map(<[u8]>::to_vec) else { return Ok(()) };
    write(tp, inode, &target)
}
