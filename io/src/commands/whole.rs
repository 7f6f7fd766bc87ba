//! freeze, thaw, label, fsuuid, resblks: the filesystem of the current file as a whole.

use super::{Command, Flags, Named, Scope, UsageError, reason};
use crate::session::{Complaint, Session};

pub const FREEZE: Command = Command {
    name: "freeze",
    alias: None,
    arguments: (0, Some(0)),
    scope: Scope::Current,
    xfs_only: false,
    expert: true,
    usage: "",
    summary: "freeze filesystem of current file",
    help: "",
    run: |session, _| {
        let file = session.file()?.clone();
        session.host()?.freeze(file.handle, true).map_err(|error| {
            let path = file.path;
            anyhow::anyhow!("xfs_io: cannot freeze filesystem at {path}: {}", reason(&error))
        })
    },
};

pub const THAW: Command = Command {
    name: "thaw",
    summary: "unfreeze filesystem of current file",
    run: |session, _| {
        let file = session.file()?.clone();
        session.host()?.freeze(file.handle, false).map_err(|error| {
            let what = "xfs_io: cannot unfreeze filesystem mounted at";
            anyhow::anyhow!("{what} {}: {}", file.path, reason(&error))
        })
    },
    ..FREEZE
};

pub const FSUUID: Command = Command {
    name: "fsuuid",
    xfs_only: true,
    expert: false,
    summary: "get mounted filesystem UUID",
    run: |session, _| {
        let file = session.handle()?;
        let geometry = session.target.geometry(file).unwrap_or_default();
        println!("UUID = {}", uuid::Uuid::from_bytes(geometry.uuid));
        Ok(())
    },
    ..FREEZE
};

pub const LABEL: Command = Command {
    name: "label",
    arguments: (0, None),
    scope: Scope::Each,
    expert: false,
    usage: "[-s label|-c]",
    summary: "query, set, or clear the filesystem label while mounted",
    help: "
 Shows, sets or clears the label of the filesystem that holds the current file.

 -s newlabel -- set the label
 -c          -- clear the label",
    run: label,
    ..FREEZE
};

pub const RESBLKS: Command = Command {
    name: "resblks",
    arguments: (0, Some(1)),
    xfs_only: true,
    usage: "[blocks]",
    summary: "get and/or set count of reserved filesystem blocks",
    run: resblks,
    ..FREEZE
};

fn label(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&LABEL, arguments, "cs:")?;
    if !flags.rest.is_empty() {
        return Err(UsageError(&LABEL).into());
    }
    let new = match flags.last(&['c', 's']) {
        Some('s') => flags.value('s'),
        Some(_) => Some(""),
        None => None,
    };
    let file = session.handle()?;
    let host = session.host()?;
    if let Some(new) = new {
        host.set_label(file, new.as_bytes()).named("label")?;
    }
    let label = host.label(file).named("label")?;
    println!("label = \"{}\"", String::from_utf8_lossy(&label));
    Ok(())
}

fn resblks(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let wanted = match arguments.get(1) {
        Some(text) => {
            let blocks = session.signed(text).and_then(|blocks| u64::try_from(blocks).ok());
            let wrong = || Complaint(format!("non-numeric argument -- {text}"));
            Some(blocks.ok_or_else(wrong)?)
        }
        None => None,
    };
    let file = session.handle()?;
    let (reserved, available) = session.host()?.reserved_blocks(file, wanted).named("resblks")?;
    println!("reserved blocks = {reserved}");
    println!("available reserved blocks = {available}");
    Ok(())
}
