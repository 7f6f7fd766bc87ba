//! Which mappings change places, one pair after the other, and what that costs.

use super::ExchangeIntent;
use crate::format::btree_block::BtreeKind;
use crate::format::geometry::Geometry;
use crate::format::inode::max_extents;
use crate::format::log::intent::exchange_flags;
use crate::inode::InodeFork;
use crate::inode::bmap::{self, Mapping, Target, alloc, mapping_at};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// Next two mappings to exchange, of equal length; `intent` is advanced past what need not
/// be exchanged, but not past the pair. `None` when nothing is left.
pub(super) fn next(
    mount: &Mount,
    intent: &mut ExchangeIntent,
) -> Result<Option<(Mapping, Mapping)>> {
    let map1 = bmap::extents(mount, intent.inode1, intent.which)?;
    let map2 = bmap::extents(mount, intent.inode2, intent.which)?;
    while intent.blocks > 0 {
        let mut one = mapping_at(map1, intent.start1, intent.start1 + intent.blocks);
        let written = matches!(one.target, Target::Written(_));
        if intent.has(exchange_flags::INO1_WRITTEN) && !written {
            intent.advance(one.len);
            continue;
        }
        let two = mapping_at(map2, intent.start2, intent.start2 + one.len);
        one.len = two.len;
        if one.target == two.target {
            // Both are holes, or the files share these blocks.
            intent.advance(one.len);
            continue;
        }
        return Ok(Some((one, two)));
    }
    Ok(None)
}

/// What an exchange will need.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Estimate {
    /// Pairs of mappings to exchange.
    pub(super) pairs: u64,
    /// Blocks that the trees may need while mappings move.
    pub(super) blocks: u64,
}

/// Counts the pairs and the blocks their trees may need in the worst case.
///
/// # Errors
///
/// ENOSPC if that is more than a transaction can reserve.
pub(super) fn estimate(mount: &Mount, intent: &ExchangeIntent) -> Result<Estimate> {
    let mut rest = *intent;
    let mut pairs = 0u64;
    while let Some((one, _)) = next(mount, &mut rest)? {
        pairs += 1;
        rest.advance(one.len);
    }
    let geo = &mount.geo;
    let maps = alloc::btree_blocks_for(geo, intent.which, pairs).saturating_mul(2);
    let rmaps = rmap_blocks(geo, pairs).saturating_mul(2);
    let blocks = maps.saturating_add(rmaps);
    if blocks > u64::from(u32::MAX) {
        return Err(Error::os(Errno::ENOSPC, format!("exchanging {pairs} pairs of mappings")));
    }
    Ok(Estimate { pairs, blocks })
}

/// Blocks that reverse mapping trees may need for `count` more records
/// (`XFS_NRMAPADD_SPACE_RES`).
fn rmap_blocks(geo: &Geometry, count: u64) -> u64 {
    if !geo.features.rmapbt {
        return 0;
    }
    let kind = BtreeKind::Rmap;
    let per_leaf = geo.max_records(kind, true).saturating_sub(geo.min_records(kind, true)).max(1);
    count.div_ceil(u64::from(per_leaf)).saturating_mul(geo.max_levels.rmap.into())
}

/// Checks that neither file can get more extents than its inode can count; each pair adds
/// at most two to each.
///
/// # Errors
///
/// EFBIG if one could.
pub(super) fn check_counts(
    mount: &Mount,
    intent: &ExchangeIntent,
    estimate: &Estimate,
) -> Result<()> {
    for inode in [intent.inode1, intent.inode2] {
        let inode = mount.inode(inode);
        let large = mount.geo.features.nrext64 || inode.core.has_large_extent_counts();
        let now = inode.fork(intent.which).map_or(0, InodeFork::nextents);
        let most = now.saturating_add(estimate.pairs.saturating_mul(2));
        if most > max_extents(intent.which, large) {
            return Err(Error::os(Errno::EFBIG, format!("up to {most} extents in one file")));
        }
    }
    Ok(())
}
