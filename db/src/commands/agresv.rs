//! `agresv`: what groups keep back for their btrees.

use super::{Command, number};
use crate::session::Session;
use anyhow::Result;
use libfs::mount::Mount;
use libfs::space::startup::reserved;

/// The command.
pub const COMMAND: Command = Command {
    name: "agresv",
    alias: None,
    min_args: 0,
    max_args: None,
    expert: false,
    args: "",
    summary: "print AG reservation stats",
    help: "\
Prints the size of allocation groups, their free blocks, the blocks kept back for their
btrees, and how many of these the btrees have now: of all groups, or of those that are
named.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    let mut files = session.files()?;
    if args.is_empty() {
        (0..session.geo.ag_count).for_each(|agno| show(session, &mut files, agno));
    }
    for text in args {
        match number(text) {
            None => eprintln!("{text}: Numerical result out of range"),
            Some(agno) => match u32::try_from(agno) {
                Ok(agno) if agno < session.geo.ag_count => show(session, &mut files, agno),
                _ => eprintln!("{}: Not a AG.", agno as i64),
            },
        }
    }
    Ok(String::new())
}

fn show(session: &mut Session, files: &mut Mount, agno: u32) {
    match reserved(files, agno) {
        Ok(of) => session.show(&format!(
            "AG {agno}: length: {} free: {} reserved: {} used: {}\n",
            of.length, of.free, of.asked, of.used
        )),
        Err(error) => eprintln!("AG {agno}: {error}"),
    }
}
