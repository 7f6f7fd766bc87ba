//! Extended attributes: in the inode, in leaf blocks under a hash tree, and large values in
//! blocks of their own.

mod change;
mod leaf;
mod lookup;
mod store;

use crate::dir::store::Params;
use crate::format::attr::parent::ParentRecord;
use crate::format::attr::{self, AttrFlags};

/// The hash that an attribute is stored under. That of a parent pointer depends on the
/// directory as well.
fn stored_hash(params: &Params, flags: AttrFlags, name: &[u8], value: &[u8]) -> u32 {
    if !flags.contains(AttrFlags::PARENT) {
        return attr::hash(name);
    }
    let directory = ParentRecord::view(value).map_or(0, |record| record.ino.get());
    params.hash(name) ^ (directory >> 32) as u32 ^ directory as u32
}

#[cfg(test)]
mod tests;

use crate::format::log::{DoneItem, IntentItem};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{Errno, Error, Result};

/// Extended attributes.
#[derive(Debug)]
pub struct AttrIntent {
    pub(crate) intent: IntentItem,
}

impl Deferred for AttrIntent {
    const MAX_ITEMS: usize = 1;

    fn intent(ops: &[Self], _id: u64) -> IntentItem {
        ops[0].intent.clone()
    }

    fn done(ops: &[Self], _id: u64) -> DoneItem {
        ops[0].intent.done()
    }

    fn finish_one(&mut self, _tp: &mut Transaction<'_>) -> Result<Step> {
        Err(Error::os(Errno::ENOSYS, "AttrIntent"))
    }

    fn recover(_mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        Ok(vec![Self { intent: intent.clone() }])
    }
}
