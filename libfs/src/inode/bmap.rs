//! Mapping file blocks.

use crate::format::log::{DoneItem, IntentItem};
use crate::mount::Mount;
use crate::transaction::{Deferred, Step, Transaction};
use crate::{Errno, Error, Result};

/// Mapping file blocks.
#[derive(Debug)]
pub struct BmapIntent {
    pub(crate) intent: IntentItem,
}

impl Deferred for BmapIntent {
    const MAX_ITEMS: usize = 1;

    fn intent(ops: &[Self], _id: u64) -> IntentItem {
        ops[0].intent.clone()
    }

    fn done(ops: &[Self], _id: u64) -> DoneItem {
        ops[0].intent.done()
    }

    fn finish_one(&mut self, _tp: &mut Transaction<'_>) -> Result<Step> {
        Err(Error::os(Errno::ENOSYS, "BmapIntent"))
    }

    fn recover(_mount: &mut Mount, intent: &IntentItem) -> Result<Vec<Self>> {
        Ok(vec![Self { intent: intent.clone() }])
    }
}
