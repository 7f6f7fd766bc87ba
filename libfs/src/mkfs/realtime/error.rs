//! Why a realtime section cannot be made as asked, in the words of mkfs.xfs 7.2.

/// A request that cannot be met.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)] // Each message says what its variant means.
pub enum RealtimeError {
    #[error("metadata directory not supported without CRC support")]
    MetadirWithoutChecksums,
    #[error("zoned realtime device not supported without metadir support")]
    ZonedWithoutMetadir,
    #[error("zoned realtime devices need blocks of at least {0} bytes")]
    ZonedBlockSize(u64),
    #[error("rt extent size not supported on realtime devices with zoned mode")]
    ZonedExtentSize,
    #[error("{0} not supported on realtime devices without metadir feature")]
    NeedsMetadir(&'static str),
    #[error("reflink not supported on realtime devices with zoned mode specified")]
    ZonedReflink,
    #[error("reflink not supported on realtime devices with rt extent size specified")]
    ExtentSizeReflink,
    #[error("persistent quota flags not supported without {0} support")]
    QuotaWithout(&'static str),
    #[error("reserved RT blocks only supported in zoned mode")]
    ReservedUnzoned,
    #[error("internal RT section only supported in zoned mode")]
    StartUnzoned,
    #[error("device size {sectors} too small for zoned allocator")]
    DeviceTooSmallForZones { sectors: u64 },
    #[error("illegal rt extent size {bytes}, not a multiple of {block}")]
    ExtentSize { bytes: u64, block: u32 },
    #[error("size specified for non-existent rt subvolume")]
    SizeWithoutDevice,
    #[error("Invalid zero length rt subvolume found")]
    Empty,
    #[error("size {text} specified for rt subvolume is too large, maximum is {maximum} blocks")]
    TooLarge { text: String, maximum: u64 },
    #[error("cannot have an rt subvolume with zero extents")]
    NoExtents,
    #[error("rgsize ({text}) not a multiple of fs blk size ({block})")]
    GroupSizeUnaligned { text: String, block: u32 },
    #[error("realtime group size ({blocks}) not a multiple of rt extent size ({extent})")]
    GroupSizeNotExtents { blocks: u64, extent: u32 },
    #[error("realtime group size ({0}) must be at least two realtime extents")]
    GroupTooSmall(u64),
    #[error("realtime group size ({blocks}) must be less than the maximum ({maximum})")]
    GroupTooLarge { blocks: u64, maximum: u64 },
    #[error(
        "realtime group count ({count}) must be greater than the minimum zone count ({minimum})"
    )]
    TooFewZones { count: u64, minimum: u64 },
}
