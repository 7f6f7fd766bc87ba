//! The inodes of an allocation group.

use super::{AgHeaders, Scanner};
use crate::format::btree_record::InodeChunk;
use crate::format::checksum;
use crate::format::geometry::{DADDR_LOG, INODES_PER_CHUNK, Ino};
use crate::format::inode::{self, Dinode};
use crate::{At, Error, Result};

/// Most bytes of neighbouring chunks that are read at once.
const RUN_BYTES: usize = 1 << 20;

/// An allocated inode.
#[derive(Clone, Copy)]
pub struct Inode<'b> {
    /// Its number.
    pub ino: Ino,
    /// Its core.
    pub core: &'b Dinode,
    /// All its bytes, the core included.
    pub bytes: &'b [u8],
}

impl<'b> Inode<'b> {
    /// Inode `ino` with these bytes, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if there are too few bytes.
    pub fn view(ino: Ino, bytes: &'b [u8]) -> Result<Self> {
        Ok(Inode { ino, core: Dinode::view(bytes, ino)?, bytes })
    }
}

/// The blocks of an inode chunk, or of a part of one that has holes.
#[derive(Clone, Copy)]
pub struct InodeRun<'b> {
    /// First inode within its group.
    pub first: u32,
    /// The bytes of all its inodes, free ones too, unchecked.
    pub bytes: &'b [u8],
    /// The chunk they belong to.
    pub chunk: &'b InodeChunk,
}

impl Scanner<'_> {
    /// Visits every allocated inode of a group by number: those that their chunk's record
    /// does not call free.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails, `visit` returns one, or something is damaged
    /// (see the [module](super)).
    pub fn inodes(
        &self,
        headers: &AgHeaders,
        visit: &mut dyn FnMut(&Inode<'_>) -> Result<()>,
    ) -> Result<()> {
        self.inode_runs(headers, &mut |run| {
            let size = self.geo.inode.size as usize;
            for (index, bytes) in run.bytes.chunks_exact(size).enumerate() {
                let agino = run.first.wrapping_add(index as u32);
                let bit = agino.wrapping_sub(run.chunk.startino);
                if run.chunk.free.checked_shr(bit).unwrap_or(1) & 1 != 0 {
                    continue;
                }
                let ino = self.geo.ino(headers.agno, agino);
                let core = Dinode::view(bytes, ino)?;
                if self.or_report(core.verify(self.geo, ino))?.is_none() {
                    continue;
                }
                let summed = checksum::check(bytes, inode::CRC_OFFSET, "inode", At::Inode(ino.0));
                self.or_report(summed)?;
                visit(&Inode { ino, core, bytes })?;
            }
            Ok(())
        })
    }

    /// The bytes of inode `ino`, checked; nothing if they are damaged and that was reported.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails or the inode is damaged (see the
    /// [module](super)).
    pub fn inode(&self, ino: Ino) -> Result<Option<Vec<u8>>> {
        let mut bytes = vec![0; self.geo.inode.size as usize];
        let (agno, agino) = self.geo.ino_parts(ino);
        let valid = self.geo.valid_ino(ino);
        let sound = if valid {
            Ok(())
        } else {
            Err(Error::corrupt("inode number", At::Inode(ino.0), "impossible"))
        };
        if self.or_report(sound)?.is_none() {
            return Ok(None);
        }
        let block = self.geo.agblock_daddr(agno, self.geo.agino_agbno(agino));
        let within = u64::from(self.geo.agino_offset(agino)) << self.geo.inode.size_log;
        let read = self.read(block + (within >> DADDR_LOG), &mut bytes);
        if self.or_report(read)?.is_none() {
            return Ok(None);
        }
        let sound = Dinode::view(&bytes, ino)?.verify(self.geo, ino);
        let sound = self.or_report(sound)?;
        let summed = checksum::check(&bytes, inode::CRC_OFFSET, "inode", At::Inode(ino.0));
        self.or_report(summed)?;
        Ok(sound.map(|()| bytes))
    }

    /// Visits the blocks of every inode chunk of a group, in pieces without holes.
    ///
    /// # Errors
    ///
    /// As [`Scanner::inodes`].
    pub fn inode_runs(
        &self,
        headers: &AgHeaders,
        visit: &mut dyn FnMut(&InodeRun<'_>) -> Result<()>,
    ) -> Result<()> {
        let chunk_bytes = (INODES_PER_CHUNK as usize) << self.geo.inode.size_log;
        let most = (RUN_BYTES / chunk_bytes).max(1);
        let mut buffer = Vec::new();
        // Whole chunks that lie behind one another, not read yet.
        let mut run: Vec<InodeChunk> = Vec::new();
        self.inode_chunks(headers, &mut |chunk| {
            let next = run.last().and_then(|last| last.startino.checked_add(INODES_PER_CHUNK));
            let follows = next == Some(chunk.startino) && !chunk.is_sparse();
            if !follows || run.len() >= most {
                self.read_run(headers.agno, &run, &mut buffer, visit)?;
                run.clear();
            }
            if chunk.is_sparse() {
                return self.read_sparse(headers.agno, &chunk, &mut buffer, visit);
            }
            run.push(chunk);
            Ok(())
        })?;
        self.read_run(headers.agno, &run, &mut buffer, visit)
    }

    fn read_run(
        &self,
        agno: u32,
        run: &[InodeChunk],
        buffer: &mut Vec<u8>,
        visit: &mut dyn FnMut(&InodeRun<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(first) = run.first() else { return Ok(()) };
        let count = run.len() as u32 * INODES_PER_CHUNK;
        if self.read_inodes(agno, first.startino, count, buffer)?.is_none() {
            return Ok(());
        }
        let chunk_bytes = (INODES_PER_CHUNK as usize) << self.geo.inode.size_log;
        for (chunk, bytes) in run.iter().zip(buffer.chunks_exact(chunk_bytes)) {
            visit(&InodeRun { first: chunk.startino, bytes, chunk })?;
        }
        Ok(())
    }

    /// Reads the pieces of a chunk that have blocks.
    fn read_sparse(
        &self,
        agno: u32,
        chunk: &InodeChunk,
        buffer: &mut Vec<u8>,
        visit: &mut dyn FnMut(&InodeRun<'_>) -> Result<()>,
    ) -> Result<()> {
        let there = chunk.allocated_mask();
        let mut bit = 0;
        while bit < INODES_PER_CHUNK {
            let left = there >> bit;
            if left & 1 == 0 {
                bit += left.trailing_zeros().min(INODES_PER_CHUNK - bit);
                continue;
            }
            let count = left.trailing_ones();
            let first = chunk.startino.wrapping_add(bit);
            if self.read_inodes(agno, first, count, buffer)?.is_some() {
                visit(&InodeRun { first, bytes: buffer, chunk })?;
            }
            bit += count;
        }
        Ok(())
    }

    /// Reads `count` inodes from `agino` on, which is the first of its block.
    fn read_inodes(
        &self,
        agno: u32,
        agino: u32,
        count: u32,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<()>> {
        buffer.resize((count as usize) << self.geo.inode.size_log, 0);
        let daddr = self.geo.agblock_daddr(agno, self.geo.agino_agbno(agino));
        self.or_report(self.read(daddr, buffer))
    }
}
