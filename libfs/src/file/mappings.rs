//! Listings of a file's mappings, as `bmap` and `fiemap` show them.

use crate::inode::bmap::{self, Mapping, Target};
use crate::inode::{InodeFork, InodeRef, WhichFork};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// One line of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// File blocks and where they are.
    pub mapping: Mapping,
    /// Other files use the blocks too.
    pub shared: bool,
    /// Nothing is mapped behind this.
    pub last: bool,
}

/// The mappings of file blocks `start..end` of a fork, with holes between (not before or
/// behind) extents if `holes`. With `shared`, extents are split where sharing begins or ends.
///
/// # Errors
///
/// ENOENT if the fork does not exist; EINVAL if its contents are inline, which have no
/// blocks; errors of reading the trees.
pub fn list(
    mount: &mut Mount,
    inode: InodeRef,
    which: WhichFork,
    (start, end): (u64, u64),
    holes: bool,
    shared: bool,
) -> Result<Vec<Listed>> {
    match mount.inode(inode).fork(which) {
        None => return Err(Error::os(Errno::ENOENT, "the file has no attribute fork")),
        Some(InodeFork::Local(_)) => return Err(Error::os(Errno::EINVAL, "the fork is inline")),
        Some(InodeFork::Dev(_)) => return Ok(Vec::new()),
        Some(_) => {}
    }
    bmap::load(mount, inode, which)?;
    let map = bmap::extents(mount, inode, which)?;
    let last_end = bmap::last_offset(map);
    let end = end.min(last_end);
    let found = if start < end { bmap::mappings(map, start, end) } else { Vec::new() };
    let mut list = Vec::with_capacity(found.len());
    for mapping in found {
        if mapping.target == Target::Hole && !holes {
            continue;
        }
        split_shared(mount, inode, which, mapping, shared, &mut list)?;
    }
    if let Some(last) = list.last_mut() {
        last.last = last.mapping.end() >= last_end;
    }
    Ok(list)
}

fn split_shared(
    mount: &mut Mount,
    inode: InodeRef,
    which: WhichFork,
    mapping: Mapping,
    wanted: bool,
    list: &mut Vec<Listed>,
) -> Result<()> {
    let mut rest = mapping.extent();
    if !wanted || which == WhichFork::Attr || rest.is_none() {
        list.push(Listed { mapping, shared: false, last: false });
        return Ok(());
    }
    while let Some(extent) = rest {
        let (len, shared) = super::write::sharing(mount, inode, &extent)?;
        let part = extent.clip(extent.offset, extent.offset + len.max(1));
        list.extend(part.map(|part| Listed { mapping: part.into(), shared, last: false }));
        rest = extent.clip(extent.offset + len.max(1), extent.end());
    }
    Ok(())
}
