//! Replaying logged buffers.

use super::stamp::{self, Kind};
use super::store::Buffer;
use super::{Outcome, Replay, place};
use crate::error::{At, Error, Result};
use crate::format::checksum;
use crate::format::geometry::Geometry;
use crate::format::inode::{self, Dinode};
use crate::format::log::{BufferItem, blf, blft};
use crate::format::superblock::Superblock;

impl Replay<'_> {
    pub(super) fn buffer(&mut self, item: &BufferItem) -> Result<Outcome> {
        let format = &item.format;
        let len = u32::from(format.len);
        let (daddr, bytes) = place(format.blkno, len.into(), "logged buffer")?;
        if format.is_cancel() {
            self.cancelled.reached(daddr, len);
            return Ok(Outcome::Applied);
        }
        if self.cancelled.contains(daddr, len) {
            return Ok(Outcome::Skipped);
        }
        let quota = format.flags & (blf::UDQUOT_BUF | blf::PDQUOT_BUF | blf::GDQUOT_BUF);
        if quota != 0 && !self.replays_quota(quota) {
            return Ok(Outcome::Skipped);
        }
        let mut block = self.store.take(daddr, bytes, &self.geo)?;
        let torn = block.is_fresh() && stamp::is_torn(&block.data);
        if torn {
            self.store.note_torn(daddr);
        }
        let newer = |lsn| lsn >= self.lsn;
        if !torn && stamp::block_lsn(&block.data, format, &self.geo).is_some_and(newer) {
            self.store.put(block, &self.geo)?;
            return Ok(Outcome::Skipped);
        }
        if format.flags & blf::INODE_BUF != 0 {
            self.unlinked_pointers(item, &mut block.data)?;
            block.changed(false);
        } else {
            self.regular_buffer(item, &mut block)?;
        }
        self.store.put(block, &self.geo)?;
        Ok(Outcome::Applied)
    }

    fn regular_buffer(&mut self, item: &BufferItem, block: &mut Buffer) -> Result<()> {
        for (offset, piece) in item.pieces()? {
            copy_into(&mut block.data, offset, piece, block.daddr)?;
        }
        let kind = item.format.kind();
        if kind == blft::SUPERBLOCK && block.daddr == 0 {
            self.superblock(&block.data)?;
        }
        // The checksum of a block in several pieces is made when all of them are there.
        self.pieces.note_buffer(&item.format, &self.geo);
        block.changed(Kind::of(&block.data).fits(kind));
        Ok(())
    }

    /// Whether dquot buffers with these flags are replayed. They are unless that kind of
    /// quota was turned off within the log. (Linux leaves them out when it mounts without
    /// quota, as it then counts everything anew later.)
    fn replays_quota(&self, flags: u16) -> bool {
        let off = self.cancelled.quota_off;
        let types = [(blf::UDQUOT_BUF, 1), (blf::PDQUOT_BUF, 2), (blf::GDQUOT_BUF, 4)];
        !types.iter().any(|&(flag, kind)| flags & flag != 0 && off & kind != 0)
    }

    /// Buffers of inodes are logged for the unlinked-list pointers alone; everything
    /// else in them is in inode items.
    fn unlinked_pointers(&self, item: &BufferItem, block: &mut [u8]) -> Result<()> {
        let size = self.geo.inode.size as usize;
        let pointer = std::mem::offset_of!(Dinode, next_unlinked);
        for (offset, piece) in item.pieces()? {
            let first = offset / size * size;
            for start in (first..offset + piece.len()).step_by(size) {
                let at = start + pointer;
                let Some(within) = at.checked_sub(offset) else { continue };
                let Some(logged) = piece.get(within..within + 4) else { continue };
                if logged == [0; 4] {
                    let why = "a logged unlinked-list pointer is 0";
                    return Err(Error::corrupt("logged inode buffer", daddr_of(item), why));
                }
                let Some(inode) = block.get_mut(start..start + size) else { continue };
                inode[pointer..pointer + 4].copy_from_slice(logged);
                checksum::stamp(inode, inode::CRC_OFFSET);
            }
        }
        Ok(())
    }

    /// The superblock was logged: the filesystem may have grown.
    fn superblock(&mut self, sector: &[u8]) -> Result<()> {
        let mut summed = sector.to_vec();
        checksum::stamp(&mut summed, crate::format::superblock::CRC_OFFSET);
        let superblock = Superblock::decode(&summed)?;
        let geo = Geometry::new(&superblock.dsb)?;
        if geo.ag_count < self.geo.ag_count || geo.ag_blocks != self.geo.ag_blocks {
            let why = format!(
                "{} groups of {} blocks become {} of {}",
                self.geo.ag_count, self.geo.ag_blocks, geo.ag_count, geo.ag_blocks
            );
            return Err(Error::corrupt("logged superblock", At::Daddr(0), why));
        }
        self.geo = geo;
        Ok(())
    }
}

fn daddr_of(item: &BufferItem) -> At {
    At::Daddr(item.format.blkno as u64)
}

/// Copies `piece` to `offset` of `block`, if it fits.
pub(super) fn copy_into(block: &mut [u8], offset: usize, piece: &[u8], daddr: u64) -> Result<()> {
    let Some(place) = offset.checked_add(piece.len()).and_then(|end| block.get_mut(offset..end))
    else {
        let why = format!("{} bytes at offset {offset}", piece.len());
        return Err(Error::corrupt("log item", At::Daddr(daddr), why));
    };
    place.copy_from_slice(piece);
    Ok(())
}
