//! Blocks that directory and attribute operations may need at worst, as Linux counts them:
//! every level of the hash tree splits, and each new block needs a new extent.

use crate::format::attr::leaf::{local_size, local_size_max};
use crate::format::attr::remote::RemoteHeader;
use crate::format::da::MAX_DEPTH;
use crate::format::geometry::Geometry;
use crate::inode::WhichFork;
use crate::inode::bmap::alloc::btree_blocks_for;

/// Blocks of the fork's tree that one change can add: a split of every level, and in a
/// directory a data block and a free index block.
fn new_blocks(which: WhichFork) -> u64 {
    let more = if which == WhichFork::Data { 2 } else { 0 };
    u64::from(MAX_DEPTH) + more
}

/// Filesystem blocks in a block of this fork.
fn block_len(geo: &Geometry, which: WhichFork) -> u64 {
    if which == WhichFork::Data { geo.dir.fs_blocks.into() } else { 1 }
}

/// Blocks that mapping the new blocks of one change can add to the extent btree
/// (`XFS_DAREMOVE_SPACE_RES`): all that removing an entry can need.
pub(crate) fn to_remove(geo: &Geometry, which: WhichFork) -> u64 {
    new_blocks(which) * btree_blocks_for(geo, which, block_len(geo, which))
}

/// Blocks for adding an entry (`XFS_DAENTER_SPACE_RES`).
pub(crate) fn to_add(geo: &Geometry, which: WhichFork) -> u64 {
    new_blocks(which) * block_len(geo, which) + to_remove(geo, which)
}

/// Blocks for adding or removing the parent pointer of a name (`xfs_parent_calc_space_res`);
/// 0 on filesystems without them.
pub(crate) fn for_parent_pointer(geo: &Geometry, name_len: usize) -> u64 {
    if !geo.features.parent {
        return 0;
    }
    to_add(geo, WhichFork::Attr) + btree_blocks_for(geo, WhichFork::Attr, name_len as u64)
}

/// Blocks for setting an attribute (`xfs_attr_calc_size`).
pub(crate) fn to_set_attribute(geo: &Geometry, name_len: usize, value_len: usize) -> u64 {
    let block_size = geo.block_size as usize;
    let size = local_size(name_len, value_len);
    let tree = to_add(geo, WhichFork::Attr);
    if size < local_size_max(block_size) {
        // A large entry may split a leaf in three.
        return if size > block_size / 2 { 2 * tree } else { tree };
    }
    let blocks = u64::from(RemoteHeader::blocks_for(value_len as u32, geo.block_size));
    tree + blocks + btree_blocks_for(geo, WhichFork::Attr, blocks)
}
