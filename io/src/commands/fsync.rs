//! fsync, fdatasync, sync, syncfs: make what was written durable.

use super::{Command, Named, Scope};
use crate::session::Session;

pub const FSYNC: Command = Command {
    name: "fsync",
    alias: Some("s"),
    arguments: (0, Some(0)),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "",
    summary: "calls fsync(2) to flush all in-core file state to disk",
    help: "",
    run: |session, _| {
        let file = session.handle()?;
        session.target.fsync(file).named("fsync")
    },
};

pub const FDATASYNC: Command = Command {
    name: "fdatasync",
    alias: None,
    summary: "calls fdatasync(2) to flush the files in-core data to disk",
    run: |session, _| {
        let file = session.handle()?;
        session.target.fdatasync(file).named("fdatasync")
    },
    ..FSYNC
};

pub const SYNC: Command = Command {
    name: "sync",
    alias: None,
    summary: "calls sync(2) to flush all in-core filesystem state to disk",
    run: |session, _| session.target.sync().named("sync"),
    ..FSYNC
};

pub const SYNCFS: Command = Command {
    name: "syncfs",
    alias: None,
    summary: "calls syncfs(2) to flush all in-core filesystem state to disk",
    run: |session: &mut Session, _| {
        let file = session.handle()?;
        session.target.syncfs(file).named("syncfs")
    },
    ..FSYNC
};
