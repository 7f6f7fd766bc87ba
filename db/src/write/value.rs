//! Values as they are typed: numbers, hexadecimal bytes, UUIDs and text.

use super::bits::Span;

/// The value that `text` means for a field; `None` if it means none, or does not fit.
///
/// Text in quotes is cut to the field or filled with zeros, with `\NNN` for any byte in
/// octal. Bytes are hexadecimal digits after `#`, or with dashes among them as in a UUID; they fill
/// the field from its start. Everything else is a number as C's strtoll reads it.
pub fn parse(text: &str, span: Span) -> Option<Vec<u8>> {
    if let Some(quoted) = text.strip_prefix('"') {
        return Some(string(quoted, span.bytes()));
    }
    if text.starts_with('#') || text.find('-').is_some_and(|at| at > 0) {
        return hexadecimal(text, span);
    }
    span.from_number(number(text)?)
}

/// Text up to the last quote, if there is one.
fn string(text: &str, len: usize) -> Vec<u8> {
    let bytes = text.rsplit_once('"').map_or(text, |(inside, _)| inside).as_bytes();
    let mut value = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at).filter(|_| value.len() < len) {
        let digits = bytes.get(at + 1..).unwrap_or(&[]).iter();
        let digits = digits.take(3).take_while(|digit| (b'0'..=b'7').contains(digit));
        let octal: Vec<u32> = digits.map(|digit| u32::from(digit - b'0')).collect();
        if byte == b'\\' && !octal.is_empty() {
            value.push(octal.iter().fold(0, |number, digit| number * 8 + digit) as u8);
            at += 1 + octal.len();
        } else {
            value.push(byte);
            at += 1;
        }
    }
    value.resize(len, 0);
    value
}

/// Pairs of digits, dashes left out.
fn hexadecimal(text: &str, span: Span) -> Option<Vec<u8>> {
    let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b'-').collect();
    let digits = digits.strip_prefix(b"#").unwrap_or(&digits);
    if !span.bits.is_multiple_of(8) || digits.len() > span.bytes() * 2 {
        return None;
    }
    let nibble = |digit: u8| char::from(digit).to_digit(16);
    let mut value = Vec::new();
    for pair in digits.chunks(2) {
        let [high, low] = *pair else { return None };
        value.push((nibble(high)? << 4 | nibble(low)?) as u8);
    }
    value.resize(span.bytes(), 0);
    Some(value)
}

/// A number as C's strtoll with base 0 reads it: one too large is the largest there is.
pub fn number(text: &str) -> Option<u64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X"));
    let (digits, base) = match hex {
        Some(rest) => (rest, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (&digits[1..], 8),
        None => (digits, 10),
    };
    let mut value: i128 = 0;
    for digit in digits.chars() {
        let digit = digit.to_digit(base)?;
        value = (value * i128::from(base) + i128::from(digit)).min(1 << 64);
    }
    let value = if negative { -value } else { value };
    let value = value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
    (!digits.is_empty()).then_some(value as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What xfs_db 7.2 writes, as seen in its images.
    #[test]
    fn values_are_what_xfs_db_takes_them_for() {
        let wide = |bits| Span { start: 0, bits };
        for (text, bits, value) in [
            ("010", 64, Some(vec![0, 0, 0, 0, 0, 0, 0, 8])),
            ("0xffffffffffffffff", 64, Some(vec![0x7f, 255, 255, 255, 255, 255, 255, 255])),
            ("-1", 64, Some(vec![255; 8])),
            ("-1", 32, None),
            ("0x1234567890", 32, None),
            ("zz", 64, None),
            ("#12", 32, Some(vec![0x12, 0, 0, 0])),
            ("#0x12", 64, None),
            ("#123", 64, None),
            ("#", 16, Some(vec![0, 0])),
            ("#ff", 54, None),
            ("1-2", 16, Some(vec![0x12, 0])),
            ("\"hello", 56, Some(b"hello\0\0".to_vec())),
            ("\"a b\\n\\\"c\"", 64, Some(b"a b\\n\\\"c".to_vec())),
            ("\"\\101\\1\\12abcdef\"", 48, Some(b"A\x01\nabc".to_vec())),
            ("1", 1, Some(vec![0x80])),
        ] {
            assert_eq!(parse(text, wide(bits)), value, "{text} in {bits} bits");
        }
    }
}
