//! The blocks of bitmap and summary files of a section that is all free but for its
//! superblock.

use zerocopy::{FromZeros, IntoBytes};

use crate::Result;
use crate::device::Device;
use crate::format::checksum;
use crate::format::geometry::{Geometry, Ino};
use crate::format::realtime::{RTBUF_CRC_OFFSET, RtBlockHeader, RtFile, WORD_BITS, summary_level};
use crate::inode::extent_map::Extent;
use crate::mkfs::write::put;

/// A file to be filled.
pub(super) struct Contents {
    pub(super) file: RtFile,
    /// Its inode.
    pub(super) owner: Ino,
    /// The group that it describes.
    pub(super) group: u32,
    /// Its blocks.
    pub(super) extents: Vec<Extent>,
}

impl Contents {
    pub(super) fn write(&self, geo: &Geometry, device: &dyn Device) -> Result<()> {
        for extent in &self.extents {
            let first = geo.fsblock_byte(extent.start);
            for index in 0..extent.len {
                let offset = first + (index << geo.block_log);
                device.write_at(&self.block(geo, extent.offset + index, offset >> 9), offset)?;
            }
        }
        Ok(())
    }

    /// Block `index` of the file, which lies at `daddr`.
    fn block(&self, geo: &Geometry, index: u64, daddr: u64) -> Vec<u8> {
        let section = &geo.realtime;
        let mut block = vec![0; geo.block_size as usize];
        let words = u64::from(section.words_per_block);
        let start = section.word_offset();
        for (at, word) in (index * words..(index + 1) * words).enumerate() {
            let value = self.word(geo, word);
            if value != 0 {
                let bytes =
                    if section.has_groups { value.to_be_bytes() } else { value.to_ne_bytes() };
                put(&mut block, start + 4 * at, &bytes);
            }
        }
        if section.has_groups {
            let mut header = RtBlockHeader::new_zeroed();
            header.magic = self.file.magic().into();
            header.owner = self.owner.0.into();
            header.blkno = daddr.into();
            header.uuid = geo.meta_uuid;
            put(&mut block, 0, header.as_bytes());
            checksum::stamp(&mut block, RTBUF_CRC_OFFSET);
        }
        block
    }

    fn word(&self, geo: &Geometry, word: u64) -> u32 {
        let section = &geo.realtime;
        // The first extent holds the realtime superblock.
        let first = u64::from(section.has_groups && self.group == 0);
        let end = section.extents_of(self.group);
        match self.file {
            RtFile::Bitmap => {
                let bits = u64::from(WORD_BITS);
                let inside = |bit: u64| bit.clamp(word * bits, (word + 1) * bits) - word * bits;
                let below = |bit: u64| ((1u64 << inside(bit)) - 1) as u32;
                below(end) & !below(first)
            }
            RtFile::Summary => {
                let free = end.saturating_sub(first);
                let level = u64::from(summary_level(free));
                u32::from(free != 0 && word == level * section.bitmap_blocks)
            }
        }
    }
}
