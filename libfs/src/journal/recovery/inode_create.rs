//! Replaying the creation of inode chunks.

use zerocopy::{FromZeros, IntoBytes};

use super::store::Buffer;
use super::{Outcome, Replay};
use crate::error::{At, Error, Result};
use crate::format::checksum;
use crate::format::geometry::INODES_PER_CHUNK;
use crate::format::inode::{self, Dinode};
use crate::format::log::InodeCreateLog;
use crate::format::{NULL_AGINO, geometry::Ino};

impl Replay<'_> {
    pub(super) fn inode_create(&mut self, item: &InodeCreateLog) -> Result<Outcome> {
        self.check_chunk(item)?;
        let (agno, agbno) = (item.icl_ag.0, item.icl_agbno.0);
        let step = self.geo.inode.blocks_per_cluster.min(item.icl_length.0);
        let bytes = (step * self.geo.block_size) as usize;
        let clusters = (0..item.icl_length.0).step_by(step as usize).map(|at| agbno + at);
        let cancelled = clusters.clone().any(|agbno| {
            let daddr = self.geo.agblock_daddr(agno, agbno);
            self.cancelled.contains(daddr, (bytes / 512) as u32)
        });
        if cancelled {
            return Ok(Outcome::Skipped);
        }
        for agbno in clusters {
            let first = self.geo.ino(agno, self.geo.agbno_agino(agbno));
            let cluster = self.fresh_cluster(first, bytes, item.icl_gen.0);
            let daddr = self.geo.agblock_daddr(agno, agbno);
            self.store.put(Buffer::new(daddr, cluster), &self.geo)?;
        }
        Ok(Outcome::Applied)
    }

    fn check_chunk(&self, item: &InodeCreateLog) -> Result<()> {
        let geo = &self.geo;
        let (agno, agbno, length) = (item.icl_ag.0, item.icl_agbno.0, item.icl_length.0);
        let inodes = item.icl_count.0;
        let whole = length == geo.inode.alloc_blocks || length == geo.inode.alloc_min_blocks;
        let fits = agno < geo.ag_count
            && agbno != 0
            && geo.valid_ag_extent(agno, agbno, length)
            && item.icl_isize.0 == geo.inode.size
            && whole
            && length.is_multiple_of(geo.inode.blocks_per_cluster.min(length.max(1)))
            && u64::from(inodes) == u64::from(length) * u64::from(geo.inode.per_block)
            && inodes <= INODES_PER_CHUNK.max(geo.inode.per_block);
        if fits {
            return Ok(());
        }
        let why = format!(
            "{inodes} inodes of {} bytes in {length} blocks cannot be created",
            item.icl_isize.0
        );
        Err(Error::corrupt("logged inode chunk", At::AgBlock(agno, agbno), why))
    }

    /// Free inodes, from inode `first` on.
    fn fresh_cluster(&self, first: Ino, bytes: usize, generation: u32) -> Vec<u8> {
        let mut cluster = vec![0; bytes];
        for (i, inode) in cluster.chunks_mut(self.geo.inode.size as usize).enumerate() {
            let core = Dinode {
                magic: inode::MAGIC.into(),
                version: 3,
                gen_: generation.into(),
                next_unlinked: NULL_AGINO.into(),
                ino: (first.0 + i as u64).into(),
                uuid: self.geo.meta_uuid,
                ..Dinode::new_zeroed()
            };
            inode[..inode::CORE_SIZE].copy_from_slice(core.as_bytes());
            checksum::stamp(inode, inode::CRC_OFFSET);
        }
        cluster
    }
}
