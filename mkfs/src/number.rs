//! Numbers as C reads them, and sizes with unit suffixes.

/// The number at the start of `text` as C's `strtoll` with base 0 reads it (decimal, `0x`
/// hexadecimal, `0` octal; clamped to 64 bits), and what follows it. `None` if there is
/// no number.
pub fn leading(text: &str) -> Option<(i64, &str)> {
    let trimmed = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, digits) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, &trimmed[1..]),
        Some(b'+') => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    let (radix, digits) = radix(digits);
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    if end == 0 {
        return None;
    }
    let magnitude = digits[..end].chars().fold(0i128, |value, digit| {
        let digit = i128::from(digit.to_digit(radix).unwrap_or(0));
        (value * i128::from(radix) + digit).min(i128::from(u64::MAX))
    });
    let value = if negative { -magnitude } else { magnitude };
    Some((value.clamp(i64::MIN.into(), i64::MAX.into()) as i64, &digits[end..]))
}

fn radix(digits: &str) -> (u32, &str) {
    let hexadecimal = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    match hexadecimal.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit())) {
        Some(rest) => (16, rest),
        None if digits.starts_with('0') => (8, digits),
        None => (10, digits),
    }
}

/// A size in bytes: a number and one of the suffixes b (blocks), s (sectors), k, m, g, t,
/// p, e in either case. `None` if it is not that.
pub fn size(text: &str, block: u32, sector: u32) -> Option<i64> {
    let (value, suffix) = leading(text)?;
    let mut suffixes = suffix.chars();
    let unit = match (suffixes.next().map(|c| c.to_ascii_lowercase()), suffixes.next()) {
        (None, _) => 1,
        (Some(_), Some(_)) => return None,
        (Some('b'), None) => i64::from(block),
        (Some('s'), None) => i64::from(sector),
        (Some(letter), None) => 1 << (10 * (1 + "kmgtpe".find(letter)?)),
    };
    Some(value.wrapping_mul(unit)).filter(|_| unit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_c_reads_them() {
        for (text, expected) in [
            ("12", Some((12, ""))),
            ("0x10g", Some((16, "g"))),
            ("010", Some((8, ""))),
            ("08", Some((0, "8"))),
            ("-3", Some((-3, ""))),
            ("99999999999999999999", Some((i64::MAX, ""))),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(leading(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_have_units() {
        assert_eq!(size("3b", 4096, 512), Some(12288));
        assert_eq!(size("3s", 4096, 512), Some(1536));
        assert_eq!(size("2G", 4096, 512), Some(2 << 30));
        assert_eq!(size("1gg", 4096, 512), None);
        assert_eq!(size("1x", 4096, 512), None);
        assert_eq!(size("1b", 0, 0), None);
    }
}
