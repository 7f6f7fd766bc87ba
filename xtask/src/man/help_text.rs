//! What `help COMMAND` prints, as roff: paragraphs are filled, options become a list, and
//! what is laid out by spaces stays as it is.

use std::fmt::Write;

/// Text that roff prints as it is.
pub fn escape(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    // A dot in front would be taken for a request.
    if text.starts_with('.') { format!("\\&{text}") } else { text }
}

/// The whole text.
pub fn roff(text: &str) -> String {
    let mut out = String::new();
    for block in text.split("\n\n").map(|block| block.trim_matches('\n')) {
        let lines: Vec<&str> = block.lines().filter(|line| !line.trim().is_empty()).collect();
        let mut rest = lines.as_slice();
        while !rest.is_empty() {
            rest = next(rest, &mut out);
        }
    }
    out
}

/// Writes what begins at the first line; returns the lines behind it.
fn next<'a>(lines: &'a [&'a str], out: &mut String) -> &'a [&'a str] {
    if let Some((name, text)) = option(lines[0]) {
        let more = lines[1..].iter().take_while(|line| indent(line) > indent(lines[0]) + 1);
        let count = 1 + more.clone().filter(|line| option(line).is_none()).count();
        let tail = lines[1..count].iter().map(|line| escape(line.trim()));
        let text = std::iter::once(escape(text)).chain(tail).collect::<Vec<_>>().join("\n");
        let _ = writeln!(out, ".RS\n.TP\n\\fB{}\\fR\n{text}\n.RE", escape(name));
        return &lines[count..];
    }
    let same = |line: &&&str| option(line).is_none() && laid_out(line) == laid_out(lines[0]);
    let count = lines.iter().take_while(same).count();
    let (open, close) =
        if laid_out(lines[0]) { (".RS\n.EX\n", ".EE\n.RE\n") } else { (".IP\n", "") };
    out.push_str(open);
    for line in &lines[..count] {
        let line = if laid_out(lines[0]) { line.trim_end() } else { line.trim() };
        let _ = writeln!(out, "{}", escape(line));
    }
    out.push_str(close);
    &lines[count..]
}

/// An option of a command with its explanation, as in ` -b n -- block size`.
fn option(line: &str) -> Option<(&str, &str)> {
    let (name, text) = line.split_once("-- ")?;
    let name = name.trim();
    ((name.starts_with('-') || name.starts_with("+/-")) && !text.is_empty())
        .then_some((name, text.trim()))
}

/// Spaces in front.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// Whether spaces (or quotes, in examples) give a line its meaning.
fn laid_out(line: &str) -> bool {
    indent(line) > 1 || line.trim_start().starts_with('\'') || line.trim().contains("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_options_and_examples_are_told_apart() {
        let text = " Writes things\n and more.\n\n Example:\n 'write 1' - writes\n -q   -- quiet\n -b n -- size\n         of blocks\n";
        let roff = roff(text);
        assert!(roff.contains(".IP\nWrites things\nand more.\n"), "{roff}");
        assert!(roff.contains(".EX\n \\(aqwrite 1\\(aq \\- writes\n.EE"), "{roff}");
        assert!(roff.contains(".TP\n\\fB\\-b n\\fR\nsize\nof blocks\n"), "{roff}");
        assert!(roff.contains(".TP\n\\fB\\-q\\fR\nquiet\n"), "{roff}");
    }

    #[test]
    fn requests_and_escapes_are_no_danger() {
        assert_eq!(escape(".so x"), "\\&.so x");
        assert_eq!(escape("a\\b"), "a\\eb");
    }
}
