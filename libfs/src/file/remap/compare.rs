//! Comparing contents.

use super::RemapRequest;
use crate::Result;
use crate::file::read::read_mapped;
use crate::inode::WhichFork;
use crate::inode::bmap::{self, Target, mapping_at};
use crate::mount::Mount;

/// Bytes read of each file in one go.
const STEP: usize = 256 << 10;

/// Whether the ranges have the same contents; both files' extents are in memory. Blocks that
/// are shared already, and zeros that are in no block, are not read.
pub(super) fn same(mount: &Mount, request: &RemapRequest) -> Result<bool> {
    let shift = mount.geo.block_log;
    let (first, target) = (request.source_offset >> shift, request.target_offset >> shift);
    let source_map = bmap::extents(mount, request.source, WhichFork::Data)?;
    let target_map = bmap::extents(mount, request.target, WhichFork::Data)?;
    let blocks = mount.geo.blocks_for(request.length);
    let mut at = 0;
    while at < blocks {
        let one = mapping_at(source_map, first + at, first + blocks);
        let two = mapping_at(target_map, target + at, target + at + one.len);
        let empty = |target| !matches!(target, Target::Written(_));
        let alike = one.target == two.target || (empty(one.target) && empty(two.target));
        if !alike {
            let start = at << shift;
            let end = ((at + two.len) << shift).min(request.length);
            if !same_bytes(mount, request, start, end)? {
                return Ok(false);
            }
        }
        at += two.len.max(1);
    }
    Ok(true)
}

/// Reads and compares bytes `start..end` of the ranges.
fn same_bytes(mount: &Mount, request: &RemapRequest, start: u64, end: u64) -> Result<bool> {
    let most = usize::try_from(end - start).unwrap_or(STEP).min(STEP);
    let (mut one, mut two) = (vec![0; most], vec![0; most]);
    let mut at = start;
    while at < end {
        let here = usize::try_from(end - at).unwrap_or(STEP).min(STEP);
        let (Some(one), Some(two)) = (one.get_mut(..here), two.get_mut(..here)) else { break };
        read_mapped(mount, request.source, request.source_offset + at, one)?;
        read_mapped(mount, request.target, request.target_offset + at, two)?;
        if one != two {
            return Ok(false);
        }
        at += here as u64;
    }
    Ok(true)
}
