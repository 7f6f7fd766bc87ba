//! What `blocktrash` does to a block, the same for the same seed as xfs_db 7.2 does.

use super::bits::Span;
use std::ops::RangeInclusive;

/// What becomes of the bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// They are cleared.
    Zeroed,
    /// They are set.
    Set,
    /// Each becomes the other.
    Flipped,
    /// Each becomes one or the other.
    Randomized,
}

impl Mode {
    /// As it is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::Zeroed => "zeroed",
            Self::Set => "set",
            Self::Flipped => "flipped",
            Self::Randomized => "randomized",
        }
    }
}

/// Where in a block the bits begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Anywhere.
    Anywhere,
    /// At this bit.
    At(u64),
    /// At this bit or behind it.
    From(u64),
}

/// What is to be done to a block.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What becomes of the bits.
    pub mode: Mode,
    /// Where they begin.
    pub start: Start,
    /// How many they may be.
    pub lengths: RangeInclusive<u64>,
}

/// Bits that were changed: the first one, counted in each byte from its lowest, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trashed {
    /// The first bit.
    pub start: u64,
    /// Number of bits.
    pub len: u64,
}

/// Changes a run of bits of `block`.
pub fn trash(block: &mut [u8], plan: &Plan, random: &mut Random) -> Trashed {
    let bits = block.len() as u64 * 8;
    let ranges = length_ranges(&plan.lengths);
    let range = &ranges[random.below(ranges.len() as u64) as usize];
    let len = range.start() + random.below(range.end() - range.start() + 1);
    let start = match plan.start {
        Start::At(bit) => bit,
        Start::Anywhere => random.below(bits),
        // As xfs_db 7.2 has it, which takes the bits for bytes here.
        Start::From(bit) => bit.saturating_add(random.below(bits.abs_diff(bit.saturating_mul(8)))),
    };
    let start = start.min(bits);
    let len = len.min(bits - start);
    for bit in start..start + len {
        let span = Span { start: (bit / 8 * 8 + 7 - bit % 8) as usize, bits: 1 };
        let now = span.get(block).first().is_some_and(|byte| *byte != 0);
        let new = match plan.mode {
            Mode::Zeroed => false,
            Mode::Set => true,
            Mode::Flipped => !now,
            Mode::Randomized => random.number() & 1 == 1,
        };
        span.set(block, &[if new { 0x80 } else { 0 }]);
    }
    Trashed { start, len }
}

/// The lengths, parted where they double: one part is chosen, then a length of it.
fn length_ranges(lengths: &RangeInclusive<u64>) -> Vec<RangeInclusive<u64>> {
    let (mut at, most) = (*lengths.start(), *lengths.end());
    let mut ranges = Vec::new();
    while at <= most {
        let end = (at.max(1) + 1).checked_next_power_of_two().map_or(most, |power| power - 1);
        ranges.push(at..=end.min(most));
        at = end.saturating_add(1);
    }
    ranges
}

/// Random numbers of 31 bits as `random(3)` of the GNU C library gives them after a seed: each
/// is the sum of the one 3 and the one 31 before it.
pub struct Random {
    state: [u32; 31],
    at: usize,
}

impl Random {
    /// Those after `seed`.
    pub fn new(seed: u32) -> Self {
        const MODULUS: i64 = 0x7fff_ffff;
        let mut state = [0; 31];
        let mut last = i64::from(seed.max(1) as i32);
        for word in &mut state {
            *word = last as u32;
            last = (16807 * last) % MODULUS;
            if last < 0 {
                last += MODULUS;
            }
        }
        let mut random = Random { state, at: 3 };
        for _ in 0..310 {
            random.number();
        }
        random
    }

    /// The next number.
    pub fn number(&mut self) -> u32 {
        let before = self.state[(self.at + 28) % 31];
        let word = &mut self.state[self.at];
        *word = word.wrapping_add(before);
        self.at = (self.at + 1) % 31;
        *word >> 1
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: u64) -> u64 {
        u64::from(self.number()).checked_rem(end).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a C program prints that calls srandom(1) and random() three times.
    #[test]
    fn numbers_are_those_of_the_c_library() {
        let mut random = Random::new(1);
        assert_eq!(
            [random.number(), random.number(), random.number()],
            [1804289383, 846930886, 1681692777]
        );
    }

    #[test]
    fn lengths_are_parted_at_powers_of_two() {
        assert_eq!(length_ranges(&(3..=20)), [3..=3, 4..=7, 8..=15, 16..=20]);
        assert_eq!(length_ranges(&(5..=6)), [5..=6]);
        assert_eq!(length_ranges(&(1..=4)), [1..=1, 2..=3, 4..=4]);
    }
}
