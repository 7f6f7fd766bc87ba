//! What the user may ask of a new filesystem, and what the device says of itself.

use super::RealtimeOptions;
use crate::format::features::QuotaFlags;
use crate::format::inode::Timestamp;

/// A size in bytes together with the words it was given in (error messages repeat them).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// The size in bytes.
    pub bytes: u64,
    /// The user's words, for example `1g`.
    pub text: String,
}

/// What the device that will hold the filesystem looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeviceTraits {
    /// Size in bytes now; an image file may be 0 and grows to the size asked for.
    pub size: u64,
    /// It is an image file, not a block device.
    pub is_file: bool,
    /// Smallest unit that can be addressed, in bytes.
    pub logical_sector_size: u32,
    /// Unit written without a read-modify-write by the device, in bytes.
    pub physical_sector_size: u32,
    /// The device says that it does not rotate.
    pub solid_state: bool,
    /// Preferred alignment and width of large writes in 512-byte sectors; 0: none.
    pub stripe_unit: u32,
    /// See [`DeviceTraits::stripe_unit`].
    pub stripe_width: u32,
    /// Smallest and largest untorn write in bytes; 0: none.
    pub atomic_write_min: u32,
    /// See [`DeviceTraits::atomic_write_min`].
    pub atomic_write_max: u32,
}

impl DeviceTraits {
    /// An image file of `size` bytes.
    pub const fn image_file(size: u64) -> Self {
        Self {
            size,
            is_file: true,
            logical_sector_size: 512,
            physical_sector_size: 512,
            solid_state: false,
            stripe_unit: 0,
            stripe_width: 0,
            atomic_write_min: 0,
            atomic_write_max: 0,
        }
    }
}

/// A feature that has a default and can be asked for or declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toggle {
    /// The value in force.
    pub on: bool,
    /// The user said so.
    pub explicit: bool,
}

impl Toggle {
    /// A default nobody asked for.
    pub const fn default_to(on: bool) -> Self {
        Self { on, explicit: false }
    }

    /// The user's choice.
    pub const fn chosen(on: bool) -> Self {
        Self { on, explicit: true }
    }
}

/// Features of the format that can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// Checksums; without them it would be a V4 filesystem, which is refused.
    pub checksums: Toggle,
    /// Free inode btrees.
    pub free_inode_btree: Toggle,
    /// Inode chunks that are only partly allocated.
    pub sparse_inodes: Toggle,
    /// Reverse mapping btrees.
    pub reverse_mapping: Toggle,
    /// Shared extents and their reference counts.
    pub reflink: Toggle,
    /// Block counts of the inode btrees in the AGI.
    pub inode_btree_counts: Toggle,
    /// Timestamps beyond the year 2038.
    pub big_timestamps: Toggle,
    /// 64-bit extent counts.
    pub large_extent_counts: Toggle,
    /// Atomic exchange of file ranges.
    pub exchange_range: Toggle,
    /// Parent pointers.
    pub parent_pointers: Toggle,
    /// Names compared without the case of ASCII letters.
    pub ascii_case_insensitive: Toggle,
    /// Metadata inodes in a directory tree of their own.
    pub metadata_directories: Toggle,
}

impl Features {
    /// The same features, as if nobody had asked for them: a file of defaults did.
    pub fn as_defaults(mut self) -> Self {
        for toggle in [
            &mut self.checksums,
            &mut self.free_inode_btree,
            &mut self.sparse_inodes,
            &mut self.reverse_mapping,
            &mut self.reflink,
            &mut self.inode_btree_counts,
            &mut self.big_timestamps,
            &mut self.large_extent_counts,
            &mut self.exchange_range,
            &mut self.parent_pointers,
            &mut self.ascii_case_insensitive,
            &mut self.metadata_directories,
        ] {
            toggle.explicit = false;
        }
        self
    }
}

impl Default for Features {
    /// The defaults of xfsprogs 7.2.
    fn default() -> Self {
        let on = Toggle::default_to(true);
        Self {
            checksums: on,
            free_inode_btree: on,
            sparse_inodes: on,
            reverse_mapping: on,
            reflink: on,
            inode_btree_counts: on,
            big_timestamps: on,
            large_extent_counts: on,
            exchange_range: on,
            parent_pointers: on,
            ascii_case_insensitive: Toggle::default_to(false),
            metadata_directories: Toggle::default_to(false),
        }
    }
}

/// What online checking may do to the filesystem by itself (`-m autofsck=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SelfHealing {
    /// Nothing.
    None,
    /// Check.
    Check,
    /// Check and optimize.
    Optimize,
    /// Check, optimize and repair.
    Repair,
}

impl SelfHealing {
    /// The value of the filesystem property.
    pub fn name(self) -> &'static str {
        match self {
            SelfHealing::None => "none",
            SelfHealing::Check => "check",
            SelfHealing::Optimize => "optimize",
            SelfHealing::Repair => "repair",
        }
    }

    /// The level called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        let all = [Self::None, Self::Check, Self::Optimize, Self::Repair];
        all.into_iter().find(|level| level.name() == name)
    }
}

/// Stripe geometry as asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Stripe {
    /// Take what the device reports.
    #[default]
    FromDevice,
    /// Do not align to stripes.
    None,
    /// Unit and width in 512-byte sectors (`sunit=`, `swidth=`).
    Sectors {
        /// Stripe unit; missing is an error unless both are.
        unit: Option<u32>,
        /// Stripe width.
        width: Option<u32>,
    },
    /// Unit in bytes and number of units (`su=`, `sw=`).
    Units {
        /// Stripe unit in bytes.
        unit: Option<u64>,
        /// Units in a stripe.
        count: Option<u32>,
    },
}

/// How the size of the allocation groups is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AgSizing {
    /// By size and kind of the device.
    #[default]
    Automatic,
    /// This many groups.
    Count(u64),
    /// Groups of this size.
    Size(Amount),
    /// For this many threads; 0 turns the adjustment to CPUs off.
    Concurrency(u32),
}

/// How the size of the log is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum LogSizing {
    /// By size and kind of the device.
    #[default]
    Automatic,
    /// This size.
    Size(Amount),
    /// For this many threads; 0 turns the adjustment to CPUs off.
    Concurrency(u32),
}

/// Everything that can be asked of a new filesystem.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Features.
    pub features: Features,
    /// Quotas that are accounted and enforced from the first mount on; they need metadata
    /// directories, which any of them turns on.
    pub quota: QuotaFlags,
    /// The realtime section.
    pub realtime: RealtimeOptions,
    /// Self-healing property; `None` leaves the choice to the features.
    pub self_healing: Option<SelfHealing>,
    /// Identity of the filesystem.
    pub uuid: [u8; 16],
    /// Label, at most 12 bytes.
    pub label: Vec<u8>,
    /// Size of the filesystem; `None`: all of the device.
    pub data_size: Option<Amount>,
    /// Allocation groups.
    pub ag_sizing: AgSizing,
    /// Stripe geometry of the data.
    pub stripe: Stripe,
    /// Bytes in an inode.
    pub inode_size: Option<u32>,
    /// Inodes in a block; excludes `inode_size`.
    pub inodes_per_block: Option<u32>,
    /// Percentage of the space that inodes may take.
    pub inode_percentage: Option<u8>,
    /// Inode chunks are aligned; declining is refused.
    pub align_inodes: bool,
    /// Largest untorn write in bytes that groups and log should have room for.
    pub max_atomic_write: Option<u64>,
    /// The device that the log lies on; `None`: among the data.
    pub log_device: Option<DeviceTraits>,
    /// Log size.
    pub log_sizing: LogSizing,
    /// Log stripe unit in bytes.
    pub log_stripe_unit: Option<u64>,
    /// Allocation group of the log.
    pub log_ag: Option<u64>,
    /// Bytes in a directory block.
    pub directory_block_size: Option<u32>,
    /// Allow filesystems too small to be supported.
    pub unsupported: bool,
    /// CPUs of this machine, which solid-state devices are divided among.
    pub cpus: u32,
    /// Time for every timestamp.
    pub time: Timestamp,
    /// Generation number of new inodes.
    pub generation: u32,
    /// Flags that the root directory hands on.
    pub root: RootDirectory,
}

impl Default for Options {
    /// What mkfs.xfs makes without options; UUID, times and generations are all zero.
    fn default() -> Self {
        Self {
            features: Features::default(),
            quota: QuotaFlags::empty(),
            realtime: RealtimeOptions::default(),
            self_healing: None,
            uuid: [0; 16],
            label: Vec::new(),
            data_size: None,
            ag_sizing: AgSizing::Automatic,
            stripe: Stripe::FromDevice,
            inode_size: None,
            inodes_per_block: None,
            inode_percentage: None,
            align_inodes: true,
            max_atomic_write: None,
            log_device: None,
            log_sizing: LogSizing::Automatic,
            log_stripe_unit: None,
            log_ag: None,
            directory_block_size: None,
            unsupported: false,
            cpus: 1,
            time: Timestamp::default(),
            generation: 0,
            root: RootDirectory::default(),
        }
    }
}

/// What the root directory hands on to the files in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RootDirectory {
    /// New files go to the realtime volume.
    pub realtime: bool,
    /// Project number for new files.
    pub project: Option<u32>,
    /// Extent size hint in blocks; 0: none.
    pub extent_size: u32,
    /// Copy-on-write extent size hint in blocks; 0: none.
    pub cow_extent_size: u32,
    /// Files are accessed without the page cache where the device can.
    pub direct_access: bool,
}
