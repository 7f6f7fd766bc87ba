//! fsync: make everything done so far durable.

use super::Command;

pub const COMMAND: Command = Command {
    name: "fsync",
    alias: Some("s"),
    arguments: (0, Some(0)),
    needs_file: true,
    expert: false,
    usage: "",
    summary: "calls fsync(2) to flush all in-core file state to disk",
    help: "",
    run: |session, _| Ok(session.filesystem.sync()?),
};
