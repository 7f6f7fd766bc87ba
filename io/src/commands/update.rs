//! startupdate, commitupdate, cancelupdate: change a file as a whole, in a temporary file that
//! takes its place if nobody changed it meanwhile.

use std::time::Instant;

use libfs::file::exchange::ExchangeFlags;

use super::{Command, Failed, Flags, Scope};
use crate::numbers;
use crate::session::{OpenFile, Session, Update};
use crate::target::{Exchange, OpenFlags};

pub const START: Command = Command {
    name: "startupdate",
    alias: None,
    arguments: (0, None),
    scope: Scope::Current,
    xfs_only: true,
    expert: false,
    usage: "[-e]",
    summary: "start an atomic update of a file",
    help: "
 Puts a temporary file, which shares the contents of the open one, in its place in the file
 table. Change that one; commitupdate exchanges its contents for those of the original,
 all or nothing, and cancelupdate drops it.

 -e   -- Start with an empty file
",
    run: start,
};

pub const COMMIT: Command = Command {
    name: "commitupdate",
    usage: "[-C] [-h] [-n] [-q]",
    summary: "commit a file update atomically",
    help: "
 Exchanges the contents of the temporary file for those of the original, unless the original
 was changed since startupdate. The original is then the open file again.

 -C   -- Print timing information in a condensed format.
 -h   -- Only exchange what is written in the temporary file.
 -k   -- Keep the sizes: exchange as many bytes as the original had.
 -n   -- Check everything, but change nothing.
 -q   -- Do not print timing information at all.",
    run: commit,
    ..START
};

pub const CANCEL: Command = Command {
    name: "cancelupdate",
    arguments: (0, Some(0)),
    usage: "",
    summary: "cancel an atomic update",
    help: "
 Drops the temporary file of an update. The original is then the open file again.
",
    run: cancel,
    ..START
};

/// The directory part of a path, in which a temporary file can replace the file.
fn directory_of(path: &str) -> Option<&str> {
    match path.rfind('/')? {
        0 => Some("/"),
        end => Some(&path[..end]),
    }
}

/// A failure that ends the run, as in xfsprogs: nothing later may take it for done.
fn give_up(session: &mut Session, what: &str, error: libfs::Error) -> anyhow::Result<()> {
    session.quit = true;
    Err(Failed::new(what, error).into())
}

/// Called wrongly: all of the help, and the status stays.
fn explain(command: &Command) -> anyhow::Result<()> {
    println!("{}", command.help);
    Ok(())
}

fn start(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let Ok(flags) = Flags::parse(&START, arguments, "e") else { return explain(&START) };
    if !flags.rest.is_empty() {
        return explain(&START);
    }
    let original = session.file()?.clone();
    let Some(directory) = directory_of(&original.path) else {
        session.quit = true;
        eprint!("{}: cannot compute dirname?", original.path);
        session.exit_code = 1;
        return Ok(());
    };
    let how = OpenFlags { temporary: true, mode: 0o600, ..Default::default() };
    let size = match session.target.size(original.handle) {
        Ok(size) => size,
        Err(error) => return give_up(session, &original.path, error),
    };
    let staging = match session.target.open(directory, &how) {
        Ok(staging) => staging,
        Err(error) => return give_up(session, directory, error),
    };
    let sampled = session.target.start_commit(original.handle).and_then(|seen| {
        if !flags.has('e') {
            session.target.clone_range(staging, original.handle, None)?;
        }
        Ok(seen)
    });
    let seen = match sampled {
        Ok(seen) => seen,
        Err(error) => {
            session.target.close(staging)?;
            return give_up(session, directory, error);
        }
    };
    let path = format!("{} (fileupdate)", original.path);
    let flags = original.flags;
    let update = Update { original: Box::new(original), seen, size };
    let current = session.current;
    session.files[current] =
        OpenFile { path, handle: staging, flags, foreign: false, update: Some(update) };
    Ok(())
}

/// The update that the current file is the temporary file of.
fn update_of(session: &mut Session) -> anyhow::Result<Update> {
    let update = session.file()?.update.clone();
    session.quit |= update.is_none();
    update.ok_or_else(|| {
        anyhow::anyhow!("Current file is not the staging file for an atomic update.")
    })
}

/// The original takes its place in the file table again.
fn restore(session: &mut Session, update: Update) -> anyhow::Result<()> {
    let current = session.current;
    let staging = std::mem::replace(&mut session.files[current], *update.original);
    Ok(session.target.close(staging.handle)?)
}

fn commit(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let Ok(flags) = Flags::parse(&COMMIT, arguments, "Chknq") else { return explain(&COMMIT) };
    if !flags.rest.is_empty() {
        return explain(&COMMIT);
    }
    let update = update_of(session)?;
    let mut how = ExchangeFlags::empty();
    how.set(ExchangeFlags::TO_EOF, !flags.has('k'));
    how.set(ExchangeFlags::FILE1_WRITTEN, flags.has('h'));
    how.set(ExchangeFlags::DRY_RUN, flags.has('n'));
    let exchange = Exchange {
        donor: session.handle()?,
        donor_offset: 0,
        offset: 0,
        length: update.size,
        flags: how,
    };
    let (file, path, size) = (update.original.handle, update.original.path.clone(), update.size);
    let start = Instant::now();
    if let Err(error) = session.target.commit_range(file, &exchange, &update.seen) {
        return give_up(session, "committing update", error);
    }
    let elapsed = start.elapsed();
    restore(session, update)?;
    println!("Committed updates to '{path}'.");
    if flags.has('q') {
        return Ok(());
    }
    if !flags.has('C') {
        println!("commitupdate {size}/{size} bytes at offset 0");
    }
    println!("{}", numbers::timing(size, 1, elapsed, flags.has('C')));
    Ok(())
}

fn cancel(session: &mut Session, _: &[String]) -> anyhow::Result<()> {
    let update = update_of(session)?;
    let path = update.original.path.clone();
    restore(session, update)?;
    println!("Cancelled updates to '{path}'.");
    Ok(())
}
