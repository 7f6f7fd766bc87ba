//! xfs_logprint: what the log of a filesystem holds, as text that equals xfsprogs'.
//!
//! The log is read as it lies on the device, sound or not, and nothing is changed. There are
//! two ways to look at it: record by record ([`plain`]), and the transactions that recovery
//! would see ([`transactions`]); and two to see where things are ([`dump`]).

mod attribute;
mod dump;
mod fields;
mod items;
mod operations;
pub mod options;
mod plain;
mod ring;
mod transactions;
mod view;

use crate::program::explain;
use clap::Parser;
use clap::error::{ContextKind, ErrorKind};
use options::{Options, USAGE};
use ring::Ring;
use std::io::{BufWriter, Write, stdout};
use std::process::ExitCode;

/// Why the program ends early. What was printed so far has been written.
pub(crate) enum Stop {
    /// An error, with the text for standard error.
    Failed(anyhow::Error),
    /// Nobody reads the output any more.
    Unread,
}

impl<E: Into<anyhow::Error>> From<E> for Stop {
    fn from(error: E) -> Self {
        Stop::Failed(error.into())
    }
}

/// Where the text goes.
pub(crate) struct Output(BufWriter<std::io::Stdout>);

impl Output {
    /// Writes `text`.
    pub(crate) fn put(&mut self, text: &str) -> Result<(), Stop> {
        self.0.write_all(text.as_bytes()).map_err(|_| Stop::Unread)
    }
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => return refuse(&error),
    };
    if options.version {
        println!("xfs_logprint version {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    if options.device.is_none() {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    }
    let mut out = Output(BufWriter::new(stdout()));
    let result = run(&options, &mut out);
    let flushed = out.0.flush();
    match result {
        Err(Stop::Failed(error)) => {
            eprintln!("{}", explain(&error));
            ExitCode::FAILURE
        }
        Err(Stop::Unread) => ExitCode::FAILURE,
        Ok(()) if flushed.is_err() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
    }
}

fn run(options: &Options, out: &mut Output) -> Result<(), Stop> {
    out.put("xfs_logprint:\n")?;
    let ring = Ring::open(options)?;
    out.put(&ring.describe())?;
    if let Some(path) = &options.copy {
        return ring.copy_to(path);
    }
    let start = options.start.as_deref().map(ring::number);
    match options {
        Options { transactions: false, data: true, .. }
        | Options { dump: false, transactions: false, .. } => {}
        Options { dump: true, .. } => return dump::records(&ring, out),
        _ => return transactions::print(&ring, options, out),
    }
    plain::print(&ring, options, start, out)
}

/// Options that make no sense: what is wrong, usage, and exit status 1, as getopt has it.
fn refuse(error: &clap::Error) -> ExitCode {
    let given = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let letter = given.trim_start_matches('-').chars().next();
    match (error.kind(), letter) {
        (ErrorKind::UnknownArgument, Some(letter)) if given.starts_with('-') => {
            eprintln!("xfs_logprint: invalid option -- '{letter}'");
        }
        (ErrorKind::InvalidValue, Some(letter)) => {
            eprintln!("xfs_logprint: option requires an argument -- '{letter}'");
        }
        _ => {}
    }
    eprintln!("{USAGE}");
    ExitCode::FAILURE
}
