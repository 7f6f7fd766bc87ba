//! What pread and pwrite share: buffers, the order of offsets, and their options.

use std::io::{IoSlice, IoSliceMut};

use crate::commands::Flags;
use crate::session::{Complaint, Session};

/// Bytes at an address that direct I/O accepts.
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

/// Page size, and the alignment of every buffer.
const ALIGNMENT: usize = 4096;

impl Buffer {
    /// `len` bytes with the value `fill`.
    pub fn new(len: usize, fill: u8) -> Self {
        let bytes = vec![fill; len + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { bytes, start, len }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// Whence the next offset comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Forward,
    Backward,
    Random,
}

/// The options that pread and pwrite have in common.
pub struct Plan {
    pub order: Order,
    /// Bytes in each vector, and of each request without vectors.
    pub block: usize,
    /// Vectors of each request; 0 for plain reads and writes.
    pub vectors: usize,
    pub seed: u32,
    pub offset: u64,
    pub length: u64,
}

/// Largest buffer, so that a slip of the finger does not end in an abort.
const LARGEST: u64 = 1 << 32;

impl Plan {
    /// Reads the options; `block` is used where -b is not given.
    pub fn parse(
        session: &mut Session,
        flags: &Flags,
        range: [u64; 2],
        block: Option<u64>,
    ) -> anyhow::Result<Self> {
        let given = match flags.value('b') {
            Some(text) => match session.number(text, "bsize") {
                Ok(block) => Some(block),
                Err(_) => complain(format!("non-numeric bsize -- {text}"))?,
            },
            None => None,
        };
        if let Some(text) = flags.value('V') {
            session.vectors = match session.number(text, "vector count") {
                Ok(vectors) => usize::try_from(vectors)?,
                Err(_) => complain(format!("non-numeric vector count == {text}"))?,
            };
        }
        let seed = seed(flags.value('Z').unwrap_or("0"))?;
        let [offset, length] = range;
        let block = given.or(block).unwrap_or(session.units().block);
        let vectors = session.vectors;
        let largest = LARGEST / vectors.max(1) as u64;
        anyhow::ensure!(block <= largest, "buffers of {block} bytes are too large");
        let last = flags.last(&['F', 'B', 'R']);
        let order = match last {
            Some('B') => Order::Backward,
            Some('R') => Order::Random,
            _ => Order::Forward,
        };
        Ok(Self { order, block: block as usize, vectors, seed, offset, length })
    }

    /// Bytes that all vectors hold.
    pub fn buffer_len(&self) -> usize {
        self.block * self.vectors.max(1)
    }

    /// Offset and length of the requests of a backward or random pass over the range.
    pub fn requests(&self) -> Box<dyn Iterator<Item = (u64, usize)>> {
        match self.order {
            Order::Random => Box::new(self.random_requests()),
            _ => Box::new(self.backward_requests()),
        }
    }

    /// As many whole blocks as a pass over the range takes, each anywhere in it.
    fn random_requests(&self) -> impl Iterator<Item = (u64, usize)> + use<> {
        let block = (self.block as u64).max(1);
        let first = self.offset - self.offset % block;
        let length = (self.length + self.length % block).max(block);
        let range = length - block;
        let mut random = Random::new(self.seed);
        (0..length.div_ceil(block)).map(move |_| {
            let within = if range == 0 { 0 } else { u64::from(random.next()) % range };
            ((first + within) / block * block, block as usize)
        })
    }

    /// Block by block from the end of the range, which is `offset`, down. xfsprogs stops once
    /// the bytes left are not more than the offset where the range begins; so does this.
    fn backward_requests(&self) -> impl Iterator<Item = (u64, usize)> + use<> {
        let block = (self.block as u64).max(1);
        let (mut at, mut left) = (self.offset, self.backward_length());
        let end = at - left;
        let mut odd = (at % block).min(left);
        std::iter::from_fn(move || {
            let length = match std::mem::take(&mut odd) {
                0 if left > end => left.min(block),
                odd => odd,
            };
            at -= length;
            left -= length;
            (length > 0).then_some((at, length as usize))
        })
    }

    /// Bytes of a backward pass, which cannot go below the file's start.
    pub fn backward_length(&self) -> u64 {
        self.length.min(self.offset)
    }

    /// Lengths of the vectors of a request for `count` bytes. The vector that the count ends
    /// in is cut; xfsprogs hands over the ones behind it whole, and so does this.
    pub fn pieces(&self, count: usize) -> Vec<usize> {
        if self.vectors == 0 {
            return vec![count];
        }
        let mut left = count;
        let mut cut = count >= self.buffer_len();
        (0..self.vectors)
            .map(|_| {
                if cut || left > self.block {
                    left = left.saturating_sub(self.block);
                    return self.block;
                }
                cut = true;
                left
            })
            .collect()
    }
}

fn complain<T>(words: String) -> anyhow::Result<T> {
    Err(Complaint(words).into())
}

/// A seed, or the complaint that it is none.
pub fn seed(text: &str) -> anyhow::Result<u32> {
    match unsigned(text) {
        Some(value) => Ok(value as u32),
        None => complain(format!("non-numeric seed -- {text}")),
    }
}

/// A number as strtoul(3) reads it: as far as the digits go, a negative one wrapped around.
/// `None` if there are no digits.
pub fn unsigned(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (digits, radix) = match digits.as_bytes() {
        [b'0', b'x' | b'X', next, ..] if next.is_ascii_hexdigit() => (&digits[2..], 16),
        [b'0', ..] => (digits, 8),
        _ => (digits, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let value = u64::from_str_radix(&digits[..end], radix).ok()?;
    Some(if negative { value.wrapping_neg() } else { value })
}

/// Cuts a buffer into vectors of these lengths.
pub fn split<'a>(mut bytes: &'a [u8], lengths: &[usize]) -> Vec<IoSlice<'a>> {
    let mut pieces = Vec::with_capacity(lengths.len());
    for &len in lengths {
        let (piece, rest) = bytes.split_at(len.min(bytes.len()));
        pieces.push(IoSlice::new(piece));
        bytes = rest;
    }
    pieces
}

/// Cuts a buffer into vectors of these lengths.
pub fn split_mut<'a>(mut bytes: &'a mut [u8], lengths: &[usize]) -> Vec<IoSliceMut<'a>> {
    let mut pieces = Vec::with_capacity(lengths.len());
    for &len in lengths {
        let (piece, rest) = bytes.split_at_mut(len.min(bytes.len()));
        pieces.push(IoSliceMut::new(piece));
        bytes = rest;
    }
    pieces
}

/// The numbers that `random(3)` of the GNU C library gives: an additive feedback generator
/// with 31 words of state, so that a seed means the same offsets here as in xfsprogs.
pub struct Random {
    state: [i32; 31],
    at: usize,
}

impl Random {
    pub fn new(seed: u32) -> Self {
        let mut state = [0i32; 31];
        state[0] = if seed == 0 { 1 } else { seed as i32 };
        for i in 1..31 {
            // The Lehmer generator 16807 * x mod (2^31 - 1), with a negative remainder
            // lifted, which is what Schrage's method gives.
            let next = (16_807 * i64::from(state[i - 1])) % 2_147_483_647;
            state[i] = (if next < 0 { next + 2_147_483_647 } else { next }) as i32;
        }
        let mut random = Self { state, at: 3 };
        for _ in 0..310 {
            random.next();
        }
        random
    }

    /// The next number, below 2^31.
    pub fn next(&mut self) -> u32 {
        let sum = self.state[self.at].wrapping_add(self.state[(self.at + 28) % 31]);
        self.state[self.at] = sum;
        self.at = (self.at + 1) % 31;
        (sum as u32) >> 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers printed by a C program that calls srandom(3) and random(3).
    #[test]
    fn random_numbers_are_those_of_the_c_library() {
        let mut random = Random::new(1);
        let first: Vec<u32> = (0..4).map(|_| random.next()).collect();
        assert_eq!(first, [1_804_289_383, 846_930_886, 1_681_692_777, 1_714_636_915]);
        assert_eq!(Random::new(0).next(), 1_804_289_383);
        let mut random = Random::new(u32::MAX);
        assert_eq!([random.next(), random.next()], [254_925_627, 1_205_188_300]);
        let mut random = Random::new(0x8000_0001);
        assert_eq!([random.next(), random.next()], [1_081_815_585, 5_219_348]);
    }

    fn plan(order: Order, offset: u64, length: u64) -> Plan {
        Plan { order, block: 4096, vectors: 0, seed: 9, offset, length }
    }

    /// Requests of xfs_io 7.2 as strace shows them.
    #[test]
    fn requests_are_those_of_xfsprogs() {
        let offsets = |plan: &Plan| -> Vec<(u64, usize)> { plan.requests().collect() };
        assert_eq!(
            offsets(&plan(Order::Random, 5120, 9216)),
            [(8192, 4096), (4096, 4096), (4096, 4096)]
        );
        assert_eq!(offsets(&plan(Order::Random, 1, 4)), [(0, 4096)]);
        assert_eq!(
            offsets(&plan(Order::Backward, 10_001, 10_000)),
            [(8192, 1809), (4096, 4096), (1, 4095)]
        );
        assert_eq!(offsets(&plan(Order::Backward, 1024, 10_000)), [(0, 1024)]);
        assert_eq!(offsets(&plan(Order::Backward, 16_384, 10_000)), [(12_288, 4096)]);
    }
}
