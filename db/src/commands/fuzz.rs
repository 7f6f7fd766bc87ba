//! `fuzz`: spoil a field.

use super::Command;
use crate::session::Session;
use crate::types::Type;
use crate::write::verb::Verb;
use crate::write::{self, field};
use anyhow::{Context, Result, anyhow, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "fuzz",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "[-c] [-d] [-j] field fuzzcmd...",
    summary: "fuzz values on disk",
    help: "
 Spoils a field of the structure at the cursor; 'blocktrash' and 'write' do that to blocks.

  zeroes, ones                  - clears or sets all of its bits
  firstbit, middlebit, lastbit  - flips one bit
  add, sub                      - makes a number a little larger or smaller
  random                        - sets bits at random

 Examples:

 inode 128
 fuzz core.uid zeroes
 agfl 0
 fuzz -d bno[11] firstbit
 sb 0
 fuzz -c crc ones
 fuzz uuid random

 A structure that would make no sense is not written, unless asked for:

  -c -- write it as it is; the checksum is left as it was, and so becomes wrong
  -d -- write it as it is, with the right checksum
  -j -- write only what makes sense, and through the log

",
    run,
};

fn usage() -> String {
    let verbs = Verb::ALL.map(|(name, _)| name).join(", ");
    format!("Usage: fuzz fieldname fuzzcmd\nFuzz commands: {verbs}.")
}

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let (mode, words) = write::begin(session, "fuzz", args)?;
    let kind = session.cursor.as_ref().context("no current type")?.kind;
    match kind {
        Type::Data => bail!("use 'blocktrash' or 'write' to fuzz a block."),
        Type::Text => bail!("text writing/fuzzing not supported."),
        _ if kind.fields(&session.geo).is_some() => {}
        _ => bail!("no handler function for type {}, fuzz unsupported.", kind.name()),
    }
    write::warn(session, "fuzz", mode);
    let [path, name] = *words else { bail!("{}", usage()) };
    field::change(session, path, mode, |value, span| {
        let unknown = || anyhow!("Unknown fuzz command '{name}'.");
        let verb = Verb::from_name(name).ok_or_else(unknown)?;
        verb.apply(value, span).ok_or_else(|| anyhow!("unable to fuzz field '{path}'"))
    })
}
