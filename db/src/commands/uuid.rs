//! `uuid`: the UUID in the superblocks.

use super::Command;
use crate::session::Session;
use crate::write::names;
use anyhow::{Result, anyhow};
use uuid::Uuid;

/// The command.
pub const COMMAND: Command = Command {
    name: "uuid",
    alias: None,
    min_args: 0,
    max_args: Some(1),
    expert: false,
    args: "[uuid]",
    summary: "write/print FS uuid",
    help: "\
Prints the UUID of the filesystem. The superblock of every group is looked at; the first
whose UUID differs is named.

With a UUID, sets it in all of them and clears the log, after replaying it if it is dirty. So do

  generate -- with a random one
  nil -- with that of zeros
  rewrite -- with the one that the first superblock has
  restore -- with the one that it had first, which metadata carries
",
    run,
};

fn run(session: &mut Session, args: &[&str]) -> Result<String> {
    if let Some(text) = args.first() {
        return names::set_uuid(session, text);
    }
    let first = uuid_of(session, 0)?;
    for agno in 1..session.geo.ag_count {
        if uuid_of(session, agno)? != first {
            session.show(&format!("warning: UUID in AG {agno} differs to the primary SB\n"));
            break;
        }
    }
    Ok(format!("UUID = {first}\n"))
}

fn uuid_of(session: &mut Session, agno: u32) -> Result<Uuid> {
    let dsb = session.sound_superblock(agno);
    let dsb = dsb.map_err(|why| anyhow!("{why}\nfailed to read UUID from AG {agno}"))?;
    Ok(Uuid::from_bytes(dsb.uuid))
}
