//! The metadata buffer cache.
//!
//! Every metadata block is read, verified and kept here once. A buffer is changed only
//! through a transaction, which marks the 128-byte chunks it touched; the marks stay until
//! the buffer is written in place, so that each checkpoint repeats everything the disk does
//! not have yet (the rule that lets the log's tail move, as in Linux's delayed logging).
//!
//! Buffers are named by [`BufferId`], a plain index: holding one borrows nothing. Ids stay
//! valid until [`BufferCache::trim`], which is called between operations only.

mod kind;
mod verify;

pub use kind::BufferKind;

use std::ops::Range;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::device::Device;
use crate::format::geometry::Geometry;
use crate::{Error, Result};

/// Bytes that one bit of the dirty bitmap covers: `XFS_BLF_CHUNK`.
pub const CHUNK: usize = 128;

/// Names a cached buffer. See the module's rule on how long it stays valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(u32);

/// One contiguous piece of a buffer on the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Address in 512-byte basic blocks.
    pub daddr: u64,
    /// Length in bytes, a multiple of 512.
    pub len: u32,
}

/// One cached metadata block.
#[derive(Debug)]
pub struct Buffer {
    segments: Vec<Segment>,
    kind: BufferKind,
    data: Box<[u8]>,
    /// One bit per [`CHUNK`]: changed since the buffer was last written in place.
    dirty: Vec<u64>,
    /// In the committed item list: changed since the last checkpoint.
    pub(crate) in_cil: bool,
    /// Freed: the log gets a cancel record, and it is never written in place.
    pub(crate) stale: bool,
    /// Written in place with the others, but its content is not logged.
    pub(crate) ordered: bool,
    /// First position in the log that holds changes not yet in place; zero when none.
    pub(crate) lsn: u64,
    /// Generation of the last access, for trimming.
    used: u64,
}

impl Buffer {
    /// What the buffer holds.
    pub fn kind(&self) -> BufferKind {
        self.kind
    }

    /// The content.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// Where it lies on the device, in order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Address of its first byte in 512-byte basic blocks.
    pub fn daddr(&self) -> u64 {
        self.segments[0].daddr
    }

    /// Marks the chunks of `range` (bytes) dirty and returns how many were clean before.
    pub(crate) fn mark(&mut self, range: Range<usize>) -> usize {
        if range.is_empty() {
            return 0;
        }
        let mut fresh = 0;
        for chunk in range.start / CHUNK..=(range.end - 1) / CHUNK {
            let (word, bit) = (chunk / 64, 1u64 << (chunk % 64));
            if self.dirty[word] & bit == 0 {
                self.dirty[word] |= bit;
                fresh += 1;
            }
        }
        fresh
    }

    /// How many chunks are dirty.
    pub(crate) fn dirty_chunks(&self) -> usize {
        self.dirty.iter().map(|word| word.count_ones() as usize).sum()
    }

    pub(crate) fn set_kind(&mut self, kind: BufferKind) {
        self.kind = kind;
    }

    /// Whether the chunk with this number is dirty.
    pub(crate) fn is_dirty(&self, chunk: usize) -> bool {
        self.dirty.get(chunk / 64).is_some_and(|word| word & (1 << (chunk % 64)) != 0)
    }

    /// Forgets every dirty mark.
    pub(crate) fn clear_dirty(&mut self) {
        self.dirty.fill(0);
    }

    /// Whether anything must happen to it before it may be dropped from memory.
    fn is_busy(&self) -> bool {
        self.in_cil || self.lsn != 0
    }
}

/// All cached buffers of one filesystem.
pub struct BufferCache {
    device: Arc<dyn Device>,
    geo: Arc<Geometry>,
    slots: Vec<Option<Buffer>>,
    free: Vec<u32>,
    by_daddr: FxHashMap<u64, BufferId>,
    bytes: usize,
    limit: usize,
    generation: u64,
}

/// Memory the cache keeps for clean buffers, in bytes.
const DEFAULT_LIMIT: usize = 256 << 20;

impl BufferCache {
    /// An empty cache over `device`.
    pub fn new(device: Arc<dyn Device>, geo: Arc<Geometry>) -> Self {
        Self {
            device,
            geo,
            slots: Vec::new(),
            free: Vec::new(),
            by_daddr: FxHashMap::default(),
            bytes: 0,
            limit: DEFAULT_LIMIT,
            generation: 0,
        }
    }

    /// The buffer named by `id`.
    ///
    /// # Panics
    /// When `id` was kept over a [`BufferCache::trim`] that dropped it: a bug in the caller.
    pub fn buffer(&self, id: BufferId) -> &Buffer {
        self.slots[id.0 as usize].as_ref().expect("buffer id outlived its operation")
    }

    pub(crate) fn buffer_mut(&mut self, id: BufferId) -> &mut Buffer {
        self.slots[id.0 as usize].as_mut().expect("buffer id outlived its operation")
    }

    /// The content of the buffer named by `id`.
    pub fn data(&self, id: BufferId) -> &[u8] {
        &self.buffer(id).data
    }

    pub(crate) fn data_mut(&mut self, id: BufferId) -> &mut [u8] {
        &mut self.buffer_mut(id).data
    }

    /// Two different buffers, the second for writing.
    pub(crate) fn pair_mut(
        &mut self,
        source: BufferId,
        target: BufferId,
    ) -> Option<(&[u8], &mut [u8])> {
        let [source, target] =
            self.slots.get_disjoint_mut([source.0 as usize, target.0 as usize]).ok()?;
        Some((&source.as_ref()?.data, &mut target.as_mut()?.data))
    }

    /// Reads and verifies the block at `daddr`, or returns it from memory.
    ///
    /// # Errors
    /// [`Error::Io`] from the device, [`Error::Corrupt`] when the checksum or the structure
    /// is wrong.
    pub fn read(&mut self, daddr: u64, len: u32, kind: BufferKind) -> Result<BufferId> {
        self.read_map(&[Segment { daddr, len }], kind)
    }

    /// Reads and verifies a block that lies in several pieces.
    ///
    /// # Errors
    /// As [`BufferCache::read`].
    pub fn read_map(&mut self, segments: &[Segment], kind: BufferKind) -> Result<BufferId> {
        if let Some(id) = self.find(segments) {
            let generation = self.generation;
            let buffer = self.buffer_mut(id);
            buffer.used = generation;
            // A freed block that is read again before the checkpoint has its content still.
            if compatible(buffer.kind, kind) {
                return Ok(id);
            }
            let (found, daddr) = (buffer.kind, buffer.daddr());
            return Err(Error::corrupt(
                kind.name(),
                crate::At::Daddr(daddr),
                format!("the block is in use as {}", found.name()),
            ));
        }
        let mut data = vec![0; total(segments)].into_boxed_slice();
        let mut at = 0;
        for segment in segments {
            let end = at + segment.len as usize;
            self.device.read_at(&mut data[at..end], segment.daddr * 512)?;
            at = end;
        }
        kind.verify_checksum(&self.geo, &data, segments[0].daddr)?;
        kind.verify_structure(&self.geo, &data, segments[0].daddr)?;
        Ok(self.insert(segments, kind, data))
    }

    /// A zero-filled buffer for a block that is being allocated; nothing is read.
    pub(crate) fn get_new(&mut self, segments: &[Segment], kind: BufferKind) -> BufferId {
        if let Some(id) = self.find(segments) {
            let buffer = self.buffer_mut(id);
            buffer.kind = kind;
            buffer.stale = false;
            buffer.ordered = false;
            buffer.data.fill(0);
            buffer.clear_dirty();
            return id;
        }
        self.insert(segments, kind, vec![0; total(segments)].into_boxed_slice())
    }

    /// The cached buffer at exactly these segments. One of another shape is dropped, or,
    /// while the log still needs it, makes room by giving up its place in the index.
    fn find(&mut self, segments: &[Segment]) -> Option<BufferId> {
        let id = *self.by_daddr.get(&segments[0].daddr)?;
        let buffer = self.buffer(id);
        // The first address is the same; mostly there is one segment, of the length of the data.
        let same = match (segments, buffer.segments.len()) {
            ([only], 1) => only.len as usize == buffer.data.len(),
            _ => buffer.segments == segments,
        };
        if same {
            return Some(id);
        }
        if buffer.is_busy() {
            self.by_daddr.remove(&segments[0].daddr);
        } else {
            self.drop_buffer(id);
        }
        None
    }

    fn insert(&mut self, segments: &[Segment], kind: BufferKind, data: Box<[u8]>) -> BufferId {
        let chunks = data.len().div_ceil(CHUNK);
        self.bytes += data.len();
        let buffer = Buffer {
            segments: segments.to_vec(),
            kind,
            dirty: vec![0; chunks.div_ceil(64)],
            data,
            in_cil: false,
            stale: false,
            ordered: false,
            lsn: 0,
            used: self.generation,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        self.slots[index as usize] = Some(buffer);
        self.by_daddr.insert(segments[0].daddr, BufferId(index));
        BufferId(index)
    }

    fn drop_buffer(&mut self, id: BufferId) {
        let Some(buffer) = self.slots[id.0 as usize].take() else { return };
        self.bytes -= buffer.data.len();
        if self.by_daddr.get(&buffer.daddr()) == Some(&id) {
            self.by_daddr.remove(&buffer.daddr());
        }
        self.free.push(id.0);
    }

    /// Drops a buffer that no longer means anything, for example a freed block after the
    /// checkpoint that cancelled it.
    pub(crate) fn forget(&mut self, id: BufferId) {
        self.drop_buffer(id);
    }

    /// Forgets cached content of a range of the device that was written as data.
    pub(crate) fn forget_range(&mut self, daddr: u64, len: u64) {
        if self.by_daddr.is_empty() {
            return;
        }
        let hits: Vec<BufferId> = if len / 8 > self.by_daddr.len() as u64 {
            let range = daddr..daddr + len;
            self.by_daddr.iter().filter(|(d, _)| range.contains(d)).map(|(_, id)| *id).collect()
        } else {
            (daddr..daddr + len).filter_map(|d| self.by_daddr.get(&d).copied()).collect()
        };
        for id in hits {
            if !self.buffer(id).is_busy() {
                self.drop_buffer(id);
            }
        }
    }

    /// Drops clean buffers not used since the last call when memory is over the limit.
    /// Ids handed out before may be invalid afterwards.
    pub(crate) fn trim(&mut self) {
        self.generation += 1;
        if self.bytes <= self.limit {
            return;
        }
        let oldest = self.generation.saturating_sub(2);
        for index in 0..self.slots.len() {
            let id = BufferId(index as u32);
            let drop = self.slots[index]
                .as_ref()
                .is_some_and(|buffer| !buffer.is_busy() && buffer.used < oldest);
            if drop {
                self.drop_buffer(id);
            }
        }
    }

    /// Every buffer whose changes are in the log but not in place.
    pub(crate) fn logged(&self) -> Vec<BufferId> {
        let is_logged = |slot: &Option<Buffer>| slot.as_ref().is_some_and(|b| b.lsn != 0);
        (0..self.slots.len())
            .filter(|&i| is_logged(&self.slots[i]))
            .map(|i| BufferId(i as u32))
            .collect()
    }

    /// Stamps a buffer for being written in place, checks it, and appends its pieces to
    /// `writes`. Its dirty marks are forgotten.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the content would not pass its own verifier: nothing broken
    /// is ever written.
    pub(crate) fn prepare_write(&mut self, id: BufferId, writes: &mut WriteQueue) -> Result<()> {
        let geo = Arc::clone(&self.geo);
        let buffer = self.buffer_mut(id);
        buffer.kind.stamp_block(&geo, &mut buffer.data, buffer.lsn);
        buffer.kind.verify_structure(&geo, &buffer.data, buffer.daddr())?;
        let mut at = 0;
        for segment in &buffer.segments {
            let end = at + segment.len as usize;
            writes.push(segment.daddr * 512, &buffer.data[at..end])?;
            at = end;
        }
        buffer.clear_dirty();
        buffer.lsn = 0;
        buffer.ordered = false;
        Ok(())
    }
}

/// Writes to consecutive addresses, joined into large ones.
pub(crate) struct WriteQueue {
    device: Arc<dyn Device>,
    offset: u64,
    bytes: Vec<u8>,
}

/// Bytes joined into one write at most.
const JOIN_LIMIT: usize = 1 << 20;

impl WriteQueue {
    pub(crate) fn new(device: Arc<dyn Device>) -> Self {
        Self { device, offset: 0, bytes: Vec::new() }
    }

    fn push(&mut self, offset: u64, data: &[u8]) -> Result<()> {
        let follows = self.offset + self.bytes.len() as u64 == offset;
        if !follows || self.bytes.len() + data.len() > JOIN_LIMIT {
            self.flush()?;
            self.offset = offset;
        }
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// Gives what is queued to the device.
    ///
    /// # Errors
    /// [`Error::Io`] from the device.
    pub(crate) fn flush(&mut self) -> Result<()> {
        if !self.bytes.is_empty() {
            self.device.write_at(&self.bytes, self.offset)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

fn total(segments: &[Segment]) -> usize {
    segments.iter().map(|s| s.len as usize).sum()
}

/// A reader asks for "a node or leaf of this tree" before it knows which it will find.
fn compatible(found: BufferKind, wanted: BufferKind) -> bool {
    use BufferKind::{AttrLeaf, DaNode, DirBlock, DirData, DirLeaf1, DirLeafN};
    found == wanted
        || matches!(
            (found, wanted),
            (DirLeafN | DirLeaf1 | AttrLeaf, DaNode)
                | (DaNode, DirLeafN | DirLeaf1 | AttrLeaf)
                | (DirLeafN, DirLeaf1)
                | (DirLeaf1, DirLeafN)
                | (DirBlock, DirData)
                | (DirData, DirBlock)
        )
}
