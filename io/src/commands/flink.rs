//! flink: name the current file.

use super::{Command, Named, Scope};
use crate::session::Session;

pub const COMMAND: Command = Command {
    name: "flink",
    alias: None,
    arguments: (1, Some(1)),
    scope: Scope::Current,
    xfs_only: false,
    expert: false,
    usage: "filename",
    summary: "link the open file descriptor to the supplied filename",
    help: "
 Gives the open file a name: the first one, if it was opened with -T.",
    run: |session: &mut Session, arguments| {
        let file = session.handle()?;
        session.target.link(file, &arguments[1]).named("flink")
    },
};
