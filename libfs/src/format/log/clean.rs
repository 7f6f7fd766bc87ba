//! Records that say "cleanly unmounted" and nothing else: all that a new log holds.

use super::record::{OpHeader, RECORD_MAGIC, RECORD_VERSION_2, RecordHeader, UnmountRecord};
use super::record::{client, header_blocks, op_flags};
use super::wire::Wire;
use super::{BASIC_BLOCK, LogEndian, Lsn};
use zerocopy::{FromZeros, IntoBytes};

/// Transaction number of the unmount record, which belongs to no transaction.
const UNMOUNT_TID: u32 = 0xb0c0_d0d0;
/// Size that records are announced with at least, in bytes.
const LEAST_SIZE: u32 = 32 * 1024;

/// What mkfs writes to the start of a zeroed log: a record in cycle 1 that says "cleanly
/// unmounted", padded to `unit` bytes (the log's stripe unit, or else its sector size).
/// It has no checksum, which counts as right.
pub fn clean_record(uuid: &[u8; 16], unit: u32) -> Vec<u8> {
    empty_record(uuid, unit, Lsn::new(1, 0), Lsn::new(1, 0))
}

/// The same at position `lsn`, with the log's tail at `tail`.
pub fn empty_record(uuid: &[u8; 16], unit: u32, lsn: Lsn, tail: Lsn) -> Vec<u8> {
    let headers = header_blocks(unit as usize);
    let total = (unit as usize).max((headers + 1) * BASIC_BLOCK);
    let operation = OpHeader {
        oh_tid: UNMOUNT_TID.into(),
        oh_len: 8.into(),
        oh_clientid: client::LOG,
        oh_flags: op_flags::UNMOUNT,
        oh_res2: 0.into(),
    };
    let mut header = RecordHeader::new_zeroed();
    header.h_magicno = RECORD_MAGIC.into();
    header.h_cycle = lsn.cycle().into();
    header.h_version = RECORD_VERSION_2.into();
    header.h_len = ((total - headers * BASIC_BLOCK) as u32).into();
    header.h_lsn = lsn.0.into();
    header.h_tail_lsn = tail.0.into();
    header.h_prev_block = u32::MAX.into();
    header.h_num_logops = 1.into();
    // The cycle number takes the place of the first word of every block.
    header.h_cycle_data[0] = UNMOUNT_TID.to_be_bytes();
    header.h_fmt = LogEndian::NATIVE.format().into();
    header.h_fs_uuid = *uuid;
    header.h_size = unit.max(LEAST_SIZE).into();

    let mut record = vec![0; total];
    let body = headers * BASIC_BLOCK;
    let unmount = UnmountRecord { magic: UnmountRecord::MAGIC, pad1: 0, pad2: 0 };
    let mut payload = operation.as_bytes().to_vec();
    unmount.put(LogEndian::NATIVE, &mut payload);
    for (place, byte) in record.iter_mut().skip(body).zip(payload) {
        *place = byte;
    }
    for block in record.chunks_exact_mut(BASIC_BLOCK) {
        for (place, byte) in block.iter_mut().zip(lsn.cycle().to_be_bytes()) {
            *place = byte;
        }
    }
    for (place, byte) in record.iter_mut().zip(header.as_bytes()) {
        *place = *byte;
    }
    record
}
