//! Realtime groups: their metadata is in files of the metadata directory.

use super::trees::Walk;
use super::{Inode, Scanner, TreeBlock};
use crate::format::btree_block::BtreeKind;
use crate::format::btree_record::{DiskRefcount, DiskRmap, Refcount, Rmap};
use crate::format::geometry::{Fork, FsBlock, Ino};
use crate::format::inode::{ForkFormat, mode};
use crate::format::realtime::RtBtreeRoot;
use crate::format::slice_of;
use crate::{At, Error, Result};
use rustc_hash::FxHashSet;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// The directory with the files of all groups, in the metadata directory.
const SUBDIRECTORY: &[u8] = b"rtgroups";

impl Scanner<'_> {
    /// The file `NAME` of realtime group `rgno`, such as its reverse mappings (`rmap`) or
    /// reference counts (`refcount`); `None` if there is none.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails or something on the way is damaged (see the
    /// [module](super)).
    pub fn realtime_file(&self, rgno: u32, name: &str) -> Result<Option<Ino>> {
        if self.geo.metadir_ino.is_null() {
            return Ok(None);
        }
        let Some(dir) = self.entry(self.geo.metadir_ino, SUBDIRECTORY)? else { return Ok(None) };
        self.entry(dir, format!("{rgno}.{name}").as_bytes())
    }

    /// The inode that a directory's entry stands for.
    fn entry(&self, dir: Ino, name: &[u8]) -> Result<Option<Ino>> {
        let Some(bytes) = self.inode(dir)? else { return Ok(None) };
        let inode = Inode::view(dir, &bytes)?;
        if inode.core.file_type() != mode::DIR {
            let why = Error::corrupt("inode", At::Inode(dir.0), "not a directory");
            return self.or_report(Err(why));
        }
        let mut found = None;
        self.entries(&inode, &mut |entry| {
            if entry.name == name && self.geo.valid_ino(entry.ino) {
                found = Some(entry.ino);
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Visits the reverse mappings of realtime group `rgno` in order; none without the tree.
    ///
    /// # Errors
    ///
    /// As [`Scanner::realtime_file`].
    pub fn realtime_reverse_mappings(
        &self,
        rgno: u32,
        visit: &mut dyn FnMut(Rmap) -> Result<()>,
    ) -> Result<()> {
        self.realtime_records(rgno, "rmap", BtreeKind::RtRmap, &mut |disk: &DiskRmap| {
            let rmap = Rmap::decode(disk);
            match self.or_report(rmap.verify_realtime(self.geo, rgno))? {
                Some(()) => visit(rmap),
                None => Ok(()),
            }
        })
    }

    /// Visits the reference counts of realtime group `rgno` in order; none without the tree.
    ///
    /// # Errors
    ///
    /// As [`Scanner::realtime_file`].
    pub fn realtime_reference_counts(
        &self,
        rgno: u32,
        visit: &mut dyn FnMut(Refcount) -> Result<()>,
    ) -> Result<()> {
        let kind = BtreeKind::RtRefcount;
        self.realtime_records(rgno, "refcount", kind, &mut |disk: &DiskRefcount| {
            let refcount = Refcount::decode(disk);
            match self.or_report(refcount.verify_realtime(self.geo, rgno))? {
                Some(()) => visit(refcount),
                None => Ok(()),
            }
        })
    }

    fn realtime_records<T>(
        &self,
        rgno: u32,
        name: &str,
        kind: BtreeKind,
        visit: &mut dyn FnMut(&T) -> Result<()>,
    ) -> Result<()>
    where
        T: FromBytes + Immutable + KnownLayout + Unaligned,
    {
        let Some(ino) = self.realtime_file(rgno, name)? else { return Ok(()) };
        let Some(bytes) = self.inode(ino)? else { return Ok(()) };
        let inode = Inode::view(ino, &bytes)?;
        if inode.fork_format(Fork::Data) != Some(ForkFormat::MetaBtree) {
            let why = Error::corrupt("inode", At::Inode(ino.0), "not a realtime btree");
            return self.or_report(Err(why)).map(|_: Option<()>| ());
        }
        let space = inode.core.data_fork(inode.bytes);
        let root = RtBtreeRoot::view(space, ino)?;
        if root.level.get() == 0 {
            let records: &[T] = slice_of(space.get(size_of::<RtBtreeRoot>()..).unwrap_or(&[]));
            return records.iter().take(root.numrecs.get().into()).try_for_each(visit);
        }
        self.metadata_tree_blocks(&inode, kind, &mut |block| {
            if block.header.level > 0 {
                return Ok(());
            }
            block.records::<T>().iter().try_for_each(&mut *visit)
        })
    }

    /// Visits the blocks of the btree of realtime metadata (`kind` says which) whose root is
    /// the data fork of `inode`, inner blocks before those below them. A root without blocks
    /// below it has none.
    ///
    /// # Errors
    ///
    /// As [`Scanner::realtime_file`].
    pub fn metadata_tree_blocks(
        &self,
        inode: &Inode<'_>,
        kind: BtreeKind,
        visit: &mut dyn FnMut(&TreeBlock<'_>) -> Result<()>,
    ) -> Result<()> {
        let space = inode.core.data_fork(inode.bytes);
        let root = RtBtreeRoot::view(space, inode.ino)?;
        let level = u32::from(root.level.get());
        let Some(below) = level.checked_sub(1) else { return Ok(()) };
        let check = |holds: bool, why: String| {
            if holds {
                Ok(())
            } else {
                Err(Error::corrupt(kind.name(), At::Inode(inode.ino.0), why))
            }
        };
        let low = check(level < self.geo.max_levels.of(kind), format!("level is {level}"));
        if self.or_report(low)?.is_none() {
            return Ok(());
        }
        let room = space.len().saturating_sub(size_of::<RtBtreeRoot>());
        // There is room for a low and a high key of each pointer, though reference counts have
        // low ones only.
        let keys = if kind == BtreeKind::RtRefcount { 2 * kind.key_len() } else { kind.key_len() };
        let most = room / (keys + kind.ptr_len());
        let pointers = size_of::<RtBtreeRoot>() + most * kind.key_len();
        let mut children = Vec::new();
        for index in 0..usize::from(root.numrecs.get()).min(most) {
            let bytes =
                space.get(pointers + index * kind.ptr_len()..).and_then(|b| b.first_chunk());
            let child = FsBlock(bytes.map_or(u64::MAX, |bytes| u64::from_be_bytes(*bytes)));
            let sound = check(self.geo.valid_fsb(child), format!("pointer {child} is impossible"));
            children.extend(self.or_report(sound)?.map(|()| child));
        }
        let mut walk = Walk { kind, owner: inode.ino.0, seen: FxHashSet::default(), visit };
        self.walk_blocks(&mut walk, &children, u16::try_from(below).unwrap_or(u16::MAX))
    }
}
