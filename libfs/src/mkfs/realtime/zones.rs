//! A zoned section: groups are zones, all of the same size.

use super::section::{self, Section};
use super::{GroupSizing, RealtimeError, RealtimeOptions};
use crate::mkfs::{Notice, PlanError};

/// Bytes of a zone where the device has none of its own.
const ZONE: u64 = 256 << 20;
/// Zones that a section must have at least.
const LEAST_ZONES: u64 = 5;
/// Zones beside those for data: open ones, and what moving data needs.
const SPARE_ZONES: u64 = 4;

/// Divides `section`, of as many blocks as asked for or else available, into zones.
pub(super) fn divide(
    section: &mut Section,
    realtime: &RealtimeOptions,
    block: u32,
    available: u64,
    notify: &mut dyn FnMut(Notice),
) -> Result<(), PlanError> {
    let block = u64::from(block);
    let zone = match &realtime.sizing {
        GroupSizing::Size(size) if !size.bytes.is_multiple_of(block) => {
            let text = size.text.clone();
            return Err(RealtimeError::GroupSizeUnaligned { text, block: block as u32 }.into());
        }
        GroupSizing::Size(size) => size.bytes / block,
        _ => match section::group_count(realtime) {
            Some(count) => section.blocks.div_ceil(count.max(1)),
            None => ZONE / block,
        },
    };
    section.group_blocks = zone;
    section.check_groups()?;
    section.reserved = realtime.reserved.as_ref().map_or(0, |size| size.bytes / block);
    if !section.blocks.is_multiple_of(zone) {
        // mkfs.xfs 7.2 means what is missing in the last zone, in 64 bits without a sign.
        section.reserved += section.blocks.wrapping_neg() % zone;
    }
    let most = available / zone;
    section.groups = match &realtime.size {
        None => most,
        Some(size) => {
            let needed = section.blocks.div_ceil(zone) + SPARE_ZONES;
            if needed > most {
                notify(Notice::Error(format!(
                    "Warning: not enough zones ({needed}/{most}) for backing requested rt size due to\n\
                     over-provisioning needs, writable size will be less than {}",
                    size.text
                )));
            }
            needed.min(most)
        }
    };
    section.blocks = section.groups * zone;
    Ok(())
}

pub(super) fn check(section: &Section) -> Result<(), RealtimeError> {
    if section.groups < LEAST_ZONES {
        return Err(RealtimeError::TooFewZones { count: section.groups, minimum: LEAST_ZONES });
    }
    Ok(())
}
