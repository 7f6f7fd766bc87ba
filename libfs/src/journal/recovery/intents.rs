//! Intents that the log has no done item for.

use std::collections::{BTreeMap, HashMap};

use super::PendingIntent;
use crate::format::log::{DoneItem, IntentItem, IntentKind, Lsn};

/// Intents with no done item so far, in the order they were logged: one may build on what
/// the one before it does. Identifiers tell nothing of that order, as they are addresses
/// in the memory of the machine that logged them.
#[derive(Debug, Default)]
pub(super) struct Intents {
    open: BTreeMap<u64, PendingIntent>,
    order: HashMap<(IntentKind, u64), u64>,
    seen: u64,
}

impl Intents {
    /// An intent was logged at `lsn`.
    pub(super) fn add(&mut self, lsn: Lsn, item: IntentItem) {
        self.forget(item.kind(), item.id());
        self.order.insert((item.kind(), item.id()), self.seen);
        self.open.insert(self.seen, PendingIntent { lsn, item });
        self.seen += 1;
    }

    /// A done item was logged. Its intent may lie before the tail, where only the done
    /// item was still needed.
    pub(super) fn finish(&mut self, done: &DoneItem) {
        self.forget(done.kind, done.id);
    }

    fn forget(&mut self, kind: IntentKind, id: u64) {
        if let Some(order) = self.order.remove(&(kind, id)) {
            self.open.remove(&order);
        }
    }

    /// What is left, in the order it was logged.
    pub(super) fn into_pending(self) -> Vec<PendingIntent> {
        self.open.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bmap(id: u64) -> IntentItem {
        IntentItem::Bmap { id, extents: Vec::new() }
    }

    #[test]
    fn intents_stay_in_logged_order_whatever_their_identifiers() {
        let mut intents = Intents::default();
        let lsn = Lsn::new(1, 8);
        for id in [9, 3, 7, 5] {
            intents.add(lsn, bmap(id));
        }
        intents.finish(&bmap(3).done());
        intents.finish(&bmap(1000).done());
        intents.finish(&DoneItem { kind: IntentKind::Rmap, ..bmap(9).done() });
        // The address of a finished intent is used again.
        intents.add(Lsn::new(1, 20), bmap(3));
        let left: Vec<u64> = intents.into_pending().iter().map(|p| p.item.id()).collect();
        assert_eq!(left, [9, 7, 5, 3]);
    }
}
