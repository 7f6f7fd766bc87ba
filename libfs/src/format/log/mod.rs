//! The log as it lies on disk: records, operations, and the items they carry.
//!
//! Record and operation headers are big-endian. What is inside the operations is in
//! the byte order of the machine that logged it, which every record's `h_fmt` names:
//! [`wire`] holds the one definition of each such structure, decoded and encoded in
//! either order. Some items carry pieces of disk structures, and those stay in disk
//! order whatever the machine.
//!
//! Facts from `xfs_log_format.h` of xfsprogs 7.2.

pub mod clean;
pub mod intent;
pub mod item;
pub mod record;
pub mod wire;

use std::fmt;

pub use clean::{clean_record, empty_record};
pub use intent::{
    AttrIntent, AttrOperation, DoneItem, ExchangeIntent, FreeExtent, IntentItem, IntentKind,
    MapExtent, PhysicalExtent,
};
pub use item::{
    BufferFormat, BufferItem, DquotItem, DquotLogFormat, InodeCreateLog, InodeItem, InodeLogFormat,
    LogDinode, LogItem, LogItemType, QuotaOffLog, blf, blft, ilog,
};
pub use record::{
    ExtendedHeader, OpHeader, RecordHeader, TransactionHeader, UnmountRecord, client, op_flags,
};
pub use wire::LogEndian;

/// Bytes of a basic block, the unit of log addresses.
pub const BASIC_BLOCK: usize = 512;

/// Log sequence number: a position in the log, counted in passes over it (cycles) and
/// 512-byte blocks. Ordered as time is.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lsn(pub u64);

impl Lsn {
    /// "No position": what mkfs and freshly initialised blocks carry where all ones is
    /// used (`NULLCOMMITLSN`).
    pub const NULL: Lsn = Lsn(u64::MAX);

    /// The position of 512-byte `block` in pass `cycle`.
    pub const fn new(cycle: u32, block: u32) -> Self {
        Lsn(((cycle as u64) << 32) | block as u64)
    }

    /// Pass over the log; the first is 1.
    pub const fn cycle(self) -> u32 {
        (self.0 >> 32) as u32
    }

    /// 512-byte block within the log.
    pub const fn block(self) -> u32 {
        self.0 as u32
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.cycle(), self.block())
    }
}

impl fmt::Debug for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lsn({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lsns_compare_by_cycle_then_block() {
        assert!(Lsn::new(1, 900) < Lsn::new(2, 0));
        assert!(Lsn::new(2, 1) > Lsn::new(2, 0));
        assert_eq!(Lsn::new(0x12, 0x34).0, 0x12_0000_0034);
        assert_eq!(Lsn::new(3, 77).to_string(), "3/77");
    }
}
