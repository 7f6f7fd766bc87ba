//! Making a range read as zeros with blocks behind it.

use super::{fill, grow, punch};
use crate::file::MAX_SIZE;
use crate::inode::InodeRef;
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// Gives the blocks of bytes `start..end` back and maps new ones, unwritten; where the range
/// is a part of a block only, zeros are written.
pub(super) fn run(
    mount: &mut Mount,
    inode: InodeRef,
    (start, end): (u64, u64),
    keep_size: bool,
) -> Result<()> {
    punch::free_range(mount, inode, start, end)?;
    if end.next_multiple_of(u64::from(mount.geo.block_size)) > MAX_SIZE {
        // What Linux says of a range that is too long once it is rounded to blocks.
        return Err(Error::os(Errno::EINVAL, format!("zeroing up to byte {end}")));
    }
    let blocks = (start >> mount.geo.block_log, mount.geo.blocks_for(end));
    fill::map_range(mount, inode, blocks)?;
    if keep_size { Ok(()) } else { grow(mount, inode, end) }
}
