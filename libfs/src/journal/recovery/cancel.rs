//! Pass 1: which buffers were freed within the log.
//!
//! A block that was freed may have been used for something else at once, file data even.
//! The transaction that freed it logged a cancellation, and everything logged for the
//! block before that must not be replayed.

use std::collections::HashMap;

use super::super::area::LogBlocks;
use super::super::reader::TransactionReader;
use crate::error::Result;
use crate::format::log::{LogItem, LogItemType};

/// Buffers cancelled further on in the log, by address and length in 512-byte blocks,
/// and how many times.
#[derive(Debug, Default)]
pub(super) struct Cancelled {
    buffers: HashMap<(u64, u32), u32>,
    /// Kinds of quota (bits of a dquot's type) turned off within the log.
    pub(super) quota_off: u8,
}

impl Cancelled {
    /// Reads the transactions from `tail` to `head`.
    ///
    /// # Errors
    ///
    /// An error is returned if the log is damaged or the device fails.
    pub(super) fn collect(blocks: &LogBlocks<'_>, tail: u32, head: u32) -> Result<Self> {
        let mut cancelled = Cancelled::default();
        let mut reader = TransactionReader::new(blocks, tail, head);
        while let Some(transaction) = reader.next_raw() {
            let transaction = transaction?;
            let wanted = [LogItemType::Buffer as u16, LogItemType::QuotaOff as u16];
            for regions in &transaction.items {
                let number = regions.first().and_then(|format| format.first_chunk());
                let number = number.map(|bytes| transaction.endian.u16(*bytes));
                if number.is_some_and(|number| wanted.contains(&number)) {
                    cancelled.take(&LogItem::decode(transaction.endian, regions)?);
                }
            }
        }
        Ok(cancelled)
    }

    fn take(&mut self, item: &LogItem) {
        match item {
            LogItem::Buffer(buffer) if buffer.format.is_cancel() => {
                let key = (buffer.format.blkno as u64, u32::from(buffer.format.len));
                let count = self.buffers.entry(key).or_default();
                *count = count.saturating_add(1);
            }
            LogItem::QuotaOff(off) => {
                // Accounting flags of the superblock, and the bits of dquot types.
                for (accounting, kind) in [(0x01, 1), (0x08, 2), (0x40, 4)] {
                    if off.qf_flags & accounting != 0 {
                        self.quota_off |= kind;
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether the buffer at `daddr` of `len` 512-byte blocks is cancelled later on.
    pub(super) fn contains(&self, daddr: u64, len: u32) -> bool {
        self.buffers.contains_key(&(daddr, len))
    }

    /// A cancellation of the buffer was reached.
    pub(super) fn reached(&mut self, daddr: u64, len: u32) {
        if let Some(count) = self.buffers.get_mut(&(daddr, len)) {
            *count -= 1;
            if *count == 0 {
                self.buffers.remove(&(daddr, len));
            }
        }
    }
}
