//! Walking btrees whatever they are like, and large forks.

use super::clean::{Content, Owner};
use super::inode::{meta_btree_kind, meta_root_max_records};
use super::units::{Unit, fork_format, listed_extents, owner};
use super::{Copier, Driver};
use crate::format::btree_block::{BtreeKind, Header};
use crate::format::extent::{self, Extent};
use crate::format::geometry::{Fork, FsBlock, Ino};
use crate::format::inode::{Dinode, ForkFormat};
use crate::{At, Result};
use rustc_hash::FxHashSet;
use std::io::Write;

/// Most bytes of a large fork in a unit.
const UNIT: u64 = 256 << 10;
/// Bytes that the driver reads itself before they are written.
const SERIAL: usize = 1 << 20;

/// A tree being walked.
pub(super) struct Walk {
    pub(super) kind: BtreeKind,
    /// For messages: whose tree it is.
    pub(super) whose: String,
    /// The group, for pointers of the short form.
    pub(super) agno: u32,
    /// No block is visited twice, so every walk ends.
    pub(super) seen: FxHashSet<FsBlock>,
}

/// What is done with a leaf: its bytes and the number of its records.
pub(super) type Leaf<'l, D> = &'l mut dyn FnMut(&mut D, &[u8], usize) -> Result<()>;

impl<W: Write + Send> Driver<'_, W> {
    /// Copies a block of a tree and everything below it.
    pub(super) fn tree(
        &mut self,
        walk: &mut Walk,
        block: FsBlock,
        level: u32,
        leaf: Leaf<'_, Self>,
    ) -> Result<()> {
        let copier = self.copier;
        let geo = copier.source.geo;
        let name = walk.kind.name();
        if !geo.valid_fsb(block) {
            (copier.warn)(&format!("invalid block {} in {name} of {}", block.0, walk.whose));
            return Ok(());
        }
        if !walk.seen.insert(block) {
            (copier.warn)(&format!("block {} is twice in {name} of {}", block.0, walk.whose));
            return Ok(());
        }
        let daddr = geo.fsblock_daddr(block);
        let Some(range) = copier.take(&mut self.serial, daddr, geo.block_size as usize)? else {
            return Ok(());
        };
        let bytes = self.serial.get(range.clone()).to_vec();
        copier.cleaner.btree_block(walk.kind, self.serial.get(range));
        if self.serial.len() >= SERIAL {
            self.write_ready()?;
        }
        let Ok(header) = Header::read(&bytes, walk.kind, At::Daddr(daddr)) else { return Ok(()) };
        let count = usize::from(header.numrecs);
        let most = geo.max_records(walk.kind, level == 0) as usize;
        let sound =
            header.magic == walk.kind.magic() && u32::from(header.level) == level && count <= most;
        if !sound {
            (copier.warn)(&format!(
                "block {} of {name} of {} is no block of level {level}: {header:?}",
                block.0, walk.whose
            ));
            return Ok(());
        }
        let Some(below) = level.checked_sub(1) else { return leaf(self, &bytes, count) };
        for index in 0..count {
            let rest = bytes.get(walk.kind.ptr_offset(index, most)..).unwrap_or_default();
            let child = if walk.kind.is_long() {
                FsBlock(rest.first_chunk().map_or(0, |b| u64::from_be_bytes(*b)))
            } else {
                let agbno = rest.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                geo.fsblock(walk.agno, agbno)
            };
            self.tree(walk, child, below, leaf)?;
        }
        Ok(())
    }

    /// Copies the forks of an inode that are too large to be copied with their chunk.
    pub(super) fn large_inode(&mut self, ino: Ino, bytes: &[u8]) -> Result<()> {
        let copier = self.copier;
        let geo = copier.source.geo;
        let core = Dinode::view(bytes, ino)?;
        for fork in [Fork::Data, Fork::Attr] {
            let content = copier.content(core, ino, fork);
            let mut pieces =
                Pieces { ino, owner: owner(core, ino), content, open: Vec::new(), next: 0 };
            match fork_format(core, fork) {
                Some(ForkFormat::Extents) if content.is_some() => {
                    for extent in listed_extents(core, fork, bytes) {
                        self.extent(&mut pieces, &extent)?;
                    }
                }
                Some(ForkFormat::Btree) => {
                    let space = core.fork(fork, bytes);
                    let root = match extent::Root::decode(space, geo, ino, fork) {
                        Ok(root) => root,
                        Err(error) => {
                            (copier.warn)(&error.to_string());
                            continue;
                        }
                    };
                    let mut walk = walk_of(BtreeKind::Bmap, ino);
                    let level = u32::from(root.level).saturating_sub(1);
                    for (_, child) in root.children {
                        self.tree(&mut walk, child, level, &mut |driver, bytes, count| {
                            let space = bytes.get(BtreeKind::Bmap.header_len()..);
                            let records = extent::records(space.unwrap_or_default());
                            let mut extents = records.iter().take(count).map(Extent::decode);
                            extents.try_for_each(|extent| driver.extent(&mut pieces, &extent))
                        })?;
                    }
                }
                Some(ForkFormat::MetaBtree) if fork == Fork::Data => {
                    self.meta_btree(core, ino, core.fork(fork, bytes))?;
                }
                _ => {}
            }
            self.close(&mut pieces)?;
        }
        Ok(())
    }

    /// Copies the blocks of a btree of realtime metadata.
    fn meta_btree(&mut self, core: &Dinode, ino: Ino, root: &[u8]) -> Result<()> {
        let Some(kind) = meta_btree_kind(core) else { return Ok(()) };
        let (level, count) = (super::clean::be16(root, 0), super::clean::be16(root, 2));
        let Some(below) = u32::try_from(level).ok().and_then(|level| level.checked_sub(1)) else {
            return Ok(());
        };
        let most = meta_root_max_records(kind, root.len());
        if count > most || below > self.copier.source.geo.max_levels.of(kind) {
            (self.copier.warn)(&format!("root of {} of inode {ino} is impossible", kind.name()));
            return Ok(());
        }
        let mut walk = walk_of(kind, ino);
        for index in 0..count {
            let at = 4 + most * kind.key_len() + index * kind.ptr_len();
            let pointer = root.get(at..).and_then(|rest| rest.first_chunk());
            let child = FsBlock(pointer.map_or(0, |bytes| u64::from_be_bytes(*bytes)));
            self.tree(&mut walk, child, below, &mut |_, _, _| Ok(()))?;
        }
        Ok(())
    }

    /// Cuts an extent of metadata into units. A directory block may be in several extents.
    fn extent(&mut self, pieces: &mut Pieces, extent: &Extent) -> Result<()> {
        let Some(content) = pieces.content else { return Ok(()) };
        let geo = self.copier.source.geo;
        if !extent_sound(self.copier, pieces.ino, extent) {
            return Ok(());
        }
        let object = match content {
            Content::Directory => u64::from(geo.dir.fs_blocks),
            Content::Symlink => extent.len.max(1),
            _ => 1,
        };
        if pieces.next != extent.offset {
            self.close(pieces)?;
        }
        let per_unit = ((UNIT >> geo.block_log) / object).max(1) * object;
        let mut done = 0;
        while done < extent.len {
            let offset = extent.offset.wrapping_add(done);
            let into = offset % object;
            let left = extent.len - done;
            let start = FsBlock(extent.start.0.wrapping_add(done));
            let here = if content == Content::Symlink {
                left
            } else if into == 0 && left >= object {
                (left / object * object).min(per_unit)
            } else {
                left.min(object - into)
            };
            done += here;
            pieces.next = offset.wrapping_add(here);
            pieces.open.push((start, here));
            if pieces.next.is_multiple_of(object) || content == Content::Symlink {
                self.close(pieces)?;
            }
        }
        Ok(())
    }

    /// Makes a unit of what is open.
    fn close(&mut self, pieces: &mut Pieces) -> Result<()> {
        let Some(content) = pieces.content else { return Ok(()) };
        let runs = std::mem::take(&mut pieces.open);
        if runs.is_empty() {
            return Ok(());
        }
        let blocks: u64 = runs.iter().map(|run| run.1).sum();
        let weight = blocks << self.copier.source.geo.block_log;
        self.push(Unit::Blocks(content, pieces.owner, runs), weight)
    }
}

/// A fork being cut into units.
struct Pieces {
    ino: Ino,
    owner: Owner,
    content: Option<Content>,
    /// Runs of blocks that belong to a unit that is not whole yet.
    open: Vec<(FsBlock, u64)>,
    /// File block that comes next.
    next: u64,
}

fn walk_of(kind: BtreeKind, ino: Ino) -> Walk {
    Walk { kind, whose: format!("inode {ino}"), agno: 0, seen: FxHashSet::default() }
}

/// Whether an extent of metadata can be and is not larger than the options allow.
pub(super) fn extent_sound(copier: &Copier<'_>, ino: Ino, extent: &Extent) -> bool {
    let sound = copier.source.geo.valid_fsb_extent(extent.start, extent.len);
    let sound = sound && extent.len <= copier.options.max_extent;
    if !sound {
        (copier.warn)(&format!(
            "extent of {} blocks at block {} of inode {ino} is left out",
            extent.len, extent.start.0
        ));
    }
    sound
}
