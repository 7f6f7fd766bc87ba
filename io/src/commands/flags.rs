//! Options of a command.

use super::{Command, UsageError};

/// Options of a command, in the manner of getopt: letters that may be bundled, some with
/// a value, followed by plain arguments.
pub struct Flags {
    options: Vec<(char, Option<String>)>,
    /// What follows the options.
    pub rest: Vec<String>,
}

impl Flags {
    /// Parses `arguments` (the first is the command's name) for the letters of `spec`,
    /// where a colon after a letter says that it takes a value. Options may come after plain
    /// arguments, up to a "--".
    pub fn parse(
        command: &'static Command,
        arguments: &[String],
        spec: &str,
    ) -> anyhow::Result<Self> {
        let (mut options, mut rest) = (Vec::new(), Vec::new());
        let mut words = arguments.iter().skip(1);
        while let Some(word) = words.next() {
            if word == "--" {
                break;
            }
            if word.len() < 2 || !word.starts_with('-') {
                rest.push(word.clone());
                continue;
            }
            let mut letters = word[1..].chars();
            while let Some(letter) = letters.next() {
                let Some(at) = spec.find(letter).filter(|_| letter != ':') else {
                    eprintln!("{}: invalid option -- '{letter}'", command.name);
                    return Err(UsageError(command).into());
                };
                if !spec[at + 1..].starts_with(':') {
                    options.push((letter, None));
                    continue;
                }
                let attached: String = letters.by_ref().collect();
                let value =
                    if attached.is_empty() { words.next().cloned() } else { Some(attached) };
                let Some(value) = value else {
                    eprintln!("{}: option requires an argument -- '{letter}'", command.name);
                    return Err(UsageError(command).into());
                };
                options.push((letter, Some(value)));
            }
        }
        rest.extend(words.cloned());
        Ok(Self { options, rest })
    }

    /// Whether the option was given.
    pub fn has(&self, letter: char) -> bool {
        self.options.iter().any(|(l, _)| *l == letter)
    }

    /// How often it was given.
    pub fn count(&self, letter: char) -> usize {
        self.options.iter().filter(|(l, _)| *l == letter).count()
    }

    /// All values given for it, in order.
    pub fn values(&self, letter: char) -> impl Iterator<Item = &str> {
        let given = self.options.iter().filter(move |(l, _)| *l == letter);
        given.filter_map(|(_, value)| value.as_deref())
    }

    /// Which of these was given last.
    pub fn last(&self, letters: &[char]) -> Option<char> {
        self.options.iter().rev().map(|(l, _)| *l).find(|l| letters.contains(l))
    }

    /// The last value given for it.
    pub fn value(&self, letter: char) -> Option<&str> {
        self.options.iter().rev().find(|(l, _)| *l == letter)?.1.as_deref()
    }
}
