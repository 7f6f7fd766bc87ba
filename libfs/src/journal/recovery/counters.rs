//! The superblock's counters after a replay.
//!
//! They are written only now and then while a filesystem is in use, so after a crash
//! they are added up anew from the headers of the allocation groups.

use super::Replay;
use crate::error::{At, Result};
use crate::format::ag::{Agf, Agi};
use crate::format::superblock::{self, Superblock};
use crate::format::{checksum, overlay};

impl Replay<'_> {
    /// Adds up the counters, writes them to the superblock if they differ, and returns it.
    ///
    /// # Errors
    ///
    /// An error is returned if the superblock or a group's header is damaged, or the
    /// device fails.
    pub(super) fn rebuild_counters(&mut self) -> Result<Superblock> {
        let sector_size = self.geo.sector_size as usize;
        let mut sector = self.store.take(0, sector_size, &self.geo)?;
        let mut superblock = Superblock::decode(&sector.data)?;
        let (mut icount, mut ifree, mut fdblocks) = (0u64, 0u64, 0u64);
        for agno in 0..self.geo.ag_count {
            let daddr = self.geo.agf_daddr(agno);
            let bytes = self.store.take(daddr, sector_size, &self.geo)?.data;
            let agf: &Agf = overlay(&bytes, "AGF", At::Daddr(daddr))?;
            agf.verify(&self.geo, agno)?;
            fdblocks += [agf.freeblks, agf.flcount, agf.btreeblks]
                .map(|n| u64::from(n.get()))
                .iter()
                .sum::<u64>();
            let daddr = self.geo.agi_daddr(agno);
            let bytes = self.store.take(daddr, sector_size, &self.geo)?.data;
            let agi: &Agi = overlay(&bytes, "AGI", At::Daddr(daddr))?;
            agi.verify(&self.geo, agno)?;
            icount += u64::from(agi.count.get());
            ifree += u64::from(agi.freecount.get());
        }
        let dsb = &mut superblock.dsb;
        let counted = [icount, ifree, fdblocks];
        if counted != [dsb.icount.get(), dsb.ifree.get(), dsb.fdblocks.get()] {
            dsb.icount.set(icount);
            dsb.ifree.set(ifree);
            dsb.fdblocks.set(fdblocks);
            let bytes = superblock.as_bytes();
            sector.data[..bytes.len()].copy_from_slice(bytes);
            checksum::stamp(&mut sector.data, superblock::CRC_OFFSET);
            superblock = Superblock::decode(&sector.data)?;
            sector.changed(false);
            self.store.put(sector, &self.geo)?;
            self.store.settle(self.lsn, &self.geo)?;
        }
        Ok(superblock)
    }
}
