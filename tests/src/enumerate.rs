//! Every state a power cut can leave behind, made from a recording of device writes.
//!
//! Writes between two flushes may reach the device in any order, or not at all, and a
//! write that is under way may be torn between 512-byte sectors. A [`Cut`] is one such
//! outcome. All prefixes are listed; of the subsets and the torn writes, which are too
//! many, a sample chosen by a printed seed.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use libfs::device::{Device, Event, OverlayDevice};

/// One way the power can have gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// All writes before this event are on the device.
    pub before: usize,
    /// Further writes, of those not flushed yet, that are on it too.
    pub also: BTreeSet<usize>,
    /// A write of which only some sectors (numbered within it) are on it.
    pub torn: Option<(usize, BTreeSet<usize>)>,
}

/// Bytes that a device writes at once or not at all.
const SECTOR: usize = 512;

/// A small generator of reproducible random numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// The next number below `bound`, which must not be zero.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

/// Ranges of events between flushes; each ends with its flush or with the recording.
fn epochs(events: &[Event]) -> Vec<Range<usize>> {
    let mut epochs = Vec::new();
    let mut start = 0;
    for (i, event) in events.iter().enumerate() {
        if *event == Event::Flush {
            epochs.push(start..i);
            start = i + 1;
        }
    }
    epochs.push(start..events.len());
    epochs
}

/// All prefixes of `events`, and for each stretch between flushes `samples` subsets and
/// `samples` torn writes.
pub fn cuts(events: &[Event], samples: usize, seed: u64) -> Vec<Cut> {
    let mut random = Random(seed);
    let mut cuts = Vec::new();
    for epoch in epochs(events) {
        for before in epoch.start..=epoch.end {
            cuts.push(Cut { before, also: BTreeSet::new(), torn: None });
        }
        if epoch.is_empty() {
            continue;
        }
        for _ in 0..samples {
            if epoch.len() > 1 {
                let also = epoch.clone().filter(|_| random.below(2) == 0).collect();
                cuts.push(Cut { before: epoch.start, also, torn: None });
            }
            cuts.extend(torn(events, &epoch, &mut random));
        }
    }
    cuts.dedup();
    cuts
}

fn torn(events: &[Event], epoch: &Range<usize>, random: &mut Random) -> Option<Cut> {
    let victim = epoch.start + random.below(epoch.len());
    let Event::Write { data, atomic: false, .. } = &events[victim] else { return None };
    let sectors = data.len() / SECTOR;
    if sectors < 2 {
        return None;
    }
    let kept: BTreeSet<usize> = (0..sectors).filter(|_| random.below(2) == 0).collect();
    Some(Cut { before: victim, also: BTreeSet::new(), torn: Some((victim, kept)) })
}

/// The device as `cut` leaves it: what `base` was when recording began, and the writes that
/// got through. `base` is not changed.
///
/// # Errors
///
/// When `base` cannot be read.
pub fn device_after(
    base: &Arc<dyn Device>,
    events: &[Event],
    cut: &Cut,
) -> libfs::Result<Arc<dyn Device>> {
    let device = OverlayDevice::new(Arc::clone(base));
    apply(&device, events, cut)?;
    Ok(Arc::new(device))
}

/// Writes to `device` what got through.
///
/// # Errors
///
/// When `device` cannot be written.
pub fn apply(device: &dyn Device, events: &[Event], cut: &Cut) -> libfs::Result<()> {
    for (i, event) in events.iter().enumerate() {
        let Event::Write { offset, data, .. } = event else { continue };
        if i < cut.before || cut.also.contains(&i) {
            device.write_at(data, *offset)?;
        }
    }
    let Some((victim, kept)) = &cut.torn else { return Ok(()) };
    let Event::Write { offset, data, .. } = &events[*victim] else { return Ok(()) };
    for sector in kept {
        let at = sector * SECTOR;
        device.write_at(&data[at..at + SECTOR], offset + at as u64)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(offset: u64, sectors: usize) -> Event {
        Event::Write { offset, data: vec![1; sectors * SECTOR], atomic: false }
    }

    #[test]
    fn nothing_flushed_is_ever_missing() {
        let events = [
            write(0, 1),
            write(512, 1),
            Event::Flush,
            write(1024, 8),
            write(8192, 1),
            Event::Flush,
        ];
        let all = cuts(&events, 20, 7);
        for cut in all.iter().filter(|c| c.before > 2) {
            assert!(cut.also.iter().all(|&i| i > 2));
        }
        assert!(all.iter().any(|c| c.torn.is_some()));
        assert!(all.iter().any(|c| c.before == 0 && c.also.is_empty() && c.torn.is_none()));
        assert!(all.iter().any(|c| c.before == events.len() - 1));
    }
}
