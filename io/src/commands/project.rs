//! chproj, lsproj: the project that the current file's space is counted for.

use super::walk::{self, Reach};
use super::{Command, Flags, Scope, UsageError, reason};
use crate::session::{Complaint, Session};

pub const CHPROJ: Command = Command {
    name: "chproj",
    alias: None,
    arguments: (1, None),
    scope: Scope::Each,
    xfs_only: false,
    expert: false,
    usage: "[-D | -R] projid",
    summary: "change project identifier on the currently open file",
    help: "
 Sets the project of the current file.

 -R -- everything below the current file, and it
 -D -- the directories below the current file, and it",
    run: chproj,
};

pub const LSPROJ: Command = Command {
    name: "lsproj",
    arguments: (0, None),
    usage: "[-D | -R]",
    summary: "list project identifier set on the currently open file",
    help: "
 Shows the project of the current file.

 -R -- everything below the current file, and it
 -D -- the directories below the current file, and it",
    run: lsproj,
    ..CHPROJ
};

fn reach(flags: &Flags) -> Reach {
    match flags.last(&['D', 'R']) {
        Some('D') => Reach::Directories,
        Some(_) => Reach::All,
        None => Reach::File,
    }
}

fn chproj(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&CHPROJ, arguments, "DR")?;
    anyhow::ensure!(
        !(flags.has('D') && flags.has('R')),
        "xfs_io: -R and -D options are mutually exclusive"
    );
    let [text] = flags.rest.as_slice() else { return Err(UsageError(&CHPROJ).into()) };
    let project = text.parse().ok().filter(|&project| project != u32::MAX);
    let project: u32 = project.ok_or_else(|| Complaint(format!("invalid project ID -- {text}")))?;
    let mut failed = false;
    walk::each(session, reach(&flags), &mut |target, file, path| {
        let changed = target.attributes(file).and_then(|mut attributes| {
            attributes.projid = project;
            target.set_attributes(file, &attributes)
        });
        if let Err(error) = changed {
            eprintln!("xfs_io: cannot set project on {path}: {}", reason(&error));
            failed = true;
        }
        Ok(())
    })?;
    if failed {
        session.exit_code = 1;
    }
    Ok(())
}

fn lsproj(session: &mut Session, arguments: &[String]) -> anyhow::Result<()> {
    let flags = Flags::parse(&LSPROJ, arguments, "DR")?;
    if !flags.rest.is_empty() {
        return Err(UsageError(&LSPROJ).into());
    }
    let reach = reach(&flags);
    walk::each(session, reach, &mut |target, file, path| {
        let project = target.attributes(file)?.projid;
        if reach == Reach::File {
            println!("projid = {project}");
        } else {
            println!("[{project}] {path}");
        }
        Ok(())
    })
}
