//! Intents that a log promises and does not say to be done: what recovery has to finish.

use super::position;
use libfs::format::log::intent::IntentKind;
use libfs::format::log::{IntentItem, LogItem, Lsn};
use libfs::journal::reader::RawTransaction;
use serde_json::{Value, json};
use std::fmt::Write;

/// The intents seen so far without their done items, in the order of the log.
#[derive(Default)]
pub(super) struct Unfinished {
    intents: Vec<(Lsn, IntentItem)>,
}

impl Unfinished {
    /// Takes a transaction, the next one of the log. What cannot be decoded is passed over.
    pub(super) fn take(&mut self, transaction: &RawTransaction) {
        for regions in &transaction.items {
            match LogItem::decode(transaction.endian, regions) {
                Ok(LogItem::Intent(intent)) => self.intents.push((transaction.lsn, intent)),
                Ok(LogItem::Done(done)) => self.finish(done.kind, done.id),
                _ => {}
            }
        }
    }

    fn finish(&mut self, kind: IntentKind, id: u64) {
        let found = |(_, intent): &(Lsn, IntentItem)| intent.kind() == kind && intent.id() == id;
        if let Some(at) = self.intents.iter().position(found) {
            self.intents.remove(at);
        }
    }

    /// A line with their number, and one for each.
    pub(super) fn describe(&self, out: &mut String) {
        let _ = writeln!(out, "unfinished intents: {}", self.intents.len());
        for (lsn, intent) in &self.intents {
            let _ = write!(out, "  {}:", position(*lsn));
            super::describe_intent(intent, out);
        }
    }

    /// The same as JSON.
    pub(super) fn json(&self) -> Value {
        self.intents
            .iter()
            .map(|(lsn, intent)| {
                json!({
                    "lsn": super::json_lsn(*lsn),
                    "kind": intent.kind().intent_type().name(),
                    "id": format!("{:#x}", intent.id()),
                    "purpose": intent.kind().description(),
                })
            })
            .collect()
    }
}
