//! Fast read-only traversal of a whole filesystem as it lies on the device: no mount, no
//! recovery, no cache, nothing written.
//!
//! A [`Scanner`] walks one structure at a time and hands each part to a visitor, so memory
//! goes with the longest single structure, not with the filesystem. It is `Copy` and can be
//! shared by threads: [`Scanner::by_group`] looks at all allocation groups in parallel.
//!
//! Damage: by default the first damaged part ends a walk with an error. With
//! [`Scanner::on_damage`] each damaged part is reported and the walk goes on with the rest;
//! a block or inode with nothing wrong but its checksum is reported and visited all the
//! same. Whatever the links on the device say, each block of a tree is visited once at most,
//! so that every walk ends.

mod directory;
mod forks;
mod groups;
mod inodes;
mod realtime;
mod trees;

#[cfg(test)]
pub(crate) mod tests;

pub use directory::Entry;
pub use groups::AgHeaders;
pub use inodes::{Inode, InodeRun};
pub use trees::TreeBlock;

use crate::Result;
use crate::device::Device;
use crate::error::Error;
use crate::format::geometry::{DADDR_LOG, Geometry};
use rayon::prelude::*;

/// Reads the structures of a filesystem; see the [module](self).
#[derive(Clone, Copy)]
pub struct Scanner<'a> {
    device: &'a dyn Device,
    geo: &'a Geometry,
    damage: Option<&'a (dyn Fn(&Error) + Sync)>,
}

impl<'a> Scanner<'a> {
    /// A scanner of the filesystem on `device`, which ends a walk at the first damage.
    pub fn new(device: &'a dyn Device, geo: &'a Geometry) -> Self {
        Scanner { device, geo, damage: None }
    }

    /// The same, but damaged parts are reported to `report` and left out.
    pub fn on_damage(self, report: &'a (dyn Fn(&Error) + Sync)) -> Self {
        Scanner { damage: Some(report), ..self }
    }

    /// The filesystem's geometry.
    pub fn geometry(&self) -> &'a Geometry {
        self.geo
    }

    /// What `look` makes of each allocation group, in the order of groups. Groups are looked
    /// at in parallel.
    ///
    /// # Errors
    ///
    /// An error of `look` is returned, of one of the groups that failed.
    pub fn by_group<T: Send>(
        &self,
        look: impl Fn(u32) -> Result<T> + Sync + Send,
    ) -> Result<Vec<T>> {
        (0..self.geo.ag_count).into_par_iter().map(look).collect()
    }

    /// Fills `buffer` from a disk address, in units of 512 bytes.
    ///
    /// # Errors
    ///
    /// An error is returned if the device fails or ends before.
    pub fn read(&self, daddr: u64, buffer: &mut [u8]) -> Result<()> {
        let offset = daddr.saturating_mul(1 << DADDR_LOG);
        self.device.read_at(buffer, offset)
    }

    /// What there is if `found` is sound. Otherwise the damage is reported, and there is
    /// nothing.
    fn or_report<T>(&self, found: Result<T>) -> Result<Option<T>> {
        match (found, self.damage) {
            (Ok(found), _) => Ok(Some(found)),
            (Err(error), Some(report)) => {
                report(&error);
                Ok(None)
            }
            (Err(error), None) => Err(error),
        }
    }
}
