//! Options of commands, taken apart as C's getopt does: letters behind a minus sign, in
//! any order with the other words.

use anyhow::{Result, anyhow, bail};

/// What a command was given.
pub struct Given<'a> {
    /// Option letters with their values, in order.
    pub options: Vec<(char, &'a str)>,
    /// The other words.
    pub words: Vec<&'a str>,
}

impl<'a> Given<'a> {
    /// Whether an option was given.
    pub fn has(&self, letter: char) -> bool {
        self.options.iter().any(|(given, _)| *given == letter)
    }

    /// The value of an option, the last one if it was given several times.
    pub fn value(&self, letter: char) -> Option<&'a str> {
        self.options.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| *value)
    }
}

/// Takes the arguments of `command` apart. In `letters` a colon follows those that take a
/// value.
///
/// # Errors
///
/// An error with getopt's message is returned for an unknown letter or a missing value.
pub fn parse<'a>(command: &str, args: &[&'a str], letters: &str) -> Result<Given<'a>> {
    let mut given = Given { options: Vec::new(), words: Vec::new() };
    let mut rest = args.iter();
    while let Some(&arg) = rest.next() {
        if arg == "--" {
            given.words.extend(rest);
            break;
        }
        let Some(group) = arg.strip_prefix('-').filter(|group| !group.is_empty()) else {
            given.words.push(arg);
            continue;
        };
        for (at, letter) in group.char_indices() {
            let known = letters.split_once(letter).filter(|_| letter != ':');
            let Some((_, after)) = known else {
                bail!("{command}: invalid option -- '{letter}'");
            };
            if !after.starts_with(':') {
                given.options.push((letter, ""));
                continue;
            }
            let here = group.get(at + letter.len_utf8()..).filter(|value| !value.is_empty());
            let Some(value) = here.or_else(|| rest.next().copied()) else {
                bail!("{command}: option requires an argument -- '{letter}'");
            };
            given.options.push((letter, value));
            break;
        }
    }
    Ok(given)
}

/// As [`parse`], for the many commands that say what is wrong on standard error and then fail as
/// a whole.
///
/// # Errors
///
/// "bad option for COMMAND command", after what is wrong was printed.
pub fn parse_or_refuse<'a>(command: &str, args: &[&'a str], letters: &str) -> Result<Given<'a>> {
    parse(command, args, letters).map_err(|error| {
        eprintln!("{error}");
        anyhow!("bad option for {command} command")
    })
}

/// A number as C's atoi reads it: as many decimal digits as there are, else 0.
pub fn leading_number(text: &str) -> i64 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let number = digits.get(..end).and_then(|digits| digits.parse::<i64>().ok()).unwrap_or(0);
    if negative { -number } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_between_words() {
        let given = parse("cmd", &["one", "-ab", "-n5", "two", "-n", "6", "--", "-a"], "abn:");
        let given = given.unwrap();
        assert_eq!(given.options, [('a', ""), ('b', ""), ('n', "5"), ('n', "6")]);
        assert_eq!(given.words, ["one", "two", "-a"]);
        assert_eq!(given.value('n'), Some("6"));
        assert!(given.has('a') && !given.has('c'));
    }

    #[test]
    fn mistakes_are_named() {
        let text = |args: &[&str]| parse("cmd", args, "an:").err().map(|error| error.to_string());
        assert_eq!(text(&["-x"]).unwrap(), "cmd: invalid option -- 'x'");
        assert_eq!(text(&["-n"]).unwrap(), "cmd: option requires an argument -- 'n'");
        assert_eq!(text(&["-:"]).unwrap(), "cmd: invalid option -- ':'");
        assert_eq!(text(&["-"]), None);
    }

    #[test]
    fn numbers_are_as_long_as_they_go() {
        assert_eq!(["12k", " -3", "x", "+7"].map(leading_number), [12, -3, 0, 7]);
    }
}
