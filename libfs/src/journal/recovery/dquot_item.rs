//! Replaying quota records.

use super::buffer_item::copy_into;
use super::{Outcome, Replay, place};
use crate::error::{At, Error, Result};
use crate::format::checksum;
use crate::format::log::{DquotItem, Lsn};

/// "DQ".
const MAGIC: [u8; 2] = [0x44, 0x51];
/// Bytes of the part of a dquot that is logged (`xfs_disk_dquot`).
const LOGGED: usize = 104;
/// Bytes of a dquot (`xfs_dqblk`).
const SIZE: usize = 136;
/// Byte offset of its checksum.
const CRC: usize = 108;
/// Byte offset of its LSN.
const LSN: usize = 112;

impl Replay<'_> {
    pub(super) fn dquot(&mut self, item: &DquotItem) -> Result<Outcome> {
        let format = &item.format;
        let bad = |why: String| {
            Err(Error::corrupt("logged dquot", At::Daddr(format.qlf_blkno as u64), why))
        };
        let logged = &item.dquot;
        if logged.len() != LOGGED || logged[..2] != MAGIC || logged[2] != 1 {
            return bad(format!("{} bytes of what is no dquot", logged.len()));
        }
        if logged[4..8] != format.qlf_id.to_be_bytes() {
            return bad(format!("the logged record is not of id {}", format.qlf_id));
        }
        if logged[3] & 0x07 & self.cancelled.quota_off != 0 {
            return Ok(Outcome::Skipped);
        }
        // Its length is in filesystem blocks, unlike that of all other items.
        let per_block = self.geo.daddrs_per_block();
        let blocks = u64::try_from(format.qlf_len).unwrap_or(u64::MAX).saturating_mul(per_block);
        let (daddr, bytes) = place(format.qlf_blkno, blocks, "logged dquot")?;
        let mut block = self.store.take(daddr, bytes, &self.geo)?;
        let start = format.qlf_boffset as usize;
        let place = start.checked_add(SIZE).and_then(|end| block.data.get_mut(start..end));
        let Some(dquot) = place else {
            return bad(format!("offset {start} of its block"));
        };
        let lsn = dquot[LSN..].first_chunk().map_or(Lsn(0), |b| Lsn(u64::from_be_bytes(*b)));
        let newer = lsn != Lsn(0) && lsn != Lsn::NULL && lsn >= self.lsn;
        if !newer {
            copy_into(dquot, 0, logged, daddr)?;
            checksum::stamp(dquot, CRC);
            block.changed(false);
        }
        self.store.put(block, &self.geo)?;
        Ok(if newer { Outcome::Skipped } else { Outcome::Applied })
    }
}
