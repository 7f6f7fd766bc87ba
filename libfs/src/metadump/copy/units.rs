//! The units that threads work on: an inode chunk with its small forks, or a part of a large
//! fork.

use super::super::format::Section;
use super::super::writer::Writer;
use super::Copier;
use super::clean::{Content, Owner};
use super::trees::extent_sound;
use crate::Result;
use crate::format::btree_record::InodeChunk;
use crate::format::extent::{self, Extent};
use crate::format::geometry::{DADDR_LOG, Fork, FsBlock, INODES_PER_CHUNK, Ino};
use crate::format::inode::{self, DiFlags2, Dinode, ForkFormat, MetafileType, mode};
use std::io::Write;
use std::ops::Range;

/// Most bytes of a fork that are copied with the inode's chunk.
const SMALL: u64 = 64 << 10;

/// Work for a thread.
pub(super) enum Unit {
    /// A chunk of inodes of a group.
    Chunk(u32, InodeChunk),
    /// Blocks of a fork that are processed together: runs of blocks.
    Blocks(Content, Owner, Runs),
}

/// Runs of blocks: the first of each, and how many.
pub(super) type Runs = Vec<(FsBlock, u64)>;

/// Bytes on their way to the dump.
#[derive(Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// The pieces that they are, in order: where they belong, and how many bytes.
    pieces: Vec<(Section, u64, usize)>,
    /// Inodes whose forks are still to be copied.
    pub(super) large: Vec<(Ino, Vec<u8>)>,
    /// Inodes that were copied, free ones included.
    pub(super) inodes: u64,
}

impl Output {
    pub(super) fn add(&mut self, section: Section, daddr: u64, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        self.pieces.push((section, daddr, bytes.len()));
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn get(&mut self, range: Range<usize>) -> &mut [u8] {
        self.bytes.get_mut(range).unwrap_or_default()
    }

    pub(super) fn write<W: Write>(&self, writer: &mut Writer<W>) -> Result<()> {
        let mut rest = self.bytes.as_slice();
        for &(section, daddr, len) in &self.pieces {
            let Some((piece, after)) = rest.split_at_checked(len) else { break };
            writer.put(section, daddr, piece)?;
            rest = after;
        }
        Ok(())
    }

    /// The same memory again.
    pub(super) fn emptied(mut self) -> Self {
        self.bytes.clear();
        self.pieces.clear();
        self
    }
}

impl Copier<'_> {
    /// Reads bytes of the data device into `output`; where they are there, if they can be read.
    pub(super) fn take(
        &self,
        output: &mut Output,
        daddr: u64,
        len: usize,
    ) -> Result<Option<Range<usize>>> {
        let start = output.bytes.len();
        output.bytes.resize(start + len, 0);
        if !self.read(self.source.data, daddr, output.get(start..start + len))? {
            output.bytes.truncate(start);
            return Ok(None);
        }
        output.pieces.push((Section::Data, daddr, len));
        Ok(Some(start..start + len))
    }

    /// Does a unit.
    pub(super) fn unit(&self, unit: &Unit) -> Result<Output> {
        let mut output = Output::default();
        match unit {
            Unit::Chunk(agno, chunk) => self.chunk(*agno, chunk, &mut output)?,
            Unit::Blocks(content, owner, runs) => {
                self.blocks(*content, *owner, runs, &mut output)?;
            }
        }
        Ok(output)
    }

    /// Copies runs of blocks, which are one object or a whole number of objects.
    fn blocks(
        &self,
        content: Content,
        owner: Owner,
        runs: &[(FsBlock, u64)],
        output: &mut Output,
    ) -> Result<()> {
        let start = output.len();
        let geo = self.source.geo;
        let bytes: u64 = runs.iter().map(|run| run.1 << geo.block_log).sum();
        for &(block, count) in runs {
            let len = (count as usize) << geo.block_log;
            if self.take(output, geo.fsblock_daddr(block), len)?.is_none() {
                // What can be read of it, unchanged where it is not whole any more.
                for index in 0..if count > 1 { count } else { 0 } {
                    let block = FsBlock(block.0.wrapping_add(index));
                    self.take(output, geo.fsblock_daddr(block), geo.block_size as usize)?;
                }
            }
        }
        let range = start..output.len();
        if range.len() as u64 == bytes {
            self.cleaner.blocks(content, owner, output.get(range));
        }
        Ok(())
    }

    fn chunk(&self, agno: u32, chunk: &InodeChunk, output: &mut Output) -> Result<()> {
        let there = chunk.allocated_mask();
        let mut bit = 0;
        while bit < INODES_PER_CHUNK {
            let left = there >> bit;
            if left & 1 == 0 {
                bit += left.trailing_zeros().min(INODES_PER_CHUNK - bit);
                continue;
            }
            let count = left.trailing_ones();
            self.inodes(agno, chunk, bit..bit + count, output)?;
            bit += count;
        }
        output.inodes += u64::from(INODES_PER_CHUNK);
        Ok(())
    }

    /// Copies inodes of a chunk that lie behind one another, and their small forks.
    fn inodes(
        &self,
        agno: u32,
        chunk: &InodeChunk,
        bits: Range<u32>,
        output: &mut Output,
    ) -> Result<()> {
        let geo = self.source.geo;
        let first = chunk.startino.wrapping_add(bits.start);
        let daddr = geo.agblock_daddr(agno, geo.agino_agbno(first))
            + (u64::from(geo.agino_offset(first)) << geo.inode.size_log >> DADDR_LOG);
        let len = bits.len() << geo.inode.size_log;
        let Some(range) = self.take(output, daddr, len)? else { return Ok(()) };
        let mut forks = Vec::new();
        let size = geo.inode.size as usize;
        for (bit, bytes) in bits.zip(output.get(range).chunks_exact_mut(size)) {
            let ino = geo.ino(agno, chunk.startino.wrapping_add(bit));
            let free = chunk.free >> bit & 1 != 0;
            if !free && let Some(work) = self.fork_work(ino, bytes) {
                forks.push(work);
            }
            self.cleaner.inode(ino, free, bytes);
        }
        for work in forks {
            match work {
                Work::Large(ino, bytes) => output.large.push((ino, bytes)),
                Work::Small(units) => {
                    for (content, owner, runs) in units {
                        self.blocks(content, owner, &runs, output)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// What has to be done for the forks of an inode, if anything.
    fn fork_work(&self, ino: Ino, bytes: &[u8]) -> Option<Work> {
        let geo = self.source.geo;
        let core = Dinode::view(bytes, ino).ok()?;
        if core.magic.get() != inode::MAGIC {
            (self.warn)(&format!("bad magic number {:#x} of inode {ino}", core.magic));
            return None;
        }
        let mut units = Vec::new();
        let mut blocks = 0;
        for fork in [Fork::Data, Fork::Attr] {
            match fork_format(core, fork) {
                Some(ForkFormat::Btree | ForkFormat::MetaBtree) => {
                    return Some(Work::Large(ino, bytes.to_vec()));
                }
                Some(ForkFormat::Extents) => {}
                _ => continue,
            }
            let Some(content) = self.content(core, ino, fork) else { continue };
            let extents = listed_extents(core, fork, bytes);
            let owner = owner(core, ino);
            for extent in extents {
                if !extent_sound(self, ino, &extent) {
                    continue;
                }
                blocks += extent.len;
                let runs = vec![(extent.start, extent.len)];
                // Objects of several blocks in several extents are for the other way.
                let whole = content != Content::Directory
                    || extent.len.is_multiple_of(geo.dir.fs_blocks.into());
                if !whole || blocks << geo.block_log > SMALL {
                    return Some(Work::Large(ino, bytes.to_vec()));
                }
                units.push((content, owner, runs));
            }
        }
        (!units.is_empty()).then_some(Work::Small(units))
    }

    /// What the blocks of a fork hold; nothing if they are data.
    pub(super) fn content(&self, core: &Dinode, ino: Ino, fork: Fork) -> Option<Content> {
        if fork == Fork::Attr {
            return Some(Content::Attributes);
        }
        match core.file_type() {
            mode::DIR => Some(Content::Directory),
            mode::SYMLINK => Some(Content::Symlink),
            _ if self.source.geo.internal_inodes.contains(&ino) => Some(Content::Plain),
            mode::REGULAR => match core.metafile_type()? {
                MetafileType::UserQuota
                | MetafileType::GroupQuota
                | MetafileType::ProjectQuota
                | MetafileType::RtBitmap
                | MetafileType::RtSummary => Some(Content::Plain),
                _ => None,
            },
            _ => None,
        }
    }
}

/// What the forks of an inode need.
enum Work {
    /// To be copied block by block, later.
    Large(Ino, Vec<u8>),
    /// These blocks.
    Small(Vec<(Content, Owner, Runs)>),
}

/// Who owns the blocks of an inode.
pub(super) fn owner(core: &Dinode, ino: Ino) -> Owner {
    Owner { ino, is_metadata: core.di_flags2().contains(DiFlags2::METADATA) }
}

/// The format of a fork, if it is there.
pub(super) fn fork_format(core: &Dinode, fork: Fork) -> Option<ForkFormat> {
    if fork == Fork::Attr && core.forkoff == 0 { None } else { core.fork_format(fork) }
}

/// The extents that an inode lists.
pub(super) fn listed_extents(
    core: &Dinode,
    fork: Fork,
    bytes: &[u8],
) -> impl Iterator<Item = Extent> {
    let records = extent::records(core.fork(fork, bytes));
    let count = usize::try_from(core.extent_count(fork)).unwrap_or(usize::MAX);
    records.iter().take(count).map(Extent::decode)
}
