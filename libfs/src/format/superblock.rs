//! The superblock: first sector of every allocation group. The copy in group 0 counts;
//! the others are for recovery from damage.

use super::features::{Features2, Incompat, LogIncompat, QuotaFlags, RoCompat, Version};
use super::realtime_geometry::RealtimeGeometry;
use super::{Check, assert_layout, checksum, overlay, realtime};
use crate::{At, Error, Result};
use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian::U32 as LeU32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// "XFSB".
pub const MAGIC: u32 = 0x5846_5342;
/// Byte offset of the checksum.
pub const CRC_OFFSET: usize = std::mem::offset_of!(Dsb, crc);
/// Bytes of a filesystem label; no terminating zero when it is full.
pub const LABEL_MAX: usize = 12;
/// Smallest number of blocks in the last allocation group (`XFS_MIN_AG_BLOCKS`).
pub const MIN_AG_BLOCKS: u32 = 64;

/// Most blocks of a log.
pub const MAX_LOG_BLOCKS: u32 = 1 << 20;

const NAME: &str = "superblock";

/// The superblock as it lies on disk (`struct xfs_dsb`), field names as xfs_db prints them.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Dsb {
    /// [`MAGIC`].
    pub magicnum: U32,
    /// Block size in bytes.
    pub blocksize: U32,
    /// Blocks on the data device.
    pub dblocks: U64,

    /// Blocks on the realtime device.
    pub rblocks: U64,
    /// Extents on the realtime device.
    pub rextents: U64,

    /// UUID that users see.
    pub uuid: [u8; 16],

    /// First block of the internal log, 0 if the log is external.
    pub logstart: U64,
    /// Inode of the root directory.
    pub rootino: U64,

    /// Inode of the realtime bitmap.
    pub rbmino: U64,
    /// Inode of the realtime summary.
    pub rsumino: U64,

    /// Realtime extent size in blocks.
    pub rextsize: U32,
    /// Blocks in an allocation group (the last may have fewer).
    pub agblocks: U32,
    /// Number of allocation groups.
    pub agcount: U32,
    /// Blocks of the realtime bitmap.
    pub rbmblocks: U32,

    /// Blocks in the log.
    pub logblocks: U32,
    /// [`Version`].
    pub versionnum: U16,
    /// Sector size in bytes.
    pub sectsize: U16,
    /// Inode size in bytes.
    pub inodesize: U16,
    /// Inodes in a block.
    pub inopblock: U16,
    /// Label, padded with zeros.
    pub fname: [u8; LABEL_MAX],
    /// log2 of the block size.
    pub blocklog: u8,
    /// log2 of the sector size.
    pub sectlog: u8,
    /// log2 of the inode size.
    pub inodelog: u8,
    /// log2 of the inodes in a block.
    pub inopblog: u8,
    /// log2 of `agblocks`, rounded up.
    pub agblklog: u8,
    /// log2 of `rextents`, rounded down.
    pub rextslog: u8,
    /// Nonzero while mkfs has not finished.
    pub inprogress: u8,
    /// Percentage of the space that inodes may take; 0 for no limit.
    pub imax_pct: u8,

    /// Allocated inodes.
    pub icount: U64,
    /// Free inodes among them.
    pub ifree: U64,

    /// Free blocks on the data device.
    pub fdblocks: U64,
    /// Free extents on the realtime device.
    pub frextents: U64,

    /// User quota inode.
    pub uquotino: U64,
    /// Group quota inode.
    pub gquotino: U64,

    /// [`QuotaFlags`].
    pub qflags: U16,
    /// 1 for "read-only mounts only"; nothing sets it.
    pub flags: u8,
    /// Always 0.
    pub shared_vn: u8,
    /// Alignment of inode chunks in blocks.
    pub inoalignmt: U32,
    /// Stripe unit in blocks.
    pub unit: U32,
    /// Stripe width in blocks.
    pub width: U32,

    /// log2 of the blocks in a directory block.
    pub dirblklog: u8,
    /// log2 of the log's sector size, 0 for 512.
    pub logsectlog: u8,
    /// Sector size of the log in bytes, 0 for 512.
    pub logsectsize: U16,
    /// Stripe unit of the log in bytes; 0 or 1 for none.
    pub logsunit: U32,
    /// [`Features2`].
    pub features2: U32,
    /// A copy of `features2`, misplaced by old code.
    pub bad_features2: U32,

    /// Compatible features.
    pub features_compat: U32,
    /// [`RoCompat`].
    pub features_ro_compat: U32,
    /// [`Incompat`].
    pub features_incompat: U32,
    /// [`LogIncompat`].
    pub features_log_incompat: U32,

    /// Checksum of the sector.
    pub crc: LeU32,
    /// Alignment of sparse inode chunks in blocks.
    pub spino_align: U32,
    /// Project quota inode.
    pub pquotino: U64,

    /// LSN of the last write.
    pub lsn: U64,
    /// UUID that metadata carries, if [`Incompat::META_UUID`].
    pub meta_uuid: [u8; 16],

    /// Root of the metadata directory tree.
    pub metadirino: U64,

    /// Number of realtime groups.
    pub rgcount: U32,
    /// Realtime extents in a realtime group.
    pub rgextents: U32,
    /// log2 of the blocks in a realtime group, rounded up.
    pub rgblklog: u8,
    /// Zero.
    pub pad: [u8; 7],

    /// First block of a realtime section on the data device.
    pub rtstart: U64,
    /// Blocks set aside for a zoned realtime section.
    pub rtreserved: U64,
}

assert_layout!(Dsb, 304, uuid @ 32, logstart @ 48, rextsize @ 80, logblocks @ 96, fname @ 108,
    blocklog @ 120, icount @ 128, uquotino @ 160, qflags @ 176, dirblklog @ 192,
    features2 @ 200, features_compat @ 208, crc @ 224, pquotino @ 232, meta_uuid @ 248,
    metadirino @ 264, rgcount @ 272, rtstart @ 288);

impl Dsb {
    /// The superblock at the start of `sector`, unchecked.
    ///
    /// # Errors
    ///
    /// An error is returned if `sector` is too short to hold one.
    pub fn view(sector: &[u8]) -> Result<&Self> {
        overlay(sector, NAME, At::Daddr(0))
    }

    /// `sb_versionnum` as flags.
    pub fn version(&self) -> Version {
        Version::from_bits_retain(self.versionnum.get())
    }

    /// `sb_features2` as flags.
    pub fn features2(&self) -> Features2 {
        Features2::from_bits_retain(self.features2.get())
    }

    /// `sb_features_ro_compat` as flags.
    pub fn ro_compat(&self) -> RoCompat {
        RoCompat::from_bits_retain(self.features_ro_compat.get())
    }

    /// `sb_features_incompat` as flags.
    pub fn incompat(&self) -> Incompat {
        Incompat::from_bits_retain(self.features_incompat.get())
    }

    /// `sb_features_log_incompat` as flags.
    pub fn log_incompat(&self) -> LogIncompat {
        LogIncompat::from_bits_retain(self.features_log_incompat.get())
    }

    /// `sb_qflags` as flags.
    pub fn quota_flags(&self) -> QuotaFlags {
        QuotaFlags::from_bits_retain(self.qflags.get())
    }

    /// The UUID that metadata blocks carry.
    pub fn metadata_uuid(&self) -> [u8; 16] {
        if self.incompat().contains(Incompat::META_UUID) { self.meta_uuid } else { self.uuid }
    }

    /// The label without its padding.
    pub fn label(&self) -> &[u8] {
        let end = self.fname.iter().position(|&byte| byte == 0).unwrap_or(LABEL_MAX);
        self.fname.get(..end).unwrap_or(&self.fname)
    }
}

/// A superblock that was found sound and whose features this crate knows.
#[derive(Debug, Clone)]
pub struct Superblock {
    /// The fields, in disk byte order; counters may be changed here.
    pub dsb: Dsb,
}

impl Superblock {
    /// Decodes and checks the superblock of allocation group 0 in `sector`, which must be
    /// the whole sector (the checksum covers `sb_sectsize` bytes).
    ///
    /// # Errors
    ///
    /// An error is returned if the magic number, the checksum or any field is wrong
    /// ([`Error::Corrupt`]), or if the filesystem is of version 4 or uses an incompatible
    /// feature that is unknown here ([`Error::Incompatible`]).
    pub fn decode(sector: &[u8]) -> Result<Self> {
        Self::decode_at(sector, 0)
    }

    /// Same as [`Superblock::decode`] for the copy at disk address `daddr`.
    ///
    /// # Errors
    ///
    /// As [`Superblock::decode`].
    pub fn decode_at(sector: &[u8], daddr: u64) -> Result<Self> {
        let at = At::Daddr(daddr);
        let check = Check::new(NAME, at);
        let dsb: &Dsb = overlay(sector, NAME, at)?;
        check.magic(dsb.magicnum.get(), MAGIC)?;
        let version = dsb.version().number();
        if version == 4 {
            return Err(Error::Incompatible(
                "this is a version 4 filesystem; only version 5 is supported".into(),
            ));
        }
        check.equal("version", version, Version::V5)?;
        let sectsize = usize::from(dsb.sectsize.get());
        let summed = sector
            .get(..sectsize)
            .filter(|_| (512..=32768).contains(&sectsize))
            .ok_or_else(|| check.fail(format!("sector size {sectsize}")))?;
        checksum::check(summed, CRC_OFFSET, NAME, at)?;
        let superblock = Superblock { dsb: *dsb };
        superblock.check_features()?;
        superblock.verify(daddr)?;
        Ok(superblock)
    }

    /// Why the filesystem must not be written to, if it must not: a read-only compatible
    /// feature that is unknown here.
    pub fn read_only_reason(&self) -> Option<String> {
        let unknown = self.dsb.ro_compat().unknown();
        (!unknown.is_empty())
            .then(|| format!("unknown read-only compatible features {:#x}", unknown.bits()))
    }

    /// The superblock as the first bytes of its sector. The caller pads with zeros, and
    /// stamps LSN and checksum.
    pub fn as_bytes(&self) -> &[u8] {
        self.dsb.as_bytes()
    }

    fn check_features(&self) -> Result<()> {
        let unknown = self.dsb.incompat().unknown();
        if !unknown.is_empty() {
            return Err(Error::Incompatible(format!(
                "the filesystem uses unknown incompatible features {:#x}",
                unknown.bits()
            )));
        }
        Ok(())
    }

    /// Checks every field as Linux does before a mount, at disk address `daddr`.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify(&self, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        self.verify_fields(daddr)?;
        let unfinished = self.dsb.inprogress != 0;
        check.that(daddr != 0 || !unfinished, || "mkfs never finished on it".into())
    }

    /// The same, whether or not mkfs finished.
    fn verify_fields(&self, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        self.verify_sizes(&check)?;
        self.verify_groups(&check)?;
        self.verify_inodes(&check)?;
        self.verify_log(&check)?;
        self.verify_realtime(&check)?;
        let sb = &self.dsb;
        check.equal("shared_vn", sb.shared_vn, 0)?;
        check.that(!sb.version().contains(Version::SHARED), || "shared bit is set".into())?;
        let old_quota = QuotaFlags::OQUOTA_ENFD | QuotaFlags::OQUOTA_CHKD;
        check.that(!sb.quota_flags().intersects(old_quota), || {
            format!("qflags {:#x} hold version 4 bits", sb.qflags)
        })
    }

    /// Checks what must hold of a superblock that is written at `daddr`: besides its fields,
    /// in the first one the counters too, which a mount would sum up anew.
    ///
    /// # Errors
    ///
    /// An error naming the first wrong field is returned.
    pub fn verify_for_write(&self, daddr: u64) -> Result<()> {
        let check = Check::new(NAME, At::Daddr(daddr));
        let sb = &self.dsb;
        check.magic(sb.magicnum.get(), MAGIC)?;
        check.equal("version", sb.version().number(), Version::V5)?;
        self.verify_fields(daddr)?;
        let blocks = sb.logblocks.get();
        check.that(blocks <= MAX_LOG_BLOCKS, || format!("logblocks is {blocks}"))?;
        let (count, free) = (sb.icount.get(), sb.ifree.get());
        let most = sb.dblocks.get().saturating_mul(sb.inopblock.get().into());
        check.that(daddr != 0 || count <= most, || format!("icount is {count}"))?;
        check.that(daddr != 0 || free <= count, || format!("ifree {free} of icount {count}"))?;
        let (blocks, free) = (sb.dblocks.get(), sb.fdblocks.get());
        check.that(daddr != 0 || free <= blocks, || format!("fdblocks {free} of {blocks}"))
    }

    fn verify_sizes(&self, check: &Check) -> Result<()> {
        let sb = &self.dsb;
        power(check, "sectsize", sb.sectsize.get().into(), sb.sectlog, 9..=15)?;
        power(check, "blocksize", sb.blocksize.get(), sb.blocklog, 10..=16)?;
        power(check, "inodesize", sb.inodesize.get().into(), sb.inodelog, 9..=11)?;
        check.that(sb.sectlog <= sb.blocklog, || "sectors are larger than blocks".into())?;
        let dirlog = sb.blocklog.saturating_add(sb.dirblklog);
        check.that(dirlog <= 16, || format!("directory blocks of 2^{dirlog} bytes"))?;
        check.that(sb.inodelog <= sb.blocklog, || "inodes are larger than blocks".into())?;
        let sector_bit = sb.version().contains(Version::SECTOR);
        check.that(sector_bit || sb.sectsize.get() == 512, || {
            format!("sectsize {} without the sector feature", sb.sectsize)
        })
    }

    fn verify_groups(&self, check: &Check) -> Result<()> {
        let sb = &self.dsb;
        let (count, blocks) = (u64::from(sb.agcount.get()), u64::from(sb.agblocks.get()));
        check.that(count > 0, || "agcount is 0".into())?;
        check.that(blocks >= u64::from(MIN_AG_BLOCKS), || format!("agblocks is {blocks}"))?;
        // 32 - leading zeros of (n - 1) is log2 rounded up.
        let log = u64::BITS - (blocks - 1).leading_zeros();
        check.equal("agblklog", u32::from(sb.agblklog), log)?;
        let most = count * blocks;
        let least = (count - 1) * blocks + u64::from(MIN_AG_BLOCKS);
        let dblocks = sb.dblocks.get();
        check.that((least..=most).contains(&dblocks), || {
            format!("dblocks {dblocks} does not fit {count} groups of {blocks} blocks")
        })?;
        check.that(sb.width.get() == 0 || sb.unit.get() != 0, || "width without unit".into())?;
        let (unit, width) = (sb.unit.get(), sb.width.get());
        check.that(unit == 0 || width.is_multiple_of(unit), || {
            format!("width {width} is not a multiple of unit {unit}")
        })?;
        let aligned = sb.version().contains(Version::DALIGN);
        check.that(aligned == (unit != 0), || "unit disagrees with the dalign bit".into())
    }

    fn verify_inodes(&self, check: &Check) -> Result<()> {
        let sb = &self.dsb;
        let per_block = sb.blocksize.get() >> sb.inodelog;
        check.equal("inopblock", u32::from(sb.inopblock.get()), per_block)?;
        check.equal("inopblog", sb.inopblog, sb.blocklog - sb.inodelog)?;
        check.that(sb.imax_pct <= 100, || format!("imax_pct is {}", sb.imax_pct))?;
        if sb.incompat().contains(Incompat::SPINODES) {
            let (whole, part) = (sb.inoalignmt.get(), sb.spino_align.get());
            let chunk = (u32::from(sb.inodesize.get()) * 64) >> sb.blocklog;
            check.equal("inoalignmt", whole, chunk)?;
            check.that(part == 0 || whole.is_multiple_of(part), || {
                format!("spino_align {part} does not divide inoalignmt {whole}")
            })?;
        }
        Ok(())
    }

    fn verify_log(&self, check: &Check) -> Result<()> {
        let sb = &self.dsb;
        let unit = sb.logsunit.get();
        check.that(unit <= 256 << 10, || format!("logsunit is {unit}"))?;
        if sb.logsectlog == 0 {
            let size = sb.logsectsize.get();
            return check.that(size == 0 || size == 512, || format!("logsectsize is {size}"));
        }
        power(check, "logsectsize", sb.logsectsize.get().into(), sb.logsectlog, 9..=15)
    }

    fn verify_realtime(&self, check: &Check) -> Result<()> {
        let sb = &self.dsb;
        let bytes = u64::from(sb.rextsize.get()) << sb.blocklog;
        let range = realtime::MIN_EXTENT_BYTES..=realtime::MAX_EXTENT_BYTES;
        check.that(range.contains(&bytes), || format!("rextsize of {bytes} bytes"))?;
        let section = RealtimeGeometry::new(sb);
        let extents = section.blocks / u64::from(section.extent_size);
        check.equal("rextents", section.extents, extents)?;
        if section.blocks == 0 {
            check.equal("rbmblocks", sb.rbmblocks.get(), 0)?;
            return check.equal("frextents", sb.frextents.get(), 0);
        }
        check.that(extents != 0, || format!("rblocks is {}, not one extent", section.blocks))?;
        check.equal("rextslog", section.extents_log, extents.ilog2())?;
        check.equal("rbmblocks", u64::from(sb.rbmblocks.get()), section.bitmap_blocks)?;
        if section.has_groups { self.verify_groups_of_realtime(check, &section) } else { Ok(()) }
    }

    fn verify_groups_of_realtime(&self, check: &Check, section: &RealtimeGeometry) -> Result<()> {
        let sb = &self.dsb;
        let extents = sb.rgextents.get();
        let enough = extents >= realtime::MIN_GROUP_EXTENTS;
        let blocks = section.group_extents.saturating_mul(section.extent_size.into());
        check.that(enough && blocks <= realtime::MAX_GROUP_BLOCKS.into(), || {
            format!("rgextents is {extents}")
        })?;
        let count = section.extents.div_ceil(section.group_extents);
        check.equal("rgcount", u64::from(section.group_count), count)?;
        let log = u64::BITS - (blocks - 1).leading_zeros();
        check.equal("rgblklog", u32::from(sb.rgblklog), log)?;
        check.that(sb.pad == [0; 7], || "padding is not zero".into())?;
        let behind = !section.is_internal() || section.start >= sb.dblocks.get();
        check.that(behind, || format!("rtstart {} is in the data section", section.start))
    }
}

/// Fails unless `size` is `1 << log` and `log` is in `range`.
fn power(
    check: &Check,
    name: &str,
    size: u32,
    log: u8,
    range: std::ops::RangeInclusive<u8>,
) -> Result<()> {
    check.that(range.contains(&log) && size == 1 << log, || {
        format!("{name} is {size} with log {log}")
    })
}
