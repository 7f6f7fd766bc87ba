//! The operations of one record: the view by records below its headers.

use super::attribute::{Attribute, Shown};
use super::fields::Region;
use super::items;
use super::options::Options;
use libfs::format::log::record::{OpHeader, TransactionHeader, client, op_flags};
use libfs::format::log::wire::Wire;
use libfs::format::log::{LogEndian, LogItemType, ilog};
use std::collections::HashMap;
use std::fmt::Write;
use zerocopy::FromBytes;

/// The line before an operation that begins something.
const RULE: &str = "----------------------------------------------------------------------------\n";
const LEFT_OVER: &str = "Left over region from split log item\n";

/// Prints operations. Remembers from record to record what is left of split items.
#[derive(Default)]
pub(super) struct Printer {
    /// By transaction: regions of its last item that did not fit the record before.
    left_over: HashMap<u32, usize>,
    /// Whether the rest of an item was seen whose beginning was not: what is no item may
    /// belong to it.
    lost: bool,
}

/// Why a record cannot be printed to its end: text for standard error.
pub(super) struct BadData(pub(super) String);

/// One operation of a record.
struct Operation<'a> {
    tid: u32,
    flags: u8,
    region: Region<'a>,
}

/// The operations of a record, each printed when it is taken.
struct Operations<'a, 'b> {
    payload: &'a [u8],
    endian: LogEndian,
    taken: u32,
    count: u32,
    out: &'b mut String,
}

impl<'a> Operations<'a, '_> {
    /// The next operation, if there is one; its header is printed.
    fn next(&mut self, rule: bool) -> Result<Option<Operation<'a>>, BadData> {
        if self.taken >= self.count {
            return Ok(None);
        }
        if rule {
            self.out.push_str(RULE);
        }
        let Ok((header, rest)) = OpHeader::ref_from_prefix(self.payload) else {
            return Err(BadData("Bad data in log".into()));
        };
        let (tid, len) = (header.oh_tid.get(), header.oh_len.get());
        let _ = writeln!(
            self.out,
            "Oper ({}): tid: {tid:x}  len: {len}  clientid: {}  flags: {}",
            self.taken,
            client_name(header.oh_clientid),
            flag_names(header.oh_flags)
        );
        let Some((data, rest)) = rest.split_at_checked(len as usize) else {
            return Err(BadData("Bad data in log".into()));
        };
        self.payload = rest;
        self.taken += 1;
        let region = Region::new(data, self.endian);
        Ok(Some(Operation { tid, flags: header.oh_flags, region }))
    }
}

fn client_name(id: u8) -> &'static str {
    match id {
        client::TRANSACTION => "TRANS",
        client::LOG => "LOG",
        _ => "ERROR",
    }
}

fn flag_names(flags: u8) -> String {
    const NAMES: [(u8, &str); 6] = [
        (op_flags::START, "START "),
        (op_flags::COMMIT, "COMMIT "),
        (op_flags::WAS_CONTINUED, "WAS_CONT "),
        (op_flags::UNMOUNT, "UNMOUNT "),
        (op_flags::CONTINUE, "CONTINUE "),
        (op_flags::END, "END "),
    ];
    let names = NAMES.iter().filter(|(bit, _)| flags & bit != 0).map(|(_, name)| *name);
    let names: String = names.collect();
    if names.is_empty() { "none".into() } else { names }
}

impl Printer {
    /// Prints the `count` operations in the payload of a record.
    pub(super) fn record(
        &mut self,
        payload: &[u8],
        count: u32,
        endian: LogEndian,
        options: &Options,
        out: &mut String,
    ) -> Result<(), BadData> {
        let mut operations = Operations { payload, endian, taken: 0, count, out };
        while let Some(operation) = operations.next(true)? {
            if options.no_decoding {
                bytes(operation.region, operations.out);
            } else {
                self.operation(operation, &mut operations, options)?;
            }
        }
        out.push('\n');
        Ok(())
    }

    fn operation(
        &mut self,
        operation: Operation<'_>,
        rest: &mut Operations<'_, '_>,
        options: &Options,
    ) -> Result<(), BadData> {
        let Operation { tid, flags, region } = operation;
        if region.len() == 0 {
            return Ok(());
        }
        if flags & op_flags::UNMOUNT != 0 {
            rest.out.push_str("Unmount filesystem\n");
            return Ok(());
        }
        if self.is_left_over(tid, flags) {
            rest.out.push_str(LEFT_OVER);
            return Ok(());
        }
        if region.len() >= 4 && region.u32(0) == TransactionHeader::MAGIC {
            transaction_header(region, rest.out);
            return Ok(());
        }
        let kind = LogItemType::from_number(region.u16(0));
        let missing = match kind {
            Some(LogItemType::Buffer) => buffer(region, rest, options)?,
            Some(LogItemType::Inode) => inode(region, rest)?,
            Some(LogItemType::Dquot) => quota(region, rest)?,
            Some(LogItemType::Attri) => attribute(region, rest)?,
            Some(kind) => {
                items::whole_item(kind, region, rest.out);
                0
            }
            None if self.lost => {
                rest.out.push_str(LEFT_OVER);
                0
            }
            None => return unknown(region, options),
        };
        if missing > 0 {
            self.left_over.insert(tid, missing);
        }
        Ok(())
    }

    /// Whether an operation is of an item that began in an earlier record.
    fn is_left_over(&mut self, tid: u32, flags: u8) -> bool {
        if flags & op_flags::WAS_CONTINUED != 0 {
            self.lost |= !self.left_over.contains_key(&tid);
            return true;
        }
        match self.left_over.get_mut(&tid) {
            Some(left) if *left > 1 => *left -= 1,
            Some(_) => _ = self.left_over.remove(&tid),
            None => return false,
        }
        true
    }
}

fn transaction_header(region: Region<'_>, out: &mut String) {
    if region.len() < TransactionHeader::SIZE {
        out.push_str("TRAN:   Not enough data to decode further\n");
        return;
    }
    let (tid, items) = (region.u32(8), region.u32(12));
    let _ = writeln!(out, "TRAN:     tid: {tid:x}  num_items: {items}");
}

/// What is no item: damage, which ends the program unless it is to go on.
fn unknown(region: Region<'_>, options: &Options) -> Result<(), BadData> {
    let message = format!("xfs_logprint: unknown log operation type ({:x})", region.u16(0));
    if !options.go_on {
        return Err(BadData(format!("{message}\nBad data in log")));
    }
    eprintln!("{message}");
    Ok(())
}

/// A buffer item; returns how many of its regions are not in this record.
fn buffer(
    region: Region<'_>,
    rest: &mut Operations<'_, '_>,
    options: &Options,
) -> Result<usize, BadData> {
    let (regions, blkno) = (usize::from(region.u16(2)), region.u64(8) as i64);
    if region.len() < 16 {
        let _ = writeln!(rest.out, "BUF:  #regs: {regions}   Not printing rest of data");
        return Ok(regions.saturating_sub(1));
    }
    let _ = writeln!(
        rest.out,
        "BUF:  #regs: {regions}   start blkno: {blkno} ({blkno:#x})  len: {}  bmap size: {}  flags: {:#x}",
        region.u16(6),
        region.u32(16),
        region.u16(4)
    );
    for done in 1..regions {
        let Some(data) = rest.next(false)? else { return Ok(regions - done) };
        let place =
            items::Place { first_block: blkno == 0, goes_on: data.flags & op_flags::CONTINUE != 0 };
        items::buffer_data(data.region, place, options.contents, rest.out);
    }
    Ok(0)
}

/// An inode item.
fn inode(region: Region<'_>, rest: &mut Operations<'_, '_>) -> Result<usize, BadData> {
    let (regions, fields) = (usize::from(region.u16(2)), region.u32(4));
    if !items::inode_format(region, rest.out) {
        return Ok(regions.saturating_sub(1));
    }
    if regions < 2 {
        return Ok(0);
    }
    let Some(core) = rest.next(false)? else { return Ok(regions - 1) };
    let Some(core) = items::inode_core(core.region, rest.out) else { return Ok(regions - 2) };
    let mut done = 2;
    if fields & ilog::DFORK != 0 {
        if rest.next(false)?.is_none() {
            return Ok(regions.saturating_sub(done));
        }
        items::data_fork(fields, region.u16(10), &core, rest.out);
        done += 1;
    } else if fields & ilog::DEV != 0 {
        rest.out.push_str("DEV inode: no extra region\n");
    }
    if fields & ilog::AFORK != 0 {
        if rest.next(false)?.is_none() {
            return Ok(regions.saturating_sub(done));
        }
        items::attr_fork(fields, rest.out);
    }
    Ok(0)
}

/// A quota record.
fn quota(region: Region<'_>, rest: &mut Operations<'_, '_>) -> Result<usize, BadData> {
    if !items::quota_format(region, rest.out) {
        return Ok(1);
    }
    let Some(data) = rest.next(false)? else { return Ok(1) };
    items::quota_record(data.region, rest.out);
    Ok(0)
}

/// A change of an extended attribute, and the names and values in regions of their own.
fn attribute(region: Region<'_>, rest: &mut Operations<'_, '_>) -> Result<usize, BadData> {
    let count = usize::from(region.u16(2));
    let attribute = Attribute::format(region, rest.out);
    let mut regions = Vec::new();
    for done in 1..count {
        rest.out.push('\n');
        let Some(data) = rest.next(false)? else { return Ok(count - done) };
        attribute.part(done - 1, data.region, Shown::WholeRegion, rest.out);
        regions.push(data.region);
    }
    attribute.parents(&regions, rest.out);
    Ok(0)
}

/// A region as bytes, sixteen to a line.
fn bytes(region: Region<'_>, out: &mut String) {
    for line in region.bytes.chunks(16) {
        for byte in line {
            let _ = write!(out, "{byte:#04x} ");
        }
        if line.len() == 16 {
            out.push('\n');
        }
    }
    out.push('\n');
}
