//! What is printed about a replay.

use std::collections::BTreeMap;

use libfs::journal::recovery::Replayed;

use crate::options::{Mode, Options};

/// Says what was replayed, by type of item.
pub fn replay(replayed: &Replayed, options: &Options) {
    if !replayed.was_dirty {
        println!("The log is clean.");
        return;
    }
    let where_to = match options.mode {
        Mode::NoModify => " in memory",
        _ => "",
    };
    println!("Replayed the log{where_to}: {} transactions", replayed.transactions);
    for (kind, count) in &replayed.items {
        println!("    {:<10} {count}", kind.name());
    }
    if replayed.skipped > 0 {
        println!("    {} of these were on disk already, or freed later", replayed.skipped);
    }
    if options.verbose > 0 {
        let ends = &replayed.ends;
        println!("    head {}, tail {}", ends.head, ends.tail);
    }
    if let Some(block) = replayed.ends.torn {
        println!("    a torn write at log block {block} was left out");
    }
    let mut intents: BTreeMap<&str, u64> = BTreeMap::new();
    for intent in &replayed.intents {
        *intents.entry(intent.item.kind().description()).or_default() += 1;
    }
    for (what, count) in intents {
        println!("    {count} unfinished: {what}");
    }
}

/// Says that the filesystem was not checked.
pub fn not_checked(_: &Options) {
    println!("Only the log was looked at: this version does not check the filesystem yet.");
}
