//! Transactions, put together from operations that lie scattered over records.
//!
//! A transaction starts with an operation of no data, goes on with its regions, each
//! whole or split where a record was full, and ends with a commit. Others may be
//! interleaved with it; the identifier tells them apart. Transactions that never commit
//! are dropped: they did not happen.

use std::collections::{HashMap, VecDeque};

use super::area::LogBlocks;
use super::record::{CrcState, Operation, Record, RecordReader};
use crate::error::Result;
use crate::format::log::wire::Wire;
use crate::format::log::{LogEndian, LogItem, Lsn, TransactionHeader, client, op_flags};

/// Regions an item may have: a 64 KiB buffer with every other chunk dirty, and a format.
const MAX_REGIONS: usize = 64 * 1024 / 128 / 2 + 1;

/// A committed transaction, as its regions lie in the log.
#[derive(Debug, Clone)]
pub struct RawTransaction {
    /// Record that it starts in. Blocks changed by it are stamped with this.
    pub lsn: Lsn,
    /// Record that its commit is in.
    pub commit_lsn: Lsn,
    /// Its identifier.
    pub tid: u32,
    /// The identifier in its header, which need not be the same.
    pub header_tid: u32,
    /// Byte order of its items.
    pub endian: LogEndian,
    /// The regions of each item, in logged order.
    pub items: Vec<Vec<Vec<u8>>>,
}

/// A committed transaction, decoded.
#[derive(Debug, Clone)]
pub struct RecoveredTransaction {
    /// Record that it starts in. Blocks changed by it are stamped with this.
    pub lsn: Lsn,
    /// Record that its commit is in.
    pub commit_lsn: Lsn,
    /// Its identifier.
    pub tid: u32,
    /// Its items, in logged order.
    pub items: Vec<LogItem>,
}

impl RawTransaction {
    /// Decodes the items.
    ///
    /// # Errors
    ///
    /// An error is returned if an item is of unknown type or malformed.
    pub fn decode(&self) -> Result<RecoveredTransaction> {
        let items = self.items.iter().map(|regions| LogItem::decode(self.endian, regions));
        let (lsn, commit_lsn, tid) = (self.lsn, self.commit_lsn, self.tid);
        Ok(RecoveredTransaction { lsn, commit_lsn, tid, items: items.collect::<Result<_>>()? })
    }
}

/// A transaction that has not committed yet.
struct Open {
    lsn: Lsn,
    endian: LogEndian,
    /// The transaction header, as far as it was read.
    header: Vec<u8>,
    items: Vec<Vec<Vec<u8>>>,
}

/// Reads committed transactions, in the order of their commits.
pub struct TransactionReader<'a> {
    records: RecordReader<'a>,
    open: HashMap<u32, Open>,
    ready: VecDeque<RawTransaction>,
    failed: bool,
}

impl<'a> TransactionReader<'a> {
    /// The transactions in the records from block `tail` up to block `head`.
    pub fn new(blocks: &'a LogBlocks<'a>, tail: u32, head: u32) -> Self {
        TransactionReader {
            records: RecordReader::new(blocks, tail, head),
            open: HashMap::new(),
            ready: VecDeque::new(),
            failed: false,
        }
    }

    /// The next transaction with its items not yet decoded.
    ///
    /// # Errors
    ///
    /// An error is returned if a record or an operation in it is damaged.
    pub fn next_raw(&mut self) -> Option<Result<RawTransaction>> {
        while self.ready.is_empty() && !self.failed {
            let taken = self.records.next()?.and_then(|record| self.take_record(&record));
            if let Err(error) = taken {
                self.failed = true;
                return Some(Err(error));
            }
        }
        self.ready.pop_front().map(Ok)
    }

    fn take_record(&mut self, record: &Record) -> Result<()> {
        if record.crc != CrcState::Good {
            return Err(record.corrupt("its checksum is wrong"));
        }
        for operation in record.operations() {
            self.take_operation(record, operation?)?;
        }
        Ok(())
    }

    fn take_operation(&mut self, record: &Record, operation: Operation<'_>) -> Result<()> {
        let Operation { tid, client, flags, data } = operation;
        if client != client::TRANSACTION && client != client::LOG {
            return Err(record.corrupt(format!("an operation of unknown client {client:#x}")));
        }
        let Some(open) = self.open.get_mut(&tid) else {
            if flags & op_flags::START != 0 {
                let (lsn, endian) = (record.lsn(), record.endian);
                self.open.insert(tid, Open { lsn, endian, header: Vec::new(), items: Vec::new() });
            }
            // Otherwise the rest of a transaction that started before the tail.
            return Ok(());
        };
        let was_continued = flags & op_flags::WAS_CONTINUED != 0;
        match flags & !(op_flags::END | op_flags::CONTINUE | op_flags::WAS_CONTINUED) {
            0 if was_continued => open.continue_region(record, data),
            0 => open.add_region(record, data),
            op_flags::COMMIT => self.commit(record, tid),
            op_flags::UNMOUNT => {
                self.open.remove(&tid);
                Ok(())
            }
            _ => Err(record.corrupt(format!("an operation with flags {flags:#x}"))),
        }
    }

    fn commit(&mut self, record: &Record, tid: u32) -> Result<()> {
        let Some(open) = self.open.remove(&tid) else { return Ok(()) };
        if open.needs_regions(record)? {
            return Err(record.corrupt("a transaction commits with an unfinished item"));
        }
        let Open { lsn, endian, items, header, .. } = open;
        let header_tid = header.get(8..).and_then(|tid| u32::decode(endian, tid).ok());
        let header_tid = header_tid.unwrap_or_default();
        self.ready.push_back(RawTransaction {
            lsn,
            commit_lsn: record.lsn(),
            tid,
            header_tid,
            endian,
            items,
        });
        Ok(())
    }
}

impl Iterator for TransactionReader<'_> {
    type Item = Result<RecoveredTransaction>;

    fn next(&mut self) -> Option<Self::Item> {
        let decoded = self.next_raw()?.and_then(|raw| raw.decode());
        self.failed |= decoded.is_err();
        Some(decoded)
    }
}

impl Open {
    /// Whether the last item has fewer regions than it says.
    fn needs_regions(&self, record: &Record) -> Result<bool> {
        let Some(item) = self.items.last() else { return Ok(false) };
        let Some(format) = item.first() else { return Ok(true) };
        let Some(Ok(count)) = format.get(2..).map(|size| u16::decode(self.endian, size)) else {
            return Err(record.corrupt(format!("an item format of {} bytes", format.len())));
        };
        match usize::from(count) {
            1..=MAX_REGIONS => Ok(item.len() < usize::from(count)),
            count => Err(record.corrupt(format!("an item of {count} regions"))),
        }
    }

    fn add_region(&mut self, record: &Record, data: &[u8]) -> Result<()> {
        if data.is_empty() {
            return Ok(());
        }
        if self.items.is_empty() && self.header.len() < TransactionHeader::SIZE {
            return self.start_header(record, data);
        }
        if self.items.is_empty() || !self.needs_regions(record)? {
            self.items.push(Vec::new());
        }
        if let Some(item) = self.items.last_mut() {
            item.push(data.to_vec());
        }
        Ok(())
    }

    fn start_header(&mut self, record: &Record, data: &[u8]) -> Result<()> {
        let magic = u32::decode(self.endian, data).ok();
        if magic != Some(TransactionHeader::MAGIC) || data.len() > TransactionHeader::SIZE {
            return Err(record.corrupt("a transaction begins with no transaction header"));
        }
        self.header = data.to_vec();
        Ok(())
    }

    /// The rest of a region that was split between records.
    fn continue_region(&mut self, record: &Record, data: &[u8]) -> Result<()> {
        if self.items.is_empty() {
            // Even the transaction header may be split.
            self.header.extend_from_slice(data);
            return match self.header.len() {
                0..=TransactionHeader::SIZE => Ok(()),
                len => Err(record.corrupt(format!("a transaction header of {len} bytes"))),
            };
        }
        let region = self.items.last_mut().and_then(|item| item.last_mut());
        let Some(region) = region else {
            return Err(record.corrupt("a continued region has no beginning"));
        };
        region.extend_from_slice(data);
        Ok(())
    }
}
