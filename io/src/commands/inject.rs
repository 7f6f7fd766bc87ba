//! inject: stop in the middle of a later operation.

use libfs::transaction::InjectTag;

use super::{Command, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "inject",
    alias: None,
    arguments: (0, Some(2)),
    scope: Scope::Current,
    xfs_only: false,
    expert: true,
    usage: "[tag [skip]]",
    summary: "inject errors into a filesystem",
    help: "
 Stops the filesystem the next time a deferred operation of the named kind is about to be
 done: its intent is in the log, its effect is not. With skip, that many are let pass
 first. Without arguments, lists the tags.",
    run,
};

fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let Some(name) = arguments.get(1) else {
        let names: Vec<_> = InjectTag::ALL.iter().map(|(_, name)| *name).collect();
        println!("tags: [ {} ]", names.join(", "));
        return Ok(());
    };
    let Some(tag) = InjectTag::from_name(name) else {
        println!("no such tag -- {name}");
        return Ok(());
    };
    let skip = match arguments.get(2) {
        Some(text) => session.number(text, "skip")?,
        None => 0,
    };
    session.image()?.filesystem.inject(tag, u32::try_from(skip)?);
    Ok(())
}
