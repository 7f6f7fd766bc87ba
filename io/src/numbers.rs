//! Numbers as users write them, and amounts and rates as xfs_io prints them.

use std::num::IntErrorKind;
use std::time::Duration;

/// Block and sector size behind the suffixes `b` and `s`, in bytes.
#[derive(Debug, Clone, Copy)]
pub struct Units {
    pub block: u64,
    pub sector: u64,
}

/// Parses a number with an optional binary suffix: b(locks), s(ectors), k, m, g, t, p, e.
/// Hexadecimal (0x), octal (0) and a sign are understood. Digits for more than fits stand for
/// the largest number, as strtoll(3) has it. `None` for anything else, and for a suffix that
/// makes too much of a number.
pub fn parse(text: &str, units: Units) -> Option<i64> {
    let (negative, text) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', rest @ ..] if !rest.is_empty() => (&text[2..], 16),
        [b'0', rest @ ..] if rest.first().is_some_and(u8::is_ascii_digit) => (&text[1..], 8),
        _ => (text, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, suffix) = digits.split_at(end);
    let value = match i64::from_str_radix(digits, radix) {
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => i64::MAX,
        value => value.ok()?,
    };
    let scale = match suffix.to_ascii_lowercase().as_str() {
        "" => 1,
        "b" => i64::try_from(units.block).ok()?,
        "s" => i64::try_from(units.sector).ok()?,
        "k" => 1 << 10,
        "m" => 1 << 20,
        "g" => 1 << 30,
        "t" => 1 << 40,
        "p" => 1 << 50,
        "e" => 1 << 60,
        _ => return None,
    };
    let value = value.checked_mul(scale)?;
    Some(if negative { -value } else { value })
}

/// A number of bytes with a unit: whole numbers without decimals, others with three.
pub fn amount(bytes: f64) -> String {
    const UNITS: [(f64, &str); 6] = [
        ((1u64 << 60) as f64, "EiB"),
        ((1u64 << 50) as f64, "PiB"),
        ((1u64 << 40) as f64, "TiB"),
        ((1u64 << 30) as f64, "GiB"),
        ((1u64 << 20) as f64, "MiB"),
        ((1u64 << 10) as f64, "KiB"),
    ];
    let whole = bytes.fract() == 0.0 && bytes <= f64::from(i32::MAX);
    for (size, unit) in UNITS {
        if bytes >= size {
            let value = bytes / size;
            return if whole { format!("{value:.0} {unit}") } else { format!("{value:.3} {unit}") };
        }
    }
    format!("{bytes:.6} bytes")
}

/// The line below "wrote N/N bytes": amount, operations, time and rates. `condensed` is
/// the form for scripts (-C).
pub fn timing(bytes: u64, ops: u64, elapsed: Duration, condensed: bool) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let (rate, op_rate) = (bytes as f64 / seconds, ops as f64 / seconds);
    if condensed {
        let whole = elapsed.as_secs();
        let (h, m, s) = (whole / 3600, whole / 60 % 60, whole % 60);
        let hundredths = elapsed.subsec_millis() / 10;
        return format!("{bytes},{ops},{h}:{m:02}:{s:02}.{hundredths:02},{rate:.3},{op_rate:.3}");
    }
    let time = format!("{}.{:04} sec", elapsed.as_secs(), elapsed.subsec_micros() / 100);
    format!(
        "{}, {ops} ops; {time} ({}/sec and {op_rate:.4} ops/sec)",
        amount(bytes as f64),
        amount(rate)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNITS: Units = Units { block: 4096, sector: 512 };

    #[test]
    fn suffixes_and_bases() {
        assert_eq!(parse("16k", UNITS), Some(16384));
        assert_eq!(parse("2b", UNITS), Some(8192));
        assert_eq!(parse("3s", UNITS), Some(1536));
        assert_eq!(parse("0x10", UNITS), Some(16));
        assert_eq!(parse("010", UNITS), Some(8));
        assert_eq!(parse("0", UNITS), Some(0));
        assert_eq!(parse("-5", UNITS), Some(-5));
        assert_eq!(parse("99999999999999999999", UNITS), Some(i64::MAX));
        for bad in ["", "-", "5z", "5kk", "08", "x", "16e9", "9e", "k"] {
            assert_eq!(parse(bad, UNITS), None, "{bad}");
        }
    }

    /// Lines printed by xfs_io 7.2 for these amounts.
    #[test]
    fn amounts_are_printed_as_xfs_io_prints_them() {
        assert_eq!(amount(16384.0), "16 KiB");
        assert_eq!(amount(20000.0), "20 KiB");
        assert_eq!(amount(1500000.0), "1 MiB");
        assert_eq!(amount(64.0), "64.000000 bytes");
        assert_eq!(amount(163840000.0), "156 MiB");
    }
}
