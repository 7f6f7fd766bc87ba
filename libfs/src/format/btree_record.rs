//! Records and keys of the allocation group btrees: as they lie on disk (`Disk...`), and
//! decoded, with the checks Linux makes before it trusts one.
//!
//! Records of file extents are in [`super::extent`].

use super::geometry::{Geometry, INODES_PER_CHUNK, Ino};
use super::{Check, assert_layout};
use crate::{At, Result};
use bitflags::bitflags;
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Record and key of both free space trees (`xfs_alloc_rec`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskFreeExtent {
    /// First block.
    pub startblock: U32,
    /// Number of blocks.
    pub blockcount: U32,
}

assert_layout!(DiskFreeExtent, 8);

/// A run of free blocks in an allocation group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FreeExtent {
    /// First block.
    pub start: u32,
    /// Number of blocks.
    pub len: u32,
}

impl FreeExtent {
    /// As it lies on disk.
    pub fn encode(&self) -> DiskFreeExtent {
        DiskFreeExtent { startblock: self.start.into(), blockcount: self.len.into() }
    }

    /// Checks that the extent lies in group `agno`, behind its headers.
    ///
    /// # Errors
    ///
    /// An error with the extent is returned otherwise.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let check = Check::new("free space record", At::AgBlock(agno, self.start));
        check.that(geo.valid_ag_extent(agno, self.start, self.len), || {
            format!("{} blocks are not all in the group", self.len)
        })
    }
}

impl From<&DiskFreeExtent> for FreeExtent {
    fn from(disk: &DiskFreeExtent) -> Self {
        FreeExtent { start: disk.startblock.get(), len: disk.blockcount.get() }
    }
}

/// Record of both inode trees (`xfs_inobt_rec`). With sparse inodes the second word is
/// split in hole mask, count and free count; without it is one 32-bit free count.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskInodeChunk {
    /// First inode of the chunk, within its group.
    pub startino: U32,
    /// Hole mask, or upper half of the free count.
    pub holemask: U16,
    /// Allocated inodes, or third byte of the free count.
    pub count: u8,
    /// Free inodes, or last byte of the free count.
    pub freecount: u8,
    /// One bit for each inode, lowest first: 1 if free (or in a hole).
    pub free: U64,
}

assert_layout!(DiskInodeChunk, 16, holemask @ 4, count @ 6, freecount @ 7, free @ 8);

/// Key of both inode trees (`xfs_inobt_key`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskInodeKey {
    /// First inode of the first chunk below.
    pub startino: U32,
}

/// A chunk of 64 inode numbers, all or some of which have blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InodeChunk {
    /// First inode of the chunk, within its group.
    pub startino: u32,
    /// One bit for each four inodes: 1 if they have no blocks.
    pub holemask: u16,
    /// Inodes that have blocks.
    pub count: u8,
    /// Free inodes among them.
    pub freecount: u8,
    /// One bit for each inode: 1 if free or without blocks.
    pub free: u64,
}

impl InodeChunk {
    /// Inodes covered by one bit of the hole mask.
    pub const INODES_PER_HOLE_BIT: u32 = INODES_PER_CHUNK / 16;

    /// Decodes a record of a filesystem that has `sparse` inode chunks or not.
    pub fn decode(disk: &DiskInodeChunk, sparse: bool) -> Self {
        let (holemask, count) =
            if sparse { (disk.holemask.get(), disk.count) } else { (0, INODES_PER_CHUNK as u8) };
        InodeChunk {
            startino: disk.startino.get(),
            holemask,
            count,
            freecount: disk.freecount,
            free: disk.free.get(),
        }
    }

    /// As it lies on disk in a filesystem that has `sparse` inode chunks or not.
    pub fn encode(&self, sparse: bool) -> DiskInodeChunk {
        let (holemask, count) = if sparse { (self.holemask, self.count) } else { (0, 0) };
        DiskInodeChunk {
            startino: self.startino.into(),
            holemask: holemask.into(),
            count,
            freecount: self.freecount,
            free: self.free.into(),
        }
    }

    /// Whether part of the chunk has no blocks.
    pub fn is_sparse(&self) -> bool {
        self.holemask != 0
    }

    /// One bit for each inode: 1 if it has blocks.
    pub fn allocated_mask(&self) -> u64 {
        (0..16)
            .filter(|bit| self.holemask & (1 << bit) == 0)
            .fold(0, |mask, bit| mask | 0xf << (bit * Self::INODES_PER_HOLE_BIT))
    }

    /// One bit for each inode: 1 if it has blocks and is free.
    pub fn free_mask(&self) -> u64 {
        self.free & self.allocated_mask()
    }

    /// Checks that the record is consistent and lies in group `agno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let at = At::Inode(geo.ino(agno, self.startino).0);
        let check = Check::new("inode chunk record", at);
        check.that(geo.valid_agino(agno, self.startino), || "first inode is impossible".into())?;
        let last = self.startino.wrapping_add(INODES_PER_CHUNK - 1);
        // A sparse chunk at the end of the group may reach beyond it.
        let ends = self.is_sparse() || geo.valid_agino(agno, last);
        check.that(ends, || "last inode is impossible".into())?;
        let (count, freecount) = (u32::from(self.count), u32::from(self.freecount));
        let half_bits = (Self::INODES_PER_HOLE_BIT..=INODES_PER_CHUNK).contains(&count);
        check.that(half_bits, || format!("count is {count}"))?;
        check.that(freecount <= INODES_PER_CHUNK, || format!("freecount is {freecount}"))?;
        check.equal("count", count, self.allocated_mask().count_ones())?;
        check.equal("freecount", freecount, self.free_mask().count_ones())
    }
}

/// Owners in the reverse mapping tree that are not inodes.
pub mod owner {
    /// Nobody.
    pub const NULL: u64 = -1i64 as u64;
    /// Not known, during recovery of old intents.
    pub const UNKNOWN: u64 = -2i64 as u64;
    /// Headers of an allocation group.
    pub const FS: u64 = -3i64 as u64;
    /// The log.
    pub const LOG: u64 = -4i64 as u64;
    /// Free space and reverse mapping btree blocks, and the free list.
    pub const AG: u64 = -5i64 as u64;
    /// Inode btree blocks.
    pub const INOBT: u64 = -6i64 as u64;
    /// Inode chunks.
    pub const INODES: u64 = -7i64 as u64;
    /// Reference count btree blocks.
    pub const REFC: u64 = -8i64 as u64;
    /// Blocks staged for copy on write.
    pub const COW: u64 = -9i64 as u64;
    /// Just below the lowest special owner.
    pub const MIN: u64 = -10i64 as u64;

    /// Whether `owner` is one of the special owners, or at least not an inode.
    pub const fn is_special(owner: u64) -> bool {
        owner >> 63 != 0
    }
}

bitflags! {
    /// What a reverse mapping says besides who: these are the top bits of the on-disk
    /// offset, shifted down.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct RmapFlags: u8 {
        /// Blocks belong to the attribute fork.
        const ATTR_FORK = 4;
        /// Blocks are of the fork's extent btree; the offset is 0.
        const BMBT_BLOCK = 2;
        /// Blocks are allocated but not written.
        const UNWRITTEN = 1;
    }
}

const RMAP_OFFSET_BITS: u32 = 54;
const RMAP_FLAG_SHIFT: u32 = 61;

/// Record of the reverse mapping tree (`xfs_rmap_rec`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskRmap {
    /// First block.
    pub startblock: U32,
    /// Number of blocks.
    pub blockcount: U32,
    /// Inode number or one of [`owner`].
    pub owner: U64,
    /// [`RmapFlags`] in the top bits, and offset in the fork in blocks.
    pub offset: U64,
}

assert_layout!(DiskRmap, 24, owner @ 8, offset @ 16);

/// Low or high key of the reverse mapping tree (`xfs_rmap_key`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskRmapKey {
    /// Block.
    pub startblock: U32,
    /// Inode number or one of [`owner`].
    pub owner: U64,
    /// Flags and offset as in the record; Linux keeps the unwritten bit here and ignores
    /// it in comparisons.
    pub offset: U64,
}

assert_layout!(DiskRmapKey, 20, owner @ 4, offset @ 12);

/// Who owns a run of blocks, and what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Rmap {
    /// First block.
    pub startblock: u32,
    /// Number of blocks.
    pub len: u32,
    /// Inode number or one of [`owner`].
    pub owner: u64,
    /// Offset in the fork in blocks; 0 for special owners and btree blocks.
    pub offset: u64,
    /// Fork, btree block, unwritten.
    pub flags: RmapFlags,
}

/// Key of a reverse mapping; the derived order is the tree's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RmapKey {
    /// Block.
    pub startblock: u32,
    /// Inode number or one of [`owner`].
    pub owner: u64,
    /// Offset and flags as on disk, without the unwritten bit, which never takes part in
    /// comparisons.
    pub offset: u64,
}

impl Rmap {
    /// Decodes a record; bits that mean nothing are dropped.
    pub fn decode(disk: &DiskRmap) -> Self {
        let (offset, flags) = unpack_offset(disk.offset.get());
        Rmap {
            startblock: disk.startblock.get(),
            len: disk.blockcount.get(),
            owner: disk.owner.get(),
            offset,
            flags,
        }
    }

    /// As it lies on disk.
    pub fn encode(&self) -> DiskRmap {
        DiskRmap {
            startblock: self.startblock.into(),
            blockcount: self.len.into(),
            owner: self.owner.into(),
            offset: self.packed_offset().into(),
        }
    }

    /// Offset and flags in one word, as on disk.
    pub fn packed_offset(&self) -> u64 {
        pack_offset(self.offset, self.flags)
    }

    /// The record's key.
    pub fn low_key(&self) -> RmapKey {
        RmapKey {
            startblock: self.startblock,
            owner: self.owner,
            offset: pack_offset(self.offset, self.flags - RmapFlags::UNWRITTEN),
        }
    }

    /// The key of the record's last block: offsets advance with blocks for file data only.
    pub fn high_key(&self) -> RmapKey {
        let more = self.len.saturating_sub(1);
        let low = self.low_key();
        let advances =
            !owner::is_special(self.owner) && !self.flags.contains(RmapFlags::BMBT_BLOCK);
        let offset = if advances { low.offset.saturating_add(more.into()) } else { low.offset };
        RmapKey { startblock: self.startblock.saturating_add(more), offset, ..low }
    }

    /// Checks that the record makes sense in group `agno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let check = Check::new("reverse mapping record", At::AgBlock(agno, self.startblock));
        let len = self.len;
        if self.owner == owner::FS {
            check.equal("startblock", self.startblock, 0)?;
            check.equal("blockcount", len, geo.first_free_agbno())?;
        } else {
            let inside = geo.valid_ag_extent(agno, self.startblock, len);
            check.that(inside, || format!("{len} blocks are not all in the group"))?;
        }
        let special = owner::is_special(self.owner);
        let known = if special {
            (owner::COW..=owner::FS).contains(&self.owner)
        } else {
            geo.valid_ino(Ino(self.owner))
        };
        check.that(known, || format!("owner {} is impossible", self.owner))?;
        let btree = self.flags.contains(RmapFlags::BMBT_BLOCK);
        check.that(self.offset == 0 || !(special || btree), || {
            format!("offset {} of something that is not file data", self.offset)
        })?;
        let data_only = !(special || btree || self.flags.contains(RmapFlags::ATTR_FORK));
        check.that(data_only || !self.flags.contains(RmapFlags::UNWRITTEN), || {
            "unwritten blocks that are not file data".into()
        })?;
        check.that(!special || self.flags.is_empty(), || "flags on a special owner".into())?;
        let in_file = special || btree || geo.valid_file_range(self.offset, len.into());
        check.that(in_file, || format!("offset {} is beyond any file", self.offset))
    }
}

impl RmapKey {
    /// Decodes a key.
    pub fn decode(disk: &DiskRmapKey) -> Self {
        let (offset, flags) = unpack_offset(disk.offset.get());
        RmapKey {
            startblock: disk.startblock.get(),
            owner: disk.owner.get(),
            offset: pack_offset(offset, flags - RmapFlags::UNWRITTEN),
        }
    }

    /// As it lies on disk.
    pub fn encode(&self) -> DiskRmapKey {
        DiskRmapKey {
            startblock: self.startblock.into(),
            owner: self.owner.into(),
            offset: self.offset.into(),
        }
    }
}

/// Offset and flags of a reverse mapping in one word.
pub fn pack_offset(offset: u64, flags: RmapFlags) -> u64 {
    offset & ((1 << RMAP_OFFSET_BITS) - 1) | u64::from(flags.bits()) << RMAP_FLAG_SHIFT
}

/// Offset and flags of a reverse mapping from one word.
pub fn unpack_offset(packed: u64) -> (u64, RmapFlags) {
    let flags = RmapFlags::from_bits_truncate((packed >> RMAP_FLAG_SHIFT) as u8);
    (packed & ((1 << RMAP_OFFSET_BITS) - 1), flags)
}

/// Record of the reference count tree (`xfs_refcount_rec`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskRefcount {
    /// First block; the top bit says "staged for copy on write".
    pub startblock: U32,
    /// Number of blocks.
    pub blockcount: U32,
    /// Number of owners.
    pub refcount: U32,
}

assert_layout!(DiskRefcount, 12);

/// Key of the reference count tree (`xfs_refcount_key`).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(C)]
pub struct DiskRefcountKey {
    /// First block of the first record below, with the top bit as in the record.
    pub startblock: U32,
}

/// The two kinds of record in the reference count tree; shared ones sort first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefcountDomain {
    /// Blocks that several files use.
    Shared,
    /// Blocks allocated for a copy on write that has not finished.
    Cow,
}

/// Top bit of a record's start block.
pub const REFCOUNT_COW_FLAG: u32 = 1 << 31;
/// Greatest reference count; blocks that reach it are never freed.
pub const REFCOUNT_MAX: u32 = u32::MAX;

/// How many owners a run of blocks has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Refcount {
    /// Kind of record.
    pub domain: RefcountDomain,
    /// First block.
    pub startblock: u32,
    /// Number of blocks.
    pub len: u32,
    /// Number of owners: 2 or more if shared, 1 if staged.
    pub refcount: u32,
}

impl Refcount {
    /// Decodes a record.
    pub fn decode(disk: &DiskRefcount) -> Self {
        let (domain, startblock) = decode_refcount_start(disk.startblock.get());
        Refcount { domain, startblock, len: disk.blockcount.get(), refcount: disk.refcount.get() }
    }

    /// As it lies on disk.
    pub fn encode(&self) -> DiskRefcount {
        DiskRefcount {
            startblock: encode_refcount_start(self.domain, self.startblock).into(),
            blockcount: self.len.into(),
            refcount: self.refcount.into(),
        }
    }

    /// Checks that the record makes sense in group `agno`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, geo: &Geometry, agno: u32) -> Result<()> {
        let check = Check::new("reference count record", At::AgBlock(agno, self.startblock));
        let inside = geo.valid_ag_extent(agno, self.startblock, self.len);
        check.that(inside, || format!("{} blocks are not all in the group", self.len))?;
        let count = self.refcount;
        let fits = match self.domain {
            RefcountDomain::Shared => count >= 2,
            RefcountDomain::Cow => count == 1,
        };
        check.that(fits, || format!("refcount {count} of a {:?} extent", self.domain))
    }
}

/// Start block of a record or key as on disk: the tree's order is that of this number.
pub fn encode_refcount_start(domain: RefcountDomain, startblock: u32) -> u32 {
    match domain {
        RefcountDomain::Shared => startblock & !REFCOUNT_COW_FLAG,
        RefcountDomain::Cow => startblock | REFCOUNT_COW_FLAG,
    }
}

/// Domain and start block of a record or key from the number on disk.
pub fn decode_refcount_start(disk: u32) -> (RefcountDomain, u32) {
    let staged = disk & REFCOUNT_COW_FLAG != 0;
    let domain = if staged { RefcountDomain::Cow } else { RefcountDomain::Shared };
    (domain, disk & !REFCOUNT_COW_FLAG)
}
