//! `ring`: the places visited last.

use super::{Command, number};
use crate::positions::RING;
use crate::session::{BASIC_BLOCK, Session};
use anyhow::{Context, Result};
use std::fmt::Write;

/// The command.
pub const COMMAND: Command = Command {
    name: "ring",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "",
    summary: "show position ring or move to a specific entry",
    help: "\
Shows the last 20 places that the cursor visited, the latest first; an asterisk marks the
one it is at. With a number, goes to that place. `back` and `forward` go one place on.
`push` and `pop` keep places that have to be found again for certain.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let Some(text) = args.first() else { return Ok(list(session)) };
    // What is not a number counts as 0.
    let slot = number(text).unwrap_or(0) as i64;
    let found = usize::try_from(slot).ok().filter(|&slot| slot < RING);
    session.go_visit(found.with_context(|| format!("invalid entry: {slot}"))?)?;
    Ok(String::new())
}

fn list(session: &Session) -> String {
    let mut out = String::new();
    for (slot, visit, current) in session.positions.visits() {
        if out.is_empty() {
            out.push_str("      type    bblock  bblen    fsbno     inode\n");
        }
        let _ = writeln!(
            out,
            "{}{slot:2}: {:7} {:8} {:5} {:8} {:9}",
            if current { '*' } else { ' ' },
            visit.kind.name(),
            visit.daddr,
            visit.len / BASIC_BLOCK,
            session.geo.daddr_fsblock(visit.daddr).0,
            visit.ino.map_or(-1, |ino| ino.0 as i64),
        );
    }
    if out.is_empty() { "no entries in location ring.\n".into() } else { out }
}
