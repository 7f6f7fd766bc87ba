//! The realtime section of a new filesystem: what may be asked, what follows from it, and
//! what has to be written.

mod error;
mod features;
mod files;
mod groups;
mod metadata;
mod section;
mod words;
mod zones;

pub use error::RealtimeError;
pub(super) use features::settle;
pub(super) use files::fill;
pub(super) use metadata::DIRECTORY_FLAGS;
pub(super) use section::{Section, share};

use super::{Amount, DeviceTraits};

/// How the size of realtime groups is chosen.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum GroupSizing {
    /// By the size of the section.
    #[default]
    Automatic,
    /// This many groups.
    Count(u64),
    /// Groups of this size.
    Size(Amount),
    /// For this many threads; 0 turns the adjustment to CPUs off.
    Concurrency(u32),
}

/// What can be asked of the realtime section.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RealtimeOptions {
    /// A device or image file of its own.
    pub device: Option<DeviceTraits>,
    /// Size of the section; `None`: all of its device.
    pub size: Option<Amount>,
    /// Size of a realtime extent.
    pub extent_size: Option<Amount>,
    /// Do not take the size of a realtime extent from the stripes of the device.
    pub no_align: bool,
    /// Realtime groups.
    pub sizing: GroupSizing,
    /// Zones, each written from its start to its end only.
    pub zoned: bool,
    /// Where a section on the data device begins.
    pub start: Option<Amount>,
    /// Space of a zoned section to set aside.
    pub reserved: Option<Amount>,
}

impl RealtimeOptions {
    /// Whether there is to be a realtime section.
    pub fn is_wanted(&self) -> bool {
        self.device.is_some() || self.zoned
    }
}
