//! The interactive prompt, with history and completion of command names.

use std::io::{BufRead, IsTerminal};

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};

use crate::commands;
use crate::session::Session;

/// Reads commands until end of input or `quit`. Input that is not a terminal is read
/// without a prompt.
pub fn run(session: &mut Session, program: &str) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        for line in std::io::stdin().lock().lines() {
            commands::run_line(session, &line?, false);
            if session.quit {
                break;
            }
        }
        return Ok(());
    }
    let mut editor: Editor<CommandNames, DefaultHistory> = Editor::new()?;
    editor.set_helper(Some(CommandNames));
    let history = history_file();
    if let Some(file) = &history {
        let _ = editor.load_history(file);
    }
    while !session.quit {
        match editor.readline(&format!("{program}> ")) {
            Ok(line) => {
                let _ = editor.add_history_entry(&line);
                commands::run_line(session, &line, false);
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    if let Some(file) = &history {
        let _ = editor.save_history(file);
    }
    Ok(())
}

fn history_file() -> Option<std::path::PathBuf> {
    let home = std::env::var_os("HOME")?;
    Some(std::path::Path::new(&home).join(".xfs_io_history"))
}

/// Completes the first word of a line.
struct CommandNames;

impl Helper for CommandNames {}
impl Highlighter for CommandNames {}
impl Validator for CommandNames {}

impl Hinter for CommandNames {
    type Hint = String;
}

impl Completer for CommandNames {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let word = &line[..position];
        if word.contains(' ') {
            return Ok((position, Vec::new()));
        }
        let names = commands::TABLE.iter().map(|c| c.name);
        Ok((0, names.filter(|n| n.starts_with(word)).map(str::to_string).collect()))
    }
}
