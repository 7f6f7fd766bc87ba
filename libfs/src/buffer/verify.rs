//! Structural checks of metadata blocks, run after reading and before writing.

use zerocopy::FromBytes;

use super::BufferKind;
use crate::format::ag::{Agf, Agfl, Agi};
use crate::format::btree_block::{self, BtreeKind};
use crate::format::geometry::{Geometry, Ino};
use crate::format::inode::Dinode;
use crate::{At, Error, Result};

impl BufferKind {
    /// The btree that a block of this kind belongs to.
    pub fn btree_kind(self) -> Option<BtreeKind> {
        Some(match self {
            BufferKind::Bnobt => BtreeKind::Bno,
            BufferKind::Cntbt => BtreeKind::Cnt,
            BufferKind::Inobt => BtreeKind::Ino,
            BufferKind::Finobt => BtreeKind::Fino,
            BufferKind::Rmapbt => BtreeKind::Rmap,
            BufferKind::Refcountbt => BtreeKind::Refcount,
            BufferKind::Bmbt => BtreeKind::Bmap,
            _ => return None,
        })
    }

    /// Checks that `data`, at `daddr`, is a sound block of this kind.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the structure, its address and what is wrong.
    pub(crate) fn verify_structure(self, geo: &Geometry, data: &[u8], daddr: u64) -> Result<()> {
        if let Some(kind) = self.btree_kind() {
            return btree_block::verify(data, geo, kind, daddr).map(|_| ());
        }
        let (agno, _) = geo.daddr_agblock(daddr);
        match self {
            BufferKind::Agf => header::<Agf>(data, daddr)?.verify(geo, agno),
            BufferKind::Agi => header::<Agi>(data, daddr)?.verify(geo, agno),
            BufferKind::Agfl => Agfl::view(data)?.verify(geo, agno),
            BufferKind::InodeCluster => verify_cluster(geo, data, daddr),
            _ => Ok(()),
        }
    }
}

fn header<T>(data: &[u8], daddr: u64) -> Result<&T>
where
    T: FromBytes + zerocopy::KnownLayout + zerocopy::Immutable + zerocopy::Unaligned,
{
    T::ref_from_prefix(data)
        .map(|(value, _)| value)
        .map_err(|_| Error::corrupt("AG header", At::Daddr(daddr), "the sector is too short"))
}

/// A cluster is checked for its magic numbers only; each inode is verified when it is used,
/// so that one bad inode does not take its neighbours with it.
fn verify_cluster(geo: &Geometry, data: &[u8], daddr: u64) -> Result<()> {
    let first = geo.fsblock_ino(geo.daddr_fsblock(daddr));
    for (i, inode) in data.chunks(geo.inode.size as usize).enumerate() {
        Dinode::view(inode, Ino(first.0 + i as u64))?;
        if inode.get(..2) != Some(b"IN") {
            let at = At::Inode(first.0 + i as u64);
            return Err(Error::corrupt("inode", at, "its magic number is not \"IN\""));
        }
    }
    Ok(())
}
