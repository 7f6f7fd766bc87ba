//! `write`: give a field, or a block, other contents.

use super::Command;
use crate::session::Session;
use crate::types::Type;
use crate::write::{self, Mode, block, field, value};
use anyhow::{Context, Result, anyhow, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "write",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "[-c|-d|-j] [field or value]...",
    summary: "write value to disk",
    help: "
 Writes to disk at once, without the log, what is at the cursor:

  a structure - 'write FIELD VALUE' gives a field another value. A value is a number, text
                in quotes with \\NNN for any byte in octal, bytes as hexadecimal digits
                after #, or a UUID.
  a block     - after 'daddr' or 'type data', 'write' followed by a change moves, fills or
                numbers its bytes; 'write' alone lists the changes.

 Examples:

 inode 128
 write core.uid 23
 sb 0
 write fname \"hello\\000\"
 write fname #6669736800
 write uuid 00112233-4455-6677-8899-aabbccddeeff
 daddr 64
 write fill 0xff
 write lshift 3
 write sequence 1 5 0 20

 A structure that would make no sense is not written, unless asked for:

  -c -- write it as it is; the checksum is left as it was, and so becomes wrong
  -d -- write it as it is, with the right checksum
  -j -- write only what makes sense, and through the log

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let (mode, words) = write::begin(session, "write", args)?;
    let kind = session.cursor.as_ref().context("no current type")?.kind;
    match kind {
        Type::Data => data(session, mode, &words),
        Type::Text => bail!("text writing/fuzzing not supported."),
        _ if kind.fields(&session.geo).is_some() => structure(session, mode, &words),
        _ => bail!("no handler function for type {}, write unsupported.", kind.name()),
    }
}

fn structure(session: &mut Session, mode: Mode, words: &[&str]) -> Result<String> {
    write::warn(session, "write", mode);
    let [path, text] = *words else { bail!("usage: write fieldname value") };
    field::change(session, path, mode, |_, span| {
        value::parse(text, span).ok_or_else(|| anyhow!("unable to convert value '{text}'."))
    })
}

fn data(session: &mut Session, mode: Mode, words: &[&str]) -> Result<String> {
    let cursor = session.cursor.as_mut().context("no current type")?;
    match block::change(cursor.data_mut(), words) {
        Ok(said) => write::store(session, mode).map(|()| said),
        Err(text) => Ok(format!("{text}\n")),
    }
}
