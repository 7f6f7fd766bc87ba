//! extsize, cowextsize: the hints on how much space to allocate at a time.

use super::walk::{self, Reach};
use super::{Command, Flags, Scope, reason};
use crate::session::Session;
use crate::target::{Attributes, Handle, Target};
use libfs::Error;

pub const EXTSIZE: Command = Command {
    name: "extsize",
    alias: None,
    arguments: (0, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-D | -R] [extsize]",
    summary: "get/set preferred extent size (in bytes) for the open file",
    help: "
 Shows or sets how many bytes are allocated at a time for the current file, or, for a
 directory, for what will be made in it.

 -R -- everything below the current file, and it
 -D -- the directories below the current file, and it",
    run: |session, arguments| run(session, &EXTSIZE, &NORMAL, arguments),
};

pub const COWEXTSIZE: Command = Command {
    name: "cowextsize",
    xfs_only: true,
    usage: "[-D | -R] [cowextsize]",
    summary: "get/set preferred CoW extent size (in bytes) for the open file",
    help: "
 Shows or sets how many bytes are staged at a time when shared blocks of the current file
 are written.

 -R -- everything below the current file, and it
 -D -- the directories below the current file, and it",
    run: |session, arguments| run(session, &COWEXTSIZE, &COPY_ON_WRITE, arguments),
    ..EXTSIZE
};

/// One of the two hints.
struct Hint {
    name: &'static str,
    get: fn(&Attributes) -> u32,
    set: fn(&mut Attributes, u32, bool),
    /// The request in error messages.
    get_request: &'static str,
    set_request: &'static str,
}

/// FS_XFLAG_* bits of `linux/fs.h`.
const XFLAG_EXTSIZE: u32 = 0x800;
const XFLAG_EXTSZINHERIT: u32 = 0x1000;
const XFLAG_COWEXTSIZE: u32 = 0x10000;

const NORMAL: Hint = Hint {
    name: "extsize",
    get: |attributes| attributes.extsize,
    set: |attributes, size, directory| {
        let flag = if directory { XFLAG_EXTSZINHERIT } else { XFLAG_EXTSIZE };
        attributes.xflags &= !(XFLAG_EXTSIZE | XFLAG_EXTSZINHERIT);
        attributes.xflags |= if size > 0 { flag } else { 0 };
        attributes.extsize = size;
    },
    get_request: "FS_IOC_FSGETXATTR",
    set_request: "FS_IOC_FSSETXATTR",
};

const COPY_ON_WRITE: Hint = Hint {
    name: "cowextsize",
    get: |attributes| attributes.cowextsize,
    set: |attributes, size, _| {
        attributes.xflags &= !XFLAG_COWEXTSIZE;
        attributes.xflags |= if size > 0 { XFLAG_COWEXTSIZE } else { 0 };
        attributes.cowextsize = size;
    },
    get_request: "XFS_IOC_FSGETXATTR",
    set_request: "XFS_IOC_FSSETXATTR",
};

fn run(
    session: &mut Session,
    command: &'static Command,
    hint: &Hint,
    arguments: &[String],
) -> anyhow::Result<()> {
    let flags = Flags::parse(command, arguments, "DR")?;
    let reach = match (flags.has('R'), flags.has('D')) {
        (true, true) => anyhow::bail!("xfs_io: -R and -D options are mutually exclusive"),
        (true, _) => Reach::All,
        (_, true) => Reach::Directories,
        _ => Reach::File,
    };
    // The request has 32 bits for the size, which is cut to them.
    let size = match flags.rest.first() {
        Some(text) => Some(session.number(text, hint.name)? as u32),
        None => None,
    };
    let mut failed = false;
    walk::each(session, reach, &mut |target, file, path| {
        match size {
            Some(size) => failed |= !set(target, file, path, hint, size)?,
            None => match target.attributes(file) {
                Ok(attributes) => println!("[{}] {path}", (hint.get)(&attributes)),
                Err(error) => failed |= !refused(hint.get_request, path, &error),
            },
        }
        Ok(())
    })?;
    if failed {
        session.exit_code = 1;
    }
    Ok(())
}

/// Sets a hint; says so and returns false if that is refused.
fn set(
    target: &mut dyn Target,
    file: Handle,
    path: &str,
    hint: &Hint,
    size: u32,
) -> anyhow::Result<bool> {
    let mut attributes = match target.attributes(file) {
        Ok(attributes) => attributes,
        Err(error) => return Ok(refused(hint.get_request, path, &error)),
    };
    let directory = target.stat(file, 0x1, 0)?.mode & 0o170000 == 0o040000;
    (hint.set)(&mut attributes, size, directory);
    match target.set_attributes(file, &attributes) {
        Ok(()) => Ok(true),
        Err(error) => Ok(refused(hint.set_request, path, &error)),
    }
}

/// Says which request was refused; false, for what did not succeed.
fn refused(request: &str, path: &str, error: &Error) -> bool {
    println!("xfs_io: {request} {path}: {}", reason(error));
    false
}
