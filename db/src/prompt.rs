//! Commands from standard input: with a prompt, history and completion at a terminal,
//! plainly otherwise.

use crate::commands::COMMANDS;
use crate::program::execute;
use crate::session::Session;
use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::history::DefaultHistory;
use rustyline::validate::Validator;
use rustyline::{Context, Editor, Helper};
use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

/// Reads and runs commands until `quit` or the end of input.
pub fn run(session: &mut Session, program: &str) -> ExitCode {
    if !std::io::stdin().is_terminal() {
        return plain(session);
    }
    match interactive(session, program) {
        Ok(()) => ExitCode::from(session.exit_status),
        Err(error) => {
            eprintln!("{program}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn plain(session: &mut Session) -> ExitCode {
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        execute(session, &line);
        if session.done {
            return ExitCode::from(session.exit_status);
        }
    }
    ExitCode::from(session.exit_status)
}

fn interactive(session: &mut Session, program: &str) -> rustyline::Result<()> {
    let mut editor = Editor::<Names, DefaultHistory>::new()?;
    editor.set_helper(Some(Names));
    while !session.done {
        match editor.readline(&format!("{program}> ")) {
            Ok(line) => {
                editor.add_history_entry(&line)?;
                execute(session, &line);
            }
            Err(ReadlineError::Interrupted) => {}
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Completes names of commands.
struct Names;

impl Completer for Names {
    type Candidate = String;

    fn complete(
        &self,
        line: &str,
        position: usize,
        _: &Context<'_>,
    ) -> rustyline::Result<(usize, Vec<String>)> {
        let typed = line.get(..position).unwrap_or(line);
        let names = COMMANDS.iter().map(|command| command.name);
        let matching = names.filter(|name| name.starts_with(typed)).map(|name| format!("{name} "));
        Ok((0, matching.collect()))
    }
}

impl Hinter for Names {
    type Hint = String;
}

impl Highlighter for Names {}
impl Validator for Names {}
impl Helper for Names {}
