//! Structural checks of metadata blocks, run after reading and before writing.

use zerocopy::FromBytes;

use super::BufferKind;
use crate::format::ag::{Agf, Agfl, Agi};
use crate::format::attr::leaf::Leaf as AttrLeaf;
use crate::format::attr::remote::RemoteHeader;
use crate::format::btree_block::{self, BtreeKind};
use crate::format::da::{self, Node};
use crate::format::dir::data::DataBlock;
use crate::format::dir::free::Free;
use crate::format::dir::leaf::Leaf as DirLeaf;
use crate::format::geometry::{Geometry, Ino};
use crate::format::inode::Dinode;
use crate::format::symlink::SymlinkHeader;
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
    pub fn verify_structure(self, geo: &Geometry, data: &[u8], daddr: u64) -> Result<()> {
        if let Some(kind) = self.btree_kind() {
            return btree_block::verify(data, geo, kind, daddr).map(|_| ());
        }
        let (agno, _) = geo.daddr_agblock(daddr);
        match self {
            BufferKind::Agf => header::<Agf>(data, daddr)?.verify(geo, agno),
            BufferKind::Agi => header::<Agi>(data, daddr)?.verify(geo, agno),
            BufferKind::Agfl => Agfl::view(data)?.verify(geo, agno),
            BufferKind::InodeCluster => verify_cluster(geo, data, daddr),
            BufferKind::DirBlock | BufferKind::DirData => {
                DataBlock::view(data, geo.features.ftype, At::Daddr(daddr))?.verify(geo, daddr)
            }
            BufferKind::DirFree => Free::view(data, At::Daddr(daddr))?.verify(geo, daddr),
            BufferKind::DirLeaf1
            | BufferKind::DirLeafN
            | BufferKind::DaNode
            | BufferKind::AttrLeaf => verify_tree_block(geo, data, daddr),
            BufferKind::AttrRemote => verify_remote(geo, data, daddr),
            BufferKind::Symlink => SymlinkHeader::view(data, At::Daddr(daddr))?.verify(geo, daddr),
            // The superblock is verified as a whole when the filesystem is opened, quota
            // records when they are used.
            _ => Ok(()),
        }
    }
}

/// Nodes and leaves of directory and attribute trees tell what they are by their magic.
fn verify_tree_block(geo: &Geometry, data: &[u8], daddr: u64) -> Result<()> {
    let at = At::Daddr(daddr);
    let magic = data.get(8..10).map_or(0, |m| u16::from_be_bytes([m[0], m[1]]));
    match magic {
        da::NODE_MAGIC => Node::view(data, at)?.verify(geo, data.len(), daddr),
        da::ATTR_LEAF_MAGIC => AttrLeaf::view(data, at)?.verify(geo, daddr),
        _ => DirLeaf::view(data, at)?.verify(geo, daddr, data),
    }
}

/// A remote value has a header in each of its filesystem blocks.
fn verify_remote(geo: &Geometry, data: &[u8], daddr: u64) -> Result<()> {
    let block = (geo.block_size as usize).min(data.len()).max(1);
    for (i, chunk) in data.chunks(block).enumerate() {
        let daddr = daddr + (i * block / 512) as u64;
        RemoteHeader::view(chunk, At::Daddr(daddr))?.verify(geo, daddr)?;
    }
    Ok(())
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
