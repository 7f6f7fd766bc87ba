//! Block and sector sizes, which everything else is counted in.

use super::{DeviceTraits, Notice, PlanError};

/// Largest sector size that XFS knows.
const MAX_SECTOR: u32 = 32768;

/// Sizes of a block and of a sector in bytes, both powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Filesystem block, 1024 to 65536.
    pub block: u32,
    /// Sector, 512 to 32768.
    pub sector: u32,
    /// Sector of the log: that of the data, unless the log is on a device of its own.
    pub log_sector: u32,
}

impl Sizes {
    /// Decides both from what was asked for (`None`: default) and from the device.
    ///
    /// # Errors
    /// A size outside of what the format or the device can do.
    pub fn new(
        block: Option<u32>,
        sector: Option<u32>,
        device: &DeviceTraits,
        notify: &mut dyn FnMut(Notice),
    ) -> Result<Self, PlanError> {
        let block = block.unwrap_or(4096);
        if !block.is_power_of_two() || !(512..=65536).contains(&block) {
            return Err(PlanError::BlockSize(block));
        }
        if block < 1024 {
            return Err(PlanError::BlockSizeForChecksums(1024));
        }
        let sector = sector.unwrap_or_else(|| device_sector(block, device, notify));
        if !sector.is_power_of_two() || !(512..=MAX_SECTOR).contains(&sector) {
            return Err(PlanError::SectorSize(sector));
        }
        if block < sector {
            return Err(PlanError::BlockBelowSector { block, sector });
        }
        let hardware = device.logical_sector_size;
        if sector < hardware {
            return Err(PlanError::SectorBelowHardware { sector, hardware });
        }
        Ok(Self { block, sector, log_sector: sector })
    }

    /// Decides the log's sector size too: `asked` for (`None`: default), for a log on the device
    /// `external` or (`None`) among the data.
    ///
    /// # Errors
    /// A size that the log's device cannot do, or for an internal log another one than that of
    /// the data.
    pub fn with_log(
        self,
        asked: Option<u32>,
        external: Option<&DeviceTraits>,
    ) -> Result<Self, PlanError> {
        let Some(device) = external else {
            return match asked {
                Some(size) if size != self.sector => Err(PlanError::LogSectorSize),
                _ => Ok(self),
            };
        };
        let size = asked.unwrap_or(device.physical_sector_size);
        let possible = size.is_power_of_two()
            && (512..=MAX_SECTOR.min(self.block)).contains(&size)
            && size >= device.logical_sector_size;
        if !possible {
            return Err(PlanError::IllegalLogSectorSize(size));
        }
        Ok(Self { log_sector: size, ..self })
    }
}

/// The device's physical sector, unless the block is smaller than that.
fn device_sector(block: u32, device: &DeviceTraits, notify: &mut dyn FnMut(Notice)) -> u32 {
    let logical = device.logical_sector_size;
    // Persistent memory may report the machine's page size, which can be too large.
    let physical = Some(device.physical_sector_size).filter(|size| *size <= MAX_SECTOR);
    let physical = physical.unwrap_or(logical);
    if block >= physical || block < logical {
        return physical;
    }
    notify(Notice::Error(format!(
        "specified blocksize {block} is less than device physical sector size {physical}\n\
         switching to logical sector size {logical}"
    )));
    logical
}
