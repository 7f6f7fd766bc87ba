//! Inodes in memory: the core, the forks, and what of them still has to be written.
//!
//! An [`Inode`] is decoded from its cluster buffer once and changed only through
//! [`crate::transaction::Transaction`]; `log_item` encodes what changed for the log, and
//! later the whole inode into its cluster buffer.

pub mod bmap;
pub mod bmbt;
pub mod cache;
pub mod core;
pub mod create;
pub mod extent_map;
pub mod fork;
pub mod inactivate;
pub mod log_item;
pub mod read;
pub mod timestamps;
pub mod unlinked;

pub use self::cache::{InodeCache, InodeRef};
pub use self::core::{InodeCore, InodeLogFlags};
pub use self::fork::{InodeFork, WhichFork};
pub use self::timestamps::{Clock, Timestamp};
use crate::format::geometry::Geometry;
pub use crate::format::inode::{DiFlags, DiFlags2};
use crate::format::log::Lsn;

/// What of an inode is not in its place on the device yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InodeLogState {
    /// Everything changed since the inode was last written in place (or queued for it):
    /// each log item holds all of this, so the newest item is enough for recovery.
    pub fields: InodeLogFlags,
    /// In the committed item list, to be logged by the next checkpoint.
    pub in_cil: bool,
    /// Where in the log the oldest change lies that is not in place: the log's tail cannot
    /// pass it. `None` if everything logged is in place.
    pub tail_lsn: Option<Lsn>,
    /// Checkpoint of the newest logged change: stamped into the inode when it is written.
    pub lsn: Lsn,
    /// The transaction that raised the change count last.
    pub(super) counted_in: u64,
    /// The inode's blocks were freed: it must never be written in place.
    pub stale: bool,
}

/// Where an inode lies: in which buffer, and where in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InodePlace {
    /// Disk address of the inode cluster, in 512-byte units.
    pub daddr: u64,
    /// Length of the cluster in bytes.
    pub len: u32,
    /// Byte offset of the inode in the cluster.
    pub offset: u32,
}

/// An inode in memory.
#[derive(Debug, Clone)]
pub struct Inode {
    /// Inode number.
    pub ino: u64,
    /// Where it lies on the device.
    pub place: InodePlace,
    /// The fixed part.
    pub core: InodeCore,
    /// Contents, or where they are.
    pub data: InodeFork,
    /// Extended attributes, if it has any or room is set aside for them
    /// (`core.forkoff` is not 0).
    pub attr: Option<InodeFork>,
    /// Copy-on-write staging extents. Only in memory; the reference count btree knows
    /// their blocks.
    pub cow: Option<InodeFork>,
    /// What is not written yet.
    pub log: InodeLogState,
    /// How many files are open on it: an unlinked inode is freed when none is left.
    pub opens: u32,
    /// How many of those were opened for writing while the flags allowed it: they may go on
    /// when the file becomes immutable or append-only.
    pub writers: u32,
    /// Data was written to it since it came into memory. On Linux its page cache may then
    /// hold data that is meant for staged blocks, and the file keeps the mark of one that
    /// shares blocks (`DiFlags2::REFLINK`) even if it does so no more.
    pub written: bool,
    /// It was made without a name and never had one, so it may get one. Other files without
    /// names are on their way out.
    pub nameable: bool,
}

impl Inode {
    /// Whether the inode number is free.
    pub fn is_free(&self) -> bool {
        self.core.mode == 0
    }

    /// Whether memory for it can be given back.
    pub fn is_droppable(&self) -> bool {
        !self.log.in_cil && self.log.tail_lsn.is_none() && self.opens == 0 && self.cow.is_none()
    }

    /// The blocks it lies in were freed: what was not written of it never will be.
    pub(crate) fn make_stale(&mut self) {
        self.core.mode = 0;
        self.log.fields = InodeLogFlags::empty();
        self.log.stale = true;
    }

    /// One of the two forks on disk.
    pub fn fork(&self, which: WhichFork) -> Option<&InodeFork> {
        match which {
            WhichFork::Data => Some(&self.data),
            WhichFork::Attr => self.attr.as_ref(),
        }
    }

    /// One of the two forks on disk, to be changed.
    pub fn fork_mut(&mut self, which: WhichFork) -> Option<&mut InodeFork> {
        match which {
            WhichFork::Data => Some(&mut self.data),
            WhichFork::Attr => self.attr.as_mut(),
        }
    }

    /// Bytes that a fork has in the inode.
    pub fn fork_size(&self, geo: &Geometry, which: WhichFork) -> usize {
        let literal = (geo.inode.size as usize).saturating_sub(crate::format::inode::CORE_SIZE);
        let boundary = usize::from(self.core.forkoff) * 8;
        match which {
            WhichFork::Data if boundary == 0 => literal,
            WhichFork::Data => boundary.min(literal),
            WhichFork::Attr if boundary == 0 => 0,
            WhichFork::Attr => literal.saturating_sub(boundary),
        }
    }
}
