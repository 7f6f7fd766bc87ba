//! Writing a planned filesystem.
//!
//! The superblock of group 0 is written first, marked as in progress, and last, when all
//! else is durable: what a crash leaves is never taken for a filesystem.

use zerocopy::{FromZeros, IntoBytes};

use super::layout::Group;
use super::{Plan, inodes, old, realtime};
use crate::device::{Device, Zeroed};
use crate::format::ag::{
    AGF_CRC_OFFSET, AGF_MAGIC, AGFL_CRC_OFFSET, AGFL_MAGIC, AGI_CRC_OFFSET, AGI_MAGIC, Agf,
    AgflHeader, Agi, VERSION,
};
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::btree_record::{FreeExtent, InodeChunk};
use crate::format::features::Version;
use crate::format::geometry::{FsBlock, INODES_PER_CHUNK, Ino};
use crate::format::superblock::{CRC_OFFSET, Dsb};
use crate::format::{NULL_AGBLOCK, NULL_AGINO, checksum, log};
use crate::{Errno, Error, Result};

/// What is zeroed at both ends of the device to remove traces of other filesystems and of
/// software RAID, in bytes.
const WIPE: u64 = 128 * 1024;
/// Zeros written at a time where the device cannot make them itself.
const ZEROS: usize = 1 << 20;

/// What a filesystem is written to.
#[derive(Clone, Copy)]
pub struct Devices<'a> {
    /// The data, and an internal log.
    pub data: &'a dyn Device,
    /// The log, if it is on a device of its own.
    pub log: Option<&'a dyn Device>,
    /// The realtime section, if it is on a device of its own.
    pub realtime: Option<&'a dyn Device>,
}

/// How the zeroing of the log goes on, in bytes done and in all; called only where zeros
/// have to be written.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

impl Plan {
    /// Bytes of the device that the filesystem covers.
    pub fn bytes(&self) -> u64 {
        self.geometry.data_blocks * u64::from(self.geometry.block_size)
    }

    /// Bytes of the log.
    pub fn log_bytes(&self) -> u64 {
        u64::from(self.geometry.log.blocks) * u64::from(self.geometry.block_size)
    }

    /// Bytes of a realtime section on a device of its own.
    pub fn realtime_bytes(&self) -> u64 {
        self.geometry.realtime.blocks * u64::from(self.geometry.block_size)
    }

    /// Writes a filesystem that needs no other device than that of its data: see
    /// [`Plan::write_to`].
    ///
    /// # Errors
    /// As [`Plan::write_to`].
    pub fn write(&self, device: &dyn Device, overwrite: bool, progress: Progress) -> Result<()> {
        self.write_to(&Devices { data: device, log: None, realtime: None }, overwrite, progress)
    }

    /// Writes the filesystem, and makes it durable. `overwrite` says that an older
    /// filesystem may be there, whose superblock copies must not survive.
    ///
    /// # Errors
    /// ENOSPC if a device is too small or missing, or what a device failed with.
    pub fn write_to(&self, devices: &Devices, overwrite: bool, progress: Progress) -> Result<()> {
        let device = devices.data;
        if device.size() < self.bytes() {
            return Err(Error::os(Errno::ENOSPC, format!("filesystem on {}", device.name())));
        }
        let first = self.root_inode().map_err(|_| Error::os(Errno::ENOSPC, "root directory"))?;
        if overwrite {
            old::wipe_superblocks(device, self.geometry.sector_size)?;
        }
        self.wipe_ends(device)?;
        self.write_superblock(device, 0, &self.superblock)?;
        self.write_log(devices, progress)?;
        for number in 0..self.geometry.ag_count {
            self.write_group(device, &Group::new(self, number))?;
        }
        let inodes = inodes::chunk(self, first);
        let chunk = self.geometry.agino_agbno(first);
        device.write_at(&inodes, self.geometry.agblock_daddr(0, chunk) << 9)?;
        self.rewrite_some_copies(device, first)?;
        device.flush()?;
        let finished = realtime::fill(self, devices, &self.finished_superblock(first))?;
        self.write_superblock(device, 0, &finished)?;
        device.flush()
    }

    /// Writes only what files are made with: superblock, group headers and the first inodes.
    pub(super) fn write_headers(&self, device: &dyn Device, superblock: &Dsb) -> Result<()> {
        self.write_superblock(device, 0, superblock)?;
        for number in 0..self.geometry.ag_count {
            self.write_group(device, &Group::new(self, number))?;
        }
        let first = superblock.rootino.get() as u32;
        let inodes = inodes::chunk(self, first);
        device.write_at(
            &inodes,
            self.geometry.fsblock_byte(self.geometry.ino_fsblock(Ino(first.into()))),
        )
    }

    /// Inodes in use before any file is made: the root directory, and the root of the metadata
    /// directory or else bitmap and summary of the realtime section.
    fn used_inodes(&self) -> u32 {
        if self.geometry.features.metadir { 2 } else { 3 }
    }

    fn wipe_ends(&self, device: &dyn Device) -> Result<()> {
        // The kernel reads the end of a device in units of a sector, or of 1 KiB.
        let unit = u64::from(self.geometry.sector_size.max(1024));
        let end = device.size() / unit * unit;
        let zeros = vec![0; WIPE as usize];
        device.write_at(&zeros, end.saturating_sub(WIPE))?;
        device.write_at(&zeros, 0)
    }

    fn write_superblock(&self, device: &dyn Device, group: u32, superblock: &Dsb) -> Result<()> {
        let mut sector = vec![0; self.geometry.sector_size as usize];
        put(&mut sector, 0, superblock.as_bytes());
        checksum::stamp(&mut sector, CRC_OFFSET);
        device.write_at(&sector, self.geometry.sb_daddr(group) << 9)
    }

    /// A few copies name the root directory, for a repair that has lost the first one.
    fn rewrite_some_copies(&self, device: &dyn Device, first: u32) -> Result<()> {
        let count = self.geometry.ag_count;
        let mut copy = self.superblock;
        copy.rootino = u64::from(first).into();
        if self.geometry.features.metadir {
            copy.metadirino = (u64::from(first) + 1).into();
        }
        if count > 1 {
            self.write_superblock(device, count - 1, &copy)?;
        }
        if count > 2 {
            self.write_superblock(device, (count - 1) / 2, &copy)?;
        }
        Ok(())
    }

    /// The superblock with inodes allocated, `first` being the root directory.
    fn finished_superblock(&self, first: u32) -> Dsb {
        let mut sb = self.superblock;
        let inode = &self.geometry.inode;
        let first = u64::from(first);
        sb.rootino = first.into();
        if self.geometry.features.metadir {
            sb.metadirino = (first + 1).into();
        } else {
            sb.rbmino = (first + 1).into();
            sb.rsumino = (first + 2).into();
        }
        sb.icount = u64::from(inode.alloc_inodes).into();
        sb.ifree = u64::from(inode.alloc_inodes - self.used_inodes()).into();
        sb.fdblocks = (sb.fdblocks.get() - u64::from(inode.alloc_blocks)).into();
        if self.self_healing.is_some() {
            sb.versionnum = (sb.versionnum.get() | Version::ATTR.bits()).into();
        }
        sb.inprogress = 0;
        sb
    }

    /// Zeroes the log and writes the one record that says it is clean.
    fn write_log(&self, devices: &Devices, progress: Progress) -> Result<()> {
        let bytes = self.log_bytes();
        let (device, offset) = match (self.log, devices.log) {
            (Some((ag, start)), _) => (devices.data, self.geometry.agblock_daddr(ag, start) << 9),
            (None, Some(log)) if log.size() >= bytes => (log, 0),
            (None, _) => return Err(Error::os(Errno::ENOSPC, "external log")),
        };
        if device.zero_range(offset, bytes)? == Zeroed::Unsupported {
            let zeros = vec![0; ZEROS];
            let mut done = 0;
            while done < bytes {
                progress(done, bytes);
                let len = (bytes - done).min(ZEROS as u64);
                device.write_at(&zeros[..len as usize], offset + done)?;
                done += len;
            }
            progress(bytes, bytes);
        }
        let log = &self.geometry.log;
        let unit = if log.stripe_unit > 1 { log.stripe_unit } else { log.sector_size };
        device.write_at(&log::clean_record(&self.superblock.uuid, unit), offset)?;
        // The data device is flushed last of all.
        if self.log.is_none() { device.flush() } else { Ok(()) }
    }

    fn write_group(&self, device: &dyn Device, group: &Group) -> Result<()> {
        let geometry = &self.geometry;
        let number = group.number;
        let sector = geometry.sector_size as usize;
        let mut headers = vec![0; 3 * sector];
        let (agf, rest) = headers.split_at_mut(sector);
        let (agi, agfl) = rest.split_at_mut(sector);
        put(agf, 0, self.agf(group).as_bytes());
        put(agi, 0, self.agi(group).as_bytes());
        self.fill_agfl(agfl, group);
        for (sector, crc) in [(agf, AGF_CRC_OFFSET), (agi, AGI_CRC_OFFSET), (agfl, AGFL_CRC_OFFSET)]
        {
            checksum::stamp(sector, crc);
        }
        device.write_at(&headers, geometry.agf_daddr(number) << 9)?;
        if number != 0 {
            self.write_superblock(device, number, &self.superblock)?;
        }
        let roots = self.roots(group)?;
        let first = geometry.first_free_agbno();
        device.write_at(&roots, geometry.agblock_daddr(number, first) << 9)
    }

    fn root(&self, kind: BtreeKind) -> u32 {
        self.geometry.initial_root(kind).unwrap_or(0)
    }

    fn agf(&self, group: &Group) -> Agf {
        let mut agf = Agf::new_zeroed();
        agf.magicnum = AGF_MAGIC.into();
        agf.versionnum = VERSION.into();
        agf.seqno = group.number.into();
        agf.length = group.length.into();
        agf.bnoroot = self.root(BtreeKind::Bno).into();
        agf.cntroot = self.root(BtreeKind::Cnt).into();
        (agf.bnolevel, agf.cntlevel) = (1.into(), 1.into());
        if self.geometry.features.rmapbt {
            agf.rmaproot = self.root(BtreeKind::Rmap).into();
            (agf.rmaplevel, agf.rmapblocks) = (1.into(), 1.into());
        }
        if self.geometry.features.reflink {
            agf.refcntroot = self.root(BtreeKind::Refcount).into();
            (agf.refcntlevel, agf.refcntblocks) = (1.into(), 1.into());
        }
        // The list starts at its second place.
        let count = group.free_list.len() as u32;
        agf.flfirst = 1.into();
        agf.fllast = count.into();
        agf.flcount = count.into();
        agf.freeblks = group.free.blocks().into();
        agf.longest = group.free.longest().into();
        agf.uuid = self.geometry.meta_uuid;
        agf
    }

    fn agi(&self, group: &Group) -> Agi {
        let mut agi = Agi::new_zeroed();
        agi.magicnum = AGI_MAGIC.into();
        agi.versionnum = VERSION.into();
        agi.seqno = group.number.into();
        agi.length = group.length.into();
        agi.root = self.root(BtreeKind::Ino).into();
        agi.level = 1.into();
        agi.newino = NULL_AGINO.into();
        agi.dirino = NULL_AGINO.into();
        agi.unlinked = [NULL_AGINO.into(); 64];
        agi.uuid = self.geometry.meta_uuid;
        if self.geometry.features.finobt {
            agi.free_root = self.root(BtreeKind::Fino).into();
            agi.free_level = 1.into();
        }
        if self.geometry.features.inobtcount {
            agi.iblocks = 1.into();
            agi.fblocks = u32::from(self.geometry.features.finobt).into();
        }
        if let Some(chunk) = group.inode_chunk {
            let count = self.geometry.inode.alloc_inodes;
            agi.count = count.into();
            agi.freecount = (count - self.used_inodes()).into();
            agi.newino = self.geometry.agbno_agino(chunk).into();
        }
        agi
    }

    fn fill_agfl(&self, sector: &mut [u8], group: &Group) {
        let mut header = AgflHeader::new_zeroed();
        header.magicnum = AGFL_MAGIC.into();
        header.seqno = group.number.into();
        header.uuid = self.geometry.meta_uuid;
        put(sector, 0, header.as_bytes());
        let mut entries = vec![NULL_AGBLOCK; self.geometry.agfl_size() as usize];
        for (entry, block) in entries.iter_mut().skip(1).zip(&group.free_list) {
            *entry = *block;
        }
        let bytes: Vec<u8> = entries.into_iter().flat_map(u32::to_be_bytes).collect();
        put(sector, size_of::<AgflHeader>(), &bytes);
    }

    /// The btree roots of a group: consecutive blocks behind the headers.
    fn roots(&self, group: &Group) -> Result<Vec<u8>> {
        let encode = |extents: &[FreeExtent]| -> Vec<u8> {
            extents.iter().flat_map(|extent| extent.encode().as_bytes().to_vec()).collect()
        };
        let chunks = self.inode_records(group);
        let chunk_bytes: Vec<u8> = chunks
            .iter()
            .flat_map(|chunk| {
                chunk.encode(self.geometry.features.sparse_inodes).as_bytes().to_vec()
            })
            .collect();
        let owners: Vec<u8> =
            group.owners.iter().flat_map(|owner| owner.encode().as_bytes().to_vec()).collect();
        let free = &group.free;
        let mut blocks = Vec::new();
        for (kind, count, records) in [
            (BtreeKind::Bno, free.by_block.live().len(), encode(free.by_block.written())),
            (BtreeKind::Cnt, free.by_size.live().len(), encode(free.by_size.written())),
            (BtreeKind::Ino, chunks.len(), chunk_bytes.clone()),
            (BtreeKind::Fino, chunks.len(), chunk_bytes),
            (BtreeKind::Rmap, group.owners.len(), owners),
            (BtreeKind::Refcount, 0, Vec::new()),
        ] {
            if let Some(root) = self.geometry.initial_root(kind) {
                blocks.extend(self.leaf(kind, group.number, root, count, &records)?);
            }
        }
        Ok(blocks)
    }

    /// One record for every 64 inodes of the chunk; the first three inodes are in use.
    fn inode_records(&self, group: &Group) -> Vec<InodeChunk> {
        let Some(chunk) = group.inode_chunk else { return Vec::new() };
        let first = self.geometry.agbno_agino(chunk);
        let inodes = first..first + self.geometry.inode.alloc_inodes;
        let record = |startino| {
            let used = if startino == first { self.used_inodes() } else { 0 };
            InodeChunk {
                startino,
                holemask: 0,
                count: INODES_PER_CHUNK as u8,
                freecount: (INODES_PER_CHUNK - used) as u8,
                free: u64::MAX << used,
            }
        };
        inodes.step_by(INODES_PER_CHUNK as usize).map(record).collect()
    }

    fn leaf(
        &self,
        kind: BtreeKind,
        group: u32,
        agbno: u32,
        count: usize,
        records: &[u8],
    ) -> Result<Vec<u8>> {
        let mut block = vec![0; self.geometry.block_size as usize];
        let header = Header {
            magic: kind.magic(),
            level: 0,
            numrecs: count as u16,
            left: None,
            right: None,
            blkno: self.geometry.agblock_daddr(group, agbno),
            lsn: 0,
            uuid: self.geometry.meta_uuid,
            owner: group.into(),
        };
        header.write(&mut block, kind)?;
        put(&mut block, kind.header_len(), records);
        checksum::stamp(&mut block, kind.crc_offset());
        Ok(block)
    }

    /// First block of an internal log.
    pub fn log_start(&self) -> Option<FsBlock> {
        self.log.map(|(ag, start)| self.geometry.fsblock(ag, start))
    }
}

/// Copies `bytes` into `target` at `offset`; what does not fit was checked to by the plan.
pub(super) fn put(target: &mut [u8], offset: usize, bytes: &[u8]) {
    if let Some(place) = target.get_mut(offset..offset + bytes.len()) {
        place.copy_from_slice(bytes);
    }
}
