//! The journal as text: its ends, its records, and the transactions in them.

use crate::session::Session;
use anyhow::Result;
use libfs::device::Device;
use libfs::format::log::intent::{bmap_flags, refcount_flags, rmap_flags};
use libfs::format::log::{
    AttrIntent, BufferItem, DoneItem, ExchangeIntent, InodeItem, IntentItem, LogItem, LogItemType,
    Lsn, MapExtent, blft, ilog,
};
use libfs::journal::area::LogBlocks;
use libfs::journal::reader::RawTransaction;
use libfs::journal::record::CrcState;
use libfs::journal::{
    LogArea, LogEnds, LogPlace, LogState, Record, RecordReader, TransactionReader, find_ends,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use unfinished::Unfinished;

mod unfinished;

/// What to show of the journal, besides its ends and the intents that are not finished.
#[derive(Clone, Copy)]
pub struct Parts {
    /// Its records.
    pub records: bool,
    /// Its transactions.
    pub transactions: bool,
}

/// The log of the filesystem that is looked at.
fn place(session: &Session) -> Result<LogPlace> {
    let data: Arc<dyn Device> = session.device.clone();
    let log = session.log_device.clone().map(|log| -> Arc<dyn Device> { log });
    Ok(LogPlace::find(&session.geo, &data, log.as_ref())?)
}

/// Prints the journal: where it begins and ends, then its records and its transactions, as
/// asked for, and which intents in it are not finished. Damage ends a list with a line that
/// says what it is.
///
/// # Errors
///
/// An error is returned if the log is on a device that was not named, or its ends cannot be
/// found.
pub fn show(session: &Session, parts: Parts) -> Result<String> {
    let place = place(session)?;
    let ends = find_ends(place.device.as_ref(), place.area)?;
    let blocks = LogBlocks::new(place.device.as_ref(), place.area);
    let mut out = describe_ends(&ends, &place.area);
    let (tail, head) = (ends.tail.block(), ends.head.block());
    if parts.records {
        for record in RecordReader::new(&blocks, tail, head) {
            match record {
                Ok(record) => describe_record(&record, &mut out),
                Err(error) => _ = writeln!(out, "{error}"),
            }
        }
    }
    let mut unfinished = Unfinished::default();
    let mut reader = TransactionReader::new(&blocks, tail, head);
    while let Some(transaction) = reader.next_raw() {
        match transaction {
            Ok(transaction) => {
                unfinished.take(&transaction);
                if parts.transactions {
                    describe_transaction(&transaction, &mut out);
                }
            }
            Err(error) => _ = writeln!(out, "{error}"),
        }
    }
    unfinished.describe(&mut out);
    Ok(out)
}

/// The journal as JSON: its ends, its records, its transactions with their items by kind, and the
/// intents that are not finished.
///
/// # Errors
///
/// As [`show`]; and an error is returned if a record between the ends is damaged.
pub fn json(session: &Session) -> Result<Value> {
    let place = place(session)?;
    let ends = find_ends(place.device.as_ref(), place.area)?;
    let blocks = LogBlocks::new(place.device.as_ref(), place.area);
    let (tail, head) = (ends.tail.block(), ends.head.block());
    let mut records = Vec::new();
    for record in RecordReader::new(&blocks, tail, head) {
        let record = record?;
        records.push(json!({
            "lsn": json_lsn(record.lsn()),
            "tail": json_lsn(record.header.tail_lsn()),
            "bytes": record.header.h_len.get(),
            "operations": record.header.h_num_logops.get(),
        }));
    }
    let (mut unfinished, mut transactions) = (Unfinished::default(), Vec::new());
    let mut reader = TransactionReader::new(&blocks, tail, head);
    while let Some(transaction) = reader.next_raw() {
        let transaction = transaction?;
        unfinished.take(&transaction);
        transactions.push(json_transaction(&transaction));
    }
    Ok(json!({
        "state": if ends.state == LogState::Clean { "clean" } else { "dirty" },
        "blocks": place.area.blocks,
        "head": json_lsn(ends.head),
        "tail": json_lsn(ends.tail),
        "torn": ends.torn,
        "records": records,
        "transactions": transactions,
        "unfinished": unfinished.json(),
    }))
}

fn json_lsn(lsn: Lsn) -> Value {
    json!({ "cycle": lsn.cycle(), "block": lsn.block() })
}

fn json_transaction(transaction: &RawTransaction) -> Value {
    let mut items = BTreeMap::<&str, u64>::new();
    for regions in &transaction.items {
        let kind = regions.first().and_then(|format| format.first_chunk::<2>());
        let kind = kind.and_then(|kind| LogItemType::from_number(transaction.endian.u16(*kind)));
        *items.entry(kind.map_or("unknown", LogItemType::name)).or_default() += 1;
    }
    json!({
        "tid": transaction.tid,
        "lsn": json_lsn(transaction.lsn),
        "commit": json_lsn(transaction.commit_lsn),
        "items": items,
    })
}

/// A position as cycle and block.
fn position(lsn: Lsn) -> String {
    format!("{}/{}", lsn.cycle(), lsn.block())
}

fn describe_ends(ends: &LogEnds, area: &LogArea) -> String {
    let state = match ends.state {
        LogState::Clean => "clean",
        LogState::Dirty => "dirty",
    };
    let mut out = format!(
        "log {state}: blocks = {}, head = {}, tail = {}, used = {}\n",
        area.blocks,
        position(ends.head),
        position(ends.tail),
        ends.used_blocks(area)
    );
    if let Some(block) = ends.torn {
        let _ = writeln!(out, "torn record at block {block}");
    }
    out
}

fn describe_record(record: &Record, out: &mut String) {
    let header = &record.header;
    let crc = match record.crc {
        CrcState::Good => "correct",
        CrcState::Absent => "none",
        CrcState::Bad => "bad",
    };
    let _ = writeln!(
        out,
        "record {}: block = {}, tail = {}, len = {}, ops = {}, prev = {}, size = {}, crc = {crc}",
        position(record.lsn()),
        record.block,
        position(header.tail_lsn()),
        header.h_len,
        header.h_num_logops,
        header.h_prev_block.get() as i32,
        header.h_size,
    );
}

fn describe_transaction(transaction: &RawTransaction, out: &mut String) {
    let _ = writeln!(
        out,
        "transaction {:#x}: lsn = {}, commit = {}, items = {}",
        transaction.tid,
        position(transaction.lsn),
        position(transaction.commit_lsn),
        transaction.items.len()
    );
    for regions in &transaction.items {
        match LogItem::decode(transaction.endian, regions) {
            Ok(item) => describe_item(&item, out),
            Err(error) => _ = writeln!(out, "  {error}"),
        }
    }
}

fn describe_item(item: &LogItem, out: &mut String) {
    match item {
        LogItem::Buffer(item) => describe_buffer(item, out),
        LogItem::Inode(item) => describe_inode(item, out),
        LogItem::Dquot(item) => {
            let format = &item.format;
            let _ = writeln!(out, "  dquot: id = {}, blkno = {}", format.qlf_id, format.qlf_blkno);
        }
        LogItem::InodeCreate(item) => {
            let _ = writeln!(
                out,
                "  icreate: ag = {}, agbno = {}, count = {}, isize = {}, length = {}, gen = {}",
                item.icl_ag.0,
                item.icl_agbno.0,
                item.icl_count.0,
                item.icl_isize.0,
                item.icl_length.0,
                item.icl_gen.0
            );
        }
        LogItem::QuotaOff(_) => out.push_str("  quotaoff\n"),
        LogItem::Intent(intent) => describe_intent(intent, out),
        LogItem::Done(done) => describe_done(done, out),
    }
}

fn describe_buffer(item: &BufferItem, out: &mut String) {
    let format = &item.format;
    let _ = write!(
        out,
        "  buf: blkno = {}, len = {}, type = {}",
        format.blkno,
        format.len,
        blft::name(format.kind())
    );
    if format.is_cancel() {
        out.push_str(", cancel");
    }
    let pieces = item.pieces().unwrap_or_default();
    if !pieces.is_empty() {
        let ranges = pieces.iter().map(|(at, bytes)| format!("{at:#x}+{:#x}", bytes.len()));
        let _ = write!(out, ", dirty = {}", ranges.collect::<Vec<_>>().join(" "));
    }
    out.push('\n');
}

fn describe_inode(item: &InodeItem, out: &mut String) {
    const FIELDS: [(u32, &str); 10] = [
        (ilog::CORE, "core"),
        (ilog::DDATA, "ddata"),
        (ilog::DEXT, "dext"),
        (ilog::DBROOT, "dbroot"),
        (ilog::DEV, "dev"),
        (ilog::ADATA, "adata"),
        (ilog::AEXT, "aext"),
        (ilog::ABROOT, "abroot"),
        (ilog::DOWNER, "downer"),
        (ilog::AOWNER, "aowner"),
    ];
    let (format, core) = (&item.format, &item.core);
    let fields: Vec<_> = FIELDS
        .iter()
        .filter(|(bit, _)| format.ilf_fields & bit != 0)
        .map(|(_, name)| *name)
        .collect();
    let _ = writeln!(
        out,
        "  inode: ino = {}, fields = {}, mode = 0{:o}, nlink = {}, size = {}, nblocks = {}, \
         format = {}, aformat = {}, dfork = {} bytes, afork = {} bytes",
        format.ilf_ino,
        fields.join("|"),
        core.di_mode,
        core.di_nlink,
        core.di_size,
        core.di_nblocks,
        core.di_format,
        core.di_aformat,
        item.data_fork.len(),
        item.attr_fork.len()
    );
}

fn describe_done(done: &DoneItem, out: &mut String) {
    let name = format!("{:?}", done.kind.done_type()).to_lowercase();
    let _ = writeln!(out, "  {name}: id = {:#x}", done.id);
}

fn describe_intent(intent: &IntentItem, out: &mut String) {
    let name = format!("{:?}", intent.kind().intent_type()).to_lowercase();
    let _ = write!(out, "  {name}: id = {:#x}", intent.id());
    match intent {
        IntentItem::ExtentFree { extents, .. } => {
            for extent in extents {
                let _ = write!(out, ", free {}+{}", extent.start, extent.len);
            }
        }
        IntentItem::Rmap { extents, .. } => {
            for extent in extents {
                let name = rmap_name(extent.me_flags & rmap_flags::TYPE_MASK);
                describe_map(name, extent, rmap_flags::ATTR_FORK, rmap_flags::UNWRITTEN, out);
                if extent.me_flags & rmap_flags::BMBT_BLOCK != 0 {
                    out.push_str(" bmbt");
                }
            }
        }
        IntentItem::Refcount { extents, .. } => {
            for extent in extents {
                let name = refcount_name(extent.pe_flags & refcount_flags::TYPE_MASK);
                let _ = write!(out, ", {name} {}+{}", extent.pe_startblock, extent.pe_len);
            }
        }
        IntentItem::Bmap { extents, .. } => {
            for extent in extents {
                let kind = extent.me_flags & bmap_flags::TYPE_MASK;
                let name = if kind == bmap_flags::MAP { "map" } else { "unmap" };
                describe_map(name, extent, bmap_flags::ATTR_FORK, bmap_flags::UNWRITTEN, out);
            }
        }
        IntentItem::Attr(intent) => describe_attr(intent, out),
        IntentItem::Exchange(intent) => describe_exchange(intent, out),
    }
    out.push('\n');
}

fn describe_map(name: &str, extent: &MapExtent, attr: u32, unwritten: u32, out: &mut String) {
    let _ = write!(
        out,
        ", {name} {}+{} owner {} offset {}",
        extent.me_startblock, extent.me_len, extent.me_owner as i64, extent.me_startoff
    );
    if extent.me_flags & attr != 0 {
        out.push_str(" attr");
    }
    if extent.me_flags & unwritten != 0 {
        out.push_str(" unwritten");
    }
}

fn describe_attr(intent: &AttrIntent, out: &mut String) {
    let name = String::from_utf8_lossy(&intent.name).escape_debug().to_string();
    let _ = write!(
        out,
        ", op = {:?}, ino = {}, filter = {:#x}, name = \"{name}\", value = {} bytes",
        intent.operation,
        intent.inode,
        intent.filter,
        intent.value.len()
    );
}

fn describe_exchange(intent: &ExchangeIntent, out: &mut String) {
    let _ = write!(
        out,
        ", ino1 = {}, ino2 = {}, startoff1 = {}, startoff2 = {}, blockcount = {}, flags = {:#x}, \
         isize1 = {}, isize2 = {}",
        intent.inode1,
        intent.inode2,
        intent.start1,
        intent.start2,
        intent.blocks,
        intent.flags,
        intent.size1,
        intent.size2
    );
}

fn rmap_name(kind: u32) -> &'static str {
    match kind {
        rmap_flags::MAP => "map",
        rmap_flags::MAP_SHARED => "map-shared",
        rmap_flags::UNMAP => "unmap",
        rmap_flags::UNMAP_SHARED => "unmap-shared",
        rmap_flags::CONVERT => "convert",
        rmap_flags::CONVERT_SHARED => "convert-shared",
        rmap_flags::ALLOC => "alloc",
        rmap_flags::FREE => "free",
        _ => "unknown",
    }
}

fn refcount_name(kind: u32) -> &'static str {
    match kind {
        refcount_flags::INCREASE => "increase",
        refcount_flags::DECREASE => "decrease",
        refcount_flags::ALLOC_COW => "alloc-cow",
        refcount_flags::FREE_COW => "free-cow",
        _ => "unknown",
    }
}
