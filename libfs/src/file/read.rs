//! Reading file data.

use crate::inode::bmap::{self, Target, mapping_at};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// Reads from byte `offset` of a regular file into `buf`, up to the end of the file;
/// returns how many bytes were read. Holes and unwritten blocks read as zeros.
///
/// # Errors
///
/// EISDIR or EINVAL for what is not a regular file; [`Error::Io`] from the device;
/// [`Error::Corrupt`] if the extents are damaged.
pub fn read(mount: &mut Mount, inode: InodeRef, offset: u64, buf: &mut [u8]) -> Result<usize> {
    super::check_regular(mount, inode)?;
    let size = mount.inode(inode).core.size;
    let left = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let len = buf.len().min(left);
    let Some(buf) = buf.get_mut(..len).filter(|buf| !buf.is_empty()) else { return Ok(0) };
    bmap::load(mount, inode, WhichFork::Data)?;
    read_mapped(mount, inode, offset, buf)?;
    Ok(len)
}

/// Reads bytes of a file whose extents are in memory, without regard to its size.
pub(super) fn read_mapped(
    mount: &Mount,
    inode: InodeRef,
    offset: u64,
    buf: &mut [u8],
) -> Result<()> {
    let geo = &mount.geo;
    let map = bmap::extents(mount, inode, WhichFork::Data)?;
    let end = geo.blocks_for(offset.saturating_add(buf.len() as u64));
    let (mut at, mut rest) = (offset, buf);
    while !rest.is_empty() {
        let found = mapping_at(map, at >> geo.block_log, end);
        let in_block = at & (u64::from(geo.block_size) - 1);
        let bytes = (found.len << geo.block_log).saturating_sub(in_block);
        let here = usize::try_from(bytes).unwrap_or(usize::MAX).min(rest.len());
        if here == 0 {
            return Err(Error::os(Errno::EFBIG, format!("reading at byte {at}")));
        }
        let (part, behind) = rest.split_at_mut(here);
        match found.target {
            Target::Written(start) => {
                mount.device.read_at(part, geo.fsblock_byte(start) + in_block)?;
            }
            Target::Hole | Target::Unwritten(_) => part.fill(0),
        }
        at += here as u64;
        rest = behind;
    }
    Ok(())
}
