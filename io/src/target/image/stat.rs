//! What is known about a file of an image, in the terms of statx(2).

use libfs::Result;

use super::super::{DirectLimits, Handle, Stat, Target};
use super::{FORMAT, Image, REGULAR};

impl Image {
    /// As [`Target::stat`].
    pub(super) fn stat_file(&mut self, file: Handle, mask: u32) -> Result<Stat> {
        let open = self.file(file)?;
        let stat = self.filesystem.stat(open.ino)?;
        let block_size = self.filesystem.geometry().block_size;
        let mount_id =
            if mask & STATX_MNT_ID_UNIQUE != 0 { STATX_MNT_ID_UNIQUE } else { STATX_MNT_ID };
        let mut found = Stat {
            mask: STATX_USUAL | mount_id | (mask & (STATX_MTIME | STATX_CTIME | STATX_BTIME)),
            block_size,
            attributes: attribute_bits(stat.xflags),
            attributes_mask: STATX_ATTR_KNOWN,
            links: stat.nlink,
            uid: stat.uid,
            gid: stat.gid,
            mode: stat.mode,
            ino: stat.ino,
            size: self.size(file)?,
            blocks: stat.blocks,
            atime: stat.atime,
            btime: stat.btime,
            ctime: stat.ctime,
            mtime: stat.mtime,
            rdev: stat.rdev,
            ..Default::default()
        };
        if stat.ino == self.filesystem.geometry().root_ino.0 {
            found.attributes |= STATX_ATTR_MOUNT_ROOT;
        }
        // Times that were not asked for stay empty.
        for (bit, time) in [
            (STATX_MTIME, &mut found.mtime),
            (STATX_CTIME, &mut found.ctime),
            (STATX_BTIME, &mut found.btime),
        ] {
            if mask & bit == 0 {
                *time = (0, 0);
            }
        }
        let regular = stat.mode & FORMAT == REGULAR;
        if mask & (STATX_DIOALIGN | STATX_DIO_READ_ALIGN) != 0 && regular {
            let limits = self.direct_limits(file)?;
            found.dio_memory_align = limits.memory;
            found.dio_read_offset_align = self.filesystem.geometry().sector_size;
            found.dio_offset_align = limits.smallest;
            found.mask |= STATX_DIOALIGN | STATX_DIO_READ_ALIGN;
        }
        if mask & STATX_WRITE_ATOMIC != 0 && regular {
            let limits = self.filesystem.atomic_write_limits(open.ino)?;
            found.atomic_unit_min = limits.unit_min;
            found.atomic_unit_max = limits.unit_max;
            found.atomic_unit_max_opt = limits.unit_max_opt;
            found.atomic_segments_max = limits.segments_max;
            found.mask |= STATX_WRITE_ATOMIC;
            found.attributes_mask |= STATX_ATTR_WRITE_ATOMIC;
            if limits.unit_max > 0 {
                found.attributes |= STATX_ATTR_WRITE_ATOMIC;
            }
        }
        Ok(found)
    }

    /// As [`Target::direct_limits`].
    pub(super) fn limits_of(&mut self, file: Handle) -> Result<DirectLimits> {
        let open = self.file(file)?;
        if self.filesystem.stat(open.ino)?.mode & FORMAT != REGULAR {
            return Ok(DirectLimits::default());
        }
        let geometry = self.filesystem.geometry();
        let (sector, block) = (geometry.sector_size, geometry.block_size);
        // Sub-block direct writes to shared blocks would have to read: Linux wants whole blocks
        // once a file may have any.
        let smallest = if self.filesystem.stat(open.ino)?.reflink { block } else { sector };
        Ok(DirectLimits { memory: sector, smallest, largest: i32::MAX as u32 & !(smallest - 1) })
    }
}

/// STATX_* and STATX_ATTR_* bits of `linux/stat.h`. What is always known are the basic ones
/// without the times of change.
const STATX_USUAL: u32 = 0x73f;
const STATX_MNT_ID: u32 = 0x1000;
const STATX_MNT_ID_UNIQUE: u32 = 0x4000;
const STATX_MTIME: u32 = 0x40;
const STATX_CTIME: u32 = 0x80;
const STATX_BTIME: u32 = 0x800;
const STATX_DIOALIGN: u32 = 0x2000;
const STATX_WRITE_ATOMIC: u32 = 0x10000;
const STATX_DIO_READ_ALIGN: u32 = 0x20000;
const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
const STATX_ATTR_WRITE_ATOMIC: u64 = 0x40_0000;
/// What XFS on Linux says that it knows: immutable, append, nodump, DAX, and of the VFS
/// automount and mount root.
const STATX_ATTR_KNOWN: u64 = 0x20_3070;

/// FS_XFLAG_* bits as STATX_ATTR_* bits.
fn attribute_bits(xflags: u32) -> u64 {
    const BITS: [(u32, u64); 4] = [(0x8, 0x10), (0x10, 0x20), (0x80, 0x40), (0x8000, 0x20_0000)];
    BITS.iter().filter(|(flag, _)| xflags & flag != 0).map(|(_, bit)| bit).sum()
}
