//! Reading and writing big-endian integers in a block without panicking.

/// The byte at `at`, if the block is that long.
pub(crate) fn get8(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

/// The 16-bit integer at `at`, if the block is that long.
pub(crate) fn get16(bytes: &[u8], at: usize) -> Option<u16> {
    take(bytes, at).map(u16::from_be_bytes)
}

/// The 32-bit integer at `at`, if the block is that long.
pub(crate) fn get32(bytes: &[u8], at: usize) -> Option<u32> {
    take(bytes, at).map(u32::from_be_bytes)
}

/// The 64-bit integer at `at`, if the block is that long.
pub(crate) fn get64(bytes: &[u8], at: usize) -> Option<u64> {
    take(bytes, at).map(u64::from_be_bytes)
}

fn take<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// Copies `new` to `at`; what does not fit in the block is left out.
pub(crate) fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(target) = at.checked_add(new.len()).and_then(|end| bytes.get_mut(at..end)) {
        target.copy_from_slice(new);
    }
}

/// Writes a 16-bit integer at `at`.
pub(crate) fn put16(bytes: &mut [u8], at: usize, value: u16) {
    put(bytes, at, &value.to_be_bytes());
}

/// Writes a 32-bit integer at `at`.
pub(crate) fn put32(bytes: &mut [u8], at: usize, value: u32) {
    put(bytes, at, &value.to_be_bytes());
}

/// Writes a 64-bit integer at `at`.
pub(crate) fn put64(bytes: &mut [u8], at: usize, value: u64) {
    put(bytes, at, &value.to_be_bytes());
}
