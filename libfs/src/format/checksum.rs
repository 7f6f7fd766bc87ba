//! Metadata checksums: CRC-32C over a whole structure, with the structure's own
//! little-endian checksum field counted as four zero bytes.

use crate::{At, Error, Result};

const FIELD: usize = 4;

/// The checksum of `bytes`, with the field at `crc_offset` counted as zero.
///
/// Offsets beyond the end are treated as if the field lay outside the structure.
pub fn compute(bytes: &[u8], crc_offset: usize) -> u32 {
    let before = bytes.get(..crc_offset).unwrap_or(bytes);
    let after = crc_offset.checked_add(FIELD).and_then(|end| bytes.get(end..)).unwrap_or(&[]);
    let sum = crc32c::crc32c(before);
    let sum = crc32c::crc32c_append(sum, &[0; FIELD]);
    crc32c::crc32c_append(sum, after)
}

/// The checksum stored in `bytes` at `crc_offset`, if the field lies inside.
pub fn stored(bytes: &[u8], crc_offset: usize) -> Option<u32> {
    let field = bytes.get(crc_offset..)?.first_chunk::<FIELD>()?;
    Some(u32::from_le_bytes(*field))
}

/// Whether the checksum stored at `crc_offset` is that of `bytes`.
pub fn verify(bytes: &[u8], crc_offset: usize) -> bool {
    stored(bytes, crc_offset) == Some(compute(bytes, crc_offset))
}

/// Stores the checksum of `bytes` at `crc_offset`.
///
/// Does nothing when the field does not fit, which cannot happen for a structure whose
/// size was checked.
pub fn stamp(bytes: &mut [u8], crc_offset: usize) {
    let sum = compute(bytes, crc_offset);
    if let Some(field) = bytes.get_mut(crc_offset..).and_then(|b| b.first_chunk_mut::<FIELD>()) {
        *field = sum.to_le_bytes();
    }
}

/// Fails with both sums if the checksum stored at `crc_offset` is wrong.
///
/// # Errors
///
/// An error naming `structure` and `at` is returned if the sums differ.
pub fn check(bytes: &[u8], crc_offset: usize, structure: &'static str, at: At) -> Result<()> {
    if verify(bytes, crc_offset) {
        return Ok(());
    }
    let found = stored(bytes, crc_offset).unwrap_or_default();
    let right = compute(bytes, crc_offset);
    Err(Error::corrupt(structure, at, format!("checksum {found:#010x}, expected {right:#010x}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The check value of CRC-32C ("123456789" gives e3069283, RFC 3720's polynomial).
    #[test]
    fn known_value() {
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn stamp_then_verify_and_notice_any_change() {
        let mut block = [7u8; 64];
        stamp(&mut block, 20);
        assert!(verify(&block, 20));
        for at in 0..block.len() {
            block[at] ^= 1;
            assert!(!verify(&block, 20), "change at {at} unnoticed");
            block[at] ^= 1;
        }
    }

    #[test]
    fn field_outside_is_never_right() {
        let mut short = [0u8; 6];
        stamp(&mut short, 4);
        assert_eq!(short, [0; 6]);
        assert!(!verify(&short, 4));
        assert!(!verify(&short, usize::MAX));
    }
}
