//! Feature words of the superblock, with the names mkfs.xfs and xfs_db use for them.

use bitflags::bitflags;

bitflags! {
    /// `sb_versionnum`: the version in the low four bits, and old feature bits.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Version: u16 {
        /// Extended attributes are used.
        const ATTR = 0x0010;
        /// 32-bit link counts.
        const NLINK = 0x0020;
        /// Quota inodes are recorded.
        const QUOTA = 0x0040;
        /// Inode chunks are aligned.
        const ALIGN = 0x0080;
        /// Data is aligned to a stripe unit.
        const DALIGN = 0x0100;
        /// Never used; always refused.
        const SHARED = 0x0200;
        /// Version 2 log.
        const LOGV2 = 0x0400;
        /// Sectors larger than 512 bytes.
        const SECTOR = 0x0800;
        /// Unwritten extents.
        const EXTFLG = 0x1000;
        /// Version 2 directories.
        const DIRV2 = 0x2000;
        /// Case-insensitive (ASCII only) names.
        const BORG = 0x4000;
        /// `sb_features2` holds more bits.
        const MOREBITS = 0x8000;
        const _ = !0;
    }

    /// `sb_features2`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Features2: u32 {
        /// Superblock counters are exact only after a clean unmount.
        const LAZYSBCOUNT = 0x0002;
        /// Flexible fork offset.
        const ATTR2 = 0x0008;
        /// Parent pointers of the old experimental kind; never supported.
        const PARENT = 0x0010;
        /// 32-bit project identifiers.
        const PROJID32 = 0x0080;
        /// Metadata checksums.
        const CRC = 0x0100;
        /// File types in directory entries, on version 4 filesystems.
        const FTYPE = 0x0200;
        const _ = !0;
    }

    /// `sb_features_compat`: none exist.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Compat: u32 {
        const _ = !0;
    }

    /// `sb_features_ro_compat`: who does not know one may read but not write.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct RoCompat: u32 {
        /// A btree of inode chunks with free inodes.
        const FINOBT = 1 << 0;
        /// Reverse mapping btree.
        const RMAPBT = 1 << 1;
        /// Shared extents and the reference count btree.
        const REFLINK = 1 << 2;
        /// Inode btree block counts in the AGI.
        const INOBTCNT = 1 << 3;
        const _ = !0;
    }

    /// `sb_features_incompat`: who does not know one must not even read.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Incompat: u32 {
        /// File types in directory entries.
        const FTYPE = 1 << 0;
        /// Inode chunks with holes.
        const SPINODES = 1 << 1;
        /// Metadata carries `sb_meta_uuid` instead of `sb_uuid`.
        const META_UUID = 1 << 2;
        /// 64-bit nanosecond timestamps.
        const BIGTIME = 1 << 3;
        /// xfs_repair must run before the next mount.
        const NEEDSREPAIR = 1 << 4;
        /// 48-bit extent counts.
        const NREXT64 = 1 << 5;
        /// Exchange of file ranges, with its log items.
        const EXCHRANGE = 1 << 6;
        /// Parent pointers in extended attributes.
        const PARENT = 1 << 7;
        /// Metadata inodes live in a directory tree of their own.
        const METADIR = 1 << 8;
        /// Realtime device is written in zones.
        const ZONED = 1 << 9;
        /// Realtime groups have gaps in the address space between them.
        const ZONE_GAPS = 1 << 10;
        const _ = !0;
    }

    /// `sb_features_log_incompat`: who does not know one must not replay the log.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct LogIncompat: u32 {
        /// Extended attribute intents may be in the log.
        const XATTRS = 1 << 0;
        const _ = !0;
    }

    /// `sb_qflags`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct QuotaFlags: u16 {
        /// User quota is accounted.
        const UQUOTA_ACCT = 0x0001;
        /// User quota is enforced.
        const UQUOTA_ENFD = 0x0002;
        /// User quota has been checked.
        const UQUOTA_CHKD = 0x0004;
        /// Project quota is accounted.
        const PQUOTA_ACCT = 0x0008;
        /// Group or project quota is enforced, version 4 only.
        const OQUOTA_ENFD = 0x0010;
        /// Group or project quota has been checked, version 4 only.
        const OQUOTA_CHKD = 0x0020;
        /// Group quota is accounted.
        const GQUOTA_ACCT = 0x0040;
        /// Group quota is enforced.
        const GQUOTA_ENFD = 0x0080;
        /// Group quota has been checked.
        const GQUOTA_CHKD = 0x0100;
        /// Project quota is enforced.
        const PQUOTA_ENFD = 0x0200;
        /// Project quota has been checked.
        const PQUOTA_CHKD = 0x0400;
        const _ = !0;
    }
}

impl QuotaFlags {
    /// The quota records agree with the files, of each kind.
    pub const CHECKED: Self = Self::UQUOTA_CHKD
        .union(Self::GQUOTA_CHKD)
        .union(Self::PQUOTA_CHKD)
        .union(Self::OQUOTA_CHKD);
}

impl Version {
    /// The version number this crate handles.
    pub const V5: u16 = 5;
    /// The bits of `sb_versionnum` that hold the version number.
    pub const NUMBER_MASK: u16 = 0x000f;

    /// The version number without the feature bits.
    pub fn number(self) -> u16 {
        self.bits() & Self::NUMBER_MASK
    }
}

impl RoCompat {
    /// Every bit this crate can write to.
    pub const KNOWN: Self =
        Self::FINOBT.union(Self::RMAPBT).union(Self::REFLINK).union(Self::INOBTCNT);

    /// The bits nobody here knows.
    pub fn unknown(self) -> Self {
        self.difference(Self::KNOWN)
    }
}

impl Incompat {
    /// Every bit whose meaning this crate knows.
    pub const KNOWN: Self = Self::FTYPE
        .union(Self::SPINODES)
        .union(Self::META_UUID)
        .union(Self::BIGTIME)
        .union(Self::NEEDSREPAIR)
        .union(Self::NREXT64)
        .union(Self::EXCHRANGE)
        .union(Self::PARENT)
        .union(Self::METADIR)
        .union(Self::ZONED)
        .union(Self::ZONE_GAPS);

    /// The bits nobody here knows.
    pub fn unknown(self) -> Self {
        self.difference(Self::KNOWN)
    }
}

impl LogIncompat {
    /// Every bit this crate can replay.
    pub const KNOWN: Self = Self::XATTRS;

    /// The bits nobody here knows.
    pub fn unknown(self) -> Self {
        self.difference(Self::KNOWN)
    }
}

/// Feature names in the order and spelling of xfs_db's `version` command (7.2).
pub const RO_COMPAT_NAMES: &[(RoCompat, &str)] = &[
    (RoCompat::FINOBT, "FINOBT"),
    (RoCompat::RMAPBT, "RMAPBT"),
    (RoCompat::REFLINK, "REFLINK"),
    (RoCompat::INOBTCNT, "INOBTCNT"),
];

/// Names of incompatible features, lowest bit first.
pub const INCOMPAT_NAMES: &[(Incompat, &str)] = &[
    (Incompat::FTYPE, "FTYPE"),
    (Incompat::SPINODES, "SPARSE_INODES"),
    (Incompat::META_UUID, "META_UUID"),
    (Incompat::BIGTIME, "BIGTIME"),
    (Incompat::NEEDSREPAIR, "NEEDSREPAIR"),
    (Incompat::NREXT64, "NREXT64"),
    (Incompat::EXCHRANGE, "EXCHANGE"),
    (Incompat::PARENT, "PARENT"),
    (Incompat::METADIR, "METADIR"),
    (Incompat::ZONED, "ZONED"),
    (Incompat::ZONE_GAPS, "ZONE_GAPS"),
];
