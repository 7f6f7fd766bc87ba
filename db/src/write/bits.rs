//! Fields as runs of bits. A value is held in bytes from its highest bit on: the last byte
//! of a field that is no whole number of bytes has unused low bits.

/// Where a field is in the bytes of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its first bit.
    pub start: usize,
    /// Number of bits.
    pub bits: usize,
}

impl Span {
    /// Bytes that hold a value of this many bits.
    pub fn bytes(&self) -> usize {
        self.bits.div_ceil(8)
    }

    /// The field's value; bits beyond the end of `data` are zero.
    pub fn get(&self, data: &[u8]) -> Vec<u8> {
        let mut value = vec![0; self.bytes()];
        for bit in 0..self.bits {
            let from = self.start.saturating_add(bit);
            let byte = data.get(from / 8).copied().unwrap_or(0);
            value[bit / 8] |= (byte >> (7 - from % 8) & 1) << (7 - bit % 8);
        }
        value
    }

    /// Puts a value there; bits beyond the end of `data`, and those that `value` lacks, are
    /// left alone.
    pub fn set(&self, data: &mut [u8], value: &[u8]) {
        for bit in 0..self.bits.min(value.len() * 8) {
            let to = self.start.saturating_add(bit);
            let Some(byte) = data.get_mut(to / 8) else { return };
            let mask = 0x80 >> (to % 8);
            let set = value[bit / 8] >> (7 - bit % 8) & 1 == 1;
            *byte = if set { *byte | mask } else { *byte & !mask };
        }
    }

    /// A number as the value of the field, in its low bits; `None` if it has more.
    pub fn from_number(&self, number: u64) -> Option<Vec<u8>> {
        if self.bits < 64 && number >> self.bits != 0 {
            return None;
        }
        let mut value = vec![0; self.bytes()];
        for bit in 0..self.bits.min(64) {
            let to = self.bits - 1 - bit;
            value[to / 8] |= ((number >> bit & 1) as u8) << (7 - to % 8);
        }
        Some(value)
    }

    /// The value as a number; `None` if it has more than 64 bits.
    pub fn to_number(self, value: &[u8]) -> Option<u64> {
        let bit = |bit: usize| u64::from(value.get(bit / 8).unwrap_or(&0) >> (7 - bit % 8) & 1);
        (self.bits <= 64).then(|| (0..self.bits).fold(0, |number, at| number << 1 | bit(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_inside_bytes_leaves_its_neighbours_alone() {
        let span = Span { start: 3, bits: 10 };
        let mut data = [0xff; 3];
        span.set(&mut data, &span.from_number(0b10_0000_0001).unwrap());
        assert_eq!(data, [0b1111_0000, 0b0000_1111, 0xff]);
        assert_eq!(span.to_number(&span.get(&data)), Some(0b10_0000_0001));
        assert_eq!(span.from_number(1 << 10), None);
    }

    #[test]
    fn wide_fields_take_numbers_in_their_last_bytes() {
        let span = Span { start: 0, bits: 96 };
        let mut wanted = [0; 12];
        wanted[11] = 5;
        assert_eq!(span.from_number(5).unwrap(), wanted);
        assert_eq!(span.to_number(&wanted), None);
    }
}
