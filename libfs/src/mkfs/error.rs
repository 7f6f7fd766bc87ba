//! Why a filesystem cannot be made as asked. The words are those of mkfs.xfs 7.2, which
//! scripts look for.

use super::RealtimeError;

/// A request that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each message says what its variant means.
pub enum PlanError {
    #[error("metadir not supported without exchange-range support")]
    MetadirWithoutExchange,
    #[error("illegal block size {0}")]
    BlockSize(u32),
    #[error("Minimum block size for CRC enabled filesystems is {0} bytes.")]
    BlockSizeForChecksums(u32),
    #[error("illegal sector size {0}")]
    SectorSize(u32),
    #[error("block size {block} cannot be smaller than sector size {sector}")]
    BlockBelowSector { block: u32, sector: u32 },
    #[error("illegal sector size {sector}; hw sector is {hardware}")]
    SectorBelowHardware { sector: u32, hardware: u32 },
    #[error("Can't change sector size on internal log!")]
    LogSectorSize,
    #[error("illegal log sector size {0}")]
    IllegalLogSectorSize(u32),
    #[error(transparent)]
    Realtime(#[from] RealtimeError),
    #[error("mkfs.xfs: root inode ({found}) not allocated in expected location ({expected})")]
    RootInode { found: u32, expected: u32 },
    #[error(
        "SB sanity check failed: {count} allocation groups of {blocks} blocks are more than {data} blocks"
    )]
    TooManyGroupsForData { count: u64, blocks: u64, data: u64 },
    #[error(
        "external log device size {blocks} blocks too small, must be at least {minimum} blocks"
    )]
    LogDeviceTooSmall { blocks: u64, minimum: u64 },
    #[error("unable to get size of the log subvolume.")]
    NoLogDeviceSize,
    #[error("size {text} specified for log subvolume is too large, maximum is {maximum} blocks")]
    LogTooLargeForDevice { text: String, maximum: u64 },
    #[error("V4 filesystems (-m crc=0) are deprecated and cannot be made by this program.")]
    Version4,
    #[error("Minimum inode size for CRCs is {0} bytes")]
    InodeSizeForChecksums(u32),
    #[error("Inodes always aligned for CRC enabled filesystems")]
    InodesUnaligned,
    #[error("inode btree counters not supported without finobt support")]
    CountsWithoutFreeInodeBtree,
    #[error("cowextsize not supported without reflink support")]
    CowExtentSizeWithoutReflink,
    #[error("max_atomic_write option not supported without reflink support")]
    AtomicWriteWithoutReflink,
    #[error("Max atomic write size of {0} bytes is not a power of 2")]
    AtomicWriteSize(u64),
    #[error("Max atomic write size of {0} bytes not aligned with fsblock.")]
    AtomicWriteUnaligned(u64),
    #[error(
        "Max atomic write size of {}k cannot be larger than allocation group size {}k.",
        .bytes >> 10, .group >> 10
    )]
    AtomicWriteBiggerThanAg { bytes: u64, group: u64 },
    #[error("atomic write size {}k is too big for the log to handle.", .0 >> 10)]
    AtomicWriteTooBigForLog(u64),
    #[error("illegal directory block size {0}")]
    DirectoryBlockSize(u32),
    #[error("{}", inode_size_message(*.size, *.block))]
    InodeSize { size: u32, block: u32 },
    #[error("illegal {what} length {bytes}, not a multiple of {unit}")]
    Length { what: &'static str, bytes: u64, unit: u32 },
    #[error("can't get size of data subvolume")]
    NoDeviceSize,
    #[error("size {text} specified for data subvolume is too large, maximum is {maximum} blocks")]
    DataTooLarge { text: String, maximum: u64 },
    #[error("size {blocks} of data subvolume is too small, minimum {minimum} blocks")]
    DataTooSmall { blocks: u64, minimum: u64 },
    #[error("log size {0} too large for internal log")]
    LogTooLargeForData(u64),
    #[error("agsize ({text}) not a multiple of fs blk size ({block})")]
    AgSizeUnaligned { text: String, block: u32 },
    #[error("agsize ({blocks} blocks) too small, need at least {minimum} blocks")]
    AgTooSmall { blocks: u64, minimum: u64 },
    #[error("agsize ({blocks} blocks) too big, maximum is {maximum} blocks")]
    AgTooBig { blocks: u64, maximum: u64 },
    #[error("agsize ({blocks} blocks) too big, data area is {data} blocks")]
    AgBiggerThanData { blocks: u64, data: u64 },
    #[error("last AG size {blocks} blocks too small, minimum size is {minimum} blocks")]
    LastAgTooSmall { blocks: u64, minimum: u64 },
    #[error("{count} allocation groups is too many, maximum is {maximum}")]
    TooManyAgs { count: u64, maximum: u64 },
    #[error("both data sunit and data swidth options must be specified")]
    StripeSectorsIncomplete,
    #[error("both data su and data sw options must be specified")]
    StripeUnitsIncomplete,
    #[error(
        "data stripe width ({width}) is too large of a multiple of the data stripe unit ({unit})"
    )]
    StripeWidthTooLarge { width: u64, unit: u64 },
    #[error("{0}")]
    StripeGeometry(String),
    #[error(
        "mkfs.xfs: Stripe unit({unit}) or stripe width({width}) is not a multiple of the block size({block})"
    )]
    StripeUnaligned { unit: u64, width: u64, block: u32 },
    #[error("log stripe unit ({unit}) must be a multiple of the block size ({block})")]
    LogStripeUnaligned { unit: u64, block: u32 },
    #[error("max log size {maximum} smaller than min log size {minimum}, filesystem is too small")]
    NoRoomForLog { maximum: i64, minimum: u64 },
    #[error("internal log size {blocks} too large, must be less than {maximum}")]
    LogTooLarge { blocks: u64, maximum: i64 },
    #[error("internal log size {0} too large, must fit in allocation group")]
    LogBiggerThanAg(u64),
    #[error("log ag number {ag} too large, must be less than {count}")]
    LogAg { ag: u64, count: u64 },
    #[error("log size {blocks} blocks too small, minimum size is {minimum} blocks")]
    LogTooSmall { blocks: u64, minimum: u64 },
    #[error("log size {blocks} blocks too large, maximum size is {maximum} blocks")]
    LogBlocksAboveMaximum { blocks: u64, maximum: u64 },
    #[error("log size {bytes} bytes too large, maximum size is {maximum} bytes")]
    LogBytesAboveMaximum { bytes: u64, maximum: u64 },
    #[error("log size {blocks} is not a multiple of the log stripe unit {unit}")]
    LogSizeUnaligned { blocks: u64, unit: u64 },
    #[error(
        "Due to stripe alignment, the internal log start ({0}) cannot be aligned\nwithin an allocation group."
    )]
    LogStartUnalignable(u64),
    #[error(
        "Due to stripe alignment, the internal log size ({0}) is too large.\nMust fit within an allocation group."
    )]
    LogUnalignable(u64),
    #[error("illegal extent size hint {hint}, must be less than {limit}.")]
    ExtentSizeHint { hint: u32, limit: u64 },
    #[error("illegal extent size hint {hint}, must be less than {limit} and a multiple of {unit}.")]
    RealtimeExtentSizeHint { hint: u32, limit: u64, unit: u32 },
    #[error("illegal CoW extent size hint {hint}, must be less than {limit}.")]
    CowExtentSizeHint { hint: u32, limit: u64 },
    #[error("Filesystem must be larger than 300MiB.")]
    FilesystemTooSmall,
    #[error("Log size must be at least 64MiB.")]
    LogBelowSupported,
    #[error(
        "Allocation group size ({0} MiB) is too small to hold the minimum 64MiB log.\nSpecify fewer or larger allocation groups, or use a larger data device."
    )]
    AgTooSmallForLog(u64),
    #[error("Filesystem must have at least 2 superblocks for redundancy!")]
    SingleAg,
}

impl PlanError {
    /// Whether mkfs.xfs follows this message with its usage.
    pub fn wants_usage(&self) -> bool {
        use PlanError::*;
        !matches!(
            self,
            InodeSize { .. }
                | RootInode { .. }
                | TooManyGroupsForData { .. }
                | StripeUnaligned { .. }
                | AtomicWriteSize(_)
                | AtomicWriteUnaligned(_)
                | AtomicWriteBiggerThanAg { .. }
                | AtomicWriteTooBigForLog(_)
        )
    }
}

/// Something the user should know that does not stop the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// For standard output.
    Output(String),
    /// For standard error.
    Error(String),
}

fn inode_size_message(size: u32, block: u32) -> String {
    let largest = (block / 2).min(2048);
    let allowed = if largest == 256 { "256".into() } else { format!("between 256 and {largest}") };
    format!("illegal inode size {size}\nallowable inode size with {block} byte blocks is {allowed}")
}
