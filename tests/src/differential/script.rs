//! A script, and what a run of it printed, command by command.
//!
//! xfs_io buffers its standard output, so the order of what goes to standard output and to
//! standard error is lost. A run therefore has a mark after every command, in both streams:
//! `help` of an unknown command prints to standard output, an unknown command to standard
//! error.

use std::fmt;

/// The word that no command is called.
const MARK: &str = "end-of-command";

/// Commands for one run of xfs_io. In them `@` stands for the directory they work in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Script {
    /// Options of the program itself, such as `-r`; `-x` is always given.
    pub options: Vec<String>,
    /// Files named on the command line.
    pub paths: Vec<String>,
    /// One command a line.
    pub commands: Vec<String>,
    /// Leaves out of tables of extents what is shared, and how many blocks a file has: on mounted
    /// files that depends on what Linux has written back by then, and on what it has staged.
    pub sharing_unknown: bool,
}

impl Script {
    /// A script of these commands.
    pub fn of<S: Into<String>>(commands: impl IntoIterator<Item = S>) -> Self {
        Script { commands: commands.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// What the program reads: the commands below `base`, each followed by the marks.
    pub fn input(&self, base: &str) -> String {
        let mut input = String::new();
        for command in &self.commands {
            input += &command.replace('@', base);
            input += &format!("\nhelp {MARK}\n{MARK}\n");
        }
        input
    }
}

impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.options.is_empty() || !self.paths.is_empty() {
            writeln!(f, "# xfs_io {} {}", self.options.join(" "), self.paths.join(" "))?;
        }
        self.commands.iter().try_for_each(|command| writeln!(f, "{command}"))
    }
}

/// A script of a list that was written by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is about.
    pub title: String,
    /// What xfs_io 7.2 must print somewhere in it, so that the case tries what it is meant to.
    pub reached: Vec<String>,
    /// The commands.
    pub script: Script,
}

/// The cases of a list: `= TITLE` begins one, `! TEXT` says what 7.2 must print, other lines
/// are commands. Empty lines are ignored.
pub fn cases(list: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in list.lines().filter(|line| !line.trim().is_empty()) {
        if let Some(title) = line.strip_prefix("= ") {
            let (title, script) = (title.to_owned(), Script::default());
            cases.push(Case { title, reached: Vec::new(), script });
            continue;
        }
        let Some(case) = cases.last_mut() else { continue };
        match line.strip_prefix("! ") {
            Some(text) => case.reached.push(text.to_owned()),
            None => case.script.commands.push(line.to_owned()),
        }
    }
    cases
}

/// What one command printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answer {
    /// To standard output.
    pub output: String,
    /// To standard error.
    pub errors: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.output.lines().try_for_each(|line| writeln!(f, "      {line}"))?;
        self.errors.lines().try_for_each(|line| writeln!(f, "    ! {line}"))
    }
}

/// What a run printed: one answer a command that was run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transcript {
    /// The answers, in order: fewer than commands when one of them ended the program. The
    /// last one is what was printed after all commands, or by the one that ended it.
    pub answers: Vec<Answer>,
    /// The exit status; none when a signal ended the program.
    pub exit: Option<i32>,
}

impl Transcript {
    /// Takes the streams of a run apart at the marks.
    pub fn of(output: &str, errors: &str, exit: Option<i32>) -> Self {
        let outputs = output.split(&format!("command {MARK} not found\n")).collect::<Vec<_>>();
        let errors = errors.split(&format!("command \"{MARK}\" not found\n")).collect::<Vec<_>>();
        let part =
            |parts: &[&str], index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
        let answers = (0..outputs.len().max(errors.len()))
            .map(|index| Answer { output: part(&outputs, index), errors: part(&errors, index) })
            .collect();
        Transcript { answers, exit }
    }

    /// How many commands were run to their end.
    pub fn completed(&self) -> usize {
        self.answers.len().saturating_sub(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read() {
        let cases = cases("= one\n! gone\nopen -f @/a\n\n= two\nfile\nfsync\n");
        assert_eq!(cases.len(), 2);
        assert_eq!(cases[0].reached, ["gone"]);
        assert_eq!(cases[1].title, "two");
        assert_eq!(cases[1].script, Script::of(["file", "fsync"]));
    }

    #[test]
    fn answers_are_told_apart_in_both_streams() {
        let script = Script::of(["file", "open @/a"]);
        let input = script.input("/mnt");
        assert!(input.starts_with("file\nhelp end-of-command\nend-of-command\nopen /mnt/a\n"));
        let output =
            "no newlinecommand end-of-command not found\ncommand end-of-command not found\n";
        let errors = "command \"end-of-command\" not found\n/mnt/a: gone\n\
                      command \"end-of-command\" not found\n";
        let transcript = Transcript::of(output, errors, Some(1));
        assert_eq!(transcript.completed(), 2);
        assert_eq!(transcript.answers[0].output, "no newline");
        assert_eq!(transcript.answers[1].errors, "/mnt/a: gone\n");
    }
}
