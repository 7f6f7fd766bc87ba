//! `blocktrash`: spoil bits of a block.

use super::Command;
use crate::getopt::{self, Given};
use crate::session::Session;
use crate::write::trash::{self, Mode, Plan, Random, Start};
use crate::write::{self, value};
use anyhow::{Context, Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "blocktrash",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: true,
    args: "[-z] [-o offset] [-n count] [-x minlen] [-y maxlen] [-s seed] [-0123] [-t type] ...",
    summary: "trash randomly selected block(s)",
    help: "
 Spoils a run of bits of what is at the cursor (-z), chosen at random; the same seed chooses the
 same. It is written at once, and no checksum is made right.

  -0, -1, -2, -3 -- clears, sets, flips (if none is given) or randomizes the bits
  -o bit -- where they begin; with a plus sign before it, there or behind it
  -s seed -- what the choice depends on
  -x number, -y number -- least and greatest number of bits, 1 and 1024 if not given

",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let given = getopt::parse_or_refuse("blocktrash", args, "0123n:o:s:t:x:y:z")?;
    let most = u64::from(session.geo.block_size) * 8;
    let plan = plan(&given, most)?;
    if let Some(text) = given.value('n') {
        number(text).filter(|&count| count > 0).with_context(|| bad("count", text))?;
    }
    if !given.has('z') {
        bail!("must run blockget first");
    }
    if session.cursor.is_none() {
        bail!("nothing on stack");
    }
    if session.read_only {
        bail!("{} started in read only mode, writing disabled", session.program);
    }
    let seed = match given.value('s') {
        Some(text) => number(text).unwrap_or(0) as u32,
        None => {
            let mut bytes = [0; 4];
            write::verb::random(&mut bytes);
            let seed = u32::from_ne_bytes(bytes);
            session.show(&format!("blocktrash: seed {seed}\n"));
            seed
        }
    };
    trash_cursor(session, &plan, &mut Random::new(seed))
}

/// What the options ask for.
fn plan(given: &Given, most: u64) -> Result<Plan> {
    let mode = given.options.iter().rev().find_map(|(letter, _)| match letter {
        '0' => Some(Mode::Zeroed),
        '1' => Some(Mode::Set),
        '2' => Some(Mode::Flipped),
        '3' => Some(Mode::Randomized),
        _ => None,
    });
    let start = match given.value('o') {
        None => Start::Anywhere,
        Some(text) => {
            let behind = text.strip_prefix('+');
            let digits = behind.unwrap_or(text);
            let bit = number(digits).with_context(|| bad("offset", digits))?;
            if behind.is_some() { Start::From(bit) } else { Start::At(bit) }
        }
    };
    let bound = |letter, name: &str, default| match given.value(letter) {
        None => Ok(default),
        Some(text) => {
            let sound = number(text).filter(|bits| (1..=most).contains(bits));
            sound.with_context(|| bad(name, text))
        }
    };
    let (low, high) = (bound('x', "min", 1)?, bound('y', "max", 1024)?);
    if low > high {
        bail!("bad min/max for blocktrash command");
    }
    Ok(Plan { mode: mode.unwrap_or(Mode::Flipped), start, lengths: low..=high })
}

/// A number that is not negative.
fn number(text: &str) -> Option<u64> {
    value::number(text).filter(|_| !text.starts_with('-'))
}

fn bad(what: &str, text: &str) -> String {
    format!("bad blocktrash {what} {text}")
}

/// Spoils what is at the cursor.
fn trash_cursor(session: &mut Session, plan: &Plan, random: &mut Random) -> Result<String> {
    let cursor = session.cursor.as_mut().context("nothing on stack")?;
    let done = trash::trash(cursor.data_mut(), plan, random);
    let (agno, agbno) = session.geo.daddr_agblock(cursor.daddr);
    write::store(session, write::Mode::BadCrc)?;
    Ok(format!(
        "blocktrash: {agno}/{agbno} unknown block {} bit{} starting {}:{} {}\n",
        done.len,
        if done.len == 1 { "" } else { "s" },
        done.start / 8,
        done.start % 8,
        plan.mode.name(),
    ))
}
