//! The headers of an allocation group.

use super::Scanner;
use crate::Result;
use crate::format::NULL_AGBLOCK;
use crate::format::ag::{self, Agf, Agfl, Agi};
use crate::format::superblock::{self, Dsb};
use crate::format::{checksum, overlay};
use crate::{At, format::geometry::Geometry};

/// The four sectors at the start of an allocation group.
#[derive(Debug, Clone)]
pub struct AgHeaders {
    /// Number of the group.
    pub agno: u32,
    sector_size: usize,
    bytes: Vec<u8>,
}

impl AgHeaders {
    /// All bytes: superblock, AGF, AGI and AGFL, a sector each.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The sector `index`: 0 superblock, 1 AGF, 2 AGI, 3 AGFL.
    pub fn sector(&self, index: usize) -> &[u8] {
        self.bytes.chunks_exact(self.sector_size).nth(index).unwrap_or(&[])
    }

    /// The copy of the superblock, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if the sector is too short, which no geometry allows.
    pub fn superblock(&self) -> Result<&Dsb> {
        Dsb::view(self.sector(0))
    }

    /// The free space header, unchecked.
    ///
    /// # Errors
    ///
    /// As [`AgHeaders::superblock`].
    pub fn agf(&self) -> Result<&Agf> {
        overlay(self.sector(1), "AGF", At::AgBlock(self.agno, 0))
    }

    /// The inode header, unchecked.
    ///
    /// # Errors
    ///
    /// As [`AgHeaders::superblock`].
    pub fn agi(&self) -> Result<&Agi> {
        overlay(self.sector(2), "AGI", At::AgBlock(self.agno, 0))
    }

    /// The free list, unchecked.
    ///
    /// # Errors
    ///
    /// As [`AgHeaders::superblock`].
    pub fn agfl(&self) -> Result<Agfl<'_>> {
        Agfl::view(self.sector(3))
    }

    /// The blocks of the free list in its order, as far as the AGF's bounds make sense; they
    /// may be anything on a damaged filesystem.
    ///
    /// # Errors
    ///
    /// As [`AgHeaders::superblock`].
    pub fn free_list(&self, geo: &Geometry) -> Result<Vec<u32>> {
        let (agf, agfl) = (self.agf()?, self.agfl()?);
        let size = geo.agfl_size() as usize;
        let (first, count) = (agf.flfirst.get() as usize, agf.flcount.get() as usize);
        let places = (0..count.min(size)).map(|step| first.saturating_add(step) % size.max(1));
        let blocks = places.filter_map(|place| agfl.bno.get(place)).map(|block| block.get());
        Ok(blocks.filter(|&block| block != NULL_AGBLOCK).collect())
    }

    /// Checks all four sectors, checksums included.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned. The copy of the superblock is not
    /// compared with the first.
    pub fn verify(&self, geo: &Geometry) -> Result<()> {
        let sum = |index: usize, offset, name, daddr| {
            checksum::check(self.sector(index), offset, name, At::Daddr(daddr))
        };
        let agno = self.agno;
        sum(0, superblock::CRC_OFFSET, "superblock", geo.sb_daddr(agno))?;
        sum(1, ag::AGF_CRC_OFFSET, "AGF", geo.agf_daddr(agno))?;
        self.agf()?.verify(geo, agno)?;
        sum(2, ag::AGI_CRC_OFFSET, "AGI", geo.agi_daddr(agno))?;
        self.agi()?.verify(geo, agno)?;
        sum(3, ag::AGFL_CRC_OFFSET, "AGFL", geo.agfl_daddr(agno))?;
        self.agfl()?.verify(geo, agno)
    }
}

impl Scanner<'_> {
    /// Reads the headers of group `agno`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails.
    pub fn ag_headers(&self, agno: u32) -> Result<AgHeaders> {
        let sector_size = self.geo.sector_size as usize;
        let mut bytes = vec![0; 4 * sector_size];
        self.read(self.geo.ag_daddr(agno, 0), &mut bytes)?;
        Ok(AgHeaders { agno, sector_size, bytes })
    }
}
