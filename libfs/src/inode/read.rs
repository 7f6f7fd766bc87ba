//! Getting inodes from the device into memory.

use super::{Inode, InodeCore, InodeLogState, InodePlace, InodeRef};
use crate::buffer::BufferKind;
use crate::format::checksum;
use crate::format::geometry::{Fork as WhichFork, Geometry, Ino};
use crate::format::inode::{CRC_OFFSET, Dinode};
use crate::inode::fork::InodeFork;
use crate::mount::Mount;
use crate::{At, Errno, Error, Result};

impl InodePlace {
    /// Where inode `ino` lies, if there is one.
    pub fn of(geo: &Geometry, ino: u64) -> Self {
        let (daddr, len, offset) = geo.inode_buffer(Ino(ino), None);
        InodePlace { daddr, len: len as u32, offset: offset as u32 }
    }

    /// The bytes of the inode in its buffer.
    pub fn range(&self, geo: &Geometry) -> std::ops::Range<usize> {
        let start = self.offset as usize;
        start..start + geo.inode.size as usize
    }
}

impl Mount {
    /// The inode with number `ino`, which a directory or other metadata names.
    ///
    /// # Errors
    ///
    /// EINVAL if the filesystem cannot have such an inode, ENOENT if it is free,
    /// [`Error::Corrupt`] if what lies there is not a sound inode, [`Error::Io`].
    pub fn iget(&mut self, ino: u64) -> Result<InodeRef> {
        if let Some(found) = self.inodes.find(ino) {
            let inode = self.inode(found);
            if inode.is_free() || inode.log.stale {
                return Err(Error::os(Errno::ENOENT, format!("inode {ino} is free")));
            }
            return Ok(found);
        }
        if !self.geo.valid_ino(Ino(ino)) {
            return Err(Error::os(Errno::EINVAL, format!("there is no inode {ino}")));
        }
        let inode = self.read_inode(ino)?;
        if inode.is_free() {
            return Err(Error::os(Errno::ENOENT, format!("inode {ino} is free")));
        }
        Ok(self.inodes.insert(inode))
    }

    /// The inode with number `ino`, which came from outside of the filesystem: the inode
    /// btree is asked first whether it is in use.
    ///
    /// # Errors
    ///
    /// As [`Mount::iget`]; also EINVAL outside of allocated chunks.
    pub fn iget_untrusted(&mut self, ino: u64) -> Result<InodeRef> {
        if !self.geo.valid_ino(Ino(ino)) {
            return Err(Error::os(Errno::EINVAL, format!("there is no inode {ino}")));
        }
        match crate::space::inobt::is_allocated(self, ino)? {
            None => Err(Error::os(Errno::EINVAL, format!("there is no inode {ino}"))),
            Some(false) => Err(Error::os(Errno::ENOENT, format!("inode {ino} is free"))),
            Some(true) => self.iget(ino),
        }
    }

    /// Reads and decodes an inode, free or not.
    fn read_inode(&mut self, ino: u64) -> Result<Inode> {
        let place = InodePlace::of(&self.geo, ino);
        let cluster = self.read_buffer(place.daddr, place.len, BufferKind::InodeCluster)?;
        let bytes = self
            .buffer(cluster)
            .get(place.range(&self.geo))
            .ok_or_else(|| Error::corrupt("inode", At::Inode(ino), "outside of its cluster"))?;
        Inode::decode(&self.geo, ino, place, bytes)
    }
}

impl Inode {
    /// Decodes inode `ino` from `bytes`, all of it.
    ///
    /// # Errors
    ///
    /// An error is returned if the checksum, a field or a fork is wrong.
    pub fn decode(geo: &Geometry, ino: u64, place: InodePlace, bytes: &[u8]) -> Result<Self> {
        checksum::check(bytes, CRC_OFFSET, "inode", At::Inode(ino))?;
        let disk = Dinode::view(bytes, Ino(ino))?;
        disk.verify(geo, Ino(ino))?;
        let core = InodeCore::decode(disk);
        let mut inode = Inode::empty(ino, place, core);
        if inode.is_free() {
            return Ok(inode);
        }
        inode.data = decode_fork(geo, ino, disk, WhichFork::Data, bytes)?;
        if disk.forkoff != 0 {
            inode.attr = Some(decode_fork(geo, ino, disk, WhichFork::Attr, bytes)?);
        }
        Ok(inode)
    }

    /// An inode with nothing in its forks.
    pub(crate) fn empty(ino: u64, place: InodePlace, core: InodeCore) -> Self {
        Inode {
            ino,
            place,
            core,
            data: InodeFork::default(),
            attr: None,
            cow: None,
            log: InodeLogState::default(),
            opens: 0,
            writers: 0,
            written: false,
            nameable: false,
        }
    }
}

fn decode_fork(
    geo: &Geometry,
    ino: u64,
    disk: &Dinode,
    which: WhichFork,
    bytes: &[u8],
) -> Result<InodeFork> {
    let number = disk.format_number(which);
    let format = disk.fork_format(which).ok_or_else(|| {
        Error::Incompatible(format!("inode {ino} has a fork of format {number}, which is unknown"))
    })?;
    let count = disk.extent_count(which);
    InodeFork::decode(geo, ino, which, format, count, disk.size.get(), disk.fork(which, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::space::testing::{Shape, format, open};
    use proptest::prelude::*;

    /// The root directory of a fresh filesystem, and its geometry.
    fn root_inode() -> (Geometry, u64, Vec<u8>) {
        let shape = Shape { megabytes: 300, block: 4096, groups: 4, trees: true };
        let mut mount = open(format(shape));
        let ino = mount.geo.root_ino.0;
        let place = InodePlace::of(&mount.geo, ino);
        let cluster =
            mount.read_buffer(place.daddr, place.len, BufferKind::InodeCluster).expect("a cluster");
        let bytes = mount.buffer(cluster)[place.range(&mount.geo)].to_vec();
        ((*mount.geo).clone(), ino, bytes)
    }

    #[test]
    fn damaged_inodes_never_panic() {
        let (geo, ino, sound) = root_inode();
        let place = InodePlace::of(&geo, ino);
        assert!(Inode::decode(&geo, ino, place, &sound).is_ok());
        let change = (0..sound.len(), any::<u8>());
        let config = ProptestConfig { cases: 4000, ..ProptestConfig::default() };
        proptest!(config, |(changes in prop::collection::vec(change, 1..6))| {
            let mut bytes = sound.clone();
            changes.iter().for_each(|&(at, value)| bytes[at] = value);
            checksum::stamp(&mut bytes, CRC_OFFSET);
            if let Ok(inode) = Inode::decode(&geo, ino, place, &bytes) {
                inode.write_to(&geo, &mut bytes).expect("what was read can be written");
            }
        });
    }

    #[test]
    fn every_single_bit_of_the_core_is_harmless() {
        let (geo, ino, sound) = root_inode();
        let place = InodePlace::of(&geo, ino);
        for bit in 0..sound.len() * 8 {
            let mut bytes = sound.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let unsummed = !(100..104).contains(&(bit / 8));
            assert!(!unsummed || Inode::decode(&geo, ino, place, &bytes).is_err());
            checksum::stamp(&mut bytes, CRC_OFFSET);
            if let Ok(inode) = Inode::decode(&geo, ino, place, &bytes) {
                inode.write_to(&geo, &mut bytes).expect("what was read can be written");
            }
        }
    }
}
