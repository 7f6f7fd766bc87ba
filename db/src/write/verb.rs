//! What `fuzz` does to a field.

use super::bits::Span;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A change of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// All bits cleared.
    Zeroes,
    /// All bits set.
    Ones,
    /// The highest bit flipped.
    FirstBit,
    /// The bit in the middle flipped.
    MiddleBit,
    /// The lowest bit flipped.
    LastBit,
    /// A little more.
    Add,
    /// A little less.
    Sub,
    /// Anything.
    Random,
}

impl Verb {
    /// Every verb by name, in the order they are listed.
    pub const ALL: [(&'static str, Self); 8] = [
        ("zeroes", Self::Zeroes),
        ("ones", Self::Ones),
        ("firstbit", Self::FirstBit),
        ("middlebit", Self::MiddleBit),
        ("lastbit", Self::LastBit),
        ("add", Self::Add),
        ("sub", Self::Sub),
        ("random", Self::Random),
    ];

    /// The verb with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(known, _)| *known == name).map(|(_, verb)| verb)
    }

    /// What becomes of `value`; `None` if this cannot be done to so wide a field.
    pub fn apply(self, mut value: Vec<u8>, span: Span) -> Option<Vec<u8>> {
        match self {
            Self::Zeroes => value.fill(0),
            Self::Ones => value.fill(u8::MAX),
            Self::FirstBit => flip(&mut value, 0),
            Self::MiddleBit => flip(&mut value, span.bits / 2),
            Self::LastBit => flip(&mut value, span.bits.saturating_sub(1)),
            Self::Add => return shifted(&value, span, u64::wrapping_add),
            Self::Sub => return shifted(&value, span, u64::wrapping_sub),
            Self::Random => random(&mut value),
        }
        Some(value)
    }
}

fn flip(value: &mut [u8], bit: usize) {
    if let Some(byte) = value.get_mut(bit / 8) {
        *byte ^= 0x80 >> (bit % 8);
    }
}

/// What xfs_db 7.2 adds and takes away: primes that are well inside the field.
fn shifted(value: &[u8], span: Span, change: fn(u64, u64) -> u64) -> Option<Vec<u8>> {
    let step = if span.bits <= 8 { 137 } else { 2017 };
    let changed = change(span.to_number(value)?, step);
    let kept = u64::MAX.checked_shr(64 - span.bits as u32).unwrap_or(0);
    span.from_number(changed & kept)
}

/// Fills a value with random bytes.
pub fn random(value: &mut [u8]) {
    // Its keys are random; this need not be more than hard to foresee.
    let state = RandomState::new();
    for (index, chunk) in value.chunks_mut(8).enumerate() {
        let mut hasher = state.build_hasher();
        hasher.write_usize(index);
        chunk.copy_from_slice(&hasher.finish().to_ne_bytes()[..chunk.len()]);
    }
}
