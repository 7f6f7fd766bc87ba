//! Removing the superblock copies of an older filesystem, which a later repair could take
//! for those of the new one.

use crate::Result;
use crate::device::Device;
use crate::format::superblock::{Dsb, MAGIC, MIN_AG_BLOCKS};

/// Zeroes the copies that the superblock at the start of the device leads to, if it is one.
pub(super) fn wipe_superblocks(device: &dyn Device, sector_size: u32) -> Result<()> {
    let mut sector = vec![0; sector_size as usize];
    if device.size() < sector.len() as u64 {
        return Ok(());
    }
    device.read_at(&mut sector, 0)?;
    let Ok(old) = Dsb::view(&sector) else { return Ok(()) };
    let Some(group_bytes) = group_bytes(old) else { return Ok(()) };
    let zeros = vec![0; sector.len()];
    for group in 1..u64::from(old.agcount.get()) {
        let offset = group * group_bytes;
        if offset.saturating_add(zeros.len() as u64) > device.size() {
            break;
        }
        device.write_at(&zeros, offset)?;
    }
    Ok(())
}

/// Bytes of an allocation group, if the old superblock makes sense.
fn group_bytes(old: &Dsb) -> Option<u64> {
    let (blocks, count) = (u64::from(old.agblocks.get()), u64::from(old.agcount.get()));
    let log = u32::from(old.blocklog);
    let sound = old.magicnum.get() == MAGIC
        && (9..=16).contains(&log)
        && old.blocksize.get() == 1 << log
        && blocks >= MIN_AG_BLOCKS.into()
        && count != 0
        && old.dblocks.get() <= count.saturating_mul(blocks)
        && old.dblocks.get() >= ((count - 1) * blocks).saturating_add(MIN_AG_BLOCKS.into());
    sound.then(|| blocks << log)
}
