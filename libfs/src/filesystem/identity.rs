//! Label and UUID: the names that the superblocks of all groups give a filesystem.
//!
//! These change filesystems whose log is clean, in place: the log cannot hold what changes its
//! own records' UUID.

use super::{Devices, read_superblock};
use crate::device::Device;
use crate::format::checksum;
use crate::format::features::{Incompat, Version};
use crate::format::geometry::Geometry;
use crate::format::superblock::{self, CRC_OFFSET, Dsb, LABEL_MAX};
use crate::journal::{LogPlace, LogState, NewLog, find_ends, format_log};
use crate::{At, Errno, Error, Result};
use zerocopy::FromBytes;

/// The inode number of a quota file that is not there.
const NO_INODE: u64 = u64::MAX;

/// Changes the superblocks of all groups, the first one first, each in one write.
///
/// # Errors
/// [`Error::Corrupt`], with nothing written, when one of them is none; [`Error::Io`] from the device.
pub fn change_superblocks(
    device: &dyn Device,
    geo: &Geometry,
    change: impl Fn(&mut Dsb),
) -> Result<()> {
    for agno in 0..geo.ag_count {
        read_sector(device, geo, agno)?;
    }
    for agno in 0..geo.ag_count {
        let mut sector = read_sector(device, geo, agno)?;
        let (dsb, _) = Dsb::mut_from_prefix(&mut sector).map_err(|_| short(geo, agno))?;
        change(dsb);
        // mkfs leaves zeros, which xfsprogs keeps where there are to be quota files.
        let quota = dsb.version().contains(Version::QUOTA);
        for ino in [&mut dsb.uquotino, &mut dsb.gquotino, &mut dsb.pquotino] {
            if ino.get() == 0 && !quota {
                ino.set(NO_INODE);
            }
        }
        checksum::stamp(&mut sector, CRC_OFFSET);
        device.write_at(&sector, geo.sb_daddr(agno) * 512)?;
        if agno == 0 {
            device.flush()?;
        }
    }
    device.flush()
}

/// The sector with the superblock of a group.
fn read_sector(device: &dyn Device, geo: &Geometry, agno: u32) -> Result<Vec<u8>> {
    let mut sector = vec![0; geo.sector_size as usize];
    device.read_at(&mut sector, geo.sb_daddr(agno) * 512)?;
    let dsb = Dsb::view(&sector)?;
    let version = dsb.version().number();
    if dsb.magicnum.get() == superblock::MAGIC && version == 5 {
        return Ok(sector);
    }
    let (magic, at) = (dsb.magicnum.get(), At::Daddr(geo.sb_daddr(agno)));
    Err(Error::corrupt("superblock", at, format!("magic number {magic:#x}, version {version}")))
}

fn short(geo: &Geometry, agno: u32) -> Error {
    Error::corrupt("superblock", At::Daddr(geo.sb_daddr(agno)), "the sector is too short")
}

/// Where the log is, which must be clean, and the cycle it is in.
fn clean_log(devices: &Devices, geo: &Geometry) -> Result<(LogPlace, u32)> {
    let place = devices.log_place(geo)?;
    let ends = find_ends(place.device.as_ref(), place.area)?;
    if ends.state == LogState::Dirty {
        return Err(Error::os(Errno::EBUSY, "the log has to be replayed first"));
    }
    Ok((place, ends.head.cycle()))
}

/// Sets the label; what is longer than [`LABEL_MAX`] bytes is cut.
///
/// # Errors
/// EBUSY when the log is dirty; as [`change_superblocks`].
pub fn set_label(devices: &Devices, label: &[u8]) -> Result<()> {
    let (_, geo) = read_superblock(devices.data.as_ref())?;
    clean_log(devices, &geo)?;
    let mut padded = [0; LABEL_MAX];
    for (place, byte) in padded.iter_mut().zip(label) {
        *place = *byte;
    }
    change_superblocks(devices.data.as_ref(), &geo, |dsb| dsb.fname = padded)
}

/// Sets the UUID. Metadata goes on carrying the old one, which the superblock then names, until the
/// filesystem gets it back. The log is cleared.
///
/// A crash leaves a filesystem that can be mounted: while the first superblock changes, the
/// log has the UUID of zeros, which goes with any.
///
/// # Errors
/// EBUSY when the log is dirty; as [`change_superblocks`].
pub fn set_uuid(devices: &Devices, uuid: [u8; 16]) -> Result<()> {
    let (sb, geo) = read_superblock(devices.data.as_ref())?;
    let (place, cycle) = clean_log(devices, &geo)?;
    let anonymous = NewLog {
        uuid: [0; 16],
        cycle: cycle.wrapping_add(1).max(1),
        unit: place.area.unit,
        large_records: true,
    };
    let metadata = sb.dsb.metadata_uuid();
    format_log(&place, &anonymous)?;
    change_superblocks(devices.data.as_ref(), &geo, |dsb| {
        let (other, flag) = (uuid != metadata, Incompat::META_UUID);
        let mut incompat = dsb.incompat();
        incompat.set(flag, other);
        dsb.features_incompat = incompat.bits().into();
        dsb.meta_uuid = if other { metadata } else { [0; 16] };
        dsb.uuid = uuid;
    })?;
    format_log(&place, &NewLog { uuid, ..anonymous })
}

/// Clears the log: from `cycle` on, or the cycle it is in, and with records padded to `unit` bytes or
/// to the log stripe unit.
///
/// # Errors
/// EBUSY when the log is dirty, [`Error::Io`] from the device.
pub fn clear_log(devices: &Devices, cycle: Option<u32>, unit: Option<u32>) -> Result<(u32, u32)> {
    let (sb, geo) = read_superblock(devices.data.as_ref())?;
    let (place, current) = clean_log(devices, &geo)?;
    let (cycle, unit) = (cycle.unwrap_or(current), unit.unwrap_or(sb.dsb.logsunit.get()));
    format_log(&place, &NewLog { uuid: sb.dsb.uuid, cycle, unit, large_records: false })?;
    Ok((cycle, unit))
}
