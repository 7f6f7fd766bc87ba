//! Making a filesystem: [`Options`] and a device's [`DeviceTraits`] become a [`Plan`], in
//! which all geometry is decided and every impossible request has been refused, and the
//! plan is written to a device, unlogged: no filesystem exists yet that could be torn.
//!
//! The result is byte for byte what mkfs.xfs of xfsprogs 7.2 makes.

mod error;
mod features;
mod groups;
mod inodes;
mod layout;
mod log_size;
mod old;
mod options;
mod plan;
mod realtime;
mod sizes;
#[cfg(test)]
mod tests;
mod write;

pub use error::{Notice, PlanError};
pub use options::{
    AgSizing, Amount, DeviceTraits, Features, LogSizing, Options, RootDirectory, SelfHealing,
    Stripe, Toggle,
};
pub use plan::Plan;
pub use realtime::{GroupSizing, RealtimeError, RealtimeOptions};
pub use sizes::Sizes;
pub use write::{Devices, Progress};
