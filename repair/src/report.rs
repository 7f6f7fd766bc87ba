//! What is printed.

use libfs::filesystem::RecoveryReport;
use libfs::journal::LogEnds;

use crate::options::{Mode, Options};

/// The log had nothing to replay.
pub fn clean() {
    println!("The log is clean.");
}

/// Where the log begins and ends, with -v.
pub fn log_ends(ends: &LogEnds, options: &Options) {
    if options.verbose {
        println!("The log reaches from {} to {} (cycle/block).", ends.tail, ends.head);
    }
    if let Some(block) = ends.torn {
        println!("The write at log block {block} was torn; the log is taken to end there.");
    }
}

/// What was replayed, by type of item, and what was finished.
pub fn recovered(report: &RecoveryReport, options: &Options) {
    let in_memory = if options.mode == Mode::NoModify { " in memory" } else { "" };
    println!("Replayed the log{in_memory}: {} transactions", report.transactions);
    for (kind, count) in &report.items {
        println!("    {:<10} {count}", kind.name());
    }
    if report.skipped > 0 {
        println!("    {} of these were on disk already, or freed later", report.skipped);
    }
    for (kind, count) in &report.intents {
        println!("Finished {count} {}: {}", kind.intent_type().name(), kind.description());
    }
    if report.unlinked > 0 {
        println!("Freed {} unlinked inodes", report.unlinked);
    }
    match options.mode {
        Mode::NoModify => println!("The device was not changed."),
        _ => println!("The log is clean now."),
    }
}

/// The filesystem was not checked.
pub fn not_checked() {
    println!("Only the log was looked at: this version does not check the filesystem yet.");
}

/// The log cannot be replayed, because of `error`.
pub fn log_unusable(error: &libfs::Error) {
    eprintln!("xfs_repair: the log cannot be replayed: {error}");
    eprintln!(
        "Mounting the filesystem may replay it. If that fails too, -L destroys the log; the\n\
         last changes are then lost, and the filesystem may be damaged."
    );
}

/// The log is about to be destroyed with something in it.
pub fn destroying() {
    println!(
        "ALERT: The filesystem has valuable metadata changes in a log which is being\n\
         destroyed because the -L option was used."
    );
}
