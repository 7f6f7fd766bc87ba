//! Copying an allocation group: its headers, its trees, and with the inode tree its inodes.

use super::super::format::Section;
use super::clean::{Cleaner, zero};
use super::trees::{Leaf, Walk};
use super::units::Unit;
use super::{Driver, Progress, chunk_weight};
use crate::format::ag::{self, Agf, AgflHeader, Agi};
use crate::format::btree_block::BtreeKind;
use crate::format::btree_record::{DiskInodeChunk, InodeChunk};
use crate::format::geometry::{Geometry, INODES_PER_CHUNK};
use crate::format::realtime::{self, Drtsb};
use crate::format::superblock::{self, Dsb};
use crate::format::{NULL_AGBLOCK, slice_of};
use crate::{Error, Result};
use rustc_hash::FxHashSet;
use std::io::Write;
use zerocopy::FromBytes;

/// A structure with a label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Labelled {
    /// The superblock.
    Superblock,
    /// That of a realtime group.
    Realtime,
}

impl<W: Write + Send> Driver<'_, W> {
    /// Copies allocation group `agno`.
    pub(super) fn group(&mut self, agno: u32) -> Result<()> {
        (self.progress)(Progress::Trees(agno));
        let copier = self.copier;
        let geo = copier.source.geo;
        let sector = geo.sector_size as usize;
        let mut bytes = vec![0; 4 * sector];
        if !copier.read(copier.source.data, geo.ag_daddr(agno, 0), &mut bytes)? {
            if agno == 0 {
                return Err(Error::Incompatible("cannot read the primary superblock".into()));
            }
            return Ok(());
        }
        let mut sectors = bytes.chunks_exact_mut(sector);
        let mut next = || sectors.next().unwrap_or_default();
        let (sb, agf, agi, agfl) = (next(), next(), next(), next());
        let (Ok((f, _)), Ok((i, _))) = (Agf::read_from_prefix(agf), Agi::read_from_prefix(agi))
        else {
            return Ok(());
        };
        hide_label(&copier.cleaner, sb, Labelled::Superblock);
        if copier.cleaner.zero_stale {
            let change = |bytes: &mut [u8], crc, size: usize| {
                copier.cleaner.change(bytes, crc, |bytes| zero(bytes, size..usize::MAX));
            };
            change(agf, ag::AGF_CRC_OFFSET, size_of::<Agf>());
            change(agi, ag::AGI_CRC_OFFSET, size_of::<Agi>());
            copier
                .cleaner
                .change(agfl, ag::AGFL_CRC_OFFSET, |bytes| empty_free_list(geo, &f, bytes));
        }
        let step = geo.daddrs_per_sector();
        for (index, sector) in [&*sb, agf, agi, agfl].into_iter().enumerate() {
            let daddr = geo.ag_daddr(agno, step * index as u64);
            self.serial.add(Section::Data, daddr, sector);
        }
        // The superblock comes first, whatever the order of the rest.
        self.write_ready()?;
        let features = &geo.features;
        let trees = [
            (BtreeKind::Bno, true, f.bnoroot, f.bnolevel),
            (BtreeKind::Cnt, true, f.cntroot, f.cntlevel),
            (BtreeKind::Rmap, features.rmapbt, f.rmaproot, f.rmaplevel),
            (BtreeKind::Refcount, features.reflink, f.refcntroot, f.refcntlevel),
            (BtreeKind::Fino, features.finobt, i.free_root, i.free_level),
        ];
        for (kind, there, root, levels) in trees {
            if there {
                self.group_tree(agno, kind, root.get(), levels.get(), &mut |_, _, _| Ok(()))?;
            }
        }
        self.group_tree(
            agno,
            BtreeKind::Ino,
            i.root.get(),
            i.level.get(),
            &mut |d, leaf, count| d.inode_chunks(agno, leaf, count),
        )?;
        self.run()?;
        self.run_large()?;
        self.run()?;
        self.show_inodes(agno);
        Ok(())
    }

    fn group_tree(
        &mut self,
        agno: u32,
        kind: BtreeKind,
        root: u32,
        levels: u32,
        leaf: Leaf<'_, Self>,
    ) -> Result<()> {
        let geo = self.copier.source.geo;
        let warn = self.copier.warn;
        let highest = geo.max_levels.of(kind);
        let Some(level) = levels.checked_sub(1).filter(|_| levels <= highest) else {
            warn(&format!("{} of AG {agno} has {levels} levels", kind.name()));
            return Ok(());
        };
        if !geo.valid_agbno(agno, root) {
            warn(&format!("invalid root {root} of {} of AG {agno}", kind.name()));
            return Ok(());
        }
        let whose = format!("AG {agno}");
        let mut walk = Walk { kind, whose, agno, seen: FxHashSet::default() };
        self.tree(&mut walk, geo.fsblock(agno, root), level, leaf)
    }

    /// Adds the chunks in a leaf of the inode tree.
    fn inode_chunks(&mut self, agno: u32, leaf: &[u8], count: usize) -> Result<()> {
        let geo = self.copier.source.geo;
        let records = leaf.get(BtreeKind::Ino.header_len()..).unwrap_or_default();
        for disk in slice_of::<DiskInodeChunk>(records).iter().take(count) {
            let chunk = InodeChunk::decode(disk, geo.features.sparse_inodes);
            let first = geo.agino_agbno(chunk.startino);
            let blocks = (INODES_PER_CHUNK as u64) << geo.inode.size_log >> geo.block_log;
            let blocks = u32::try_from(blocks.max(1)).unwrap_or(u32::MAX);
            let fits = geo.valid_ag_extent(agno, first, blocks) || chunk.is_sparse();
            if !fits || !geo.valid_agino(agno, chunk.startino) {
                (self.copier.warn)(&format!("invalid inode chunk {} of AG {agno}", chunk.startino));
                continue;
            }
            self.push(Unit::Chunk(agno, chunk), chunk_weight(geo))?;
            if self.window.is_empty() {
                self.show_inodes(agno);
            }
        }
        self.run_large()
    }
}

/// Makes a superblock's label unreadable and zeros what follows the fields.
pub(super) fn hide_label(cleaner: &Cleaner<'_>, bytes: &mut [u8], which: Labelled) {
    let (label, size, crc) = match which {
        Labelled::Superblock => {
            (std::mem::offset_of!(Dsb, fname), size_of::<Dsb>(), superblock::CRC_OFFSET)
        }
        Labelled::Realtime => {
            (std::mem::offset_of!(Drtsb, fname), size_of::<Drtsb>(), realtime::RTSB_CRC_OFFSET)
        }
    };
    cleaner.change(bytes, crc, |bytes| {
        if cleaner.obfuscator.is_some() {
            let label = bytes.iter_mut().skip(label).take(superblock::LABEL_MAX);
            label.take_while(|byte| **byte != 0).for_each(|byte| *byte = b'L');
        }
        if cleaner.zero_stale {
            zero(bytes, size..usize::MAX);
        }
    });
}

/// Takes out the entries of a free list that are not in use.
fn empty_free_list(geo: &Geometry, agf: &Agf, sector: &mut [u8]) {
    let size = geo.agfl_size() as usize;
    let (first, last) = (agf.flfirst.get() as usize, agf.fllast.get() as usize);
    if first >= size || last >= size {
        return;
    }
    let entries = sector.get_mut(size_of::<AgflHeader>()..).unwrap_or_default();
    for (index, entry) in entries.as_chunks_mut::<4>().0.iter_mut().take(size).enumerate() {
        let used = if first <= last {
            (first..=last).contains(&index)
        } else {
            index >= first || index <= last
        };
        if !used {
            *entry = NULL_AGBLOCK.to_be_bytes();
        }
    }
}
