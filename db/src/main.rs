//! xfs_db: look at the structures of an XFS filesystem, sound or not, mounted or not.
//!
//! It reads the device directly and never replays the log. What a structure looks like is
//! in `fields`, what can be done in `commands`.
#![forbid(unsafe_code)]

mod commands;
mod fields;
mod journal;
mod options;
mod prompt;
mod session;
mod types;

use clap::Parser;
use options::Options;
use session::Session;
use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    if options.version {
        say(&format!("{} version {}\n", options.program, env!("CARGO_PKG_VERSION")));
        return ExitCode::SUCCESS;
    }
    let Some(device) = &options.device else {
        eprintln!("{}", options::USAGE);
        return ExitCode::FAILURE;
    };
    let mut session = match Session::open(device, options.force) {
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
        if session.done {
            break;
        }
    }
    ExitCode::SUCCESS
}

/// Runs one line and shows what it prints, or why it failed. A failure does not end the
/// program.
fn execute(session: &mut Session, line: &str) {
    let result = commands::run(session, line);
    let notes = std::mem::take(&mut session.notes);
    show(session, &notes);
    match result {
        Ok(text) => show(session, &text),
        Err(error) => show(session, &format!("{}\n", explain(&error))),
    }
}

/// An error with its causes, except those that its text already tells.
fn explain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// Writes text to standard output, and to the file that `log start` named.
fn show(session: &mut Session, text: &str) {
    say(text);
    if let Some((name, file)) = &mut session.log_file
        && let Err(error) = file.write_all(text.as_bytes())
    {
        eprintln!("{name}: {error}");
    }
}

/// Writes text to standard output; nobody may be reading any more.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        std::process::exit(1);
    }
}

/// Options that make no sense: usage and exit status 1, as xfsprogs has it.
fn refuse(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        say(&error.to_string());
        return ExitCode::SUCCESS;
    }
    eprintln!("{}", error.to_string().trim_end());
    eprintln!("{}", options::USAGE);
    ExitCode::FAILURE
}
