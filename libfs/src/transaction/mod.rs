//! Transactions: the only way metadata changes.
//!
//! A transaction borrows the [`Mount`] mutably for its whole life, so one change happens at
//! a time. What it changes is marked dirty where it lies and listed in the committed item
//! list at once; "commit" means that the state is consistent again and a checkpoint may
//! take it. There is no undo: a transaction that is dropped after it changed something
//! shuts the filesystem down, and recovery returns to the last checkpoint. Reservations are
//! what keeps that from happening for ordinary reasons such as a full filesystem.

pub(crate) mod cil;
mod deferred;

pub use deferred::{Deferred, DeferredOp, InjectTag, Step};

use std::ops::{Deref, DerefMut, Range};

use crate::buffer::{BufferId, BufferKind, Segment};
use crate::format::log::InodeCreateLog;
use crate::format::log_reservation::Reservation;
use crate::inode::{InodeLogFlags, InodeRef};
use crate::mount::Mount;
use crate::{Errno, Error, Result};

/// A change in progress. Read access to everything goes through [`Deref`] to [`Mount`].
pub struct Transaction<'m> {
    mount: &'m mut Mount,
    reservation: Reservation,
    /// Blocks set aside for this transaction and not taken yet.
    blocks_reserved: u64,
    /// Bytes of committed items when it began or was last rolled.
    logged_before: u64,
    dirty: bool,
    finished: bool,
    deferred: deferred::Queue,
}

impl Deref for Transaction<'_> {
    type Target = Mount;
    fn deref(&self) -> &Mount {
        self.mount
    }
}

impl DerefMut for Transaction<'_> {
    fn deref_mut(&mut self) -> &mut Mount {
        self.mount
    }
}

impl<'m> Transaction<'m> {
    /// Begins a change that logs at most `reservation` and takes at most `blocks`
    /// filesystem blocks out of free space.
    ///
    /// # Errors
    /// ENOSPC when so many blocks are not free; [`Error::Shutdown`]; EROFS on a filesystem
    /// opened read-only; [`Error::Io`] when making room in the log fails.
    pub fn begin(mount: &'m mut Mount, reservation: Reservation, blocks: u64) -> Result<Self> {
        mount.check_writable()?;
        mount.make_log_room(reservation.log_bytes)?;
        if blocks > 0 {
            let mut available = mount.counters.available(&mount.geo);
            if available < blocks {
                mount.reclaim_space()?;
                available = mount.counters.available(&mount.geo);
            }
            if available < blocks {
                return Err(Error::os(Errno::ENOSPC, format!("reserving {blocks} blocks")));
            }
            // Blocks freed since the last checkpoint count as free, but data must not use
            // them before the next.
            let busy = mount.busy_blocks();
            if busy > 0 && available - blocks < busy {
                mount.checkpoint()?;
            }
        }
        mount.counters.reserved += blocks;
        mount.inodes.next_transaction();
        Ok(Self {
            logged_before: mount.cil.bytes,
            mount,
            reservation,
            blocks_reserved: blocks,
            dirty: false,
            finished: false,
            deferred: deferred::Queue::new(),
        })
    }

    /// Whether anything was changed since the transaction began or was last rolled.
    pub fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Blocks still set aside for this transaction.
    pub fn blocks_reserved(&self) -> u64 {
        self.blocks_reserved
    }

    /// A zero-filled buffer for a block that this transaction allocated.
    pub fn get_buffer(&mut self, daddr: u64, len: u32, kind: BufferKind) -> BufferId {
        self.get_buffer_map(&[Segment { daddr, len }], kind)
    }

    /// As [`Transaction::get_buffer`], for a block in several pieces.
    pub fn get_buffer_map(&mut self, segments: &[Segment], kind: BufferKind) -> BufferId {
        self.mount.buffers.get_new(segments, kind)
    }

    /// `range` (bytes) of a buffer, for writing; all of it is logged.
    ///
    /// # Panics
    /// When `range` is not inside the buffer: the caller checks what it read from disk.
    pub fn buffer_mut(&mut self, id: BufferId, range: Range<usize>) -> &mut [u8] {
        self.log_buffer(id, range.clone());
        &mut self.mount.buffers.data_mut(id)[range]
    }

    /// Marks `range` (bytes) of a buffer as changed.
    pub fn log_buffer(&mut self, id: BufferId, range: Range<usize>) {
        self.dirty = true;
        let mount = &mut *self.mount;
        let buffer = mount.buffers.buffer_mut(id);
        let fresh = buffer.mark(range);
        if buffer.in_cil {
            mount.cil.add_chunks(fresh);
            return;
        }
        buffer.in_cil = true;
        let chunks = buffer.dirty_chunks();
        let (segments, len) = (buffer.segments().len(), buffer.data().len());
        mount.cil.add_buffer(id, segments, len);
        mount.cil.add_chunks(chunks);
    }

    /// Copies `source` to `target` (byte offset) within a buffer and logs the target.
    pub fn copy_within_buffer(&mut self, id: BufferId, source: Range<usize>, target: usize) {
        let len = source.len();
        self.log_buffer(id, target..target + len);
        self.mount.buffers.data_mut(id).copy_within(source, target);
    }

    /// Copies `range` of one buffer to byte `target` of another and logs the target.
    pub fn copy_between(
        &mut self,
        source: BufferId,
        range: Range<usize>,
        to: BufferId,
        target: usize,
    ) {
        if source == to {
            return self.copy_within_buffer(to, range, target);
        }
        let len = range.len();
        self.log_buffer(to, target..target + len);
        if let Some((from, into)) = self.mount.buffers.pair_mut(source, to) {
            into[target..target + len].copy_from_slice(&from[range]);
        }
    }

    /// The block was freed: recovery must not bring its content back, and it is never
    /// written in place.
    pub fn invalidate(&mut self, id: BufferId) {
        self.log_buffer(id, 0..0);
        let buffer = self.mount.buffers.buffer_mut(id);
        buffer.clear_dirty();
        buffer.stale = true;
        buffer.ordered = false;
    }

    /// The buffer is written back with the others, but something else in the log (an
    /// inode-create item) says what it holds.
    pub fn set_ordered(&mut self, id: BufferId) {
        self.log_buffer(id, 0..0);
        self.mount.buffers.buffer_mut(id).ordered = true;
    }

    /// Changes what a buffer is read and logged as: a directory block that becomes a data
    /// block, a leaf that moves under a node.
    pub fn set_buffer_kind(&mut self, id: BufferId, kind: BufferKind) {
        self.log_buffer(id, 0..0);
        self.mount.buffers.buffer_mut(id).set_kind(kind);
    }

    /// Marks parts of an inode as changed; the in-core inode is what gets logged.
    pub fn log_inode(&mut self, inode: InodeRef, fields: InodeLogFlags) {
        self.dirty = true;
        let size = self.mount.geo.inode.size;
        if self.mount.generation_of_made().is_none() {
            self.mount.inodes.count_change(inode, fields);
        }
        let in_core = self.mount.inodes.get_mut(inode);
        in_core.log.fields |= fields | InodeLogFlags::CORE;
        if !in_core.log.in_cil {
            in_core.log.in_cil = true;
            self.mount.cil.add_inode(inode, size);
        }
    }

    /// Logs that a chunk of inodes was initialised, in place of its blocks.
    pub fn log_inode_create(&mut self, item: InodeCreateLog) {
        self.dirty = true;
        self.mount.cil.add_inode_create(item);
    }

    /// Changes the count of free blocks. What goes out comes from this transaction's
    /// reservation as far as that reaches.
    pub fn mod_fdblocks(&mut self, delta: i64) {
        self.dirty = true;
        if delta < 0 {
            let taken = delta.unsigned_abs().min(self.blocks_reserved);
            self.blocks_reserved -= taken;
            self.mount.counters.reserved -= taken;
        }
        let counters = &mut self.mount.counters;
        counters.fdblocks = counters.fdblocks.saturating_add_signed(delta);
    }

    /// Changes the count of allocated inodes.
    pub fn mod_icount(&mut self, delta: i64) {
        self.dirty = true;
        let counters = &mut self.mount.counters;
        counters.icount = counters.icount.saturating_add_signed(delta);
    }

    /// Changes the count of free inodes.
    pub fn mod_ifree(&mut self, delta: i64) {
        self.dirty = true;
        let counters = &mut self.mount.counters;
        counters.ifree = counters.ifree.saturating_add_signed(delta);
    }

    /// Ends what was changed so far as one consistent step and goes on with the same
    /// reservation. Deferred operations stay queued.
    ///
    /// # Errors
    /// [`Error::Io`] when a checkpoint that became necessary fails.
    pub fn roll(&mut self) -> Result<()> {
        self.dirty = false;
        self.mount.inodes.next_transaction();
        self.mount.make_log_room(self.reservation.log_bytes)?;
        self.logged_before = self.mount.cil.bytes;
        Ok(())
    }

    /// Whether one more step of a deferred operation, which also logs `items` bytes of
    /// intents, fits what was reserved in the log since the last roll.
    pub(crate) fn has_log_room(&self, items: u64) -> bool {
        let logged = self.mount.cil.bytes.saturating_sub(self.logged_before);
        let step = self.mount.reservations.deferred_step;
        logged.saturating_add(items).saturating_add(step) <= self.reservation.log_bytes
    }

    /// Finishes the deferred operations and ends the transaction. The change is durable
    /// after the next checkpoint.
    ///
    /// # Errors
    /// Whatever a deferred operation returns; the filesystem is then shut down.
    pub fn commit(mut self) -> Result<()> {
        self.finish_deferred()?;
        self.finished = true;
        Ok(())
    }

    /// Gives up. Harmless as long as nothing was changed; otherwise the filesystem is shut
    /// down.
    pub fn cancel(self) {}
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.mount.counters.reserved -= self.blocks_reserved;
        let unfinished = self.dirty || !self.deferred.is_empty();
        if !self.finished && unfinished && self.mount.shutdown.is_none() {
            self.mount.shutdown =
                Some("a change could not be completed; recovery returns to the last sync".into());
        }
    }
}
