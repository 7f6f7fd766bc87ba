//! The six trees of an allocation group, for the generic btree.

use std::cmp::Ordering;
use std::fmt::Debug;
use std::marker::PhantomData;
use std::mem::offset_of;

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::ag_reservation::{self, Pool};
use super::alloc::{AllocArgs, Target, allocate};
use super::extent_free::FreeExtent as DeferredFree;
use super::{Owner, agfl, header};
use crate::btree::{Cursor, Root, Tree};
use crate::buffer::{BufferId, BufferKind};
use crate::format::ag::{Agf, Agi};
use crate::format::btree_block::BtreeKind;
use crate::format::btree_record::{
    DiskFreeExtent, DiskInodeChunk, DiskInodeKey, DiskRefcount, DiskRefcountKey, DiskRmap,
    DiskRmapKey, FreeExtent, InodeChunk, Refcount, Rmap, RmapKey,
};
use crate::mount::Mount;
use crate::transaction::Transaction;
use crate::{Errno, Error, Result};

/// What distinguishes one tree of an allocation group from another.
pub trait AgTreeKind: Copy + Debug {
    /// A record, decoded.
    type Record: Copy + Debug;
    /// A key, decoded.
    type Key: Copy + Debug + Ord;
    /// Magic and entry sizes.
    const KIND: BtreeKind;
    /// What the buffer cache calls the blocks.
    const BUFFER: BufferKind;
    /// Whether records may overlap.
    const OVERLAPPING: bool = false;
    /// Byte offsets in the AGF or AGI of the root block and the height.
    const ROOT: (usize, usize);

    /// Decodes a record of a filesystem with or without sparse inode chunks.
    fn decode_record(bytes: &[u8], sparse: bool) -> Self::Record;
    /// Encodes a record.
    fn encode_record(record: &Self::Record, bytes: &mut [u8], sparse: bool);
    /// Decodes a key.
    fn decode_key(bytes: &[u8]) -> Self::Key;
    /// Encodes a key.
    fn encode_key(key: &Self::Key, bytes: &mut [u8]);
    /// The record's key.
    fn low_key(record: &Self::Record) -> Self::Key;
    /// The greatest key the record covers.
    fn high_key(record: &Self::Record) -> Self::Key {
        Self::low_key(record)
    }
    /// See [`Tree::order_record`]; most records and keys begin with what orders them.
    fn order_record(bytes: &[u8]) -> u64 {
        word(bytes, 0)
    }
    /// See [`Tree::order_key`].
    fn order_key(bytes: &[u8]) -> u64 {
        word(bytes, 0)
    }
    /// See [`Tree::order`].
    fn order(key: &Self::Key) -> u64;
    /// See [`Tree::rank_record`].
    fn rank_record(_bytes: &[u8]) -> u64 {
        0
    }
    /// See [`Tree::rank_key`].
    fn rank_key(_bytes: &[u8]) -> u64 {
        0
    }
    /// See [`Tree::rank`].
    fn rank(_key: &Self::Key) -> u64 {
        0
    }
    /// Checks a record that was read.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the record is impossible in group `agno`.
    fn verify(record: &Self::Record, mount: &Mount, agno: u32) -> Result<()>;

    /// Takes a block for the tree.
    ///
    /// # Errors
    /// ENOSPC when there is none.
    fn alloc(tp: &mut Transaction<'_>, agno: u32, header: BufferId, near: u32) -> Result<u32>;
    /// Gives a block back.
    ///
    /// # Errors
    /// As those of freeing.
    fn free(tp: &mut Transaction<'_>, agno: u32, header: BufferId, agbno: u32) -> Result<()>;
}

/// One tree of one allocation group.
#[derive(Debug, Clone, Copy)]
pub struct AgTree<K> {
    /// The group.
    pub agno: u32,
    /// The AGF or AGI, whichever names the root.
    pub header: BufferId,
    sparse: bool,
    kind: PhantomData<K>,
}

impl<K: AgTreeKind> AgTree<K> {
    /// The tree whose root `header` names: the AGI for inode trees, else the AGF.
    pub fn new(mount: &Mount, agno: u32, header: BufferId) -> Self {
        Self { agno, header, sparse: mount.geo.features.sparse_inodes, kind: PhantomData }
    }

    /// A cursor into the tree.
    pub fn cursor(mount: &Mount, agno: u32, header: BufferId) -> Cursor<Self> {
        Cursor::new(mount, Self::new(mount, agno, header))
    }
}

impl<K: AgTreeKind> Tree for AgTree<K> {
    type Record = K::Record;
    type Key = K::Key;
    const KIND: BtreeKind = K::KIND;
    const BUFFER: BufferKind = K::BUFFER;
    const OVERLAPPING: bool = K::OVERLAPPING;

    fn decode_record(&self, bytes: &[u8]) -> K::Record {
        K::decode_record(bytes, self.sparse)
    }
    fn encode_record(&self, record: &K::Record, bytes: &mut [u8]) {
        K::encode_record(record, bytes, self.sparse);
    }
    fn decode_key(bytes: &[u8]) -> K::Key {
        K::decode_key(bytes)
    }
    fn encode_key(key: &K::Key, bytes: &mut [u8]) {
        K::encode_key(key, bytes);
    }
    fn low_key(record: &K::Record) -> K::Key {
        K::low_key(record)
    }
    fn high_key(record: &K::Record) -> K::Key {
        K::high_key(record)
    }
    fn order_record(bytes: &[u8]) -> u64 {
        K::order_record(bytes)
    }
    fn order_key(bytes: &[u8]) -> u64 {
        K::order_key(bytes)
    }
    fn order(key: &K::Key) -> u64 {
        K::order(key)
    }
    fn rank_record(bytes: &[u8]) -> u64 {
        K::rank_record(bytes)
    }
    fn rank_key(bytes: &[u8]) -> u64 {
        K::rank_key(bytes)
    }
    fn rank(key: &K::Key) -> u64 {
        K::rank(key)
    }
    fn verify_record(&self, mount: &Mount, record: &K::Record) -> Result<()> {
        K::verify(record, mount, self.agno)
    }
    fn owner(&self) -> u64 {
        self.agno.into()
    }
    fn daddr(&self, mount: &Mount, block: u64) -> Option<u64> {
        let agbno = u32::try_from(block).ok()?;
        let valid = mount.geo.valid_agbno(self.agno, agbno);
        valid.then(|| mount.geo.agblock_daddr(self.agno, agbno))
    }
    fn max_height(&self, mount: &Mount) -> u32 {
        mount.geo.max_levels.of(K::KIND)
    }
    fn root(&self, mount: &Mount) -> Root {
        let (root, level) = K::ROOT;
        let block = header::field(mount, self.header, root);
        Root { block: Some(block.into()), height: header::field(mount, self.header, level) }
    }
    fn set_root(&mut self, tp: &mut Transaction<'_>, block: u64, height: u32) -> Result<()> {
        let (root, level) = K::ROOT;
        header::set_field(tp, self.header, root, narrow(self.agno, block)?);
        header::set_field(tp, self.header, level, height);
        Ok(())
    }
    fn alloc_block(&mut self, tp: &mut Transaction<'_>, near: u64) -> Result<u64> {
        let near = narrow(self.agno, near)?;
        K::alloc(tp, self.agno, self.header, near).map(u64::from)
    }
    fn free_block(&mut self, tp: &mut Transaction<'_>, block: u64) -> Result<()> {
        let agbno = narrow(self.agno, block)?;
        K::free(tp, self.agno, self.header, agbno)
    }
}

fn narrow(agno: u32, block: u64) -> Result<u32> {
    u32::try_from(block).map_err(|_| {
        Error::corrupt("btree pointer", crate::At::AgBlock(agno, u32::MAX), format!("{block}"))
    })
}

/// A structure out of exactly its bytes; zeros if the length is wrong, which the btree's
/// arithmetic excludes.
fn read<T: FromBytes + FromZeros>(bytes: &[u8]) -> T {
    T::read_from_bytes(bytes).unwrap_or_else(|_| T::new_zeroed())
}

/// The 32-bit number at byte `at`.
fn word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes).into())
}

/// The 64-bit number at byte `at`.
fn double_word(bytes: &[u8], at: usize) -> u64 {
    let bytes = bytes.get(at..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

// ---- free space ----

/// Key of the free space tree by block: on disk it has the length too, which takes no part
/// in the order.
#[derive(Debug, Clone, Copy)]
pub struct BlockKey {
    /// First block.
    pub start: u32,
    /// Number of blocks; any value does for lookups.
    pub len: u32,
}

impl BlockKey {
    fn order(start: u64, _len: u64) -> u64 {
        start
    }
}

impl PartialEq for BlockKey {
    fn eq(&self, other: &Self) -> bool {
        self.start == other.start
    }
}
impl Eq for BlockKey {}
impl PartialOrd for BlockKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for BlockKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.start.cmp(&other.start)
    }
}

/// Key of the free space tree by size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SizeKey {
    /// Number of blocks.
    pub len: u32,
    /// First block.
    pub start: u32,
}

impl SizeKey {
    fn order(start: u64, len: u64) -> u64 {
        len << 32 | start
    }
}

/// Free extents by block.
#[derive(Debug, Clone, Copy)]
pub struct ByBlock;
/// Free extents by size.
#[derive(Debug, Clone, Copy)]
pub struct BySize;
/// Tree of free extents by block.
pub type Bnobt = AgTree<ByBlock>;
/// Tree of free extents by size.
pub type Cntbt = AgTree<BySize>;

macro_rules! free_space_tree {
    ($name:ident, $key:ident, $kind:expr, $buffer:expr, $root:ident, $level:ident) => {
        impl AgTreeKind for $name {
            type Record = FreeExtent;
            type Key = $key;
            const KIND: BtreeKind = $kind;
            const BUFFER: BufferKind = $buffer;
            const ROOT: (usize, usize) = (offset_of!(Agf, $root), offset_of!(Agf, $level));

            fn decode_record(bytes: &[u8], _sparse: bool) -> FreeExtent {
                FreeExtent::from(&read::<DiskFreeExtent>(bytes))
            }
            fn encode_record(record: &FreeExtent, bytes: &mut [u8], _sparse: bool) {
                bytes.copy_from_slice(record.encode().as_bytes());
            }
            fn decode_key(bytes: &[u8]) -> $key {
                Self::low_key(&Self::decode_record(bytes, false))
            }
            fn encode_key(key: &$key, bytes: &mut [u8]) {
                let record = FreeExtent { start: key.start, len: key.len };
                Self::encode_record(&record, bytes, false);
            }
            fn low_key(record: &FreeExtent) -> $key {
                $key { start: record.start, len: record.len }
            }
            fn order_record(bytes: &[u8]) -> u64 {
                $key::order(word(bytes, 0), word(bytes, 4))
            }
            fn order_key(bytes: &[u8]) -> u64 {
                $key::order(word(bytes, 0), word(bytes, 4))
            }
            fn order(key: &$key) -> u64 {
                $key::order(key.start.into(), key.len.into())
            }
            fn verify(record: &FreeExtent, mount: &Mount, agno: u32) -> Result<()> {
                record.verify(&mount.geo, agno)
            }
            fn alloc(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, _: u32) -> Result<u32> {
                from_free_list(tp, agno, agf)
            }
            fn free(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, bno: u32) -> Result<()> {
                to_free_list(tp, agno, agf, bno)
            }
        }
    };
}

free_space_tree!(ByBlock, BlockKey, BtreeKind::Bno, BufferKind::Bnobt, bnoroot, bnolevel);
free_space_tree!(BySize, SizeKey, BtreeKind::Cnt, BufferKind::Cntbt, cntroot, cntlevel);

fn from_free_list(tp: &mut Transaction<'_>, agno: u32, agf: BufferId) -> Result<u32> {
    let taken = agfl::take(tp, agno, agf)?;
    let agbno = taken.ok_or_else(|| {
        Error::os(Errno::ENOSPC, format!("the free list of allocation group {agno} is empty"))
    })?;
    header::add_to_field(tp, agf, offset_of!(Agf, btreeblks), 1)?;
    tp.ags[agno as usize].busy.remove(agbno, 1);
    Ok(agbno)
}

fn to_free_list(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, agbno: u32) -> Result<()> {
    agfl::put(tp, agno, agf, agbno)?;
    header::add_to_field(tp, agf, offset_of!(Agf, btreeblks), -1)?;
    tp.ags[agno as usize].busy.insert(agbno, 1);
    Ok(())
}

// ---- reverse mapping ----

/// Owners of blocks.
#[derive(Debug, Clone, Copy)]
pub struct ByOwnedBlock;
/// Tree of reverse mappings.
pub type Rmapbt = AgTree<ByOwnedBlock>;

impl AgTreeKind for ByOwnedBlock {
    type Record = Rmap;
    type Key = RmapKey;
    const KIND: BtreeKind = BtreeKind::Rmap;
    const BUFFER: BufferKind = BufferKind::Rmapbt;
    const OVERLAPPING: bool = true;
    const ROOT: (usize, usize) = (offset_of!(Agf, rmaproot), offset_of!(Agf, rmaplevel));

    fn decode_record(bytes: &[u8], _sparse: bool) -> Rmap {
        Rmap::decode(&read::<DiskRmap>(bytes))
    }
    fn encode_record(record: &Rmap, bytes: &mut [u8], _sparse: bool) {
        bytes.copy_from_slice(record.encode().as_bytes());
    }
    fn decode_key(bytes: &[u8]) -> RmapKey {
        RmapKey::decode(&read::<DiskRmapKey>(bytes))
    }
    fn encode_key(key: &RmapKey, bytes: &mut [u8]) {
        bytes.copy_from_slice(key.encode().as_bytes());
    }
    fn low_key(record: &Rmap) -> RmapKey {
        record.low_key()
    }
    fn high_key(record: &Rmap) -> RmapKey {
        record.high_key()
    }
    fn order_record(bytes: &[u8]) -> u64 {
        owned_order(word(bytes, 0), double_word(bytes, 8))
    }
    fn order_key(bytes: &[u8]) -> u64 {
        owned_order(word(bytes, 0), double_word(bytes, 4))
    }
    fn order(key: &RmapKey) -> u64 {
        owned_order(key.startblock.into(), key.owner)
    }
    fn rank_record(bytes: &[u8]) -> u64 {
        word(bytes, 0) + word(bytes, 4).saturating_sub(1)
    }
    fn rank_key(bytes: &[u8]) -> u64 {
        word(bytes, 0)
    }
    fn rank(key: &RmapKey) -> u64 {
        key.startblock.into()
    }
    fn verify(record: &Rmap, mount: &Mount, agno: u32) -> Result<()> {
        record.verify(&mount.geo, agno)
    }
    fn alloc(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, _near: u32) -> Result<u32> {
        let agbno = from_free_list(tp, agno, agf)?;
        header::add_to_field(tp, agf, offset_of!(Agf, rmapblocks), 1)?;
        ag_reservation::took(tp, agno, Pool::Rmapbt, 1);
        Ok(agbno)
    }
    fn free(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, agbno: u32) -> Result<()> {
        header::add_to_field(tp, agf, offset_of!(Agf, rmapblocks), -1)?;
        to_free_list(tp, agno, agf, agbno)?;
        ag_reservation::gave(tp, agno, Pool::Rmapbt, 1);
        Ok(())
    }
}

/// Start block, then owner; most owners are small.
fn owned_order(start: u64, owner: u64) -> u64 {
    start << 32 | owner.min(u32::MAX.into())
}

// ---- reference counts ----

/// Shared extents.
#[derive(Debug, Clone, Copy)]
pub struct BySharedBlock;
/// Tree of reference counts.
pub type Refcountbt = AgTree<BySharedBlock>;

impl AgTreeKind for BySharedBlock {
    type Record = Refcount;
    /// Start block as on disk: the domain is its top bit.
    type Key = u32;
    const KIND: BtreeKind = BtreeKind::Refcount;
    const BUFFER: BufferKind = BufferKind::Refcountbt;
    const ROOT: (usize, usize) = (offset_of!(Agf, refcntroot), offset_of!(Agf, refcntlevel));

    fn decode_record(bytes: &[u8], _sparse: bool) -> Refcount {
        Refcount::decode(&read::<DiskRefcount>(bytes))
    }
    fn encode_record(record: &Refcount, bytes: &mut [u8], _sparse: bool) {
        bytes.copy_from_slice(record.encode().as_bytes());
    }
    fn decode_key(bytes: &[u8]) -> u32 {
        read::<DiskRefcountKey>(bytes).startblock.get()
    }
    fn encode_key(key: &u32, bytes: &mut [u8]) {
        bytes.copy_from_slice(&key.to_be_bytes());
    }
    fn low_key(record: &Refcount) -> u32 {
        record.encode().startblock.get()
    }
    fn order(key: &u32) -> u64 {
        u64::from(*key)
    }
    fn verify(record: &Refcount, mount: &Mount, agno: u32) -> Result<()> {
        record.verify(&mount.geo, agno)
    }
    fn alloc(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, near: u32) -> Result<u32> {
        let agbno = from_free_space(tp, agno, near, Pool::Metadata, Owner::REFCOUNT)?;
        header::add_to_field(tp, agf, offset_of!(Agf, refcntblocks), 1)?;
        Ok(agbno)
    }
    fn free(tp: &mut Transaction<'_>, agno: u32, agf: BufferId, agbno: u32) -> Result<()> {
        header::add_to_field(tp, agf, offset_of!(Agf, refcntblocks), -1)?;
        to_free_space(tp, agno, agbno, Pool::Metadata, Owner::REFCOUNT);
        Ok(())
    }
}

fn from_free_space(
    tp: &mut Transaction<'_>,
    agno: u32,
    near: u32,
    pool: Pool,
    owner: Owner,
) -> Result<u32> {
    let near = tp.geo.fsblock(agno, near);
    let args = AllocArgs { pool, owner, ..AllocArgs::new(1, 1, Target::InGroupNear(near)) };
    let found = allocate(tp, &args)?.ok_or_else(|| {
        Error::os(Errno::ENOSPC, format!("a btree block in allocation group {agno}"))
    })?;
    Ok(tp.geo.fsblock_agbno(found.block))
}

fn to_free_space(tp: &mut Transaction<'_>, agno: u32, agbno: u32, pool: Pool, owner: Owner) {
    let block = tp.geo.fsblock(agno, agbno);
    tp.defer(DeferredFree::new(block, 1, owner, pool));
}

// ---- inodes ----

/// Inode chunks.
#[derive(Debug, Clone, Copy)]
pub struct ByInode;
/// Inode chunks with free inodes.
#[derive(Debug, Clone, Copy)]
pub struct ByFreeInode;
/// Tree of inode chunks.
pub type Inobt = AgTree<ByInode>;
/// Tree of inode chunks with free inodes.
pub type Finobt = AgTree<ByFreeInode>;

macro_rules! inode_tree {
    ($name:ident, $kind:expr, $buffer:expr, $root:ident, $level:ident, $blocks:ident, $pool:expr) => {
        impl AgTreeKind for $name {
            type Record = InodeChunk;
            /// First inode of the chunk.
            type Key = u32;
            const KIND: BtreeKind = $kind;
            const BUFFER: BufferKind = $buffer;
            const ROOT: (usize, usize) = (offset_of!(Agi, $root), offset_of!(Agi, $level));

            fn decode_record(bytes: &[u8], sparse: bool) -> InodeChunk {
                InodeChunk::decode(&read::<DiskInodeChunk>(bytes), sparse)
            }
            fn encode_record(record: &InodeChunk, bytes: &mut [u8], sparse: bool) {
                bytes.copy_from_slice(record.encode(sparse).as_bytes());
            }
            fn decode_key(bytes: &[u8]) -> u32 {
                read::<DiskInodeKey>(bytes).startino.get()
            }
            fn encode_key(key: &u32, bytes: &mut [u8]) {
                bytes.copy_from_slice(&key.to_be_bytes());
            }
            fn low_key(record: &InodeChunk) -> u32 {
                record.startino
            }
            fn order(key: &u32) -> u64 {
                u64::from(*key)
            }
            fn verify(record: &InodeChunk, mount: &Mount, agno: u32) -> Result<()> {
                record.verify(&mount.geo, agno)
            }
            fn alloc(tp: &mut Transaction<'_>, agno: u32, agi: BufferId, near: u32) -> Result<u32> {
                let agbno = from_free_space(tp, agno, near, $pool, Owner::INOBT)?;
                count_inode_tree_block(tp, agi, offset_of!(Agi, $blocks), 1)?;
                Ok(agbno)
            }
            fn free(tp: &mut Transaction<'_>, agno: u32, agi: BufferId, bno: u32) -> Result<()> {
                count_inode_tree_block(tp, agi, offset_of!(Agi, $blocks), -1)?;
                to_free_space(tp, agno, bno, $pool, Owner::INOBT);
                Ok(())
            }
        }
    };
}

inode_tree!(ByInode, BtreeKind::Ino, BufferKind::Inobt, root, level, iblocks, Pool::None);
inode_tree!(
    ByFreeInode,
    BtreeKind::Fino,
    BufferKind::Finobt,
    free_root,
    free_level,
    fblocks,
    Pool::Metadata
);

fn count_inode_tree_block(
    tp: &mut Transaction<'_>,
    agi: BufferId,
    offset: usize,
    delta: i64,
) -> Result<()> {
    if !tp.geo.features.inobtcount {
        return Ok(());
    }
    header::add_to_field(tp, agi, offset, delta)
}
