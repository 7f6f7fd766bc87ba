//! The program xfs_db: options, then commands from the command line or standard input.

use crate::options::{self, Options};
use crate::session::{self, Session};
use crate::{commands, prompt};
use clap::Parser;
use std::process::ExitCode;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    if options.version {
        session::say(&format!("{} version {}\n", options.program, env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    if options.device.is_none() {
        eprintln!("{}", options::USAGE);
        return ExitCode::FAILURE;
    }
    let mut session = match Session::open(&options) {
        Ok(session) => session,
        Err(error) => {
            eprintln!("{}: {}", options.program, explain(&error));
            return ExitCode::FAILURE;
        }
    };
    if options.commands.is_empty() {
        return prompt::run(&mut session, &options.program);
    }
    for line in &options.commands {
        execute(&mut session, line);
        // `quit` in a file of commands ends reading that, not the commands given here.
        let from_file = line.split_whitespace().next() == Some("source");
        if session.done && !from_file {
            break;
        }
        session.done = false;
    }
    ExitCode::from(session.exit_status)
}

/// Runs one line and shows what it prints, or why it failed. A failure does not end the
/// program.
pub fn execute(session: &mut Session, line: &str) {
    match commands::run(session, line) {
        Ok(text) => session.show(&text),
        Err(error) => session.show(&format!("{}\n", explain(&error))),
    }
}

/// An error with its causes, except those that its text already tells.
pub fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Options that make no sense: usage and exit status 1, as xfsprogs has it.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        session::say(&error.to_string());
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", error.to_string().trim_end());
    eprintln!("{}", options::USAGE);
    ExitCode::FAILURE
}
