//! The picture as lines of text, colored if a terminal shows them.

use super::{Cell, Part, Strip};

/// Letter of a part; a small one says that it is less than half of the cell.
fn letter(part: Part) -> char {
    match part {
        Part::Log => 'L',
        Part::Metadata => 'M',
        Part::Data => 'D',
        Part::SharedByTwo | Part::SharedByFour | Part::SharedByMany => 'S',
        Part::Staged => 'C',
        Part::Unclaimed => 'X',
        Part::Free => '.',
    }
}

/// Color of a part, as the number of the 256 that terminals have.
fn color(part: Part) -> u8 {
    match part {
        Part::Log => 244,
        Part::Metadata => 133,
        Part::Data => 33,
        Part::SharedByTwo => 220,
        Part::SharedByFour => 208,
        Part::SharedByMany => 196,
        Part::Staged => 71,
        Part::Unclaimed => 15,
        Part::Free => 240,
    }
}

/// Draws a line for each strip, and what the letters mean.
pub fn draw(title: &str, strips: &[Strip], colored: bool) -> String {
    let mut out = format!("{title}\n");
    for strip in strips {
        out.push_str(&format!("AG {:>4} ", strip.agno));
        for cell in &strip.cells {
            push(&mut out, cell, colored);
        }
        let sum = strip.sum();
        let free = sum.blocks(Part::Free) * 100.0 / sum.total().max(1.0);
        out.push_str(&format!(" {free:5.1}% free\n"));
    }
    out.push_str("L log, M metadata, D data, S shared, C copy on write, X unclaimed, . free; ");
    out.push_str("small letters: less than half of the cell\n");
    out
}

/// The cell's largest part that is not free, unless there is next to nothing of it.
fn push(out: &mut String, cell: &Cell, colored: bool) {
    let used = Part::ALL.into_iter().filter(|part| *part != Part::Free);
    let largest = used.max_by(|a, b| cell.blocks(*a).total_cmp(&cell.blocks(*b)));
    let total = cell.total();
    let part = largest.filter(|part| cell.blocks(*part) > total / 100.0).unwrap_or(Part::Free);
    let most = cell.blocks(part) * 2.0 >= total;
    let letter = letter(part);
    let shown = if most { letter } else { letter.to_ascii_lowercase() };
    if colored {
        out.push_str(&format!("\x1b[38;5;{}m{shown}\x1b[0m", color(part)));
    } else {
        out.push(shown);
    }
}
