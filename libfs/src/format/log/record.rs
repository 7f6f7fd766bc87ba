//! Log records: the header, its extensions, the checksum, and cycle stamping.
//!
//! A record is one header block, further header blocks for records of more than
//! 32 KiB, and a payload of operations. So that a torn write shows, the first four
//! bytes of every 512-byte block in the log are the cycle it was written in; the bytes
//! they displace are kept in the headers ([`stamp`], [`unstamp`]).

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::byteorder::little_endian;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::wire::{LogEndian, wire_struct};
use super::{BASIC_BLOCK, Lsn};

/// First four bytes of a record header; never a cycle number.
pub const RECORD_MAGIC: u32 = 0xfeed_babe;
/// Header version of logs with extended headers and stripe units, the only one in v5.
pub const RECORD_VERSION_2: u32 = 2;
/// Payload bytes whose displaced words one header block holds.
pub const CYCLE_BYTES_PER_HEADER: usize = 32 * 1024;
/// Displaced words one header block holds.
pub const CYCLE_WORDS_PER_HEADER: usize = CYCLE_BYTES_PER_HEADER / BASIC_BLOCK;
/// Largest record buffer (`h_size`) in bytes, headers included.
pub const MAX_RECORD_SIZE: usize = 256 * 1024;
/// Smallest record buffer (`h_size`) in bytes.
pub const MIN_RECORD_SIZE: usize = 16 * 1024;
/// Record buffers that can be in flight at once.
pub const MAX_RECORD_BUFFERS: usize = 8;

/// First header block of a log record (`xlog_rec_header`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct RecordHeader {
    /// [`RECORD_MAGIC`].
    pub h_magicno: U32,
    /// Cycle the record was written in.
    pub h_cycle: U32,
    /// Always 2 here.
    pub h_version: U32,
    /// Payload bytes, rounded up to the block or log stripe unit.
    pub h_len: U32,
    /// Where this record lies.
    pub h_lsn: U64,
    /// First record that was still needed for recovery when this one was written.
    pub h_tail_lsn: U64,
    /// Checksum (little-endian); see [`record_crc`].
    pub h_crc: little_endian::U32,
    /// Block of the record before this one, all ones when there is none.
    pub h_prev_block: U32,
    /// Number of operations in the payload.
    pub h_num_logops: U32,
    /// Words displaced by cycle numbers in the first 32 KiB of payload.
    pub h_cycle_data: [[u8; 4]; CYCLE_WORDS_PER_HEADER],

    /// Byte order of the items; see [`LogEndian::from_format`].
    pub h_fmt: U32,
    /// Filesystem the log belongs to.
    pub h_fs_uuid: [u8; 16],

    /// Bytes of the buffer the record was built in; says how many header blocks it has.
    pub h_size: U32,
    /// Padding that counts in the checksum, except on 32-bit x86.
    pub h_pad0: U32,
    /// Zeroes.
    pub h_reserved: [u8; 184],
}

const _: () = assert!(size_of::<RecordHeader>() == BASIC_BLOCK);
const _: () = assert!(core::mem::offset_of!(RecordHeader, h_crc) == 32);
const _: () = assert!(core::mem::offset_of!(RecordHeader, h_fmt) == 300);
const _: () = assert!(core::mem::offset_of!(RecordHeader, h_size) == 320);
const _: () = assert!(core::mem::offset_of!(RecordHeader, h_pad0) == 324);

/// Further header block of a record with a payload of more than 32 KiB.
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ExtendedHeader {
    /// Cycle the block was written in.
    pub xh_cycle: U32,
    /// Words displaced in the next 32 KiB of payload.
    pub xh_cycle_data: [[u8; 4]; CYCLE_WORDS_PER_HEADER],
    /// Zeroes.
    pub xh_reserved: [u8; 252],
}

const _: () = assert!(size_of::<ExtendedHeader>() == BASIC_BLOCK);

/// Bytes of an extended header that count in the checksum.
const EXTENDED_CRC_BYTES: usize = 4 + 4 * CYCLE_WORDS_PER_HEADER;
/// Offset of `h_crc`.
const CRC_OFFSET: usize = 32;

/// Header bytes that the checksum covers: 64-bit and big-endian machines, or 32-bit x86.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeaderLayout {
    /// With the padding after `h_size`.
    Padded,
    /// Without it (32-bit x86).
    Unpadded,
}

impl HeaderLayout {
    const fn crc_bytes(self) -> usize {
        match self {
            HeaderLayout::Padded => 328,
            HeaderLayout::Unpadded => 324,
        }
    }
}

impl RecordHeader {
    /// Number of header blocks in front of the payload.
    pub fn header_blocks(&self) -> usize {
        header_blocks(self.h_size.get() as usize)
    }

    /// Where the header says it lies.
    pub fn lsn(&self) -> Lsn {
        Lsn(self.h_lsn.get())
    }

    /// Where recovery has to start if this is the last record.
    pub fn tail_lsn(&self) -> Lsn {
        Lsn(self.h_tail_lsn.get())
    }

    /// Byte order of the items in the payload.
    pub fn endian(&self) -> Option<LogEndian> {
        LogEndian::from_format(self.h_fmt.get())
    }

    /// Payload bytes rounded up to whole 512-byte blocks, in blocks.
    pub fn payload_blocks(&self) -> usize {
        (self.h_len.get() as usize).div_ceil(BASIC_BLOCK)
    }
}

/// Header blocks of a record built in a buffer of `buffer_size` bytes (`h_size`).
pub fn header_blocks(buffer_size: usize) -> usize {
    buffer_size.div_ceil(CYCLE_BYTES_PER_HEADER).max(1)
}

/// Checksum of a record: `headers` is its header blocks with the extended ones, `payload`
/// is `h_len` bytes with the cycle numbers stamped in as they lie on disk.
///
/// Extended headers count as far as the payload reaches, not as many as there are.
pub fn record_crc(headers: &[u8], payload: &[u8], layout: HeaderLayout) -> u32 {
    let mut crc = 0;
    if let Some(first) = headers.get(..layout.crc_bytes()) {
        let (before, rest) = first.split_at(CRC_OFFSET);
        crc = crc32c::crc32c_append(crc, before);
        crc = crc32c::crc32c_append(crc, &[0; 4]);
        crc = crc32c::crc32c_append(crc, &rest[4..]);
    }
    let extended = payload.len().div_ceil(CYCLE_BYTES_PER_HEADER);
    for block in headers.chunks(BASIC_BLOCK).take(extended).skip(1) {
        crc = crc32c::crc32c_append(crc, &block[..EXTENDED_CRC_BYTES.min(block.len())]);
    }
    crc32c::crc32c_append(crc, payload)
}

/// The checksum that `headers` carries.
pub fn stored_crc(headers: &[u8]) -> Option<u32> {
    let bytes = headers.get(CRC_OFFSET..)?.first_chunk()?;
    Some(u32::from_le_bytes(*bytes))
}

/// Whether the checksum in `headers` fits, in either header layout.
pub fn crc_matches(headers: &[u8], payload: &[u8]) -> bool {
    let stored = stored_crc(headers);
    [HeaderLayout::Padded, HeaderLayout::Unpadded]
        .into_iter()
        .any(|layout| stored == Some(record_crc(headers, payload, layout)))
}

/// Where in the header blocks the word displaced from payload block `block` is kept.
fn displaced_at(block: usize) -> usize {
    let within = block % CYCLE_WORDS_PER_HEADER * 4;
    match block / CYCLE_WORDS_PER_HEADER {
        0 => 44 + within,
        header => header * BASIC_BLOCK + 4 + within,
    }
}

/// Puts `cycle` at the start of each block of `payload`, keeping what was there in
/// `headers` (all header blocks of the record), and of each extended header block.
///
/// Blocks from `wrap` on (counted from the first header block) lie beyond the physical
/// end of the log and belong to the next cycle.
pub fn stamp(headers: &mut [u8], payload: &mut [u8], cycle: u32, wrap: Option<usize>) {
    let header_blocks = headers.len() / BASIC_BLOCK;
    let cycle_of = |block: usize| match wrap {
        Some(first) if block >= first => next_cycle(cycle),
        _ => cycle,
    };
    for (i, block) in headers.chunks_mut(BASIC_BLOCK).enumerate().skip(1) {
        block[..4].copy_from_slice(&cycle_of(i).to_be_bytes());
    }
    for (i, block) in payload.chunks_mut(BASIC_BLOCK).enumerate() {
        let at = displaced_at(i);
        let (Some(kept), Some(word)) = (headers.get_mut(at..at + 4), block.get_mut(..4)) else {
            return;
        };
        kept.copy_from_slice(word);
        word.copy_from_slice(&cycle_of(header_blocks + i).to_be_bytes());
    }
}

/// Puts the displaced words of `payload` back from `headers`.
pub fn unstamp(headers: &[u8], payload: &mut [u8]) {
    for (i, block) in payload.chunks_mut(BASIC_BLOCK).enumerate() {
        let at = displaced_at(i);
        if let (Some(kept), Some(word)) = (headers.get(at..at + 4), block.get_mut(..4)) {
            word.copy_from_slice(kept);
        }
    }
}

/// The cycle after `cycle`; [`RECORD_MAGIC`] is left out.
pub fn next_cycle(cycle: u32) -> u32 {
    match cycle.wrapping_add(1) {
        RECORD_MAGIC => RECORD_MAGIC + 1,
        next => next,
    }
}

/// The cycle before `cycle`.
pub fn previous_cycle(cycle: u32) -> u32 {
    match cycle.wrapping_sub(1) {
        RECORD_MAGIC => RECORD_MAGIC - 1,
        previous => previous,
    }
}

/// The cycle that a 512-byte log block was written in.
pub fn block_cycle(block: &[u8]) -> u32 {
    let word = |at: usize| {
        block.get(at..).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_be_bytes(*b))
    };
    match word(0) {
        RECORD_MAGIC => word(4),
        cycle => cycle,
    }
}

/// Header of one operation in a record's payload (`xlog_op_header`).
#[derive(Debug, Clone, Copy, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct OpHeader {
    /// Transaction the operation belongs to.
    pub oh_tid: U32,
    /// Bytes of data after this header.
    pub oh_len: U32,
    /// Who wrote it: see [`client`].
    pub oh_clientid: u8,
    /// See [`op_flags`].
    pub oh_flags: u8,
    /// Zero.
    pub oh_res2: U16,
}

const _: () = assert!(size_of::<OpHeader>() == 12);

/// Values of [`OpHeader::oh_clientid`].
pub mod client {
    /// A transaction.
    pub const TRANSACTION: u8 = 0x69;
    /// The log itself (unmount records).
    pub const LOG: u8 = 0xaa;
}

/// Bits of [`OpHeader::oh_flags`].
pub mod op_flags {
    /// Starts a transaction.
    pub const START: u8 = 0x01;
    /// Commits a transaction.
    pub const COMMIT: u8 = 0x02;
    /// The region goes on in the next record.
    pub const CONTINUE: u8 = 0x04;
    /// The region began in an earlier record.
    pub const WAS_CONTINUED: u8 = 0x08;
    /// Last piece of a split region.
    pub const END: u8 = 0x10;
    /// The filesystem was unmounted cleanly.
    pub const UNMOUNT: u8 = 0x20;
}

wire_struct! {
    /// First region of every transaction (`xfs_trans_header`).
    pub struct TransactionHeader [16] {
        /// [`TransactionHeader::MAGIC`].
        pub th_magic: u32,
        /// [`TransactionHeader::CHECKPOINT`].
        pub th_type: u32,
        /// Unused.
        pub th_tid: i32,
        /// Number of regions logged, whatever the name says.
        pub th_num_items: u32,
    }
}

impl TransactionHeader {
    /// "TRAN".
    pub const MAGIC: u32 = 0x5452_414e;
    /// The only type of transaction in logs written since Linux 2.6.39.
    pub const CHECKPOINT: u32 = 40;
}

wire_struct! {
    /// Body of an unmount record (`xfs_unmount_log_format`).
    pub struct UnmountRecord [8] {
        /// [`UnmountRecord::MAGIC`].
        pub magic: u16,
        /// Zero.
        pub pad1: u16,
        /// Zero.
        pub pad2: u32,
    }
}

impl UnmountRecord {
    /// "Un", read as a number.
    pub const MAGIC: u16 = 0x556e;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamping_is_undone_by_unstamping_across_extended_headers() {
        let mut headers = vec![0; 3 * BASIC_BLOCK];
        let original: Vec<u8> = (0..70 * 1024u32).map(|i| (i * 7 + 1) as u8).collect();
        let mut payload = original.clone();
        stamp(&mut headers, &mut payload, 5, Some(10));
        assert_eq!(block_cycle(&headers[BASIC_BLOCK..]), 5);
        assert_eq!(block_cycle(&payload[6 * BASIC_BLOCK..]), 5);
        assert_eq!(block_cycle(&payload[7 * BASIC_BLOCK..]), 6);
        unstamp(&headers, &mut payload);
        assert_eq!(payload, original);
    }

    #[test]
    fn record_buffers_of_up_to_32_kib_have_one_header_block() {
        assert_eq!(header_blocks(0), 1);
        assert_eq!(header_blocks(32 * 1024), 1);
        assert_eq!(header_blocks(32 * 1024 + 1), 2);
        assert_eq!(header_blocks(256 * 1024), 8);
    }

    #[test]
    fn cycles_skip_the_magic_number() {
        assert_eq!(next_cycle(1), 2);
        assert_eq!(next_cycle(RECORD_MAGIC - 1), RECORD_MAGIC + 1);
        assert_eq!(previous_cycle(RECORD_MAGIC + 1), RECORD_MAGIC - 1);
        assert_eq!(previous_cycle(5), 4);
    }
}
