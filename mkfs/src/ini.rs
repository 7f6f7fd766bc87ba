//! The syntax of configuration files: sections and `name=value` lines, as the library inih that
//! xfsprogs reads them with takes them.

/// What a line of a configuration file is, blank lines and comments apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry<'a> {
    /// `name=value` or `name: value` in a section, whose name is empty before the first. An
    /// indented line gives another value to the name before it.
    Value {
        /// Name of the section.
        section: &'a str,
        /// What has a value.
        name: &'a str,
        /// The value; may be empty.
        value: &'a str,
    },
    /// None of that.
    Unrecognised,
}

/// The entries of a file, each with the number of its line, from 1.
pub fn entries(text: &str) -> Vec<(usize, Entry<'_>)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut found = Vec::new();
    let (mut section, mut last) = ("", None);
    for (number, whole) in (1..).zip(text.lines()) {
        let line = whole.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        let indented = whole.starts_with(char::is_whitespace);
        let entry = if let Some(name) = last.filter(|_| indented) {
            Entry::Value { section, name, value: before_comment(line) }
        } else if let Some(rest) = line.strip_prefix('[') {
            if let Some((name, _)) = rest.split_once(']') {
                (section, last) = (name, None);
                continue;
            }
            Entry::Unrecognised
        } else if let Some((name, value)) = before_comment(line).split_once(['=', ':']) {
            last = Some(name.trim_end()).filter(|name| !name.is_empty());
            Entry::Value { section, name: name.trim_end(), value: value.trim_start() }
        } else {
            Entry::Unrecognised
        };
        found.push((number, entry));
    }
    found
}

/// The line without a comment at its end: a semicolon behind white space.
fn before_comment(line: &str) -> &str {
    let mut blank = false;
    for (at, letter) in line.char_indices() {
        if blank && letter == ';' {
            return line[..at].trim_end();
        }
        blank = letter.is_whitespace();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value<'a>(section: &'a str, name: &'a str, value: &'a str) -> Entry<'a> {
        Entry::Value { section, name, value }
    }

    #[test]
    fn sections_names_and_values_are_told_apart() {
        let text =
            "\u{feff}[block] rest\n# no\n; no\n size = 1k ; comment\r\n\n[data]\nsu: 64k;x\n";
        let expected = [(4, value("block", "size", "1k")), (7, value("data", "su", "64k;x"))];
        assert_eq!(entries(text), expected);
    }

    #[test]
    fn an_indented_line_continues_the_one_before() {
        let expected = [(1, value("", "a", "1")), (2, value("", "a", "b=2"))];
        assert_eq!(entries("a=1\n  b=2\n"), expected);
    }

    #[test]
    fn what_is_neither_is_named_by_its_line() {
        let expected =
            [(1, Entry::Unrecognised), (2, value("", "", "1")), (3, Entry::Unrecognised)];
        assert_eq!(entries("[block\n=1\nsize 1k\n"), expected);
    }
}
