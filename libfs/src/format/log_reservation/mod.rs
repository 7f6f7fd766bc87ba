//! How much log space each kind of transaction may need, and from that the smallest log.
//!
//! Linux refuses to mount a filesystem whose log is smaller than
//! [`minimum_log_blocks`], so these numbers are part of the format although they
//! are stored nowhere. They were checked against `xfs_db -c logres` of xfsprogs 7.2.

mod untorn;

pub use untorn::{untorn_costs, untorn_extents, untorn_write_max};

use self::untorn::untorn_log_bytes;

use super::btree_block::BtreeKind;
use super::geometry::{Geometry, MaxLevels};
use super::realtime::WORD_LEN;

/// Bytes that logging one buffer costs beside its contents (operation header and buffer
/// log format structure, in the multiple of 128 that Linux has always reserved).
const BUFFER_OVERHEAD: u64 = 128;
/// `struct xlog_op_header`.
const OPERATION_HEADER: u64 = 12;
/// `struct xfs_inode_log_format`.
const INODE_LOG_FORMAT: u64 = 56;
/// `struct xfs_trans_header`.
const TRANSACTION_HEADER: u64 = 16;
/// Header of a long-form btree block with checksum.
const LONG_BTREE_HEADER: u64 = 72;
/// `struct xfs_disk_dquot`.
const DISK_DQUOT: u64 = 104;
/// Six quota records: user, group and project, each for two inodes.
const QUOTA: u64 = 6 * (24 + DISK_DQUOT);
/// Greatest depth of a directory or attribute btree.
const DA_NODE_MAX_DEPTH: u64 = 5;
/// Longest symbolic link target in bytes.
const SYMLINK_MAX: u64 = 1024;
/// Intent that sets or removes one parent pointer: the attribute intent format, the
/// parent record and the longest name, each padded to four bytes.
const PARENT_LINK: u64 = 40 + PARENT_RECORD_AND_NAME;
/// Intent that replaces one parent pointer: as above with two names.
const PARENT_REPLACE: u64 = 40 + 2 * PARENT_RECORD_AND_NAME;
const PARENT_RECORD_AND_NAME: u64 = 12 + 256;
/// Height that was assumed for every reverse mapping btree when reflink was young.
const OLD_REFLINK_RMAP_HEIGHT: u32 = 9;
/// Rolls of a write or truncate that were assumed when reflink was young.
const OLD_REFLINK_ROLLS: u32 = 8;
/// The log must hold this many of the largest transactions.
const MINIMUM_LOG_FACTOR: u64 = 3;
/// Fewest blocks of any log.
const MINIMUM_LOG_BLOCKS: u64 = 512;
/// Largest log record, in bytes, and what one header of it describes.
const MAX_RECORD: u64 = 256 * 1024;
const RECORD_HEADER_COVERS: u64 = 32 * 1024;

/// What one kind of transaction reserves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reservation {
    /// Bytes that one transaction may log, without record headers.
    pub log_bytes: u64,
    /// How many transactions of this kind usually follow each other when it rolls; 0
    /// where Linux leaves the default of one.
    pub log_count: u32,
    /// Whether it may roll (Linux: XFS_TRANS_PERM_LOG_RES).
    pub permanent: bool,
}

impl Reservation {
    fn permanent(log_bytes: u64, log_count: u32) -> Self {
        Self { log_bytes, log_count, permanent: true }
    }

    fn single(log_bytes: u64, log_count: u32) -> Self {
        Self { log_bytes, log_count, permanent: false }
    }

    /// Bytes for the transaction and everything it usually rolls into.
    pub fn total(&self) -> u64 {
        self.log_bytes * u64::from(self.log_count.max(1))
    }
}

/// The reservation of every kind of transaction, named as in Linux (`tr_…`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The names are Linux's and say all there is to say.
pub struct Reservations {
    pub write: Reservation,
    pub itruncate: Reservation,
    pub rename: Reservation,
    pub link: Reservation,
    pub remove: Reservation,
    pub symlink: Reservation,
    pub create: Reservation,
    pub create_tmpfile: Reservation,
    pub mkdir: Reservation,
    pub ifree: Reservation,
    pub ichange: Reservation,
    pub growdata: Reservation,
    pub addafork: Reservation,
    pub writeid: Reservation,
    pub attrinval: Reservation,
    pub attrsetm: Reservation,
    pub attrsetrt: Reservation,
    pub attrrm: Reservation,
    pub clearagi: Reservation,
    pub growrtalloc: Reservation,
    pub growrtzero: Reservation,
    pub growrtfree: Reservation,
    pub qm_setqlim: Reservation,
    pub qm_dqalloc: Reservation,
    pub sb: Reservation,
    pub fsyncts: Reservation,
    pub atomic_ioend: Reservation,
    /// Bytes that one step of a deferred operation may log at most: several fit into a
    /// transaction as long as so much of its reservation is left.
    pub deferred_step: u64,
}

impl Reservations {
    /// What transactions reserve on a filesystem of this geometry.
    pub fn new(geometry: &Geometry) -> Self {
        Calculator::new(geometry, geometry.max_levels).all(Era::Now)
    }

    /// Every reservation in the order and numbering of `xfs_db -c logres`.
    pub fn numbered(&self) -> [Reservation; 27] {
        [
            self.write,
            self.itruncate,
            self.rename,
            self.link,
            self.remove,
            self.symlink,
            self.create,
            self.create_tmpfile,
            self.mkdir,
            self.ifree,
            self.ichange,
            self.growdata,
            self.addafork,
            self.writeid,
            self.attrinval,
            self.attrsetm,
            self.attrsetrt,
            self.attrrm,
            self.clearagi,
            self.growrtalloc,
            self.growrtzero,
            self.growrtfree,
            self.qm_setqlim,
            self.qm_dqalloc,
            self.sb,
            self.fsyncts,
            self.atomic_ioend,
        ]
    }
}

/// The largest of all reservations as it decides the size of the log: the bytes of one
/// transaction, and how many of them. Older filesystems keep the (larger) numbers that
/// Linux calculated when their newest feature was young.
pub fn largest_reservation(geometry: &Geometry) -> Reservation {
    largest_of(geometry, Reservations::new(geometry))
}

/// As [`largest_reservation`], when the transactions reserve `now`.
fn largest_of(geometry: &Geometry, now: Reservations) -> Reservation {
    let mut all = if geometry.features.parent { now } else { before_parent_pointers(geometry) };
    all.atomic_ioend = now.atomic_ioend;
    let mut largest = Reservation::default();
    for reservation in all.numbered() {
        if reservation.total() > largest.total() {
            largest = reservation;
        }
    }
    let attribute = largest_attribute_bytes(geometry, &now);
    if attribute > largest.total() {
        largest = Reservation { log_bytes: attribute, ..all.attrsetm };
    }
    largest
}

fn before_parent_pointers(geometry: &Geometry) -> Reservations {
    let (rmap, reflink) = (geometry.features.rmapbt, geometry.features.reflink);
    let mut levels = geometry.max_levels;
    if rmap && reflink {
        levels.rmap = OLD_REFLINK_RMAP_HEIGHT;
    }
    let calculator = Calculator::new(geometry, levels);
    let mut all = calculator.all(Era::Now);
    let old = calculator.all(Era::BeforeDeferredReferenceCounts);
    for (new, old) in [
        (&mut all.write, old.write),
        (&mut all.itruncate, old.itruncate),
        (&mut all.qm_dqalloc, old.qm_dqalloc),
    ] {
        new.log_bytes = old.log_bytes;
        if reflink {
            new.log_count = OLD_REFLINK_ROLLS;
        } else if rmap {
            new.log_count = 2;
        }
    }
    all
}

/// Bytes to set the largest attribute value that is stored in a leaf.
fn largest_attribute_bytes(geometry: &Geometry, reservations: &Reservations) -> u64 {
    let block = u64::from(geometry.block_size);
    let value = block / 2 + block / 4 - 256 - 1;
    let value_blocks = value.div_ceil(block);
    let calculator = Calculator::new(geometry, geometry.max_levels);
    let height = geometry.max_levels.bmap_attr;
    // Linux once took bytes for blocks here; old filesystems keep the surplus.
    let extents = if geometry.features.parent { value_blocks } else { value };
    let blocks = DA_NODE_MAX_DEPTH * u64::from(height)
        + value_blocks
        + calculator.extent_btree_blocks(extents, height);
    reservations.attrsetm.log_bytes + reservations.attrsetrt.log_bytes * blocks
}

/// Fewest blocks that the log may have, by its stripe unit and everything but its size.
pub fn minimum_log_blocks(geometry: &Geometry) -> u64 {
    log_blocks_for(geometry, largest_reservation(geometry))
}

/// As [`minimum_log_blocks`], for a log that also has room for untorn writes of `blocks`
/// blocks by copy on write; `None` if no log has.
pub fn minimum_log_blocks_for_untorn(geometry: &Geometry, blocks: u64) -> Option<u64> {
    let mut reservations = Reservations::new(geometry);
    reservations.atomic_ioend.log_bytes = untorn_log_bytes(geometry, blocks)?;
    Some(log_blocks_for(geometry, largest_of(geometry, reservations)))
}

fn log_blocks_for(geometry: &Geometry, largest: Reservation) -> u64 {
    let stripe_unit = geometry.log.stripe_unit;
    let bytes = log_space(largest.log_bytes, stripe_unit) * u64::from(largest.log_count.max(1));
    let sectors = bytes.div_ceil(512);
    let sectors = if stripe_unit > 1 {
        let stripe = u64::from(stripe_unit).div_ceil(512);
        sectors.next_multiple_of(stripe) + 2 * stripe
    } else {
        sectors + 2 * 512
    };
    let blocks = (sectors * MINIMUM_LOG_FACTOR).div_ceil(geometry.daddrs_per_block());
    blocks.max(MINIMUM_LOG_BLOCKS)
}

/// Bytes of the log that a transaction of `log_bytes` may take at worst: with its own
/// headers, log record headers of the largest records, and padding to the stripe unit.
pub fn log_space(log_bytes: u64, log_stripe_unit: u32) -> u64 {
    let header = MAX_RECORD / RECORD_HEADER_COVERS * 512;
    let payload = MAX_RECORD - header;
    let mut bytes = log_bytes + 2 * OPERATION_HEADER + TRANSACTION_HEADER;
    let mut records = bytes.div_ceil(payload);
    bytes += OPERATION_HEADER * records;
    // Splitting over records costs operation headers, which may cost another record.
    while bytes.div_ceil(payload) > records {
        bytes += OPERATION_HEADER;
        records += 1;
    }
    let padding = if log_stripe_unit > 1 { u64::from(log_stripe_unit) } else { 512 };
    bytes + header * records + header + 2 * padding
}

/// Which rules a write or truncate is calculated by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Now,
    /// Reference counts changed in the same transaction as the free space.
    BeforeDeferredReferenceCounts,
}

struct Calculator<'a> {
    geometry: &'a Geometry,
    levels: MaxLevels,
    block: u64,
    sector: u64,
}

impl<'a> Calculator<'a> {
    fn new(geometry: &'a Geometry, levels: MaxLevels) -> Self {
        let (block, sector) = (geometry.block_size.into(), geometry.sector_size.into());
        Self { geometry, levels, block, sector }
    }

    fn buffers(&self, count: u64, size: u64) -> u64 {
        count * (size + BUFFER_OVERHEAD)
    }

    fn sectors(&self, count: u64) -> u64 {
        self.buffers(count, self.sector)
    }

    fn blocks(&self, count: u64) -> u64 {
        self.buffers(count, self.block)
    }

    /// Inodes are logged with whole in-memory btree roots, headers included.
    fn inodes(&self, count: u64) -> u64 {
        let size = u64::from(self.geometry.inode.size);
        count * (4 * OPERATION_HEADER + INODE_LOG_FORMAT + size + 2 * LONG_BTREE_HEADER)
    }

    /// Btree blocks that allocating or freeing `extents` may change: two per level, the
    /// root once, in each tree of free space and reverse mappings.
    fn free_space_blocks(&self, extents: u64) -> u64 {
        let mut blocks = extents * 2 * (2 * u64::from(self.levels.alloc) - 1);
        if self.geometry.features.rmapbt {
            blocks += extents * (2 * u64::from(self.levels.rmap) - 1);
        }
        blocks
    }

    fn reference_count_blocks(&self, extents: u64) -> u64 {
        extents * (2 * u64::from(self.levels.refcount) - 1)
    }

    /// Extent btree blocks that mapping `extents` more may need.
    fn extent_btree_blocks(&self, extents: u64, height: u32) -> u64 {
        let fanout = u64::from(self.geometry.max_records(BtreeKind::Bno, true));
        extents.div_ceil(fanout - fanout / 2) * u64::from(height - 1)
    }

    fn directory_blocks(&self) -> u64 {
        u64::from(self.geometry.dir.fs_blocks)
    }

    /// Blocks that one directory operation may change.
    fn directory_operation_blocks(&self) -> u64 {
        let per_block = self.directory_blocks();
        let depth = DA_NODE_MAX_DEPTH + 2;
        depth * per_block + depth * self.extent_btree_blocks(per_block, self.levels.bmap_data) + 1
    }

    fn inode_btree(&self) -> u64 {
        self.blocks(u64::from(self.levels.inobt)) + self.blocks(self.free_space_blocks(1))
    }

    fn free_inode_btree(&self) -> u64 {
        if self.geometry.features.finobt { self.inode_btree() } else { 0 }
    }

    fn reference_counts(&self, extents: u64) -> u64 {
        if !self.geometry.features.reflink {
            return 0;
        }
        self.sectors(extents) + self.blocks(self.reference_count_blocks(extents))
    }

    /// What one step of a deferred operation may log: an extent changes in the trees of its
    /// group, one of which is the tree of reference counts, and in a file's.
    fn deferred_step(&self) -> u64 {
        let levels = if self.geometry.features.reflink { self.levels.refcount } else { 0 };
        let group = self.sectors(3) + self.blocks(self.free_space_blocks(1) + u64::from(levels));
        let file = QUOTA + self.inodes(1) + self.blocks(u64::from(self.levels.bmap_data) + 1);
        group.max(file)
    }

    fn old_reference_counts(&self, extents: u64) -> u64 {
        if self.geometry.features.reflink {
            self.blocks(self.reference_count_blocks(extents))
        } else {
            0
        }
    }

    fn write(&self, era: Era) -> u64 {
        let map = self.inodes(1)
            + self.blocks(self.levels.bmap_data.into())
            + self.sectors(3)
            + self.blocks(self.free_space_blocks(2));
        let free = self.sectors(5) + self.blocks(self.free_space_blocks(2));
        let map = map.max(self.realtime_map());
        QUOTA
            + match era {
                Era::Now => map.max(free).max(self.reference_counts(1)),
                Era::BeforeDeferredReferenceCounts => map.max(free) + self.old_reference_counts(2),
            }
    }

    /// Mapping one realtime extent.
    fn realtime_map(&self) -> u64 {
        if !self.geometry.features.realtime {
            return 0;
        }
        let blocks =
            u64::from(self.levels.bmap_data) + self.realtime_blocks(1) + self.free_space_blocks(1);
        self.inodes(1) + self.sectors(3) + self.blocks(blocks)
    }

    /// Freeing two realtime extents.
    fn realtime_unmap(&self) -> u64 {
        if !self.geometry.features.realtime {
            return 0;
        }
        self.sectors(5) + self.blocks(self.realtime_blocks(2) + self.free_space_blocks(2))
    }

    /// Blocks of realtime metadata that taking or freeing `extents` extents of the greatest
    /// length changes: the bitmap's, and one of the summary. Btrees of realtime groups are
    /// changed in transactions of their own.
    fn realtime_blocks(&self, extents: u64) -> u64 {
        let section = &self.geometry.realtime;
        if self.geometry.features.zoned {
            return 0;
        }
        let bytes = u64::from(WORD_LEN) * u64::from(section.words_per_block);
        extents * (u64::from(super::extent::MAX_LEN / 8).div_ceil(bytes) + 1)
    }

    fn truncate(&self, era: Era) -> u64 {
        let unmap = self.inodes(1) + self.blocks(u64::from(self.levels.bmap_data) + 1);
        let free = self.sectors(9) + self.blocks(self.free_space_blocks(4));
        let unmap = unmap.max(self.realtime_unmap());
        QUOTA
            + match era {
                Era::Now => unmap.max(free).max(self.reference_counts(2)),
                Era::BeforeDeferredReferenceCounts => {
                    unmap.max(free + self.old_reference_counts(4))
                }
            }
    }

    fn quota_allocation(&self, era: Era) -> u64 {
        self.write(era) + self.buffers(1, self.block - 1)
    }

    fn inode_cluster(&self) -> u64 {
        u64::from(self.geometry.inode.blocks_per_cluster) * self.block
    }

    fn unlinked_add(&self) -> u64 {
        self.sectors(1) + self.inode_cluster()
    }

    fn unlinked_remove(&self) -> u64 {
        self.sectors(1) + 2 * self.inode_cluster()
    }

    fn inode_allocation(&self) -> u64 {
        self.sectors(2)
            + self.sector
            + self.blocks(self.free_space_blocks(1))
            + self.inode_btree()
            + self.free_inode_btree()
    }

    fn create(&self, attribute: u64) -> u64 {
        let modify = self.inodes(2)
            + self.sectors(1)
            + self.block
            + self.blocks(self.directory_operation_blocks())
            + self.free_inode_btree();
        self.with_parent(self.inode_allocation().max(modify), attribute, PARENT_LINK)
    }

    /// Adds what parent pointers need: each transaction of the chain may change the
    /// attribute, and carries the intents that are still open.
    fn with_parent(&self, bytes: u64, attribute: u64, intents: u64) -> u64 {
        QUOTA + if self.geometry.features.parent { bytes.max(attribute) + intents } else { bytes }
    }

    fn rename(&self, set: u64, remove: u64) -> u64 {
        let change = self.inodes(5) + self.blocks(2 * self.directory_operation_blocks());
        let free = self.sectors(7) + self.blocks(self.free_space_blocks(3));
        let plain = PARENT_REPLACE + 2 * PARENT_LINK;
        self.with_parent(change.max(free), set.max(remove), plain.max(2 * PARENT_REPLACE))
    }

    fn link(&self, set: u64) -> u64 {
        let change = self.inodes(2) + self.blocks(self.directory_operation_blocks());
        let free = self.sectors(3) + self.blocks(self.free_space_blocks(1));
        self.unlinked_remove() + self.with_parent(change.max(free), set, PARENT_LINK)
    }

    fn remove(&self, attribute: u64) -> u64 {
        let change = self.inodes(2) + self.blocks(self.directory_operation_blocks());
        let free = self.sectors(5) + self.blocks(self.free_space_blocks(2));
        self.unlinked_add() + self.with_parent(change.max(free), attribute, PARENT_LINK)
    }

    fn inode_free(&self) -> u64 {
        QUOTA
            + self.inodes(1)
            + self.sectors(3)
            + self.unlinked_remove()
            + self.blocks(self.free_space_blocks(1))
            + self.buffers(self.geometry.inode.alloc_blocks.into(), 0)
            + self.inode_btree()
            + self.free_inode_btree()
    }

    fn add_attribute_fork(&self) -> u64 {
        let map = self.extent_btree_blocks(self.directory_blocks(), self.levels.bmap_data);
        QUOTA
            + self.inodes(1)
            + self.sectors(2)
            + self.buffers(1, u64::from(self.geometry.dir.block_size))
            + self.blocks(map + 1)
            + self.blocks(self.free_space_blocks(1))
    }

    fn attribute_set(&self) -> u64 {
        QUOTA + self.inodes(1) + self.sectors(1) + self.blocks(DA_NODE_MAX_DEPTH)
    }

    fn attribute_remove(&self) -> u64 {
        let change = self.inodes(1)
            + self.blocks(DA_NODE_MAX_DEPTH)
            + self.block * u64::from(self.levels.bmap_attr)
            + self.buffers(self.levels.bmap_data.into(), 0);
        let free = self.sectors(5) + self.blocks(self.free_space_blocks(2));
        QUOTA + change.max(free)
    }

    fn attribute_fork_removal(&self) -> u64 {
        let unmap = self.inodes(1) + self.blocks(self.levels.bmap_attr.into());
        unmap.max(self.sectors(9) + self.blocks(self.free_space_blocks(4)))
    }

    fn all(&self, era: Era) -> Reservations {
        let permanent = Reservation::permanent;
        // One roll each for mapping, reference count and reverse mapping intents.
        let (rmap, reflink) = (self.geometry.features.rmapbt, self.geometry.features.reflink);
        let rolls = 2 + u32::from(rmap || reflink) + u32::from(reflink) + u32::from(rmap);
        let parent_rolls = if self.geometry.features.parent { 3 } else { 0 };
        let attrsetm = permanent(self.attribute_set(), 3);
        let attrrm = permanent(self.attribute_remove(), 3);
        let (set, remove) = (attrsetm.log_bytes, attrrm.log_bytes);
        let itruncate = permanent(self.truncate(era), rolls);
        Reservations {
            write: permanent(self.write(era), rolls),
            itruncate,
            rename: permanent(self.rename(set, remove), 2 + parent_rolls),
            link: permanent(self.link(set), 2 + parent_rolls),
            remove: permanent(self.remove(remove), 2 + parent_rolls),
            symlink: permanent(self.create(set) + self.buffers(1, SYMLINK_MAX), 3 + parent_rolls),
            create: permanent(self.create(set), 2 + parent_rolls),
            create_tmpfile: permanent(QUOTA + self.inode_allocation() + self.unlinked_add(), 2),
            mkdir: permanent(self.create(set), 3 + parent_rolls),
            ifree: permanent(self.inode_free(), 2),
            ichange: Reservation::single(QUOTA + self.inodes(1) + self.sectors(1), 0),
            growdata: permanent(self.sectors(3) + self.blocks(self.free_space_blocks(1)), 2),
            addafork: permanent(self.add_attribute_fork(), 2),
            writeid: Reservation::single(self.inodes(1), 0),
            attrinval: permanent(self.attribute_fork_removal(), 1),
            attrsetm,
            attrsetrt: Reservation::single(
                self.sectors(1) + self.blocks(self.levels.bmap_attr.into()),
                0,
            ),
            attrrm,
            clearagi: Reservation::single(self.sectors(1), 0),
            growrtalloc: permanent(
                self.sectors(2)
                    + self.blocks(self.levels.bmap_data.into())
                    + self.inodes(1)
                    + self.blocks(self.free_space_blocks(1)),
                2,
            ),
            growrtzero: Reservation::single(self.blocks(1), 0),
            growrtfree: Reservation::single(
                self.sectors(1) + self.inodes(2) + self.blocks(1) + self.buffers(1, 0),
                0,
            ),
            qm_setqlim: Reservation::single(self.buffers(1, DISK_DQUOT), 1),
            qm_dqalloc: permanent(self.quota_allocation(era), rolls),
            sb: Reservation::single(self.sectors(1), 1),
            fsyncts: Reservation::single(self.inodes(1), 0),
            atomic_ioend: itruncate,
            deferred_step: self.deferred_step(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::features::Version;
    use crate::format::superblock::Dsb;
    use zerocopy::FromZeros;

    /// One line of xfsprogs.txt.
    struct Case {
        options: &'static str,
        geometry: Geometry,
        reservations: Vec<(u64, u32)>,
        largest: (u64, u32),
        minimum_log_blocks: u64,
    }

    fn cases() -> Vec<Case> {
        let lines = include_str!("xfsprogs.txt").lines();
        lines.filter(|line| !line.starts_with('#')).map(case).collect()
    }

    fn case(line: &'static str) -> Case {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let [options, fields, reservations, largest, minimum] = columns[..] else {
            panic!("{line}")
        };
        let number = |word: &str| match word.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
            None => word.parse().unwrap(),
        };
        let fields: Vec<u32> = fields.split(' ').map(number).collect();
        let pair = |word: &str| {
            let (bytes, count) = word.split_once('*').unwrap();
            (bytes.parse().unwrap(), count.parse().unwrap())
        };
        Case {
            options,
            geometry: geometry(&fields),
            reservations: reservations.split(' ').map(pair).collect(),
            largest: pair(largest),
            minimum_log_blocks: minimum.parse().unwrap(),
        }
    }

    /// The geometry of a filesystem of four groups that has these superblock fields.
    fn geometry(fields: &[u32]) -> Geometry {
        let [block, sector, inode, dir, agblocks, inoalignmt, logsunit, ro_compat, incompat] =
            fields[..]
        else {
            panic!("{fields:?}")
        };
        let log = |size: u32| size.ilog2() as u8;
        let mut sb = Dsb::new_zeroed();
        (sb.blocklog, sb.sectlog, sb.inodelog) = (log(block), log(sector), log(inode));
        (sb.inopblog, sb.dirblklog) = (log(block / inode), log(dir / block));
        (sb.agblocks, sb.agblklog) = (agblocks.into(), log(agblocks.next_power_of_two()));
        (sb.agcount, sb.dblocks) = (4.into(), (4 * u64::from(agblocks)).into());
        (sb.inoalignmt, sb.logsunit) = (inoalignmt.into(), logsunit.into());
        (sb.features_ro_compat, sb.features_incompat) = (ro_compat.into(), incompat.into());
        sb.versionnum = Version::ALIGN.bits().into();
        Geometry::new(&sb).unwrap()
    }

    #[test]
    fn reservations_are_those_of_xfs_db() {
        for case in cases() {
            let ours = Reservations::new(&case.geometry).numbered();
            for (number, (ours, theirs)) in ours.iter().zip(&case.reservations).enumerate() {
                assert_eq!(
                    (ours.log_bytes, ours.log_count),
                    *theirs,
                    "type {number} of mkfs.xfs {}",
                    case.options
                );
            }
        }
    }

    #[test]
    fn smallest_log_is_that_of_mkfs() {
        for case in cases() {
            let largest = largest_reservation(&case.geometry);
            assert_eq!((largest.log_bytes, largest.log_count), case.largest, "{}", case.options);
            assert_eq!(
                minimum_log_blocks(&case.geometry),
                case.minimum_log_blocks,
                "{}",
                case.options
            );
        }
    }
}
