//! close: remove the current file from the table.

use super::{Command, Scope, file};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "close",
    alias: None,
    arguments: (0, Some(0)),
    scope: Scope::Current,
    xfs_only: false,
    expert: false,
    usage: "",
    summary: "close the current open file",
    help: "",
    run: |session: &mut Session, _| {
        let current = session.file()?;
        if current.update.is_some() {
            eprintln!("{}: atomic update in progress, cannot close.", current.path);
            session.exit_code = 1;
        } else {
            session.close_file()?;
        }
        file::list(session);
        Ok(())
    },
};
