//! `check`: look for contradictions in the metadata.

use super::Command;
use super::blockget::{count, is_dirty};
use crate::session::Session;
use crate::usage::Request;
use anyhow::{Result, bail};

/// The command.
pub const COMMAND: Command = Command {
    name: "check",
    alias: None,
    min_args: 0,
    max_args: Some(0),
    expert: false,
    args: "",
    summary: "check consistency of metadata",
    help: "\
What `blockget -n` tells, wrong numbers of links, and blocks that nothing claims; says at the
end how much was wrong. Fails if anything was, so that a script can tell. Nothing is kept.
`xfs_repair -n` looks at more.
",
    run,
};

fn run(session: &mut Session, _: &[&str]) -> Result<String> {
    if is_dirty(session) {
        session.exit_status = 1;
        bail!("the log has changes that are not in place yet: mount, or run xfs_repair, first");
    }
    let before = session.usage.take();
    let request = Request { names: true, thorough: true, ..Request::default() };
    count(session, &request, "");
    let complaints = session.usage.as_ref().map_or(0, |usage| usage.complaints);
    session.usage = before;
    if complaints == 0 {
        return Ok("no contradictions found\n".into());
    }
    session.exit_status = session.exit_status.max(1);
    Ok(format!("{complaints} contradictions found\n"))
}
