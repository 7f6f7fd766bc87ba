//! How the space is divided into allocation groups, and how they align to stripes.

use super::{AgSizing, DeviceTraits, Notice, Options, PlanError, Stripe};

const MEBI: u64 = 1 << 20;
const GIBI: u64 = 1 << 30;
const TEBI: u64 = 1 << 40;
/// Smallest allocation group in bytes.
pub(super) const AG_MIN_BYTES: u64 = 16 * MEBI;
/// Most groups a filesystem can have.
const MAX_AGS: u64 = 0xffff_ffff;

/// Largest allocation group, in blocks: one block short of 1 TiB.
pub(super) fn ag_max_blocks(block: u64) -> u64 {
    (TEBI - 1) / block
}

/// Stripe geometry in blocks; all 0 without stripes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Stripes {
    pub(super) unit: u64,
    pub(super) width: u64,
}

impl Stripes {
    /// What was asked for, else what the device reports.
    pub(super) fn new(
        options: &Options,
        device: &DeviceTraits,
        block: u64,
        sector: u32,
        data_blocks: u64,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Self, PlanError> {
        let (unit, width) = asked_for(options.stripe, sector)?;
        let none = options.stripe == Stripe::None
            || (options.stripe != Stripe::FromDevice && (unit, width) == (0, 0));
        if none {
            return Ok(Self::default());
        }
        if unit == 0 {
            return Ok(reported(device, block, data_blocks, notify));
        }
        differs("unit", unit, device.stripe_unit, notify);
        differs("width", width, device.stripe_width, notify);
        let (unit, width) = (unit * 512, width * 512);
        if !unit.is_multiple_of(block) || !width.is_multiple_of(block) {
            return Err(PlanError::StripeUnaligned { unit, width, block: block as u32 });
        }
        Ok(Self { unit: unit / block, width: width / block })
    }
}

/// Stripe unit and width in sectors; 0 where nothing was asked for.
fn asked_for(stripe: Stripe, sector: u32) -> Result<(u64, u64), PlanError> {
    match stripe {
        Stripe::FromDevice | Stripe::None => Ok((0, 0)),
        Stripe::Sectors { unit: Some(unit), width: Some(width) } => {
            let (unit, width) = (u64::from(unit), u64::from(width));
            check_stripe(unit * 512, width * 512, sector)?;
            Ok((unit, width))
        }
        Stripe::Sectors { .. } => Err(PlanError::StripeSectorsIncomplete),
        Stripe::Units { unit: Some(unit), count: Some(count) } => {
            let width = unit * u64::from(count);
            if width / 512 > i32::MAX as u64 {
                return Err(PlanError::StripeWidthTooLarge { width, unit });
            }
            check_stripe(unit, width, sector)?;
            Ok((unit / 512, width / 512))
        }
        Stripe::Units { unit: None | Some(0), count: None | Some(0) } => Ok((0, 0)),
        Stripe::Units { .. } => Err(PlanError::StripeUnitsIncomplete),
    }
}

fn check_stripe(unit: u64, width: u64, sector: u32) -> Result<(), PlanError> {
    let fail = |why: String| Err(PlanError::StripeGeometry(why));
    if width > i32::MAX as u64 {
        return fail(format!("stripe width ({width}) is too large"));
    }
    if unit > width {
        return fail(format!("stripe unit ({unit}) is larger than the stripe width ({width})"));
    }
    if sector != 0 && !unit.is_multiple_of(u64::from(sector)) {
        return fail(format!(
            "stripe unit ({unit}) must be a multiple of the sector size ({sector})"
        ));
    }
    match (unit, width) {
        (0, 0) => Ok(()),
        (0, _) => fail(format!("invalid stripe width ({width}) and stripe unit of 0")),
        (_, 0) => fail(format!("invalid stripe unit ({unit}) and stripe width of 0")),
        _ if !width.is_multiple_of(unit) => {
            fail(format!("stripe width ({width}) must be a multiple of the stripe unit ({unit})"))
        }
        _ => Ok(()),
    }
}

/// The device's own stripes, where they make sense and the filesystem is large enough.
fn reported(
    device: &DeviceTraits,
    block: u64,
    data_blocks: u64,
    notify: &mut dyn FnMut(Notice),
) -> Stripes {
    let (unit, width) = (u64::from(device.stripe_unit), u64::from(device.stripe_width));
    if (unit, width) == (0, 0) {
        return Stripes::default();
    }
    if check_stripe(unit * 512, width * 512, 0).is_err() {
        notify(Notice::Error(format!(
            "mkfs.xfs: Volume reports invalid stripe unit ({}) and stripe width ({}), ignoring.",
            unit * 512,
            width * 512
        )));
        return Stripes::default();
    }
    if data_blocks < GIBI / block {
        notify(Notice::Error(format!(
            "mkfs.xfs: small data volume, ignoring data volume stripe unit {unit} and stripe width {width}"
        )));
        return Stripes::default();
    }
    if !(unit * 512).is_multiple_of(block) || !(width * 512).is_multiple_of(block) {
        return Stripes::default();
    }
    Stripes { unit: unit * 512 / block, width: width * 512 / block }
}

fn differs(what: &str, asked: u64, reported: u32, notify: &mut dyn FnMut(Notice)) {
    if reported != 0 && u64::from(reported) != asked {
        notify(Notice::Error(format!(
            "mkfs.xfs: Specified data stripe {what} {asked} is not the same as the volume stripe {what} {reported}"
        )));
    }
}

/// Number and size of the allocation groups, and how much of the device they cover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups {
    /// Blocks in each group but the last, which may be smaller.
    pub(super) blocks: u64,
    /// Number of groups.
    pub(super) count: u64,
    /// Blocks in all groups together.
    pub(super) data_blocks: u64,
}

impl Groups {
    pub(super) fn new(
        options: &Options,
        device: &DeviceTraits,
        block: u64,
        data_blocks: u64,
        stripes: &Stripes,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Self, PlanError> {
        let blocks = initial_ag_blocks(options, device, block, data_blocks, stripes)?;
        let count = data_blocks.div_ceil(blocks);
        let mut groups = Self { blocks, count, data_blocks };
        if let AgSizing::Count(count) = options.ag_sizing {
            groups.count = count;
        }
        groups.align(options, device, block, stripes, notify);
        groups.drop_small_last_group(block);
        groups.check(block)?;
        let group = groups.blocks * block;
        match options.max_atomic_write {
            Some(bytes) if bytes > group => {
                Err(PlanError::AtomicWriteBiggerThanAg { bytes, group })
            }
            _ => Ok(groups),
        }
    }

    /// Makes groups start on stripe units (or on units of untorn writes), and not all of
    /// them on the same disk of the stripe.
    fn align(
        &mut self,
        options: &Options,
        device: &DeviceTraits,
        block: u64,
        stripes: &Stripes,
        notify: &mut dyn FnMut(Notice),
    ) {
        // What is too large for the groups is refused later; it does not make them larger.
        let group = self.blocks * block;
        let asked = options.max_atomic_write.map(|bytes| if bytes > group { 0 } else { bytes });
        let atomic_write = asked.unwrap_or_else(|| atomic_write_max(device, block));
        let unit = stripes.unit.max(atomic_write / block);
        if unit == 0 {
            return;
        }
        let by_count = matches!(options.ag_sizing, AgSizing::Count(_));
        let by_size = matches!(options.ag_sizing, AgSizing::Size(_));
        if !self.blocks.is_multiple_of(unit) {
            let up = self.blocks.next_multiple_of(unit);
            let down = self.blocks - self.blocks % unit;
            self.blocks = if up > ag_max_blocks(block) { down } else { up };
            if !by_count {
                self.count = self.data_blocks.div_ceil(self.blocks);
            }
            if by_size {
                let blocks = self.blocks;
                notify(Notice::Error(format!("agsize rounded to {blocks}, sunit = {unit}")));
            }
        }
        let same_disk = stripes.width > 0
            && self.blocks.is_multiple_of(stripes.width)
            && stripes.width != stripes.unit
            && self.count > 1;
        if !same_disk {
            return;
        }
        if by_count || by_size {
            notify(Notice::Output(format!(
                "Warning: AG size is a multiple of stripe width.  This can cause performance\n\
                 problems by aligning all AGs on the same disk.  To avoid this, run mkfs with\n\
                 an AG size that is one stripe unit smaller or larger, for example {}.",
                self.blocks - unit
            )));
            return;
        }
        let smaller = self.blocks - unit;
        self.blocks = if smaller >= AG_MIN_BYTES / block {
            smaller
        } else if self.data_blocks < self.blocks {
            self.blocks
        } else {
            self.blocks + unit
        };
        self.count = self.data_blocks.div_ceil(self.blocks);
    }

    /// A last group too small to be one is left out of the filesystem.
    fn drop_small_last_group(&mut self, block: u64) {
        let rest = self.data_blocks % self.blocks;
        if rest != 0 && rest < AG_MIN_BYTES / block && self.count > 1 {
            self.count -= 1;
            self.data_blocks = self.count * self.blocks;
        }
    }

    fn check(&self, block: u64) -> Result<(), PlanError> {
        let Self { blocks, count, data_blocks } = *self;
        let minimum = AG_MIN_BYTES / block;
        let maximum = ag_max_blocks(block);
        if blocks < minimum {
            return Err(PlanError::AgTooSmall { blocks, minimum });
        }
        if blocks > maximum {
            return Err(PlanError::AgTooBig { blocks, maximum });
        }
        if blocks > data_blocks {
            return Err(PlanError::AgBiggerThanData { blocks, data: data_blocks });
        }
        let rest = data_blocks % blocks;
        if rest != 0 && rest < minimum {
            return Err(PlanError::LastAgTooSmall { blocks: rest, minimum });
        }
        if count > MAX_AGS {
            return Err(PlanError::TooManyAgs { count, maximum: MAX_AGS });
        }
        Ok(())
    }
}

/// Largest untorn write in bytes, if the device can write at least a block so.
pub(super) fn atomic_write_max(device: &DeviceTraits, block: u64) -> u64 {
    let (min, max) = (u64::from(device.atomic_write_min), u64::from(device.atomic_write_max));
    if min > block || max < block { 0 } else { max }
}

fn initial_ag_blocks(
    options: &Options,
    device: &DeviceTraits,
    block: u64,
    data_blocks: u64,
    stripes: &Stripes,
) -> Result<u64, PlanError> {
    let automatic = automatic_ag_blocks(block, data_blocks, stripes.unit != 0);
    Ok(match &options.ag_sizing {
        AgSizing::Concurrency(threads) if *threads > 0 => {
            concurrent_ag_blocks(block, data_blocks, automatic, u64::from(*threads))
        }
        AgSizing::Size(size) => {
            if !size.bytes.is_multiple_of(block) {
                let text = size.text.clone();
                return Err(PlanError::AgSizeUnaligned { text, block: block as u32 });
            }
            size.bytes / block
        }
        AgSizing::Count(count) => data_blocks.div_ceil((*count).max(1)),
        AgSizing::Automatic if device.solid_state => {
            concurrent_ag_blocks(block, data_blocks, automatic, u64::from(options.cpus))
        }
        AgSizing::Automatic | AgSizing::Concurrency(_) => automatic,
    })
}

/// Group size by the size of the filesystem alone: four groups up to 4 TiB, more on stripes.
fn automatic_ag_blocks(block: u64, data_blocks: u64, striped: bool) -> u64 {
    let (mebi, gibi, tebi) = (MEBI / block, GIBI / block, TEBI / block);
    if data_blocks >= 32 * tebi {
        return ag_max_blocks(block);
    }
    let shift = if !striped && data_blocks >= 4 * tebi {
        return ag_max_blocks(block);
    } else if !striped && data_blocks >= 128 * mebi {
        2
    } else {
        let steps = [
            data_blocks <= 512 * gibi,
            data_blocks <= 8 * gibi,
            data_blocks < 128 * mebi,
            data_blocks < 64 * mebi,
            data_blocks < 32 * mebi,
        ];
        5 - steps.into_iter().filter(|smaller| *smaller).count()
    };
    // Round up so that the last blocks are not lost, if that is still allowed.
    (data_blocks >> shift).max(data_blocks.div_ceil(1 << shift).min(ag_max_blocks(block)))
}

/// Group size that gives each of `threads` a group of its own, of at least 4 GiB.
pub(super) fn concurrent_ag_blocks(
    block: u64,
    data_blocks: u64,
    automatic: u64,
    threads: u64,
) -> u64 {
    let automatic_count = data_blocks.div_ceil(automatic);
    if threads == 0 || threads < automatic_count {
        return automatic;
    }
    let smallest = 4 * GIBI / block;
    let mut count = threads;
    if data_blocks / count < smallest {
        while data_blocks / count < smallest {
            count -= 1;
            if count <= automatic_count {
                return automatic;
            }
        }
        return data_blocks / count;
    }
    // On large filesystems the number of groups is a multiple of the threads.
    while data_blocks / count > ag_max_blocks(block) && data_blocks / count > automatic {
        count += threads;
    }
    data_blocks / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_groups_are_those_of_mkfs() {
        // agsize printed by mkfs.xfs 7.2 -N for image files of these sizes.
        for (bytes, blocks) in [
            (300 * MEBI, 19200),
            (GIBI, 65536),
            (3 * TEBI, 201_326_592),
            (4 * TEBI, 268_435_455),
            (40 * TEBI, 268_435_455),
        ] {
            assert_eq!(automatic_ag_blocks(4096, bytes / 4096, false), blocks, "{bytes}");
        }
    }
}
