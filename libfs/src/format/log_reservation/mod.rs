//! How much log space each kind of transaction may need, and from that the smallest log.
//!
//! Linux refuses to mount a filesystem whose log is smaller than
//! [`Shape::minimum_log_blocks`], so these numbers are part of the format although they
//! are stored nowhere. They were checked against `xfs_db -c logres` of xfsprogs 7.2.
//! Realtime volumes need more than is counted here; they are not supported yet.

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
/// Header of a short-form btree block with checksum.
const SHORT_BTREE_HEADER: u64 = 56;
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
const OLD_REFLINK_RMAP_HEIGHT: u64 = 9;
/// Rolls of a write or truncate that were assumed when reflink was young.
const OLD_REFLINK_ROLLS: u32 = 8;
/// The log must hold this many of the largest transactions.
const MINIMUM_LOG_FACTOR: u64 = 3;
/// Fewest blocks of any log.
const MINIMUM_LOG_BLOCKS: u64 = 512;
/// Largest log record, in bytes, and what one header of it describes.
const MAX_RECORD: u64 = 256 * 1024;
const RECORD_HEADER_COVERS: u64 = 32 * 1024;

/// What a filesystem looks like, as far as it decides how much a transaction logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Bytes in a filesystem block.
    pub block_size: u32,
    /// Bytes in a sector (the size of the superblock, AGF, AGI and AGFL).
    pub sector_size: u32,
    /// Bytes in an inode.
    pub inode_size: u32,
    /// Bytes in a directory block.
    pub directory_block_size: u32,
    /// Blocks in an allocation group.
    pub ag_blocks: u32,
    /// `sb_inoalignmt`: alignment of inode chunks in blocks.
    pub inode_alignment: u32,
    /// Log stripe unit in bytes as in `sb_logsunit` (0 or 1: none).
    pub log_stripe_unit: u32,
    /// Free inode btrees exist.
    pub free_inode_btree: bool,
    /// Reverse mapping btrees exist.
    pub reverse_mapping: bool,
    /// Reference count btrees exist.
    pub reflink: bool,
    /// Inodes may have 64-bit extent counts.
    pub large_extent_counts: bool,
    /// Files have parent pointers.
    pub parent_pointers: bool,
}

/// Greatest heights that the btrees of a filesystem can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heights {
    /// Free space btrees, by block and by size.
    pub allocation: u64,
    /// Reverse mapping btree; 0 without it.
    pub reverse_mapping: u64,
    /// Reference count btree; 0 without it.
    pub reference_count: u64,
    /// Inode and free inode btrees.
    pub inode: u64,
    /// Extent btree of a data fork.
    pub data_fork: u64,
    /// Extent btree of an attribute fork.
    pub attribute_fork: u64,
}

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
}

impl Reservations {
    /// What transactions reserve on a filesystem of this shape.
    pub fn new(shape: &Shape) -> Self {
        Calculator::new(shape, shape.heights()).all(Era::Now)
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

impl Shape {
    /// Greatest heights of the btrees.
    pub fn heights(&self) -> Heights {
        let block = u64::from(self.block_size);
        let ag_blocks = u64::from(self.ag_blocks);
        let short =
            |record, node_entry| Fanout::minimum(block - SHORT_BTREE_HEADER, record, node_entry);
        let long = Fanout::minimum(block - LONG_BTREE_HEADER, 16, 16);
        let reverse_mapping = short(24, 44);
        Heights {
            allocation: short(8, 12).height(ag_blocks.div_ceil(2)),
            reverse_mapping: match (self.reverse_mapping, self.reflink) {
                (false, _) => 0,
                // Every block may have many owners, so only the space bounds the tree.
                (true, true) => reverse_mapping.height_filling(ag_blocks),
                (true, false) => reverse_mapping.height(ag_blocks),
            },
            reference_count: if self.reflink { short(12, 8).height(ag_blocks) } else { 0 },
            inode: short(16, 8).height(self.inode_numbers_per_ag() / 64),
            data_fork: long.height_under_root(
                if self.large_extent_counts { (1 << 48) - 1 } else { (1 << 31) - 1 },
                3,
            ),
            attribute_fork: long.height_under_root(
                if self.large_extent_counts { (1 << 32) - 1 } else { (1 << 15) - 1 },
                2,
            ),
        }
    }

    /// How many inode numbers an allocation group has, used or not (a power of two).
    fn inode_numbers_per_ag(&self) -> u64 {
        u64::from(self.ag_blocks).next_power_of_two() * u64::from(self.block_size / self.inode_size)
    }

    /// Blocks of an inode chunk, at least one.
    fn inode_chunk_blocks(&self) -> u64 {
        let per_block = self.block_size / self.inode_size;
        u64::from(per_block.max(64) / per_block)
    }

    /// Bytes in the buffer that inodes are read and written by.
    fn inode_cluster_size(&self) -> u64 {
        let block = u64::from(self.block_size);
        let desired = 8192 * u64::from(self.inode_size / 256);
        let size = if u64::from(self.inode_alignment) >= desired / block { desired } else { 8192 };
        size.max(block)
    }

    /// The largest of all reservations as it decides the size of the log: the bytes of one
    /// transaction, and how many of them. Older filesystems keep the (larger) numbers that
    /// Linux calculated when their newest feature was young.
    pub fn largest_reservation(&self) -> Reservation {
        let now = Reservations::new(self);
        let all =
            if self.parent_pointers { now } else { self.reservations_before_parent_pointers() };
        let mut largest = Reservation::default();
        for reservation in all.numbered() {
            if reservation.total() > largest.total() {
                largest = reservation;
            }
        }
        let attribute = self.largest_attribute_bytes(&now);
        if attribute > largest.total() {
            largest = Reservation { log_bytes: attribute, ..all.attrsetm };
        }
        largest
    }

    fn reservations_before_parent_pointers(&self) -> Reservations {
        let mut heights = self.heights();
        if self.reverse_mapping && self.reflink {
            heights.reverse_mapping = OLD_REFLINK_RMAP_HEIGHT;
        }
        let calculator = Calculator::new(self, heights);
        let mut all = calculator.all(Era::Now);
        let old = calculator.all(Era::BeforeDeferredReferenceCounts);
        for (new, old) in [
            (&mut all.write, old.write),
            (&mut all.itruncate, old.itruncate),
            (&mut all.qm_dqalloc, old.qm_dqalloc),
        ] {
            new.log_bytes = old.log_bytes;
            if self.reflink {
                new.log_count = OLD_REFLINK_ROLLS;
            } else if self.reverse_mapping {
                new.log_count = 2;
            }
        }
        all
    }

    /// Bytes to set the largest attribute value that is stored in a leaf.
    fn largest_attribute_bytes(&self, reservations: &Reservations) -> u64 {
        let block = u64::from(self.block_size);
        let value = block / 2 + block / 4 - 256 - 1;
        let value_blocks = value.div_ceil(block);
        let calculator = Calculator::new(self, self.heights());
        let height = calculator.heights.attribute_fork;
        // Linux once took bytes for blocks here; old filesystems keep the surplus.
        let extents = if self.parent_pointers { value_blocks } else { value };
        let blocks = DA_NODE_MAX_DEPTH * height
            + value_blocks
            + calculator.extent_btree_blocks(extents, height);
        reservations.attrsetm.log_bytes + reservations.attrsetrt.log_bytes * blocks
    }

    /// Fewest blocks that the log may have.
    pub fn minimum_log_blocks(&self) -> u64 {
        let largest = self.largest_reservation();
        let unit = log_space(largest.log_bytes, self.log_stripe_unit)
            * u64::from(largest.log_count.max(1));
        let sectors = unit.div_ceil(512);
        let sectors = if self.log_stripe_unit > 1 {
            let stripe = u64::from(self.log_stripe_unit).div_ceil(512);
            sectors.next_multiple_of(stripe) + 2 * stripe
        } else {
            sectors + 2 * 512
        };
        let blocks = (sectors * MINIMUM_LOG_FACTOR).div_ceil(u64::from(self.block_size / 512));
        blocks.max(MINIMUM_LOG_BLOCKS)
    }
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

/// Fewest records or entries in a leaf and in a node of a btree.
struct Fanout {
    leaf: u64,
    node: u64,
}

impl Fanout {
    fn minimum(space: u64, record: u64, node_entry: u64) -> Self {
        Self { leaf: space / record / 2, node: space / node_entry / 2 }
    }

    /// Height of the tree that holds `records` in the emptiest blocks allowed.
    fn height(&self, records: u64) -> u64 {
        let mut blocks = records.div_ceil(self.leaf);
        let mut height = 1;
        while blocks > 1 {
            blocks = blocks.div_ceil(self.node);
            height += 1;
        }
        height
    }

    /// Height of the tallest tree that fits into `blocks`.
    fn height_filling(&self, blocks: u64) -> u64 {
        let mut level = 2;
        let mut left = blocks.saturating_sub(1);
        let mut height = 1;
        while level < left {
            left -= level;
            level *= self.node;
            height += 1;
        }
        height
    }

    /// Height of a tree whose root lies in an inode and has room for `root` pointers.
    fn height_under_root(&self, records: u64, root: u64) -> u64 {
        let mut blocks = records.div_ceil(self.leaf);
        let mut height = 1;
        while blocks > 1 {
            blocks = if blocks <= root { 1 } else { blocks.div_ceil(self.node) };
            height += 1;
        }
        height
    }
}

/// Which rules a write or truncate is calculated by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Era {
    Now,
    /// Reference counts changed in the same transaction as the free space.
    BeforeDeferredReferenceCounts,
}

struct Calculator<'a> {
    shape: &'a Shape,
    heights: Heights,
    block: u64,
    sector: u64,
}

impl<'a> Calculator<'a> {
    fn new(shape: &'a Shape, heights: Heights) -> Self {
        Self {
            shape,
            heights,
            block: u64::from(shape.block_size),
            sector: u64::from(shape.sector_size),
        }
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
        let size = u64::from(self.shape.inode_size);
        count * (4 * OPERATION_HEADER + INODE_LOG_FORMAT + size + 2 * LONG_BTREE_HEADER)
    }

    /// Btree blocks that allocating or freeing `extents` may change: two per level, the
    /// root once, in each tree of free space and reverse mappings.
    fn free_space_blocks(&self, extents: u64) -> u64 {
        let mut blocks = extents * 2 * (2 * self.heights.allocation - 1);
        if self.shape.reverse_mapping {
            blocks += extents * (2 * self.heights.reverse_mapping - 1);
        }
        blocks
    }

    fn reference_count_blocks(&self, extents: u64) -> u64 {
        extents * (2 * self.heights.reference_count - 1)
    }

    /// Extent btree blocks that mapping `extents` more may need.
    fn extent_btree_blocks(&self, extents: u64, height: u64) -> u64 {
        let fanout = (self.block - SHORT_BTREE_HEADER) / 8;
        extents.div_ceil(fanout - fanout / 2) * (height - 1)
    }

    fn directory_blocks(&self) -> u64 {
        u64::from((self.shape.directory_block_size / self.shape.block_size).max(1))
    }

    /// Blocks that one directory operation may change.
    fn directory_operation_blocks(&self) -> u64 {
        let per_block = self.directory_blocks();
        let depth = DA_NODE_MAX_DEPTH + 2;
        depth * per_block + depth * self.extent_btree_blocks(per_block, self.heights.data_fork) + 1
    }

    fn inode_btree(&self) -> u64 {
        self.blocks(self.heights.inode) + self.blocks(self.free_space_blocks(1))
    }

    fn free_inode_btree(&self) -> u64 {
        if self.shape.free_inode_btree { self.inode_btree() } else { 0 }
    }

    fn reference_counts(&self, extents: u64) -> u64 {
        if !self.shape.reflink {
            return 0;
        }
        self.sectors(extents) + self.blocks(self.reference_count_blocks(extents))
    }

    fn old_reference_counts(&self, extents: u64) -> u64 {
        if self.shape.reflink { self.blocks(self.reference_count_blocks(extents)) } else { 0 }
    }

    fn write(&self, era: Era) -> u64 {
        let map = self.inodes(1)
            + self.blocks(self.heights.data_fork)
            + self.sectors(3)
            + self.blocks(self.free_space_blocks(2));
        let free = self.sectors(5) + self.blocks(self.free_space_blocks(2));
        QUOTA
            + match era {
                Era::Now => map.max(free).max(self.reference_counts(1)),
                Era::BeforeDeferredReferenceCounts => map.max(free) + self.old_reference_counts(2),
            }
    }

    fn truncate(&self, era: Era) -> u64 {
        let unmap = self.inodes(1) + self.blocks(self.heights.data_fork + 1);
        let free = self.sectors(9) + self.blocks(self.free_space_blocks(4));
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

    fn unlinked_add(&self) -> u64 {
        self.sectors(1) + self.shape.inode_cluster_size()
    }

    fn unlinked_remove(&self) -> u64 {
        self.sectors(1) + 2 * self.shape.inode_cluster_size()
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
        QUOTA + if self.shape.parent_pointers { bytes.max(attribute) + intents } else { bytes }
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
            + self.buffers(self.shape.inode_chunk_blocks(), 0)
            + self.inode_btree()
            + self.free_inode_btree()
    }

    fn add_attribute_fork(&self) -> u64 {
        let map = self.extent_btree_blocks(self.directory_blocks(), self.heights.data_fork);
        QUOTA
            + self.inodes(1)
            + self.sectors(2)
            + self.buffers(1, u64::from(self.shape.directory_block_size))
            + self.blocks(map + 1)
            + self.blocks(self.free_space_blocks(1))
    }

    fn attribute_set(&self) -> u64 {
        QUOTA + self.inodes(1) + self.sectors(1) + self.blocks(DA_NODE_MAX_DEPTH)
    }

    fn attribute_remove(&self) -> u64 {
        let change = self.inodes(1)
            + self.blocks(DA_NODE_MAX_DEPTH)
            + self.block * self.heights.attribute_fork
            + self.buffers(self.heights.data_fork, 0);
        let free = self.sectors(5) + self.blocks(self.free_space_blocks(2));
        QUOTA + change.max(free)
    }

    fn attribute_fork_removal(&self) -> u64 {
        let unmap = self.inodes(1) + self.blocks(self.heights.attribute_fork);
        unmap.max(self.sectors(9) + self.blocks(self.free_space_blocks(4)))
    }

    fn all(&self, era: Era) -> Reservations {
        let permanent = Reservation::permanent;
        // One roll each for mapping, reference count and reverse mapping intents.
        let (rmap, reflink) = (self.shape.reverse_mapping, self.shape.reflink);
        let rolls = 2 + u32::from(rmap || reflink) + u32::from(reflink) + u32::from(rmap);
        let parent_rolls = if self.shape.parent_pointers { 3 } else { 0 };
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
                self.sectors(1) + self.blocks(self.heights.attribute_fork),
                0,
            ),
            attrrm,
            clearagi: Reservation::single(self.sectors(1), 0),
            growrtalloc: permanent(
                self.sectors(2)
                    + self.blocks(self.heights.data_fork)
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line of xfsprogs.txt.
    struct Case {
        options: &'static str,
        shape: Shape,
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
        let [options, shape, reservations, largest, minimum] = columns[..] else {
            panic!("{line}")
        };
        let number = |word: &str| match word.strip_prefix("0x") {
            Some(hex) => u32::from_str_radix(hex, 16).unwrap(),
            None => word.parse().unwrap(),
        };
        let shape: Vec<u32> = shape.split(' ').map(number).collect();
        let pair = |word: &str| {
            let (bytes, count) = word.split_once('*').unwrap();
            (bytes.parse().unwrap(), count.parse().unwrap())
        };
        Case {
            options,
            shape: Shape {
                block_size: shape[0],
                sector_size: shape[1],
                inode_size: shape[2],
                directory_block_size: shape[3],
                ag_blocks: shape[4],
                inode_alignment: shape[5],
                log_stripe_unit: shape[6],
                free_inode_btree: shape[7] & 1 != 0,
                reverse_mapping: shape[7] & 2 != 0,
                reflink: shape[7] & 4 != 0,
                large_extent_counts: shape[8] & 0x20 != 0,
                parent_pointers: shape[8] & 0x80 != 0,
            },
            reservations: reservations.split(' ').map(pair).collect(),
            largest: pair(largest),
            minimum_log_blocks: minimum.parse().unwrap(),
        }
    }

    #[test]
    fn reservations_are_those_of_xfs_db() {
        for case in cases() {
            let ours = Reservations::new(&case.shape).numbered();
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
            let largest = case.shape.largest_reservation();
            assert_eq!((largest.log_bytes, largest.log_count), case.largest, "{}", case.options);
            assert_eq!(
                case.shape.minimum_log_blocks(),
                case.minimum_log_blocks,
                "{}",
                case.options
            );
        }
    }
}
