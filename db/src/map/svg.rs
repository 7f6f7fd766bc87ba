//! The picture as an SVG file: a strip for each group, each cell a column in which the parts
//! are stacked.

use super::{Part, Strip};
use std::fmt::Write;

/// Pixels: the strips' left edge and width, the top, and the room to the right.
const LEFT: usize = 64;
/// Width of the strip of a full group, unless another is asked for.
pub const WIDTH: usize = 880;
/// Width that the legend needs.
const LEGEND: usize = 760;
const TOP: usize = 78;
const RIGHT: usize = 96;
/// Height of all strips together, as far as they are neither too thin nor too thick.
const HEIGHT: usize = 640;

fn color(part: Part) -> &'static str {
    match part {
        Part::Log => "#5b6472",
        Part::Metadata => "#8e4fb0",
        Part::Data => "#3b82c4",
        Part::SharedByTwo => "#f2c230",
        Part::SharedByFour => "#f08c1e",
        Part::SharedByMany => "#d8343c",
        Part::Staged => "#4caf6d",
        Part::Unclaimed => "#111111",
        Part::Free => "#e6ebf0",
    }
}

/// Draws the strips, a full group of which has `columns` cells, under a title.
pub fn draw(title: &str, strips: &[Strip], columns: usize) -> String {
    let pitch = (HEIGHT / strips.len().max(1)).clamp(6, 44);
    let bar = pitch - pitch.div_ceil(6);
    let width = LEFT + columns.max(LEGEND) + RIGHT;
    let height = TOP + strips.len() * pitch + 16;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" font-weight=\"bold\">{}</text>\n",
        escape(title)
    );
    legend(&mut out, strips);
    // Labels of thin strips would run into each other.
    let every = 14usize.div_ceil(pitch);
    for (row, strip) in strips.iter().enumerate() {
        let top = TOP + row * pitch;
        draw_strip(&mut out, strip, top, bar);
        if row % every == 0 {
            label(&mut out, strip, columns, top + bar / 2 + 4);
        }
    }
    out.push_str("</svg>\n");
    out
}

/// What the colors mean, and how much of all there is.
fn legend(out: &mut String, strips: &[Strip]) {
    let sums: Vec<_> = strips.iter().map(Strip::sum).collect();
    let total: f64 = sums.iter().map(|sum| sum.total()).sum();
    let mut x = LEFT;
    for part in Part::ALL {
        let blocks: f64 = sums.iter().map(|sum| sum.blocks(part)).sum();
        if blocks < 0.5 {
            continue;
        }
        let percent = blocks * 100.0 / total.max(1.0);
        let text = format!("{} {percent:.1}%", part.name());
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"42\" width=\"12\" height=\"12\" fill=\"{}\" stroke=\"#99a\" \
             stroke-width=\"0.5\"/><text x=\"{}\" y=\"52\">{text}</text>",
            color(part),
            x + 17
        );
        x += 17 + text.len() * 7 + 14;
    }
}

fn label(out: &mut String, strip: &Strip, columns: usize, y: usize) {
    let sum = strip.sum();
    let free = sum.blocks(Part::Free) * 100.0 / sum.total().max(1.0);
    let _ = writeln!(
        out,
        "<text x=\"{}\" y=\"{y}\" text-anchor=\"end\">AG {}</text>\
         <text x=\"{}\" y=\"{y}\" fill=\"#556\">{free:.1}% free</text>",
        LEFT - 8,
        strip.agno,
        LEFT + columns + 8
    );
}

/// The strip: free space as its ground, everything else as columns, neighbours that look the
/// same as one.
fn draw_strip(out: &mut String, strip: &Strip, top: usize, bar: usize) {
    let count = strip.cells.len();
    let _ = writeln!(
        out,
        "<rect x=\"{LEFT}\" y=\"{top}\" width=\"{count}\" height=\"{bar}\" fill=\"{}\"/>",
        color(Part::Free)
    );
    let mut column = 0;
    while let Some(cell) = strip.cells.get(column) {
        let rest = strip.cells.get(column..).unwrap_or(&[]);
        let same = rest.iter().take_while(|other| *other == cell).count().max(1);
        let (mut y, total) = ((top + bar) as f64, cell.total().max(1e-9));
        for part in Part::ALL {
            let height = cell.blocks(part) / total * bar as f64;
            if part == Part::Free || height < 0.01 {
                continue;
            }
            y -= height;
            let x = LEFT + column;
            let _ = writeln!(
                out,
                "<rect x=\"{x}\" y=\"{y:.2}\" width=\"{same}\" height=\"{height:.2}\" \
                 fill=\"{}\"/>",
                color(part)
            );
        }
        column += same;
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
