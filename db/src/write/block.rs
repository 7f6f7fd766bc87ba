//! What `write` does to the bytes of a block that is taken for data.

use super::value::number;
use super::verb;
use std::ops::Range;

/// How to call `write` on such a block.
pub const USAGE: &str = "\
usage: write (in data mode)
              lshift    [shiftcount] [start] [len]
              rshift    [shiftcount] [start] [len]
              lrot      [shiftcount] [start] [len]
              rrot      [shiftcount] [start] [len]
              sequence  [from] [to] [start] [len]
              random    [start] [len]
              fill      num [start] [len]
";

/// A change of bytes: name, how many letters of it are enough, arguments before start and
/// length, and what it does with the bytes and the arguments.
type Change = (&'static str, usize, usize, fn(&mut [u8], &[i64]));

const CHANGES: [Change; 7] = [
    ("lshift", 2, 1, |bytes, args| shift(bytes, args[0], true, false)),
    ("rshift", 2, 1, |bytes, args| shift(bytes, args[0], false, false)),
    ("lrot", 2, 1, |bytes, args| shift(bytes, args[0], true, true)),
    ("rrot", 2, 1, |bytes, args| shift(bytes, args[0], false, true)),
    ("sequence", 3, 2, |bytes, args| sequence(bytes, args[0], args[1])),
    ("random", 3, 0, |bytes, _| verb::random(bytes)),
    ("fill", 1, 1, |bytes, args| bytes.fill(args[0] as u8)),
];

/// Does to `block` what the words of the command say; returns what there is to say.
///
/// # Errors
///
/// What is wrong with the words is returned, to be printed.
pub fn change(block: &mut [u8], words: &[&str]) -> Result<String, String> {
    if !(2..=5).contains(&words.len()) {
        return Err(USAGE.into());
    }
    // What follows the whole name does not matter either.
    let known = |(name, enough, ..): &&Change| {
        words[0].len() >= *enough && (name.starts_with(words[0]) || words[0].starts_with(name))
    };
    let Some((name, _, own, change)) = CHANGES.iter().find(known) else {
        return Err(format!("write: invalid subcommand\n{USAGE}"));
    };
    if words.len() > own + 3 {
        return Err(format!("write {name}: invalid number of arguments\n{USAGE}"));
    }
    // A word that is no number is 0.
    let mut args: Vec<i64> =
        words[1..].iter().map(|word| number(word).unwrap_or(0) as i64).collect();
    if *name == "sequence" && args.len() < 4 {
        // Bounds mean something only when start and length are given too.
        args.splice(..args.len().min(2), [0, 255]);
    }
    let (range, said) = range(block.len(), args.get(*own..).unwrap_or(&[]));
    change(block.get_mut(range).unwrap_or(&mut []), &args);
    Ok(said)
}

/// The bytes of a block of `size` bytes that start and length name.
fn range(size: usize, args: &[i64]) -> (Range<usize>, String) {
    let whole = |number: i64| usize::try_from(number).unwrap_or(0);
    let start = args.first().map_or(0, |&start| whole(start)).min(size);
    let room = size - start;
    match args.get(1) {
        None => (start..size, String::new()),
        Some(&len) if whole(len) <= room => (start..start + whole(len), String::new()),
        Some(len) => {
            (start..size, format!("length ({len}) too large for data block size ({size})"))
        }
    }
}

/// Moves bytes by a count, to the left or the right; what falls out comes in again on the
/// other side, or zeros do.
fn shift(bytes: &mut [u8], count: i64, left: bool, rotate: bool) {
    let Some(count) = usize::try_from(count).ok().filter(|&count| count <= bytes.len()) else {
        return;
    };
    let len = bytes.len();
    if left {
        bytes.rotate_left(count);
    } else {
        bytes.rotate_right(count);
    }
    if !rotate {
        let vacated = if left { len - count..len } else { 0..count };
        bytes.get_mut(vacated).unwrap_or(&mut []).fill(0);
    }
}

/// Counts from the smaller bound, upwards or, when they are given the other way round,
/// downwards; as many steps as there are numbers between them, again and again.
fn sequence(bytes: &mut [u8], from: i64, to: i64) {
    let from = if (0..=255).contains(&from) { from } else { 0 };
    let to = if (0..=255).contains(&to) { to } else { 255 };
    let (low, steps) = (from.min(to), from.abs_diff(to) as usize + 1);
    for (index, byte) in bytes.iter_mut().enumerate() {
        let step = (index % steps) as i64;
        *byte = (if from <= to { low + step } else { low - step }) as u8;
    }
}
