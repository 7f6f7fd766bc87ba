//! Where data and holes are: lseek(2) with `SEEK_DATA` and `SEEK_HOLE`.

use super::check_regular;
use crate::inode::bmap::{self, Mapping, Target};
use crate::inode::{InodeRef, WhichFork};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// What to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// Blocks that hold data.
    Data,
    /// What reads as zeros for want of data: nothing mapped, or unwritten blocks. There is
    /// one at the end of every file.
    Hole,
}

/// The first byte at `offset` or behind it that is what is looked for.
///
/// # Errors
///
/// ENXIO at the end of the file and behind it, and if no data follows; EINVAL for what is
/// neither a regular file nor a directory; errors of the device and the tree.
pub fn seek(mount: &mut Mount, inode: InodeRef, offset: u64, wanted: Seek) -> Result<u64> {
    let core = &mount.inode(inode).core;
    let (size, is_dir) = (core.size, core.is_dir());
    if !is_dir {
        check_regular(mount, inode)?;
    }
    let nothing = || Error::os(Errno::ENXIO, format!("seeking from byte {offset}"));
    if offset >= size {
        return Err(nothing());
    }
    if is_dir {
        // As far as Linux says, all of a directory is data.
        return Ok(if wanted == Seek::Data { offset } else { size });
    }
    bmap::load(mount, inode, WhichFork::Data)?;
    let log = mount.geo.block_log;
    let map = bmap::extents(mount, inode, WhichFork::Data)?;
    let mappings = bmap::mappings(map, offset >> log, mount.geo.blocks_for(size));
    let is_wanted = |mapping: &&Mapping| {
        let data = matches!(mapping.target, Target::Written(_));
        data == (wanted == Seek::Data)
    };
    match (mappings.iter().find(is_wanted), wanted) {
        (Some(found), _) => Ok((found.offset << log).max(offset)),
        (None, Seek::Hole) => Ok(size),
        (None, Seek::Data) => Err(nothing()),
    }
}
