//! How large an untorn write by copy on write can be: what its chain of transactions has to
//! carry in the log.
//!
//! The chain moves every extent of the write from the copy-on-write fork into the file. All
//! its intents are logged by the first transaction, so that recovery finishes all of them
//! or none, and each later transaction finishes one intent while it carries those that are
//! left. Linux limits the size of such a write so that the reservation of the chain
//! (`tr_atomic_ioend`, by default as large as that of a truncate) covers the worst case, in
//! which every block is an extent of its own. The numbers were checked against what Linux
//! 6.18 reports in statx and what mkfs.xfs 7.2 makes of `-i max_atomic_write`.

use super::{Calculator, QUOTA, Reservations};
use crate::format::geometry::Geometry;

/// Most bytes that Linux takes in one write (2 GiB less a page), rounded down to a power
/// of two.
const MAX_WRITE: u64 = 1 << 30;

/// Bytes that one region of a log item costs besides its contents, as Linux counts them for
/// the buffer that an item is formatted into: a length, and the operation header.
const REGION_OVERHEAD: u64 = 8 + super::OPERATION_HEADER;

/// Log space of an item of one region with so many bytes of contents.
const fn item(contents: u64) -> u64 {
    (contents + REGION_OVERHEAD).next_multiple_of(8)
}

// Intents of one extent, and their done items.
const BUI: u64 = item(16 + 32);
const BUD: u64 = item(16);
const RUI: u64 = item(16 + 32);
const RUD: u64 = item(16);
const CUI: u64 = item(16 + 16);
const CUD: u64 = item(16);
const EFI: u64 = item(16 + 16);
const EFD: u64 = item(16 + 16);

/// Most that the items of one extent take in any transaction of the chain: when its mapping
/// was just changed (its BUD, the RUI that this caused, and the CUI logged anew), and when
/// it is not its turn and both its intents are logged anew.
const ITEMS_OF_EXTENT: u64 = {
    let first = BUI + CUI;
    let mapped = BUD + RUI + CUI + CUD;
    let reverse_mapped = RUD + CUI + CUD;
    let counted = CUD + EFI;
    let waiting = BUI + BUD + CUI + CUD;
    let steps = [first, mapped, reverse_mapped, counted, EFD, waiting];
    let mut most = 0;
    let mut i = 0;
    while i < steps.len() {
        if steps[i] > most {
            most = steps[i];
        }
        i += 1;
    }
    most
};

impl Calculator<'_> {
    /// Most that finishing one intent of the chain may log besides items.
    fn untorn_step(&self) -> u64 {
        let free = self.sectors(3) + self.blocks(self.free_space_blocks(1));
        let map = QUOTA + self.inodes(1) + self.blocks(u64::from(self.levels.bmap_data) + 1);
        free.max(map).max(self.reference_counts(1))
    }
}

/// Bytes that the chain of an untorn write of `extents` extents reserves; `None` if that is
/// not a number of the log's.
pub(super) fn untorn_log_bytes(geometry: &Geometry, extents: u64) -> Option<u64> {
    let step = Calculator::new(geometry, geometry.max_levels).untorn_step();
    let bytes = extents.checked_mul(ITEMS_OF_EXTENT)?.checked_add(step)?;
    (bytes <= u64::from(u32::MAX)).then_some(bytes)
}

/// What the chain of an untorn write reserves: bytes for any, and bytes for each extent more.
pub fn untorn_costs(geometry: &Geometry) -> (u64, u64) {
    (Calculator::new(geometry, geometry.max_levels).untorn_step(), ITEMS_OF_EXTENT)
}

/// Extents that the chain of an untorn write may have at most.
pub fn untorn_extents(geometry: &Geometry, reservations: &Reservations) -> u64 {
    let step = Calculator::new(geometry, geometry.max_levels).untorn_step();
    reservations.atomic_ioend.log_bytes.saturating_sub(step) / ITEMS_OF_EXTENT
}

/// The largest untorn write by copy on write in bytes, a power of two; 0 where there is no
/// copy on write.
///
/// Its staging blocks must lie in one allocation group. `aligned` says that untorn writes
/// may also be the device's own: then, as Linux has it, a multiple of the largest write
/// must fit the group, so that every group begins aligned.
pub fn untorn_write_max(geometry: &Geometry, reservations: &Reservations, aligned: bool) -> u64 {
    if !geometry.features.reflink {
        return 0;
    }
    let group = u64::from(geometry.ag_blocks);
    let group = if aligned { lowest_power(group) } else { highest_power(group) };
    let chain = highest_power(untorn_extents(geometry, reservations));
    let write = MAX_WRITE >> geometry.block_log;
    group.min(chain).min(write) << geometry.block_log
}

/// The largest power of two that is not greater; 0 for 0.
fn highest_power(number: u64) -> u64 {
    number.checked_ilog2().map_or(0, |log| 1 << log)
}

/// The largest power of two that divides the number; 0 for 0.
fn lowest_power(number: u64) -> u64 {
    number & number.wrapping_neg()
}
