//! What a new filesystem has in the metadata directory and in the files of the realtime
//! section.
//!
//! Inodes, directories and blocks are taken by the same code as on a filesystem in use, which
//! makes them where and as Linux would. It runs on a copy of the headers in memory, and what
//! it changed goes to the device in one pass.

use std::sync::Arc;

use zerocopy::{FromZeros, IntoBytes};

use super::metadata;
use super::words::Contents;
use crate::device::{Device, Event, MemoryDevice, RecorderDevice};
use crate::format::btree_record::{Rmap, RmapFlags, owner};
use crate::format::extent::DiskExtent;
use crate::format::geometry::{Geometry, Ino};
use crate::format::inode::{CORE_SIZE, CRC_OFFSET, Dinode, ForkFormat, MetafileType};
use crate::format::realtime::{Drtsb, RTSB_CRC_OFFSET, RTSB_MAGIC, RtBtreeRoot, RtFile};
use crate::format::superblock::{Dsb, Superblock};
use crate::format::{checksum, overlay_mut};
use crate::inode::{InodeFork, InodePlace, InodeRef};
use crate::mkfs::Plan;
use crate::mkfs::write::{Devices, put};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{At, Errno, Error, Result};

/// Makes the files that belong to the realtime section. `finished` is the superblock as it
/// would be without them; the counters in what is returned include them.
pub(in crate::mkfs) fn fill(plan: &Plan, devices: &Devices, finished: &Dsb) -> Result<Dsb> {
    let geo = &Geometry::new(finished)?;
    if geo.realtime.blocks == 0 && !geo.features.metadir {
        return Ok(*finished);
    }
    let memory = Arc::new(MemoryDevice::new(plan.bytes()));
    plan.write_headers(&*memory, finished)?;
    let recorder = Arc::new(RecorderDevice::new(memory));
    let device: Arc<dyn Device> = recorder.clone();
    let sb = Superblock { dsb: *finished };
    let mount = Mount::for_making(device, sb, geo.clone(), plan.time, plan.generation);
    let mut maker = Maker { mount, contents: Vec::new(), patches: Vec::new() };
    if geo.realtime.has_groups {
        maker.make_groups()?
    } else {
        maker.make_old()?
    }
    maker.mount.write_made()?;
    for patch in &maker.patches {
        patch.write(geo, &*recorder)?;
    }
    for event in recorder.take_events() {
        if let Event::Write { offset, data, .. } = event {
            devices.data.write_at(&data, offset)?;
        }
    }
    for contents in &maker.contents {
        contents.write(geo, devices.data)?;
    }
    if geo.realtime.blocks != 0 {
        write_superblock(plan, devices)?;
    }
    let mut sb = *finished;
    let counters = maker.mount.counters;
    sb.icount = counters.icount.into();
    sb.ifree = counters.ifree.into();
    sb.fdblocks = counters.fdblocks.into();
    let taken = u64::from(geo.realtime.has_groups);
    if geo.realtime.blocks != 0 && !geo.features.zoned {
        sb.frextents = (geo.realtime.extents - taken).into();
    }
    Ok(sb)
}

struct Maker {
    mount: Mount,
    /// What the blocks of bitmaps and summaries are to hold.
    contents: Vec<Contents>,
    /// What is written into inodes afterwards.
    patches: Vec<Patch>,
}

impl Maker {
    /// Bitmap and summary in the two inodes behind the root directory.
    fn make_old(&mut self) -> Result<()> {
        let sb = self.mount.sb.dsb;
        let geo = Arc::clone(&self.mount.geo);
        for (file, ino, blocks) in [
            (RtFile::Bitmap, sb.rbmino.get(), geo.realtime.bitmap_blocks),
            (RtFile::Summary, sb.rsumino.get(), geo.realtime.summary_blocks),
        ] {
            let inode = self.mount.iget(ino)?;
            // The free space it describes is counted from there on.
            if file == RtFile::Bitmap {
                self.count_changes(inode, 1)?;
            }
            let extents = metadata::allocate(&mut self.mount, inode, blocks)?;
            self.contents.push(Contents { file, owner: Ino(ino), group: 0, extents });
        }
        Ok(())
    }

    /// A directory with the files of every group.
    fn make_groups(&mut self) -> Result<()> {
        let geo = Arc::clone(&self.mount.geo);
        // Metadata goes where the log is, which is as far from the ends as can be.
        for _ in 0..geo.log.start.map_or(0, |start| geo.fsblock_agno(start)) {
            self.mount.inodes.next_directory_group();
        }
        let root = self.mount.iget(geo.metadir_ino.0)?;
        let dir = metadata::create(&mut self.mount, root, b"rtgroups", MetafileType::Directory)?;
        // What was in the inode while that was all of the directory.
        let mut inline = Vec::new();
        for group in 0..geo.realtime.group_count {
            let mut create = |name: &str, kind| {
                if let InodeFork::Local(entries) = &self.mount.inode(dir).data {
                    inline.clone_from(entries);
                }
                let name = format!("{group}.{name}");
                let inode = metadata::create(&mut self.mount, dir, name.as_bytes(), kind)?;
                // Which group it is of.
                self.mount.inode_mut(inode).core.projid = group;
                Ok::<_, Error>(inode)
            };
            let mut files = Vec::new();
            if !geo.features.zoned {
                files.push((RtFile::Bitmap, create("bitmap", MetafileType::RtBitmap)?));
                files.push((RtFile::Summary, create("summary", MetafileType::RtSummary)?));
            }
            let rmap = match geo.features.rmapbt {
                true => Some(create("rmap", MetafileType::RtRmap)?),
                false => None,
            };
            let refcount = match geo.features.reflink {
                true => Some(create("refcount", MetafileType::RtRefcount)?),
                false => None,
            };
            for (file, inode) in files {
                let blocks = match file {
                    RtFile::Bitmap => geo.realtime.bitmap_blocks,
                    RtFile::Summary => geo.realtime.summary_blocks,
                };
                let extents = metadata::allocate(&mut self.mount, inode, blocks)?;
                let owner = metadata::number(&self.mount, inode);
                self.contents.push(Contents { file, owner, group, extents });
            }
            if let Some(inode) = rmap {
                let first = (group == 0 && has_superblock(&geo)).then(|| superblock_owner(&geo));
                if first.is_some() {
                    self.count_changes(inode, 1)?;
                }
                let ino = metadata::number(&self.mount, inode);
                self.patches.push(Patch::root(ino, rmap_root(first)));
            }
            if let Some(inode) = refcount {
                let ino = metadata::number(&self.mount, inode);
                self.patches.push(Patch::root(ino, root_header(0)));
            }
        }
        self.keep_inline(dir, &inline);
        Ok(())
    }

    /// A directory that outgrew its inode leaves what was there behind the extent records.
    fn keep_inline(&mut self, dir: InodeRef, inline: &[u8]) {
        let inode = self.mount.inode(dir);
        let used = inode.data.nextents() as usize * size_of::<DiskExtent>();
        if let (InodeFork::Extents(_), Some(left)) = (&inode.data, inline.get(used..)) {
            let (ino, at, bytes) = (Ino(inode.ino), CORE_SIZE + used, left.to_vec());
            self.patches.push(Patch { ino, format: ForkFormat::Extents, at, bytes });
        }
    }

    /// An inode is logged `times` more.
    fn count_changes(&mut self, inode: InodeRef, times: u32) -> Result<()> {
        let reservation = self.mount.reservations.write;
        let mut tp = Transaction::begin(&mut self.mount, reservation, 0)?;
        for _ in 0..times {
            metadata::changed(&mut tp, inode);
        }
        tp.commit()
    }
}

/// Whether there is a realtime superblock: not where zones must be written in order.
fn has_superblock(geo: &Geometry) -> bool {
    geo.realtime.has_groups && !geo.features.zoned
}

/// Who owns the first realtime extent: the realtime superblock is there.
fn superblock_owner(geo: &Geometry) -> Rmap {
    let len = geo.realtime.extent_size;
    Rmap { startblock: 0, len, owner: owner::FS, offset: 0, flags: RmapFlags::empty() }
}

fn rmap_root(record: Option<Rmap>) -> Vec<u8> {
    let mut root = root_header(u16::from(record.is_some()));
    root.extend(record.iter().flat_map(|record| record.encode().as_bytes().to_vec()));
    root
}

fn root_header(numrecs: u16) -> Vec<u8> {
    RtBtreeRoot { level: 0.into(), numrecs: numrecs.into() }.as_bytes().to_vec()
}

/// Bytes to be written into an inode that is complete otherwise.
struct Patch {
    ino: Ino,
    /// Format that the data fork has then.
    format: ForkFormat,
    /// Where in the inode.
    at: usize,
    bytes: Vec<u8>,
}

impl Patch {
    /// Turns an empty file into one that holds the root of a btree.
    fn root(ino: Ino, bytes: Vec<u8>) -> Self {
        Self { ino, format: ForkFormat::MetaBtree, at: CORE_SIZE, bytes }
    }

    fn write(&self, geo: &Geometry, device: &dyn Device) -> Result<()> {
        let place = InodePlace::of(geo, self.ino.0);
        let offset = (place.daddr << 9) + u64::from(place.offset);
        let mut inode = vec![0; geo.inode.size as usize];
        device.read_at(&mut inode, offset)?;
        let core: &mut Dinode = overlay_mut(&mut inode, "inode", At::Inode(self.ino.0))?;
        core.format = self.format.to_disk();
        put(&mut inode, self.at, &self.bytes);
        checksum::stamp(&mut inode, CRC_OFFSET);
        device.write_at(&inode, offset)
    }
}

/// Writes the realtime superblock, which sections with groups have, and makes it durable.
fn write_superblock(plan: &Plan, devices: &Devices) -> Result<()> {
    let geo = &plan.geometry;
    let section = &geo.realtime;
    let device = match (section.is_internal(), devices.realtime) {
        (true, _) => devices.data,
        (false, Some(device)) => device,
        (false, None) => return Err(Error::os(Errno::ENOSPC, "realtime section")),
    };
    let offset = section.start << geo.block_log;
    let mut block = vec![0; geo.block_size as usize];
    if has_superblock(geo) {
        let mut rtsb = Drtsb::new_zeroed();
        rtsb.magicnum = RTSB_MAGIC.into();
        rtsb.fname = plan.superblock.fname;
        rtsb.uuid = geo.uuid;
        rtsb.meta_uuid = geo.meta_uuid;
        put(&mut block, 0, rtsb.as_bytes());
        checksum::stamp(&mut block, RTSB_CRC_OFFSET);
        device.write_at(&block, offset)?;
    }
    device.flush()
}
