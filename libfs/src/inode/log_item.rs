//! Inodes on their way out: as items of the log, and into their cluster buffers.

use super::{Inode, InodeLogFlags, InodeRef};
use crate::buffer::{BufferId, BufferKind};
use crate::format::checksum;
use crate::format::geometry::{Fork as WhichFork, Geometry, Ino};
use crate::format::inode::{CRC_OFFSET, Dinode, ForkFormat};
use crate::format::log::wire::Wire;
use crate::format::log::{InodeItem, InodeLogFormat, LogDinode, LogEndian, LogItem};
use crate::inode::fork::InodeFork;
use crate::mount::Mount;
use crate::{At, Error, Result};
use zerocopy::IntoBytes;

/// The regions to log for an inode: everything that is not in place, in the present state.
/// Nothing for an inode whose blocks were freed: recovery would skip it as well.
pub fn encode(mount: &Mount, inode: InodeRef) -> Vec<Vec<u8>> {
    let inode = mount.inode(inode);
    if inode.log.stale {
        return Vec::new();
    }
    LogItem::Inode(Box::new(item(inode, &mount.geo))).encode(LogEndian::NATIVE)
}

const _: () = assert!(<LogDinode as Wire>::SIZE == size_of::<Dinode>());

/// The log item of an inode.
fn item(inode: &Inode, geo: &Geometry) -> InodeItem {
    use InodeLogFlags as F;
    let mut fields = (inode.log.fields - (F::IVERSION | F::TIMESTAMP)) | F::CORE;
    let data = fork_region(&inode.data, geo, inode.ino, &mut fields, DATA_FLAGS);
    let attr = match &inode.attr {
        Some(fork) => fork_region(fork, geo, inode.ino, &mut fields, ATTR_FLAGS),
        None => {
            fields -= F::AFORK;
            Vec::new()
        }
    };
    let rdev = match inode.data {
        InodeFork::Dev(dev) if fields.contains(F::DEV) => dev,
        _ => {
            fields -= F::DEV;
            0
        }
    };
    let format = InodeLogFormat {
        ilf_fields: fields.bits(),
        ilf_dsize: data.len() as u16,
        ilf_asize: attr.len() as u16,
        ilf_ino: inode.ino,
        ilf_rdev: rdev,
        ilf_blkno: inode.place.daddr as i64,
        ilf_len: (inode.place.len / 512) as i32,
        ilf_boffset: inode.place.offset as i32,
        ..InodeLogFormat::default()
    };
    // A disk core has the size of a logged one, so this cannot fail.
    let core = LogDinode::from_disk(inode.encode_core(geo).as_bytes()).unwrap_or_default();
    InodeItem { format, core, data_fork: data, attr_fork: attr }
}

/// Flags of one fork: contents, extent records, btree root.
const DATA_FLAGS: [InodeLogFlags; 3] =
    [InodeLogFlags::DDATA, InodeLogFlags::DEXT, InodeLogFlags::DBROOT];
const ATTR_FLAGS: [InodeLogFlags; 3] =
    [InodeLogFlags::ADATA, InodeLogFlags::AEXT, InodeLogFlags::ABROOT];

/// The bytes to log for a fork; empty for nothing. Only the flag of the fork's present
/// format may stay in `fields`, and only with something to log: a fork that changed its
/// format since the flag was set no longer has what the flag says.
fn fork_region(
    fork: &InodeFork,
    geo: &Geometry,
    ino: u64,
    fields: &mut InodeLogFlags,
    flags: [InodeLogFlags; 3],
) -> Vec<u8> {
    let all = flags[0] | flags[1] | flags[2];
    let own = match fork {
        InodeFork::Dev(_) => InodeLogFlags::empty(),
        InodeFork::Local(_) => flags[0],
        InodeFork::Extents(_) => flags[1],
        InodeFork::Btree { .. } => flags[2],
    };
    let wanted = !own.is_empty() && fields.contains(own);
    let bytes = if wanted { fork.to_log(geo, ino) } else { Vec::new() };
    *fields -= all;
    if !bytes.is_empty() {
        *fields |= own;
    }
    bytes
}

/// Writes an inode into its cluster buffer, with checksum, and with the LSN of the
/// checkpoint that logged it. The buffer is returned; it still has to be written.
///
/// # Errors
///
/// An error is returned if the cluster cannot be read, or if the inode would not pass its
/// own verifier.
pub fn write_back(mount: &mut Mount, inode: InodeRef) -> Result<BufferId> {
    let place = mount.inode(inode).place;
    let cluster = mount.read_buffer(place.daddr, place.len, BufferKind::InodeCluster)?;
    let Mount { geo, inodes, buffers, .. } = mount;
    let inode = inodes.get(inode);
    let start = place.offset as usize;
    let bytes = buffers
        .data_mut(cluster)
        .get_mut(start..start + geo.inode.size as usize)
        .ok_or_else(|| Error::corrupt("inode", At::Inode(inode.ino), "outside of its cluster"))?;
    inode.write_to(geo, bytes)?;
    Ok(cluster)
}

impl Inode {
    /// The core as on disk, forks' fields included. Checksum and unlinked list pointer are
    /// not filled in.
    fn encode_core(&self, geo: &Geometry) -> Dinode {
        let mut disk = self.core.encode(self.ino, geo.meta_uuid, self.log.lsn.0);
        disk.format = self.data.format().to_disk();
        // Linux writes the format of a list of extents for an attribute fork that does
        // not exist.
        let none = ForkFormat::Extents.to_disk();
        disk.aformat = self.attr.as_ref().map_or(none, |fork| fork.format().to_disk());
        disk.set_extent_count(WhichFork::Data, self.data.nextents());
        let attr_extents = self.attr.as_ref().map_or(0, InodeFork::nextents);
        disk.set_extent_count(WhichFork::Attr, attr_extents);
        disk
    }

    /// Writes the whole inode to its place in the cluster buffer. The unlinked list
    /// pointer stays: it is changed, and logged, in the buffer itself.
    ///
    /// # Errors
    ///
    /// An error is returned if a fork does not fit, or if the result is not a sound inode.
    pub(super) fn write_to(&self, geo: &Geometry, bytes: &mut [u8]) -> Result<()> {
        let ino = Ino(self.ino);
        let mut disk = self.encode_core(geo);
        disk.next_unlinked = Dinode::view(bytes, ino)?.next_unlinked;
        disk.verify(geo, ino)?;
        let (core, literal) = bytes.split_at_mut(size_of::<Dinode>().min(bytes.len()));
        core.copy_from_slice(disk.as_bytes());
        let boundary = self.fork_size(geo, WhichFork::Data).min(literal.len());
        let (data, attr) = literal.split_at_mut(boundary);
        self.write_fork(&self.data, data)?;
        if let Some(fork) = &self.attr {
            self.write_fork(fork, attr)?;
        }
        checksum::stamp(bytes, CRC_OFFSET);
        Ok(())
    }

    fn write_fork(&self, fork: &InodeFork, space: &mut [u8]) -> Result<()> {
        let contents = fork.to_disk(space.len());
        let Some((used, rest)) = space.split_at_mut_checked(contents.len()) else {
            let why = format!("{} bytes in a fork of {}", contents.len(), space.len());
            return Err(Error::corrupt("inode", At::Inode(self.ino), why));
        };
        used.copy_from_slice(&contents);
        rest.fill(0);
        Ok(())
    }
}
