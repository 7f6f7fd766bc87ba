//! The extents of an inode's forks.

use super::trees::{TreeBlock, Walk};
use super::{Inode, Scanner};
use crate::format::btree_block::BtreeKind;
use crate::format::extent::{self, DiskExtent, Extent};
use crate::format::geometry::Fork;
use crate::format::inode::{DiFlags, ForkFormat};
use crate::{At, Error, Result};
use rustc_hash::FxHashSet;

impl Inode<'_> {
    /// The format of a fork; `None` for an attribute fork that is not there.
    pub fn fork_format(&self, fork: Fork) -> Option<ForkFormat> {
        if fork == Fork::Attr && self.core.forkoff == 0 {
            return None;
        }
        self.core.fork_format(fork)
    }

    /// Whether the data fork's blocks are on the realtime device.
    pub fn is_realtime(&self) -> bool {
        self.core.di_flags().contains(DiFlags::REALTIME)
    }
}

impl Scanner<'_> {
    /// Visits the extents of a fork in order. A fork without extents (inline, a device
    /// number, not there) has none.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails, `visit` returns one, or something is damaged
    /// (see the [module](super)).
    pub fn fork_extents(
        &self,
        inode: &Inode<'_>,
        fork: Fork,
        visit: &mut dyn FnMut(Extent) -> Result<()>,
    ) -> Result<()> {
        self.fork_map(inode, fork, visit, &mut |_| Ok(()))
    }

    /// Visits the blocks of a fork's extent btree, inner blocks before those below them. A
    /// fork that lists its extents in the inode has none.
    ///
    /// # Errors
    ///
    /// As [`Scanner::fork_extents`].
    pub fn fork_tree_blocks(
        &self,
        inode: &Inode<'_>,
        fork: Fork,
        visit: &mut dyn FnMut(&TreeBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        self.fork_map(inode, fork, &mut |_| Ok(()), visit)
    }

    /// Visits both the extents of a fork and the blocks of its btree, each block before its
    /// extents.
    ///
    /// # Errors
    ///
    /// As [`Scanner::fork_extents`].
    pub fn fork_map(
        &self,
        inode: &Inode<'_>,
        fork: Fork,
        extents: &mut dyn FnMut(Extent) -> Result<()>,
        blocks: &mut dyn FnMut(&TreeBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        let space = inode.core.fork(fork, inode.bytes);
        let mut list = List { next: 0, visit: extents };
        match inode.fork_format(fork) {
            Some(ForkFormat::Extents) => {
                let records = extent::records(space);
                let count = usize::try_from(inode.core.extent_count(fork)).unwrap_or(usize::MAX);
                let fits = records.get(..count).ok_or_else(|| {
                    let why = format!("{count} extents do not fit its {} bytes", space.len());
                    Error::corrupt("fork", At::Inode(inode.ino.0), why)
                });
                let found = self.or_report(fits)?.unwrap_or(records);
                self.extent_records(inode, fork, found, &mut list)
            }
            Some(ForkFormat::Btree) => {
                let root = extent::Root::decode(space, self.geo, inode.ino, fork);
                let Some(root) = self.or_report(root)? else { return Ok(()) };
                let children: Vec<_> = root.children.iter().map(|child| child.1).collect();
                let mut walk = Walk {
                    kind: BtreeKind::Bmap,
                    owner: inode.ino.0,
                    seen: FxHashSet::default(),
                    visit: &mut |block| {
                        blocks(block)?;
                        if block.header.level > 0 {
                            return Ok(());
                        }
                        self.extent_records(inode, fork, block.records(), &mut list)
                    },
                };
                self.walk_blocks(&mut walk, &children, root.level.saturating_sub(1))
            }
            _ => Ok(()),
        }
    }

    fn extent_records(
        &self,
        inode: &Inode<'_>,
        fork: Fork,
        records: &[DiskExtent],
        list: &mut List<'_>,
    ) -> Result<()> {
        let realtime = fork == Fork::Data && inode.is_realtime();
        for extent in records.iter().map(Extent::decode) {
            let sound = extent.verify(self.geo, inode.ino, fork, realtime).and_then(|()| {
                if extent.offset >= list.next {
                    return Ok(());
                }
                let why = format!("starts at {}, before {}", extent.offset, list.next);
                Err(Error::corrupt("extent record", At::Inode(inode.ino.0), why))
            });
            if self.or_report(sound)?.is_some() {
                list.next = extent.end();
                (list.visit)(extent)?;
            }
        }
        Ok(())
    }
}

/// The extents of a fork on their way to the visitor.
struct List<'v> {
    /// First file block that the next extent may have.
    next: u64,
    visit: &'v mut dyn FnMut(Extent) -> Result<()>,
}
