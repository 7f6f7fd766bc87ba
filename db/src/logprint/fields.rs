//! Numbers out of regions of the log, which may be shorter than they should be.

use libfs::format::log::LogEndian;

/// A region: some bytes of an item, in the byte order of the machine that logged them.
#[derive(Clone, Copy)]
pub(super) struct Region<'a> {
    pub(super) bytes: &'a [u8],
    endian: LogEndian,
}

impl<'a> Region<'a> {
    pub(super) fn new(bytes: &'a [u8], endian: LogEndian) -> Self {
        Region { bytes, endian }
    }

    /// The bytes of a number, least significant first; zero where the region has ended.
    fn number<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        for (place, byte) in bytes.iter_mut().zip(self.bytes.iter().skip(at)) {
            *place = *byte;
        }
        if self.endian == LogEndian::Big {
            bytes.reverse();
        }
        bytes
    }

    pub(super) fn u8(&self, at: usize) -> u8 {
        self.number::<1>(at)[0]
    }

    pub(super) fn u16(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.number(at))
    }

    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.number(at))
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.number(at))
    }

    /// What is on disk in this order whoever logged it: all that buffers hold.
    pub(super) fn on_disk(&self) -> Region<'a> {
        Region { bytes: self.bytes, endian: LogEndian::Big }
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}
