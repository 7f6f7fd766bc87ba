//! swapext: the older exchange of whole files.

use super::{Command, Failed, Scope};
use crate::session::Session;
use crate::target::OpenFlags;

pub const COMMAND: Command = Command {
    name: "swapext",
    alias: None,
    arguments: (1, Some(1)),
    scope: Scope::Current,
    xfs_only: true,
    expert: false,
    usage: "<donorfile>",
    summary: "Swap extents between files.",
    help: "
 Exchanges all extents of the open file with those of another file of the same filesystem
 and size. exchangerange does more, and is all or nothing.",
    run,
};

/// Whatever fails does not count for the exit status, as in xfsprogs.
fn run(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let path = arguments[1].as_str();
    let file = session.handle()?;
    let donor = match session.target.open(path, &OpenFlags::default()) {
        Ok(donor) => donor,
        Err(error) => {
            eprintln!("{}", Failed::new(path, error));
            return Ok(());
        }
    };
    if let Err(error) = session.target.swap_extents(file, donor) {
        eprintln!("{}", Failed::new("swapext", error));
    }
    session.target.close(donor)?;
    Ok(())
}
