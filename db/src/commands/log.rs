//! `log`: decode the journal; or copy the session's output to a file, as xfs_db does.

use super::Command;
use crate::session::Session;
use crate::{journal, json};
use anyhow::{Context, Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "log",
    alias: None,
    min_args: 0,
    max_args: Some(2),
    expert: false,
    args: "[-r|-t|-i|--json] [stop|start <filename>]",
    summary: "decode the journal, or start or stop logging to a file",
    help: "\
Without arguments, prints where the journal begins and ends, and each record between the
two with its transactions and their items, then the intents that are not finished. With -r, records
only; with -t, transactions only; with -i, unfinished intents only. `log start FILE` copies everything printed from then on to a file, `log stop` ends
that.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut args = args.to_vec();
    let both = journal::Parts { records: true, transactions: true };
    let json = args.contains(&"--json") || (session.json && args.is_empty());
    json::wanted(session, &mut args);
    if json && args.is_empty() {
        return Ok(json::document("log", &journal::json(session)?));
    }
    match args[..] {
        [] => journal::show(session, both),
        ["-r"] => journal::show(session, journal::Parts { transactions: false, ..both }),
        ["-t"] => journal::show(session, journal::Parts { records: false, ..both }),
        ["-i"] => journal::show(session, journal::Parts { records: false, transactions: false }),
        ["start", path] => start(session, path),
        ["stop"] => stop(session),
        ["start"] => bail!("no log file"),
        _ => bail!("bad log command, ignored"),
    }
}

fn start(session: &mut Session, path: &str) -> Result<String> {
    if let Some((name, _)) = &session.log_file {
        bail!("already logging to {name}");
    }
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    session.log_file = Some((path.into(), file.with_context(|| path.to_owned())?));
    Ok(format!("logging to {path}\n"))
}

fn stop(session: &mut Session) -> Result<String> {
    let (name, _) = session.log_file.take().context("no log file")?;
    Ok(format!("no longer logging to {name}\n"))
}
