//! The view by transactions: those that recovery would find complete between tail and head.

use super::options::Options;
use super::plain::RULE;
use super::ring::Ring;
use super::view;
use super::{Output, Stop};
use anyhow::anyhow;
use libfs::journal::reader::RawTransaction;
use libfs::journal::{LogState, RecordReader, TransactionReader, find_ends};
use std::fmt::Write;

/// Prints them.
pub(super) fn print(ring: &Ring, options: &Options, out: &mut Output) -> Result<(), Stop> {
    let ends = find_ends(ring.device(), ring.area).map_err(|error| {
        anyhow!("xfs_logprint: failed to find head and tail, error: 22: {error}")
    })?;
    let (tail, head) = (ends.tail.block(), ends.head.block());
    let clean = ends.state == LogState::Clean;
    let state = if clean { "<CLEAN>" } else { "<DIRTY>" };
    out.put(&format!("    log tail: {tail} head: {head} state: {state}\n\n"))?;
    if clean {
        return Ok(());
    }
    let blocks = ring.blocks();
    let mut transactions = TransactionReader::new(&blocks, tail, head);
    let mut next = transactions.next_raw();
    for record in RecordReader::new(&blocks, tail, head) {
        let lsn = record?.lsn();
        out.put(&format!(
            "\nLOG REC AT LSN cycle {} block {} ({:#x}, {:#x})\n",
            lsn.cycle(),
            lsn.block(),
            lsn.cycle(),
            lsn.block()
        ))?;
        while let Some(Ok(transaction)) = &next
            && transaction.commit_lsn == lsn
        {
            out.put(&describe(transaction, options))?;
            next = transactions.next_raw();
        }
    }
    match next {
        Some(Err(error)) => Err(error.into()),
        _ => Ok(()),
    }
}

/// A transaction with its items. Where xfsprogs prints addresses in its memory, there are
/// zeroes.
fn describe(transaction: &RawTransaction, options: &Options) -> String {
    let (tid, header) = (transaction.tid, transaction.header_tid);
    let regions: usize = transaction.items.iter().map(Vec::len).sum();
    let mut text = String::from(RULE);
    let _ = writeln!(text, "TRANS: tid:{tid:#x}  #items:{regions}  trans:{header:#x}  q:0x0");
    for regions in &transaction.items {
        view::item(regions, transaction.endian, options, &mut text);
    }
    text
}
