//! `label`: the label in the superblocks.

use super::Command;
use crate::session::Session;
use crate::write::names;
use anyhow::{Result, anyhow};

/// The command.
pub const COMMAND: Command = Command {
    name: "label",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[label]",
    summary: "write/print FS label",
    help: "\
Prints the label of the filesystem. The superblock of every group is looked at; those
whose label differs are named.

With a label, sets it in all of them, after replaying the log if it is dirty; '--' stands for
none. A label has at most 12 bytes; what is longer is cut.
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if let Some(text) = args.first() {
        return names::set_label(session, text);
    }
    let first = label_of(session, 0)?;
    for agno in 1..session.geo.ag_count {
        if label_of(session, agno)? != first {
            session.show(&format!("warning: AG {agno} label differs\n"));
        }
    }
    session.show("label = \"");
    session.show_bytes(first.split(|byte| *byte == 0).next().unwrap_or_default());
    session.show("\"\n");
    Ok(String::new())
}

fn label_of(session: &mut Session, agno: u32) -> Result<[u8; 12]> {
    let dsb = session.sound_superblock(agno);
    Ok(dsb.map_err(|why| anyhow!("{why}\nfailed to read label in AG {agno}"))?.fname)
}
